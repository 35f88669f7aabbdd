/** What a source is like: sizes, lengths, repetition and how far it compresses. Bounded memory. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { Transform } from "node:stream";
import { createGzip, createZstdCompress } from "node:zlib";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { TextDocument } from "./document.ts";

/** Documents whose length, in tokens, is from `from` to below twice that. */
export type LengthBin = Readonly<{ from: number; documents: number }>;

export type SourceStats = Readonly<{
  documents: number;
  /** Without any text: empty rows of a Parquet file. */
  emptyDocuments: number;
  /** UTF-8. */
  bytes: number;
  tokens: number;
  /** Powers of two, 0 for itself; from the shortest to the longest there is. */
  lengths: readonly LengthBin[];
  /** The share of the documents that another one before them equals, byte by byte. */
  duplicateShare: number;
  /** Of how many documents that was counted: of all, or of those with the smallest hashes. */
  comparedDocuments: number;
  /** Bytes over compressed bytes, all documents in a row: gzip's level 6, Zstandard's 3. */
  gzipRatio: number;
  zstdRatio: number;
}>;

export type MeasureOptions = Readonly<{
  tokenizer: Pick<Tokenizer, "encode">;
  /** Called after each document with what there is of it so far. */
  onDocument?: (so: Readonly<{ documents: number; bytes: number }>) => void;
  /** How many different documents are remembered at most; a power of two. */
  mostCompared?: number;
}>;

const MOST_COMPARED = 2 ** 22;

/**
 * Counts repetitions among hashes in memory that does not grow without end: when it is full, only
 * hashes below half of the former bound go on to be counted. Equal documents share a hash, so the
 * share of repetitions among those is that of all.
 */
export function repetitionCounter(most: number) {
  let bound = 2 ** 48;
  let seen = new Map<number, number>();
  return {
    add(text: string): void {
      const digest = createHash("sha256").update(text).digest();
      const key = digest.readUIntBE(0, 6);
      if (key >= bound) return;
      seen.set(key, (seen.get(key) ?? 0) + 1);
      while (seen.size > most) {
        bound /= 2;
        seen = new Map([...seen].filter(([kept]) => kept < bound));
      }
    },
    result(): { share: number; compared: number } {
      const compared = seen.values().reduce((sum, count) => sum + count, 0);
      return { share: compared === 0 ? 0 : 1 - seen.size / compared, compared };
    },
  };
}

/** Counts what a compressor makes of the bytes it is given; waits when it falls behind. */
function compressedCounter(compressor: Transform) {
  let bytes = 0;
  compressor.on("data", (chunk: Buffer) => bytes += chunk.length);
  const ended = once(compressor, "end");
  return {
    async add(chunk: Buffer): Promise<void> {
      if (!compressor.write(chunk)) await once(compressor, "drain");
    },
    async result(): Promise<number> {
      compressor.end();
      await ended;
      return bytes;
    },
  };
}

/** Measures documents as they come; none is kept. */
export async function measureSource(
  documents: AsyncIterable<TextDocument>,
  { tokenizer, onDocument, mostCompared = MOST_COMPARED }: MeasureOptions,
): Promise<SourceStats> {
  const repetitions = repetitionCounter(mostCompared);
  const gzip = compressedCounter(createGzip());
  const zstd = compressedCounter(createZstdCompress());
  const bins = new Map<number, number>();
  let count = 0, empty = 0, bytes = 0, tokens = 0;
  for await (const { text } of documents) {
    const encoded = Buffer.from(text);
    const length = tokenizer.encode(text).length;
    const from = length === 0 ? 0 : 2 ** Math.floor(Math.log2(length));
    bins.set(from, (bins.get(from) ?? 0) + 1);
    repetitions.add(text);
    await gzip.add(encoded);
    await zstd.add(encoded);
    count++;
    if (text.trim() === "") empty++;
    bytes += encoded.length;
    tokens += length;
    onDocument?.({ documents: count, bytes });
  }
  const { share, compared } = repetitions.result();
  const ratio = (compressed: number) => bytes === 0 ? 0 : bytes / compressed;
  return {
    documents: count,
    emptyDocuments: empty,
    bytes,
    tokens,
    lengths: [...bins].sort(([a], [b]) => a - b).map(([from, documents]) => ({ from, documents })),
    duplicateShare: share,
    comparedDocuments: compared,
    gzipRatio: ratio(await gzip.result()),
    zstdRatio: ratio(await zstd.result()),
  };
}
