/** What a source of known entropy does, whatever its kind. */

import type { Random } from "../../random.ts";

/** A source with its tables made: a value of pure functions over the symbols 0 … V − 1. */
export type SourceProcess = Readonly<{
  /** V. */
  symbolCount: number;
  /**
   * Nats a token in the limit of long sequences. Null where there is no closed form (hidden
   * Markov), or no limit, since what is drawn depends on N (corrupted copy).
   */
  entropyRateNats: number | null;
  /**
   * Mean entropy of the exact conditional distributions of positions 1 … N − 1, over all sequences
   * of N tokens; nats. Null where there is no closed form (hidden Markov, topic).
   */
  meanEntropyNats: ((contextLength: number) => number) | null;
  /** One sequence of N symbols, from the stationary distribution on; advances the stream. */
  draw: (contextLength: number, random: Random) => Int32Array;
  /**
   * The distribution of every symbol, given the symbols before it in a sequence of N: V
   * probabilities for each. The sequence may be the beginning of one. What follows a symbol of
   * probability 0 is not defined.
   */
  conditionals: (
    symbols: ArrayLike<number>,
    contextLength: number,
  ) => Iterable<ArrayLike<number>>;
  /** 1 for symbols that are seen to be corrupted; null for kinds that corrupt nothing. */
  corrupted: ((symbols: ArrayLike<number>, contextLength: number) => Uint8Array) | null;
}>;
