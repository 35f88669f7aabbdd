/**
 * A corpus as token ids. The tokenizer is trained on the training documents alone; tokenizer and
 * ids are cached, because both take seconds and every run of an experiment needs them again.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { littleEndian } from "../cache_file.ts";
import { UserError } from "../errors.ts";
import { type Tokenizer, trainTokenizer } from "../tokenizer/mod.ts";
import { cached, cachedTokenizer } from "./cached.ts";
import type { Corpus } from "./corpus.ts";
import type { TextDocument } from "./document.ts";
import { splitParagraphs, splitSentences } from "./paragraphs.ts";

export interface TokenizedDocuments {
  /** The documents' tokens in a row. */
  readonly ids: Uint16Array | Int32Array;
  /** Document d is ids[offsets[d]] … ids[offsets[d + 1] − 1]; documents + 1 numbers. */
  readonly offsets: Int32Array;
  /** UTF-8 bytes of all documents. */
  readonly byteCount: number;
  readonly vocabSize: number;
  /** What messages call these documents: "sotu, held out". */
  readonly source?: string;
}

export interface TokenizedCorpus {
  readonly name: string;
  /** SHA-256 (hexadecimal) over corpus, tokenizer, unit and format: equal keys, equal ids. */
  readonly key: string;
  readonly tokenizer: Tokenizer;
  readonly train: TokenizedDocuments;
  readonly heldOut: TokenizedDocuments;
}

export const TEXT_UNITS = ["document", "paragraph", "sentence"] as const;
export type TextUnit = (typeof TEXT_UNITS)[number];

export interface PrepareOptions {
  /** Entries of the tokenizer to be trained; that of `tokenizer` if one is given. */
  readonly vocabSize: number;
  /** What a document is: as loaded, or a part of it (paragraphs.ts). Default "document". */
  readonly unit?: TextUnit;
  readonly cacheFolder: string;
  /** Receives a line for each thing done that takes time. */
  readonly log?: (line: string) => void;
  /** Used instead of training one. */
  readonly tokenizer?: Tokenizer;
}

/** Raised whenever training, encoding or this file's layout would give something else. */
const FORMAT_VERSION = 1;

function keyOf(...parts: readonly (string | number)[]): string {
  return createHash("sha256").update(JSON.stringify([FORMAT_VERSION, ...parts])).digest("hex");
}

function encodeDocuments(
  documents: readonly TextDocument[],
  tokenizer: Tokenizer,
): TokenizedDocuments {
  const offsets = new Int32Array(documents.length + 1);
  const encoded = documents.map(({ text }, d) => {
    const ids = tokenizer.encode(text);
    offsets[d + 1] = offsets[d]! + ids.length;
    return ids;
  });
  const count = offsets[documents.length]!;
  const ids = tokenizer.vocabSize <= 65536 ? new Uint16Array(count) : new Int32Array(count);
  encoded.forEach((part, d) => ids.set(part, offsets[d]!));
  const encoder = new TextEncoder();
  const byteCount = documents.reduce((sum, { text }) => sum + encoder.encode(text).length, 0);
  return { ids, offsets, byteCount, vocabSize: tokenizer.vocabSize };
}

/** Both sides as bytes: a line of JSON with the counts, then offsets and ids, little-endian. */
function packSides(sides: readonly TokenizedDocuments[]): Uint8Array {
  const header = sides.map(({ ids, offsets, byteCount }) => ({
    tokens: ids.length,
    documents: offsets.length - 1,
    byteCount,
  }));
  const parts = [
    new TextEncoder().encode(`${JSON.stringify(header)}\n`),
    ...sides.flatMap(({ ids, offsets }) => [littleEndian(offsets), littleEndian(ids)]),
  ];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function unpackSides(bytes: Uint8Array, vocabSize: number): TokenizedDocuments[] {
  let at = bytes.indexOf(0x0a) + 1;
  const header: { tokens: number; documents: number; byteCount: number }[] = JSON.parse(
    new TextDecoder().decode(bytes.subarray(0, at)),
  );
  const take = <Numbers extends Int32Array | Uint16Array>(numbers: Numbers): Numbers => {
    littleEndian(numbers).set(bytes.subarray(at, at + numbers.byteLength));
    at += numbers.byteLength;
    return numbers;
  };
  return header.map(({ tokens, documents, byteCount }) => {
    const offsets = take(new Int32Array(documents + 1));
    const ids = take(vocabSize <= 65536 ? new Uint16Array(tokens) : new Int32Array(tokens));
    return { ids, offsets, byteCount, vocabSize };
  });
}

/** Both sides in units; a part of a document that was trained on is not held out. */
function sidesBy(unit: TextUnit, corpus: Corpus, log: (line: string) => void) {
  if (unit === "document") return corpus;
  const split = unit === "paragraph" ? splitParagraphs : splitSentences;
  const train = split(corpus.train);
  const seen = new Set(train.map(({ text }) => text));
  const parts = split(corpus.heldOut);
  const heldOut = parts.filter(({ text }) => !seen.has(text));
  const dropped = parts.length - heldOut.length;
  if (dropped > 0) log(`${dropped} held-out ${unit}s are in the training text: left out`);
  return { train, heldOut };
}

async function prepareTokenizer(
  { name, hash, train }: Corpus,
  vocabSize: number,
  cacheFolder: string,
  log: (line: string) => void,
): Promise<Tokenizer> {
  const path = join(cacheFolder, `tokenizer-${keyOf(hash, vocabSize)}.json`);
  return await cachedTokenizer(
    path,
    { name, vocabSize, log },
    () => trainTokenizer(train.map(({ text }) => text), { vocabSize }),
  );
}

/**
 * Trains a tokenizer on `corpus.train` (unless one is given) and encodes both sides, or reads both
 * from the cache. Throws `UserError` for a vocabulary size that fits no tokenizer.
 */
export async function prepareCorpus(
  corpus: Corpus,
  options: PrepareOptions,
): Promise<TokenizedCorpus> {
  const { vocabSize, unit = "document", cacheFolder, log = () => {} } = options;
  if (options.tokenizer !== undefined && options.tokenizer.vocabSize !== vocabSize) {
    throw new UserError(
      `expected a tokenizer of ${vocabSize} entries, found ${options.tokenizer.vocabSize}: ` +
        `ask for the vocabulary size of the tokenizer given`,
    );
  }
  const tokenizer = options.tokenizer ??
    await prepareTokenizer(corpus, vocabSize, cacheFolder, log);
  const key = keyOf(corpus.hash, tokenizer.hash, unit);
  const [train, heldOut] = await cached(
    join(cacheFolder, `tokens-${key}.bin`),
    log,
    (content) => unpackSides(content, tokenizer.vocabSize),
    () => {
      log(`encoding ${corpus.name} by ${unit}`);
      const sides = sidesBy(unit, corpus, log);
      const value = [sides.train, sides.heldOut].map((side) => encodeDocuments(side, tokenizer));
      return { value, content: packSides(value) };
    },
  );
  return {
    name: corpus.name,
    key,
    tokenizer,
    train: { ...train!, source: `${corpus.name}, training` },
    heldOut: { ...heldOut!, source: `${corpus.name}, held out` },
  };
}
