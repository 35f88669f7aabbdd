/**
 * Floating-point formats of 16, 8 and 6 bits on the host, bit for bit: numbers to codes and back.
 *
 * A code is sign, exponent field and mantissa, from the highest bit down. Field 0 holds zero and the
 * subnormal numbers. What the highest field holds depends on the format: infinities and NaN
 * (IEEE 754: fp16, bf16; e5m2 of the OCP 8-bit floating point specification), ordinary numbers and,
 * under its highest mantissa, NaN (e4m3fn of the same), or ordinary numbers alone (e3m2, the six
 * bits of the OCP microscaling formats).
 */

import { UserError } from "../errors.ts";

export type FloatFormatName = "fp16" | "bf16" | "e4m3fn" | "e5m2" | "e3m2";

export type FloatFormat = Readonly<{
  /** Of one code, the sign included. */
  bits: number;
  exponentBits: number;
  mantissaBits: number;
  /** Exponent field minus exponent; exponents of normal numbers begin at 1 − bias. */
  bias: number;
  /** Infinities and NaN, NaN alone, or neither. */
  specials: "ieee" | "nan only" | "none";
  /** The largest finite number. */
  largest: number;
  /** The smallest positive number, a subnormal one. */
  smallest: number;
  /** The smallest positive float32 number whose nearest number would lie beyond `largest`. */
  overflowsFrom: number;
}>;

/**
 * What becomes of infinities and of finite numbers that round to more than the largest one: an
 * infinity, or NaN where there is none (IEEE 754, OCP's mode without saturation), or the largest
 * number with their sign (OCP's saturating mode). NaN stays NaN in both.
 */
export type Overflow = "special" | "saturate";

export const FLOAT_FORMATS: Readonly<Record<FloatFormatName, FloatFormat>> = {
  fp16: describeFormat(5, 10, "ieee"),
  bf16: describeFormat(8, 7, "ieee"),
  e4m3fn: describeFormat(4, 3, "nan only"),
  e5m2: describeFormat(5, 2, "ieee"),
  e3m2: describeFormat(3, 2, "none"),
};

function describeFormat(
  exponentBits: number,
  mantissaBits: number,
  specials: FloatFormat["specials"],
): FloatFormat {
  const bias = 2 ** (exponentBits - 1) - 1;
  const code = largestMagnitude({ exponentBits, mantissaBits, specials });
  const field = code >> mantissaBits;
  const step = 2 ** (field - bias - mantissaBits);
  const largest = (2 ** mantissaBits + code % 2 ** mantissaBits) * step;
  // Halfway to the next number that there would be: half to even stays below for an even code.
  const halfway = largest + step / 2;
  return {
    bits: 1 + exponentBits + mantissaBits,
    exponentBits,
    mantissaBits,
    bias,
    specials,
    largest,
    smallest: 2 ** (1 - bias - mantissaBits),
    overflowsFrom: code % 2 === 0 ? nextFloat32(halfway) : halfway,
  };
}

/** The code of the largest finite number. Of the codes above it, if any, the first is special. */
function largestMagnitude(
  { exponentBits, mantissaBits, specials }: Pick<
    FloatFormat,
    "exponentBits" | "mantissaBits" | "specials"
  >,
): number {
  const count = 2 ** (exponentBits + mantissaBits);
  if (specials === "ieee") return count - 2 ** mantissaBits - 1;
  return specials === "nan only" ? count - 2 : count - 1;
}

/** The float32 number that follows a positive one. */
function nextFloat32(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0]!++;
  return new Float32Array(bits.buffer)[0]!;
}

/** The format of a name that was typed in. @throws UserError for names that are none. */
export function floatFormatOf(name: string): FloatFormat {
  if (!Object.hasOwn(FLOAT_FORMATS, name)) {
    throw new UserError(
      `unknown floating-point format "${name}"; expected one of ${
        Object.keys(FLOAT_FORMATS).join(", ")
      }`,
    );
  }
  return FLOAT_FORMATS[name as FloatFormatName];
}

const FLOAT32_MANTISSA_BITS = 23;
const FLOAT32_BIAS = 127;
const FLOAT32_INFINITY = 0x7f800000;

/**
 * The code of the number nearest to each value, half to even, in one rounding from float32. NaN
 * becomes a quiet NaN of its sign.
 *
 * @param overflow `saturate` or `special`, which for e3m2 are the same: it has no special codes.
 * @throws UserError for NaN where the format has none.
 */
export function encodeFloats(
  values: Float32Array,
  format: FloatFormatName,
  overflow: Overflow = "special",
): Uint16Array<ArrayBuffer> {
  const { bits, mantissaBits, bias, specials, ...rest } = floatFormatOf(format);
  const largest = largestMagnitude({ mantissaBits, specials, ...rest });
  const saturates = overflow === "saturate" || specials === "none";
  const overflown = saturates ? largest : largest + 1;
  const quietNan = specials === "ieee" ? largest + 1 + 2 ** (mantissaBits - 1) : largest + 1;
  const biasDifference = FLOAT32_BIAS - bias;
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const codes = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const magnitude = word & 0x7fffffff;
    let code: number;
    if (magnitude > FLOAT32_INFINITY) {
      if (specials === "none") {
        throw new UserError(`${format} has no NaN: expected a number, found NaN at index ${i}`);
      }
      code = quietNan;
    } else {
      const exponentField = magnitude >>> FLOAT32_MANTISSA_BITS;
      const significand = exponentField === 0
        ? magnitude
        : magnitude & 0x7fffff | 1 << FLOAT32_MANTISSA_BITS;
      const field = Math.max(exponentField, 1) - biasDifference;
      // Below the format's normal range, the step between its numbers shrinks no further.
      const dropped = FLOAT32_MANTISSA_BITS - mantissaBits + Math.max(0, 1 - field);
      // The significand's leading one adds the 1 that the field lacks here; rounding may carry.
      code = (Math.max(field, 1) - 1 << mantissaBits) + shiftToEven(significand, dropped);
      if (code > largest) code = overflown;
    }
    codes[i] = code | word >>> 31 << bits - 1;
  }
  return codes;
}

/** The integer nearest to `significand / 2^dropped`, half to even; significand below 2^24. */
function shiftToEven(significand: number, dropped: number): number {
  if (dropped > 24) return 0;
  const kept = significand >>> dropped;
  const remainder = significand - (kept << dropped);
  const half = 1 << dropped - 1;
  return remainder > half || (remainder === half && kept % 2 === 1) ? kept + 1 : kept;
}

/**
 * The number of each code, exact in float32.
 *
 * @throws UserError for what is no code of the format.
 */
export function decodeFloats(
  codes: Uint16Array | Uint8Array,
  format: FloatFormatName,
): Float32Array<ArrayBuffer> {
  const { bits, mantissaBits, bias, smallest, ...rest } = floatFormatOf(format);
  const largest = largestMagnitude({ mantissaBits, ...rest });
  const signBit = 2 ** (bits - 1);
  const infinity = rest.specials === "ieee" ? largest + 1 : NaN;
  const values = new Float32Array(codes.length);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code >= 2 * signBit) {
      throw new UserError(
        `${format}: expected codes 0 … ${2 * signBit - 1}, found ${code} at index ${i}`,
      );
    }
    const magnitude = code % signBit;
    if (magnitude > largest) {
      values[i] = magnitude === infinity ? Infinity : NaN;
    } else if (magnitude < 2 ** mantissaBits) {
      values[i] = magnitude * smallest;
    } else {
      words[i] = (magnitude << FLOAT32_MANTISSA_BITS - mantissaBits) +
        (FLOAT32_BIAS - bias << FLOAT32_MANTISSA_BITS);
    }
    if (code >= signBit) words[i]! |= 1 << 31;
  }
  return values;
}
