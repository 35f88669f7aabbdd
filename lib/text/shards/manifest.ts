/**
 * The manifest of a set of shards: what it was made of and which shards it has, in order. It is
 * written last, so that a set with a manifest is whole.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { UserError } from "../../errors.ts";
import { readFileIfPresent, writeFileAtomically } from "../../files.ts";
import { isCount, isSideCounts, type Side, type SideCounts, SIDES } from "./format.ts";
import type { TextUnit } from "../tokenized_corpus.ts";

const FORMAT = "know-your-limits shards 1";
export const MANIFEST = "manifest.json";

export type ManifestShard =
  & Readonly<{
    file: string;
    /** Documents read of the source. */
    read: number;
    /** SHA-256 (hexadecimal) of its head and checksums. */
    hash: string;
  }>
  & Readonly<Record<Side, SideCounts>>;

export type ShardManifest =
  & Readonly<{
    /** SHA-256 (hexadecimal) over source, tokenizer, unit and format: equal keys, equal shards. */
    key: string;
    source: Readonly<{
      name: string;
      licence: string | null;
      parts: readonly Readonly<{ name: string; version: string; bytes: number }>[];
    }>;
    tokenizer: Readonly<{ hash: string; vocabSize: number }>;
    unit: TextUnit;
    /** Documents of the source, empty ones included. */
    read: number;
    shards: readonly ManifestShard[];
  }>
  & Readonly<Record<Side, SideCounts>>;

function checksumOf(content: unknown): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

/** The sum of a side's counts over shards. */
export function totalOf(shards: readonly Pick<ManifestShard, Side>[], side: Side): SideCounts {
  const total = { documents: 0, tokens: 0, bytes: 0 };
  for (const { [side]: counts } of shards) {
    for (const name of ["documents", "tokens", "bytes"] as const) total[name] += counts[name];
  }
  return total;
}

export async function writeManifest(folder: string, manifest: ShardManifest): Promise<void> {
  const content = { format: FORMAT, checksum: checksumOf(manifest), ...manifest };
  await writeFileAtomically(join(folder, MANIFEST), `${JSON.stringify(content, null, 1)}\n`);
}

/**
 * The manifest in a folder; null where there is none.
 *
 * @throws UserError for one that is damaged or contradicts itself.
 */
export async function readManifest(folder: string): Promise<ShardManifest | null> {
  const path = join(folder, MANIFEST);
  const bytes = await readFileIfPresent(path);
  if (bytes === null) return null;
  const fail = (found: string) =>
    new UserError(
      `${path}: expected the manifest that was written, found ${found}; delete it and tokenize ` +
        "again: whole shards are kept",
    );
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw fail("broken JSON");
  }
  const { format, checksum, ...content } = value ?? {};
  if (format !== FORMAT) throw fail(`format ${JSON.stringify(format) ?? "missing"}`);
  if (checksum !== checksumOf(content)) throw fail("another content than its checksum's");
  if (!isManifest(content)) throw fail("fields that are missing or no counts");
  for (const side of SIDES) {
    const total = totalOf(content.shards, side);
    if (JSON.stringify(total) !== JSON.stringify(content[side])) {
      throw fail(`other totals (${side}) than those of its shards`);
    }
  }
  return content;
}

function isManifest(value: Record<string, unknown>): value is ShardManifest & typeof value {
  const { key, source, tokenizer, read, shards } = value as Partial<ShardManifest>;
  return typeof key === "string" && typeof source?.name === "string" &&
    Array.isArray(source.parts) && typeof tokenizer?.hash === "string" &&
    isCount(tokenizer.vocabSize) && isCount(read) &&
    SIDES.every((side) => isSideCounts(value[side])) && Array.isArray(shards) &&
    shards.every(isShard);
}

function isShard(value: Partial<ManifestShard> | null): boolean {
  const { file, read, hash } = value ?? {};
  // A name with a slash in it would lead out of the folder.
  return typeof file === "string" && /^[\w.]+$/.test(file) && isCount(read) &&
    typeof hash === "string" && SIDES.every((side) => isSideCounts(value?.[side]));
}
