/** Inputs that find the mistakes of a rounding: those of `tests/reference/number_formats.py`. */

import { decodeFloats, FLOAT_FORMATS, type FloatFormatName } from "../../lib/qat/mod.ts";

export const FORMAT_NAMES = Object.keys(FLOAT_FORMATS) as FloatFormatName[];

/** float32 numbers of the given words. */
export function ofWords(words: ArrayLike<number>): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(words).buffer);
}

/** The last step of MurmurHash3, 32 bits wide. */
export function hashed(counter: number): number {
  let h = counter;
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return (h ^ h >>> 16) >>> 0;
}

/** `count` numbers whose bits are random: all exponents, infinities and NaN. */
export function patterns(count: number): Float32Array<ArrayBuffer> {
  return ofWords(Uint32Array.from({ length: count }, (_, i) => hashed(i)));
}

/** `count` numbers with every exponent of the format, and some more on both sides. */
export function inRange(count: number, name: FloatFormatName): Float32Array<ArrayBuffer> {
  const { smallest, largest } = FLOAT_FORMATS[name];
  const low = Math.max(fieldOf(smallest) - 2, 0);
  const high = Math.min(fieldOf(largest) + 2, 254);
  return ofWords(Uint32Array.from({ length: count }, (_, i) => {
    const field = low + hashed(2_000_000 + i) % (high - low + 1);
    return hashed(1_000_000 + i) & 0x807fffff | field << 23;
  }));
}

/** The exponent field of a float32 number. */
function fieldOf(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 23 & 0xff;
}

/** All codes of the format, in order. */
export function allCodes(name: FloatFormatName): Uint16Array<ArrayBuffer> {
  return Uint16Array.from({ length: 2 ** FLOAT_FORMATS[name].bits }, (_, code) => code);
}

/** Its finite numbers from zero up. */
export function positiveNumbers(name: FloatFormatName): Float32Array<ArrayBuffer> {
  const codes = allCodes(name);
  return decodeFloats(codes.subarray(0, codes.length / 2), name).filter(Number.isFinite);
}

/** What lies halfway between neighbours, and beyond the largest; each after its own neighbours. */
export function midpoints(name: FloatFormatName): Float32Array<ArrayBuffer> {
  const numbers = positiveNumbers(name);
  const beyond = 2 * numbers.at(-1)! - numbers.at(-2)!;
  const halfway = numbers.map((number, i) => (number + (numbers[i + 1] ?? beyond)) / 2);
  const words = [...new Uint32Array(halfway.buffer)].flatMap((word) => [word - 1, word + 1, word]);
  return ofWords([...words, ...words.map((word) => (word | 1 << 31) >>> 0)]);
}

/** Without NaN, for the format that has none. */
export function acceptable(
  values: Float32Array<ArrayBuffer>,
  name: FloatFormatName,
): Float32Array<ArrayBuffer> {
  return FLOAT_FORMATS[name].specials === "none"
    ? values.filter((value) => !Number.isNaN(value))
    : values;
}
