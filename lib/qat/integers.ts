/**
 * Symmetric integers with an absmax scale: what `b` bits a number leave of a tensor, as float32
 * numbers that hold exactly what the integers would (fake quantization).
 *
 *     K = 2^(b−1) − 1    code = round(clip(x / absmax) · K)    value = code / K · absmax
 *
 * Codes are −K … K, −2^(b−1) is not used, and halves round to even. `absmax` is a largest magnitude:
 * of all numbers, of each vector, or of each feature, see {@linkcode Scaling}.
 *
 * Legend: B batch, C features (last axis), P embedding size, R rows.
 */

import {
  abs,
  cast,
  div,
  greaterEqual,
  max,
  maximum,
  minimum,
  mul,
  notEqual,
  round,
  scalar,
  straightThrough,
  type Tensor,
  where,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { castToFloatFormat } from "./float_cast.ts";

/** What shares a scale: everything, each vector along the last axis, or each index of that axis. */
export type Scaling = "tensor" | "row" | "channel";

export const SCALINGS: readonly Scaling[] = ["tensor", "row", "channel"];

/** The threshold of LLM.int8, from which on a feature is an outlier (Dettmers et al. 2022). */
export const LLM_INT8_THRESHOLD = 6;

/**
 * No scale is smaller than this, so that nothing is divided by zero: numbers that are all zero stay
 * so, and of numbers all smaller than half a step of this scale nothing is left.
 */
export const SMALLEST_SCALE = 1e-12;

/**
 * The largest magnitudes in x, at least {@linkcode SMALLEST_SCALE}: `[]` for "tensor", `[…, 1]` for
 * "row", `[C]` for "channel".
 */
export function absoluteMaximum(x: Tensor, scaling: Scaling = "channel"): Tensor {
  const magnitude = abs(x);
  if (scaling === "row") return maximum(max(magnitude, -1, true), SMALLEST_SCALE);
  const axes = x.shape.map((_, axis) => axis);
  return maximum(max(magnitude, scaling === "tensor" ? axes : axes.slice(0, -1)), SMALLEST_SCALE);
}

/**
 * The largest code K of a symmetric signed `bits`-bit integer, e.g. 7 for 4 bits: codes −7 … 7.
 *
 * @throws UserError unless bits is an integer from 2 to 16.
 */
export function largestCode(bits: number): number {
  if (!Number.isInteger(bits) || bits < 2 || bits > 16) {
    throw new UserError(`bits per number: expected an integer from 2 to 16, found ${bits}`);
  }
  return 2 ** (bits - 1) - 1;
}

/**
 * Rounds x to the nearest of the levels `scale · k / code`, k = −code … code, and saturates beyond;
 * NaN stays NaN. Without a useful gradient: {@linkcode castToIntegers} has one.
 *
 * @param scale Positive; broadcasts to x.
 * @param codeScalar The largest code K, as a scalar tensor so that one compiled function serves all
 *   bit counts.
 */
export function quantizeUniformly(x: Tensor, scale: Tensor, codeScalar: Tensor): Tensor {
  // Not clipByValue, which makes a number of NaN on wasm.
  const shares = minimum(maximum(div(x, scale), -1), 1);
  const codes = round(mul(shares, codeScalar));
  return mul(div(codes, codeScalar), scale);
}

export type IntegerCastOptions = Readonly<{
  /** 2 … 16. */
  bits: number;
  scaling: Scaling;
  /** Fixed largest magnitudes, in the shape of `absoluteMaximum`; those of x itself by default. */
  scale?: Tensor;
  /**
   * Features that hold a magnitude of this much or more are kept in fp16, and have no part in the
   * scales of the rest: LLM.int8 with 8 bits and a threshold of 6. Row scaling only.
   */
  outlierThreshold?: number;
}>;

/**
 * x as `bits`-bit integers and back, with the straight-through gradient: 1, and 0 where x is beyond
 * a given scale. No gradient flows to a scale. The same numbers on every backend, compiled or not;
 * on WebGPU within a division's rounding.
 *
 * Outliers as in LLM.int8 (Dettmers et al. 2022, §3): a feature, an index of the last axis, is one
 * or none for the whole of x, and the scale of a row is over the features that are none.
 * bitsandbytes takes it over all numbers below the threshold, so that small numbers of an outlier
 * feature can make it larger; where they do not, the codes are the same. It multiplies outliers in
 * the type of its input, usually fp16.
 *
 * @throws UserError for bits, a scale or a threshold that cannot be.
 */
export function castToIntegers(
  x: Tensor,
  { bits, scaling, scale, outlierThreshold }: IntegerCastOptions,
): Tensor {
  const code = largestCode(bits);
  if (outlierThreshold !== undefined) {
    checkOutlierThreshold(outlierThreshold, scaling);
    if (scale !== undefined) {
      throw new UserError(
        "an integer cast with outliers finds its scales in its rows; leave out scale or the threshold",
      );
    }
    return castAllButOutliers(x, code, outlierThreshold);
  }
  if (scale === undefined) {
    return straightThrough(x, (x) => quantize(x, absoluteMaximum(x, scaling), code));
  }
  checkScaleShape(scale.shape, x.shape, scaling);
  return straightThrough(
    x,
    (x) => quantize(x, unknownToCompiler(scale, x), code),
    (x) => cast(greaterEqual(scale, abs(x)), "float32"),
  );
}

/** @throws UserError unless it is a positive number and each row has a scale of its own. */
export function checkOutlierThreshold(threshold: number, scaling: Scaling): void {
  if (!(threshold > 0 && Number.isFinite(threshold))) {
    throw new UserError(`outlier threshold: expected a positive number, found ${threshold}`);
  }
  if (scaling !== "row") {
    throw new UserError(`outlier threshold: expected row scaling, found ${scaling} scaling`);
  }
}

function checkScaleShape(
  found: readonly number[],
  shape: readonly number[],
  scaling: Scaling,
): void {
  const expected = { tensor: [], row: [...shape.slice(0, -1), 1], channel: shape.slice(-1) };
  if (`${found}` !== `${expected[scaling]}`) {
    throw new UserError(
      `${scaling} scale of numbers [${shape}]: expected shape [${expected[scaling]}], ` +
        `found [${found}]`,
    );
  }
}

function quantize(x: Tensor, scale: Tensor, code: number): Tensor {
  return quantizeUniformly(x, scale, unknownToCompiler(scalar(code), x));
}

/**
 * The same numbers, in x's shape, in a way that XLA does not see through. It replaces a division by
 * a known number with a product with its reciprocal, whose last bit can be another.
 */
function unknownToCompiler(known: Tensor, x: Tensor): Tensor {
  return where(notEqual(x, x), scalar(1), known); // x ≠ x for NaN alone
}

function castAllButOutliers(x: Tensor, code: number, threshold: number): Tensor {
  return straightThrough(x, (x) => {
    const rows = x.shape.map((_, axis) => axis).slice(0, -1);
    const isOutlierC = greaterEqual(max(abs(x), rows), threshold);
    const rest = where(isOutlierC, scalar(0), x);
    const restCast = quantize(rest, absoluteMaximum(rest, "row"), code);
    return where(isOutlierC, castToFloatFormat(x, "fp16"), restCast);
  });
}
