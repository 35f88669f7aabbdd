/**
 * Samples of N tokens from tokenized documents, in the two layouts of paper §2.8.
 *
 * packed: the documents' tokens in a row, without separators or padding, cut every N tokens; the
 *   rest shorter than N is dropped.
 * padded: one document a sample, its first N tokens; a shorter one is padded on the LEFT with
 *   `padId`, because the encoder of the augmented decoder is read at the last position, which must
 *   be a real token.
 */

import { UserError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { TokenizedDocuments } from "./tokenized_corpus.ts";

export type Layout = "packed" | "padded";

/** Samples as nothing but token ids, and a number for each token where a model learns one. */
export interface WindowIds {
  /** N, tokens a window. */
  readonly contextLength: number;
  readonly count: number;
  /** count × N, row by row. */
  readonly ids: Int32Array;
  /**
   * A finite number of every token, e.g. its estimated entropy in nats (paper §4.6): count × N, row
   * by row. The first of a row, and those of pads and of the first token behind them, are not used.
   */
  readonly values?: Float32Array;
}

export interface Windows extends WindowIds {
  /** Tokens that are no padding, per window. */
  readonly realTokens: Int32Array;
  /**
   * Bytes of the scored targets, per window: positions 1 … N − 1 that are no padding. Position 0
   * has nothing before it to be predicted from. The first token of a padded document is scored,
   * from the padding before it, as labels of −100 on the padding alone imply.
   */
  readonly byteCounts: Int32Array;
  readonly layout: Layout;
}

/**
 * Windows that are too many to be held: read when they are asked for, by their numbers, always the
 * same ones.
 */
export interface StoredWindows {
  /** N, tokens a window. */
  readonly contextLength: number;
  readonly count: number;
  readonly layout: Layout;
  /** The windows of these numbers (0 … count − 1), in their order. */
  read(rows: ArrayLike<number>): Windows;
}

/** Whether windows are read when they are asked for. */
export function isStored(windows: object): windows is StoredWindows {
  return "read" in windows;
}

export interface WindowOptions {
  readonly contextLength: number;
  readonly layout: Layout;
  /** Documents with fewer tokens are left out; default 1. */
  readonly minTokens?: number;
}

/** The documents' tokens that go into windows: packed one stream, padded one slice a document. */
function* tokenRuns(
  documents: TokenizedDocuments,
  minTokens: number,
): Generator<ArrayLike<number>> {
  for (let d = 0; d + 1 < documents.offsets.length; d++) {
    const start = documents.offsets[d]!, end = documents.offsets[d + 1]!;
    if (end > start && end - start >= minTokens) yield documents.ids.subarray(start, end);
  }
}

function pack(runs: readonly ArrayLike<number>[], contextLength: number): Int32Array {
  const total = runs.reduce((sum, run) => sum + run.length, 0);
  const ids = new Int32Array(total);
  let at = 0;
  for (const run of runs) {
    ids.set(run, at);
    at += run.length;
  }
  return ids.slice(0, total - total % contextLength);
}

function pad(runs: readonly ArrayLike<number>[], contextLength: number, padId: number): Int32Array {
  const ids = new Int32Array(runs.length * contextLength).fill(padId);
  runs.forEach((run, row) => {
    const kept = Math.min(run.length, contextLength);
    const start = (row + 1) * contextLength - kept;
    for (let i = 0; i < kept; i++) ids[start + i] = run[i]!;
  });
  return ids;
}

/** @throws UserError for a context in which nothing can be predicted. */
export function requireContext(contextLength: number): void {
  if (Number.isInteger(contextLength) && contextLength >= 2) return;
  throw new UserError(`expected a context of 2 tokens or more, found ${contextLength}`);
}

/**
 * Counts real tokens and bytes of windows, given row by row.
 *
 * @returns A function that knows how many bytes each token has.
 */
export function describeWindows(
  tokenizer: Tokenizer,
): (ids: Int32Array, contextLength: number) => Pick<Windows, "realTokens" | "byteCounts"> {
  const bytesOfId = Int32Array.from(
    { length: tokenizer.vocabSize },
    (_, id) => tokenizer.tokenBytes(id).length,
  );
  return (ids, contextLength) => {
    const count = ids.length / contextLength;
    const realTokens = new Int32Array(count), byteCounts = new Int32Array(count);
    for (let row = 0; row < count; row++) {
      for (let position = 0; position < contextLength; position++) {
        const id = ids[row * contextLength + position]!;
        if (id === tokenizer.padId) continue;
        realTokens[row]!++;
        if (position > 0) byteCounts[row]! += bytesOfId[id]!;
      }
    }
    return { realTokens, byteCounts };
  };
}

/**
 * Cuts documents into windows. Throws `UserError` when the text does not fill one window (packed)
 * or no document has `minTokens` tokens.
 */
export function makeWindows(
  documents: TokenizedDocuments,
  tokenizer: Tokenizer,
  options: WindowOptions,
): Windows {
  const { contextLength, layout, minTokens = 1 } = options;
  requireContext(contextLength);
  if (documents.vocabSize !== tokenizer.vocabSize) {
    throw new UserError(
      `expected documents of a vocabulary of ${tokenizer.vocabSize}, found ${documents.vocabSize}: ` +
        `use the tokenizer they were encoded with`,
    );
  }
  const runs = [...tokenRuns(documents, minTokens)];
  const ids = layout === "packed"
    ? pack(runs, contextLength)
    : pad(runs, contextLength, tokenizer.padId);
  const count = ids.length / contextLength;
  if (count === 0) {
    const documentCount = documents.offsets.length - 1;
    const found = `${documents.ids.length} in ${documentCount} documents`;
    const source = documents.source === undefined ? "" : `${documents.source}: `;
    throw new UserError(
      source +
        (layout === "packed"
          ? `expected tokens for one context of ${contextLength}, found ${found}` +
            `${minTokens > 1 ? ` (those under ${minTokens} tokens left out)` : ""}: ` +
            `add text or shorten the context`
          : `expected a document of ${minTokens} tokens or more, found ${found}: ` +
            `add text or lower the least number of tokens`),
    );
  }
  return { contextLength, count, ids, ...describeWindows(tokenizer)(ids, contextLength), layout };
}
