/** A tokenizer trained on a source, read document by document. */

import { Buffer } from "node:buffer";
import { StoppedError } from "../../errors.ts";
import { countWords, trainOnWords, type WordCounts } from "../../tokenizer/mod.ts";
import type { Tokenizer } from "../../tokenizer/mod.ts";
import type { DocumentSource } from "../document_source.ts";
import { requireSides, sideOf, splitOf } from "./split.ts";

/** Enough for the words that make 8,000 entries; the words of more would take more memory. */
export const SAMPLE_BYTES = 1e8;

export type SampleProgress = Readonly<{ bytes: number; sampleBytes: number }>;

export type SourceTokenizerOptions = Readonly<{
  /** Entries wanted. */
  vocabSize: number;
  /** Bytes of training text that are read, if there are as many; 100 MB by default. */
  sampleBytes?: number;
  signal?: AbortSignal | undefined;
  /** Called after every document. */
  onProgress?: (progress: SampleProgress) => Promise<void> | void;
}>;

/**
 * Trains on the first documents of a source that are not held out (paper §7).
 *
 * @throws UserError for what cannot be read, where all is held out, for a vocabulary size that fits no tokenizer, and when
 *   it is stopped by its signal.
 */
export async function trainSourceTokenizer(
  source: DocumentSource,
  options: SourceTokenizerOptions,
): Promise<Tokenizer> {
  try {
    const counts = await countSample(source, options);
    return trainOnWords(counts, { vocabSize: options.vocabSize });
  } catch (error) {
    const { signal } = options;
    if (!signal?.aborted || error !== signal.reason) throw error;
    throw new StoppedError("stopped reading text for a tokenizer");
  }
}

async function countSample(
  source: DocumentSource,
  { sampleBytes = SAMPLE_BYTES, signal, onProgress }: SourceTokenizerOptions,
): Promise<WordCounts> {
  const split = splitOf(source);
  const counts: WordCounts = new Map();
  let number = 0, bytes = 0, heldOut = 0;
  for (const part of source.parts) {
    for await (const { text } of source.read(part, signal === undefined ? {} : { signal })) {
      signal?.throwIfAborted();
      if (sideOf(split, number++, text) === "heldOut") {
        if (text !== "") heldOut++;
        continue;
      }
      countWords(text, counts);
      bytes += Buffer.byteLength(text);
      await onProgress?.({ bytes, sampleBytes });
      if (bytes >= sampleBytes) return counts;
    }
  }
  if (bytes === 0) requireSides(source, { train: 0, heldOut });
  return counts;
}
