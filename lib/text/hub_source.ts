/** A dataset of the Hugging Face Hub as a source of documents, and getting it onto this disk. */

import { basename } from "node:path";
import { UserError } from "../errors.ts";
import type { DocumentSource, OpenSourceOptions, SourcePart } from "./document_source.ts";
import { httpClient } from "./http.ts";
import { cachedListing, type CachedShard, cachedShard } from "./hub_cache.ts";
import type { HubDescriptor } from "./hub_listing.ts";
import { numberRows } from "./local_files.ts";
import { limitParts, takeDocuments } from "./local_source.ts";

export const HUB_ENDPOINT = "https://huggingface.co";
/** The paper's held-out rows (paper §7). */
const HELD_OUT_ROWS = 50_000;
const REQUESTS_AT_ONCE = 8;

/** What is got in one go: a whole shard, or a row group of one of which not all is wanted. */
export type FetchItem = Readonly<{
  name: string;
  /** Bytes on the way. */
  bytes: number;
  isThere: boolean;
  /** Gets it; `onBytes` receives how many of its bytes there are. */
  fetch(onBytes?: (bytes: number) => void): Promise<void>;
}>;

export type HubSource =
  & DocumentSource
  & Readonly<{
    /** What is wanted of it, in order. */
    items(): Promise<readonly FetchItem[]>;
    /** Removes what is damaged on disk; returns the names of such shards. */
    dropDamaged(): Promise<string[]>;
  }>;

/**
 * The first 50,000 rows are held out (paper §7). Of a sample with fewer than ten times as many, the
 * first tenth: with the paper's rule nothing or little would be left to train on. One document at
 * least is on either side.
 */
export function heldOutRows(documents: number): number {
  const tenth = Math.max(1, Math.floor(documents / 10));
  return Math.max(0, Math.min(HELD_OUT_ROWS, tenth, documents - 1));
}

function placeOf(name: string): { path: string; group: number } {
  const [, path, group] = /^(.+)#(\d+)$/.exec(name) ?? [];
  if (path === undefined) {
    throw new UserError(`${name}: expected a row group of a shard, found no #number`);
  }
  return { path, group: Number(group) };
}

/**
 * Opens a dataset: what it has comes from disk if it was listed before, else from the Hub, and so
 * does, shard by shard, where its text lies.
 *
 * @throws UserError when the Hub cannot be reached, refuses, or has no such Parquet files.
 */
export async function openHubSource(
  descriptor: HubDescriptor,
  options: OpenSourceOptions & { refresh?: boolean },
): Promise<HubSource> {
  const { cacheFolder, token, retry, signal, log } = options;
  const endpoint = (options.endpoint ?? HUB_ENDPOINT).replace(/\/+$/, "");
  const client = httpClient({
    endpoint,
    ...(token !== undefined && { token }),
    ...(retry && { retry }),
    ...(signal && { signal }),
    ...(log && { log }),
  });
  const cache = { cacheFolder, endpoint, client, ...(log && { log }) };
  const listing = await cachedListing(descriptor, { ...cache, refresh: options.refresh ?? false });
  const opened = { ...descriptor, revision: listing.commit };
  const shards = new Map(
    listing.shards.map((shard) => [shard.path, cachedShard(opened, listing, shard, cache)]),
  );

  async function* readPart({ name, version }: SourcePart) {
    const { path, group } = placeOf(name);
    const found = shards.get(path);
    const rows = (await found?.column())?.groups[group];
    if (found === undefined || rows === undefined || found.shard.version !== version) {
      throw new UserError(
        `hf:${descriptor.repository}: expected ${name} of version ${version.slice(0, 12)}, found ` +
          "it changed: start again",
      );
    }
    yield* numberRows(found.readGroup(group), path, rows.firstRow);
  }
  const read: DocumentSource["read"] = (part, { signal } = {}) =>
    takeDocuments(readPart(part), part.documents ?? Infinity, signal);

  const parts = options.parts ?? await listParts([...shards.values()], descriptor.limit, read, log);
  const documents = parts.reduce((sum, part) => sum + (part.documents ?? 0), 0);
  const { repository, configuration } = descriptor;
  return {
    name: [basename(repository), ...(configuration === undefined ? [] : [configuration])].join("/"),
    ...(listing.licence !== undefined && { licence: listing.licence }),
    parts,
    heldOutDocuments: heldOutRows(documents),
    read,
    descriptor: opened,
    items: () => listItems(parts, shards),
    dropDamaged: async () => {
      const names: string[] = [];
      for (const path of new Set(parts.map(({ name }) => placeOf(name).path))) {
        if (await shards.get(path)!.dropDamaged()) names.push(path);
      }
      return names;
    },
  };
}

/** The row groups of the shards in order, until they have `limit` rows. */
async function listParts(
  shards: readonly CachedShard[],
  limit: number | undefined,
  read: DocumentSource["read"],
  log: (line: string) => void = () => {},
): Promise<SourcePart[]> {
  const parts: SourcePart[] = [];
  let rows = 0;
  // Without a limit all are wanted: some at once, as each is a small request.
  const atOnce = limit === undefined ? REQUESTS_AT_ONCE : 1;
  for (let at = 0; at < shards.length && rows < (limit ?? Infinity); at += atOnce) {
    const some = shards.slice(at, at + atOnce);
    if (at > 0) log(`${at} of ${shards.length} shards looked at`);
    const columns = await Promise.all(some.map(({ column }) => column()));
    for (const [index, { groups }] of columns.entries()) {
      const { path, version } = some[index]!.shard;
      for (const [group, found] of groups.entries()) {
        const name = `${path}#${group}`;
        parts.push({ name, version, bytes: found.bytes, documents: found.rows });
        rows += found.rows;
      }
    }
  }
  return limit === undefined ? parts : await limitParts(parts, limit, read);
}

/** What parts take: a shard that is wanted whole is got whole, as its checksum is known. */
async function listItems(
  parts: readonly SourcePart[],
  shards: ReadonlyMap<string, CachedShard>,
): Promise<FetchItem[]> {
  const wanted = new Map<string, number[]>();
  for (const { name } of parts) {
    const { path, group } = placeOf(name);
    wanted.set(path, [...wanted.get(path) ?? [], group]);
  }
  const items: FetchItem[] = [];
  for (const [path, groups] of wanted) {
    const { shard, column, isWhole, hasGroup, fetchWhole, fetchGroup } = shards.get(path)!;
    const all = (await column()).groups;
    if (groups.length === all.length) {
      items.push({ name: path, bytes: shard.size, isThere: await isWhole(), fetch: fetchWhole });
      continue;
    }
    for (const group of groups) {
      items.push({
        name: `${path}#${group}`,
        bytes: all[group]!.bytes,
        isThere: await hasGroup(group),
        fetch: (onBytes) => fetchGroup(group, onBytes),
      });
    }
  }
  return items;
}
