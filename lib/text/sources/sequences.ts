/** Sequences of a source as windows, and the exact values of their tokens. */

import { UserError } from "../../errors.ts";
import type { Random } from "../../random.ts";
import type { Layout, Windows } from "../windows.ts";
import { entropyNats } from "./distribution.ts";
import type { SourceProcess } from "./process.ts";

/** The id of pads; no symbol has it. */
export const SOURCE_PAD_ID = 0;
const FIRST_SYMBOL_ID = 1;

/** Which half of the rows of padded windows has no pads. */
export type FullRows = "every other" | "first half";

export type SequenceOptions = Readonly<{
  count: number;
  /** N, tokens a window. */
  contextLength: number;
  /** Tokens and lengths are drawn from streams of their own. */
  random: Random;
  /**
   * packed: every window is a sequence of N tokens.
   * padded: the same sequences; half of them are cut to their first 2 … N tokens, uniformly, and
   *   filled up on the left.
   */
  layout: Layout;
  /** For padded windows; `every other` by default. */
  fullRows?: FullRows;
}>;

/** Independent sequences, a window each; two calls with the same stream give the same. */
export function sourceSequences(
  process: SourceProcess,
  { count, contextLength, random, layout, fullRows = "every other" }: SequenceOptions,
): Windows {
  if (!Number.isInteger(contextLength) || contextLength < 2) {
    throw new UserError(`expected a context of 2 tokens or more, found ${contextLength}`);
  }
  const tokens = random.stream("tokens"), lengths = random.stream("lengths");
  const isFull = (row: number) =>
    layout === "packed" || (fullRows === "first half" ? row < count / 2 : row % 2 === 0);
  const ids = new Int32Array(count * contextLength).fill(SOURCE_PAD_ID);
  const realTokens = new Int32Array(count);
  for (let row = 0; row < count; row++) {
    const symbols = process.draw(contextLength, tokens);
    const length = isFull(row)
      ? contextLength
      : 2 + Math.floor(lengths.uniform() * (contextLength - 1));
    realTokens[row] = length;
    const start = (row + 1) * contextLength - length;
    for (let t = 0; t < length; t++) ids[start + t] = symbols[t]! + FIRST_SYMBOL_ID;
  }
  // A token counts as a byte; the first of a full window is not scored.
  const byteCounts = realTokens.map((length) => Math.min(length, contextLength - 1));
  return { contextLength, count, ids, realTokens, byteCounts, layout };
}

/** One number a token, in nats. */
export type ExactValues = Readonly<{
  /** Entropy of the token's distribution, given the tokens before it. */
  entropyNats: Float64Array;
  /** −ln p of the token itself, given the tokens before it. */
  surprisalNats: Float64Array;
  /**
   * Of a corrupted copy: 1 where the second half differs from the first. Where a symbol drawn anew
   * happens to be right there is nothing to see. Null for other kinds.
   */
  corrupted: Uint8Array | null;
}>;

/**
 * The exact values of a sequence, or of its beginning, without pads.
 *
 * @param contextLength N of the sequence; decides where a copy begins.
 * @throws UserError for ids that the source cannot have drawn.
 */
export function exactValues(
  process: SourceProcess,
  ids: ArrayLike<number>,
  contextLength: number = ids.length,
): ExactValues {
  if (ids.length > contextLength) {
    throw new UserError(
      `expected at most ${contextLength} tokens, those of one sequence, found ${ids.length}`,
    );
  }
  const symbols = Int32Array.from(ids, (id) => id - FIRST_SYMBOL_ID);
  const wrong = symbols.findIndex((symbol) => symbol < 0 || symbol >= process.symbolCount);
  if (wrong >= 0) {
    throw new UserError(
      `token ${wrong}: expected an id from ${FIRST_SYMBOL_ID} to ${process.symbolCount}, found ` +
        `${ids[wrong]}`,
    );
  }
  const values = {
    entropyNats: new Float64Array(ids.length),
    surprisalNats: new Float64Array(ids.length),
    corrupted: process.corrupted?.(symbols, contextLength) ?? null,
  };
  let t = 0;
  for (const probabilities of process.conditionals(symbols, contextLength)) {
    const probability = probabilities[symbols[t]!]!;
    if (!(probability > 0)) {
      throw new UserError(
        `token ${t}: expected one that can follow the tokens before it, found id ${ids[t]}, ` +
          "which the source never draws there",
      );
    }
    values.entropyNats[t] = entropyNats(probabilities);
    values.surprisalNats[t] = 0 - Math.log(probability); // 0, not −0, where it is certain
    t++;
  }
  return values;
}
