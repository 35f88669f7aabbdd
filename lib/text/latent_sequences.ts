/**
 * Sequences that say a known number of random bits and nothing else: a start token, then blocks of
 * one symbol each, said several times in a row. A symbol is drawn uniformly from 2^b, so that a
 * causal model that has learned everything still pays b bits at the start of every block and
 * nothing at its other tokens: `latentBits · ln 2` nats a sequence, whatever its size. A decoder
 * that is told the bits pays nothing.
 */

import { UserError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Windows } from "./windows.ts";

export type LatentSource = Readonly<{
  /** Random bits of a sequence, a multiple of `blockCount`. */
  latentBits: number;
  /** Symbols of a sequence. */
  blockCount: number;
  /** How often each is said. */
  blockLength: number;
}>;

/** Tokens of a sequence: the start and the blocks. */
export function latentLength({ blockCount, blockLength }: LatentSource): number {
  return 1 + blockCount * blockLength;
}

/** Token ids in use: the start, 0, and the symbols. */
export function latentVocabSize({ latentBits, blockCount }: LatentSource): number {
  return 1 + 2 ** (latentBits / blockCount);
}

/**
 * `count` sequences; two calls with the same stream give the same.
 *
 * @throws UserError when the bits do not divide into blocks, or there are no blocks.
 */
export function latentSequences(source: LatentSource, count: number, random: Random): Windows {
  const { latentBits, blockCount, blockLength } = source;
  for (const [field, value] of Object.entries({ blockCount, blockLength })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new UserError(`${field}: expected a positive integer, found ${value}`);
    }
  }
  const bits = latentBits / blockCount;
  if (!Number.isInteger(bits) || bits < 1 || bits > 16) {
    throw new UserError(
      `latentBits: expected 1 to 16 whole bits for each of ${blockCount} blocks, found ${latentBits}`,
    );
  }
  const contextLength = latentLength(source);
  const ids = new Int32Array(count * contextLength);
  for (let row = 0; row < count; row++) {
    for (let block = 0; block < blockCount; block++) {
      const symbol = 1 + (random.bits() >>> (32 - bits));
      const start = row * contextLength + 1 + block * blockLength;
      ids.fill(symbol, start, start + blockLength);
    }
  }
  return {
    contextLength,
    count,
    ids,
    realTokens: new Int32Array(count).fill(contextLength),
    byteCounts: new Int32Array(count).fill(contextLength - 1), // a token counts as a byte
    layout: "packed",
  };
}
