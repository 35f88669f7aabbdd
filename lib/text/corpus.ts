/**
 * Corpora: documents, and which of them are held out from training.
 *
 * The addresses of `sotu` are split by date: the newest tenth is held out. All other documents are
 * split by their content: ordered by SHA-256, the first tenth is held out, whatever
 * the order they were read in. Documents of equal content are on the same side.
 */

import { createHash } from "node:crypto";
import { UserError } from "../errors.ts";
import { BUILT_IN, type BuiltInName, isBuiltIn } from "./built_in.ts";
import type { TextDocument } from "./document.ts";
import { readLocalDocuments } from "./local_files.ts";
import { localName } from "./local_paths.ts";
import { cutParagraphs, joinShort } from "./paragraphs.ts";

export interface Corpus {
  readonly name: string;
  readonly train: readonly TextDocument[];
  readonly heldOut: readonly TextDocument[];
  /** SHA-256 (hexadecimal) over ids and texts of both sides. */
  readonly hash: string;
  readonly licence?: string;
}

export interface CorpusOptions {
  /** The share of the documents that is held out; default 0.1. */
  readonly heldOutShare?: number;
  /** The field of a JSON line that holds the text; default "text". */
  readonly textField?: string;
}

const DEFAULT_HELD_OUT_SHARE = 0.1;
/** With fewer documents than this, a tenth of them is none: they are cut into pieces first. */
const FEWEST_DOCUMENTS = 10;
/** About how many pieces a small corpus is cut into. */
const PIECES = 40;

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hashCorpus(train: readonly TextDocument[], heldOut: readonly TextDocument[]): string {
  const hash = createHash("sha256");
  for (const side of [train, heldOut]) {
    hash.update(`${side.length}\n`);
    // JSON strings cannot run into each other.
    for (const { id, text } of side) hash.update(JSON.stringify([id, text]) + "\n");
  }
  return hash.digest("hex");
}

/** How many of `count` are held out: their share, but at least one on either side. */
function heldOutCount(count: number, share: number): number {
  return Math.min(count - 1, Math.max(1, Math.floor(count * share)));
}

/**
 * Few long documents as many: consecutive paragraphs are joined to pieces of about a fortieth of
 * the text each. No text is lost, and a document with one paragraph stays whole.
 */
function cutIntoPieces(documents: readonly TextDocument[]): TextDocument[] {
  const total = documents.reduce((sum, { text }) => sum + text.length, 0);
  return documents.flatMap(({ id, text }) => {
    const pieces = joinShort(cutParagraphs(text), total / PIECES);
    return pieces.length === 1
      ? [{ id, text }]
      : pieces.map((piece, index) => ({ id: `${id}#${index + 1}`, text: piece }));
  });
}

/** Splits documents by content, independently of their order. */
export function splitByContent(
  documents: readonly TextDocument[],
  heldOutShare: number,
): { train: TextDocument[]; heldOut: TextDocument[] } {
  const hashes = documents.map(({ text }) => sha256(text));
  const distinct = [...new Set(hashes)].sort();
  if (distinct.length < 2) {
    throw new UserError(
      `expected text for training and for holding out, found one paragraph only: add text`,
    );
  }
  const held = new Set(distinct.slice(0, heldOutCount(distinct.length, heldOutShare)));
  return {
    train: documents.filter((_, i) => !held.has(hashes[i]!)),
    heldOut: documents.filter((_, i) => held.has(hashes[i]!)),
  };
}

async function loadBuiltIn(name: BuiltInName, heldOutShare: number) {
  const documents = await BUILT_IN[name].read();
  if (name === "tfjs") return splitByContent(documents, heldOutShare);
  const cut = documents.length - heldOutCount(documents.length, heldOutShare);
  return { train: documents.slice(0, cut), heldOut: documents.slice(cut) };
}

async function loadLocal(source: string, heldOutShare: number, textField: string) {
  const documents = await readLocalDocuments(source, textField);
  const distinct = new Set(documents.map(({ text }) => text)).size;
  try {
    return splitByContent(
      distinct < FEWEST_DOCUMENTS ? cutIntoPieces(documents) : documents,
      heldOutShare,
    );
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`${source}: ${error.message}`);
    throw error;
  }
}

/**
 * Loads a corpus: a built-in one, `"sotu"` (English prose) or `"tfjs"` (code), or the path of a file
 * or folder, or a pattern (local_files.ts).
 *
 * A local corpus of fewer than ten different documents is cut at paragraph ends into about forty
 * pieces, which then count as its documents. Throws `UserError`, with file and line, for what
 * cannot be read.
 */
export async function loadCorpus(source: string, options: CorpusOptions = {}): Promise<Corpus> {
  const heldOutShare = options.heldOutShare ?? DEFAULT_HELD_OUT_SHARE;
  if (!(heldOutShare > 0 && heldOutShare < 1)) {
    throw new UserError(`expected a held-out share between 0 and 1, found ${heldOutShare}`);
  }
  if (isBuiltIn(source)) {
    const { train, heldOut } = await loadBuiltIn(source, heldOutShare);
    const hash = hashCorpus(train, heldOut);
    return { name: source, train, heldOut, hash, licence: BUILT_IN[source].licence };
  }
  const { train, heldOut } = await loadLocal(source, heldOutShare, options.textField ?? "text");
  return { name: localName(source), train, heldOut, hash: hashCorpus(train, heldOut) };
}
