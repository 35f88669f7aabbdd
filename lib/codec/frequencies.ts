/**
 * A model's logits as integer frequencies, which is what a range coder codes with.
 *
 *     p = softmax(logits) in float64;   f_i = 1 + ⌊p_i (2²⁶ − V)⌋;   the rest to the likeliest
 *
 * Every token keeps a frequency of at least one, so that every text can be written: none costs more
 * than 26 bits, which saves bits where a model was surer than that and wrong. Otherwise, against
 * −log₂ p this costs at most about V / 2²⁶ of a nat a token: 8·10⁻⁶ for 512 entries, 1.2·10⁻⁴ for
 * the paper's 8,000.
 */

import { UserError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { type Interval, TOTAL_BITS } from "./range_coder.ts";

/** Of all frequencies together. */
export const TOTAL = 2 ** TOTAL_BITS;

/** The largest vocabulary for which frequencies are fine enough: 0.001 nats a token. */
export const LARGEST_VOCABULARY = 2 ** 16;

export type Frequencies = Readonly<{
  /** Added up, V + 1 numbers: token i lies at [at i, at i + 1); the last is {@linkcode TOTAL}. */
  cumulative: Uint32Array;
  logits: Float32Array;
  /** ln Σ exp(logit). */
  logNormalizer: number;
}>;

/**
 * @param logits `[V]`; −∞ stands for a token that never comes.
 * @throws UserError for logits that are NaN or +∞.
 */
export function frequenciesOf(logits: Float32Array): Frequencies {
  const vocabSize = logits.length;
  let largest = -Infinity;
  let likeliest = 0;
  for (let id = 0; id < vocabSize; id++) {
    const logit = logits[id]!;
    if (logit > largest) [largest, likeliest] = [logit, id];
  }
  const weights = new Float64Array(vocabSize);
  let sum = 0;
  for (let id = 0; id < vocabSize; id++) sum += weights[id] = Math.exp(logits[id]! - largest);
  if (!Number.isFinite(sum)) throw notFinite("logits");
  const scale = (TOTAL - vocabSize) / sum;
  const cumulative = new Uint32Array(vocabSize + 1);
  let total = 0;
  for (let id = 0; id < vocabSize; id++) {
    total += 1 + Math.floor(weights[id]! * scale);
    cumulative[id + 1] = total;
  }
  const rest = TOTAL - total;
  for (let id = likeliest + 1; id <= vocabSize; id++) cumulative[id]! += rest;
  return { cumulative, logits, logNormalizer: largest + Math.log(sum) };
}

/** What a model gives that computes no numbers. */
export function notFinite(what: string): UserError {
  return new UserError(
    `the model: expected ${what} that are finite, found some that are not; its weights are ` +
      "damaged or its training diverged, choose another run",
  );
}

/** All V tokens alike. */
export function uniformFrequencies(vocabSize: number): Frequencies {
  return frequenciesOf(new Float32Array(vocabSize));
}

/**
 * What a token costs without a model: 8 bits a byte, and a little because longer tokens can stand
 * for the same bytes, log₂ Σ 256^−length over the vocabulary.
 */
export function byteFrequencies({ vocabSize, tokenBytes }: Tokenizer): Frequencies {
  return frequenciesOf(Float32Array.from({ length: vocabSize }, (_, id) => {
    const { length } = tokenBytes(id);
    return length === 0 ? -Infinity : -8 * Math.LN2 * length;
  }));
}

/** −log₂ p of a token before its frequency was rounded. */
export function surprisalBits({ logits, logNormalizer }: Frequencies, id: number): number {
  return (logNormalizer - logits[id]!) / Math.LN2;
}

/** The interval of a token. */
export function intervalOf({ cumulative }: Frequencies, id: number): Interval {
  const start = cumulative[id]!;
  return { start, size: cumulative[id + 1]! - start, total: TOTAL };
}

/** The token whose interval holds a place below {@linkcode TOTAL}. */
export function tokenAt({ cumulative }: Frequencies, place: number): number {
  let low = 0;
  let high = cumulative.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (cumulative[middle]! <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}
