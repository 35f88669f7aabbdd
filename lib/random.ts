/**
 * Seeded random numbers on the host. One seed gives any number of named, independent streams:
 * `createRandom(7).stream("decoder.blocks.0.mix")` is the same in every process and on every
 * backend, whatever else was drawn before.
 *
 * The generator is Philox 4×32-10 (Salmon et al. 2011), which TensorFlow's stateless operations
 * use too, so that noise inside compiled functions can be reproduced here bit for bit.
 */

import { createHash } from "node:crypto";

/** A Philox key (2 words) or counter (4 words) of 32-bit unsigned integers. */
export type PhiloxKey = readonly [number, number];
export type PhiloxCounter = readonly [number, number, number, number];

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** The upper 32 bits of the 64-bit product of two 32-bit unsigned integers. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16, aLow = a & 0xffff, bHigh = b >>> 16, bLow = b & 0xffff;
  const carried = aHigh * bLow + Math.floor(aLow * bLow / 0x10000);
  const middle = aLow * bHigh + carried % 0x10000;
  return (aHigh * bHigh + Math.floor(carried / 0x10000) + Math.floor(middle / 0x10000)) >>> 0;
}

/** Philox 4×32-10: four 32-bit random words for a key and a counter. */
export function philox(key: PhiloxKey, counter: PhiloxCounter): PhiloxCounter {
  let [k0, k1] = key;
  let [c0, c1, c2, c3] = counter;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0), low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2), low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** One stream of random numbers. Drawing advances it; `stream` does not. */
export interface Random {
  /** An independent stream, a pure function of this stream's identity and `name`. */
  stream(name: string): Random;
  /** The next 32 random bits, as an unsigned integer. */
  bits(): number;
  /** The next number of [0, 1), with 32 random bits. */
  uniform(): number;
  /** `count` numbers of [low, high], `high` only by rounding to float32. */
  uniforms(count: number, low: number, high: number): Float32Array<ArrayBuffer>;
  /** `count` numbers of the normal distribution. */
  normals(count: number, mean: number, deviation: number): Float32Array<ArrayBuffer>;
  /** The integers 0 … count − 1 in random order. */
  permutation(count: number): Int32Array<ArrayBuffer>;
}

/** The root stream of a seed, an integer of at most 53 bits. */
export function createRandom(seed: number): Random {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`expected an integer seed, found ${seed}`);
  return randomStream(hashWords(`seed ${seed}`));
}

function randomStream(identity: PhiloxCounter): Random {
  const key: PhiloxKey = [identity[0], identity[1]];
  let block = 0;
  let words: PhiloxCounter = [0, 0, 0, 0];
  let used = 4;
  const bits = () => {
    if (used === 4) {
      words = philox(key, [block >>> 0, Math.floor(block / 2 ** 32), identity[2], identity[3]]);
      block++;
      used = 0;
    }
    return words[used++]!;
  };
  const uniform = () => bits() / 2 ** 32;
  return {
    bits,
    uniform,
    stream: (name) => randomStream(hashWords(`${identity.join(" ")} ${name}`)),
    uniforms: (count, low, high) =>
      Float32Array.from({ length: count }, () => low + (high - low) * uniform()),
    normals: (count, mean, deviation) => {
      const values = new Float32Array(count);
      for (let i = 0; i < count; i += 2) { // Box–Muller, two numbers at a time
        const radius = deviation * Math.sqrt(-2 * Math.log(1 - uniform()));
        const angle = 2 * Math.PI * uniform();
        values[i] = mean + radius * Math.cos(angle);
        if (i + 1 < count) values[i + 1] = mean + radius * Math.sin(angle);
      }
      return values;
    },
    permutation: (count) => {
      const order = Int32Array.from({ length: count }, (_, index) => index);
      for (let i = count - 1; i > 0; i--) { // Fisher–Yates
        const j = Math.floor(uniform() * (i + 1));
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return order;
    },
  };
}

/** 128 bits of SHA-256, so that streams of different names never meet in practice. */
function hashWords(text: string): PhiloxCounter {
  const digest = createHash("sha256").update(text).digest();
  return [0, 4, 8, 12].map((offset) => digest.readUInt32LE(offset)) as unknown as PhiloxCounter;
}
