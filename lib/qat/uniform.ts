/**
 * Uniform quantization of an embedding: what `b` bits a number leave of it. Each of the P numbers
 * has a scale of its own, its largest magnitude over training text; the scales belong to the model
 * and cost a sequence nothing.
 *
 * Legend: B batch, P embedding size.
 */

import { abs, clipByValue, div, max, maximum, mul, round, type Tensor } from "../engine/mod.ts";
import { UserError } from "../errors.ts";

/** The scale of every number, `[P]`: the largest magnitude in `zRP [R, P]`, at least 1e-12. */
export function absoluteMaximum(zRP: Tensor): Tensor {
  return maximum(max(abs(zRP), 0), 1e-12);
}

/**
 * The largest code of a symmetric signed `bits`-bit integer, e.g. 7 for 4 bits: codes −7 … 7.
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
 * Rounds z `[B, P]` to the nearest of the levels `scale · k / code`, k = −code … code, and
 * saturates beyond.
 *
 * @param codeScalar The largest code, as a scalar tensor so that one compiled function serves all
 *   bit counts.
 */
export function quantizeUniformly(zBP: Tensor, scaleP: Tensor, codeScalar: Tensor): Tensor {
  const codes = round(mul(clipByValue(div(zBP, scaleP), -1, 1), codeScalar));
  return mul(div(codes, codeScalar), scaleP);
}
