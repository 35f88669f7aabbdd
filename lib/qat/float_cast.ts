/** What storing a tensor in a floating-point format leaves of it, inside the model. */

import {
  abs,
  cast,
  less,
  maximum,
  minimum,
  roundMantissa,
  straightThrough,
  type Tensor,
} from "../engine/mod.ts";
import { type FloatFormatName, floatFormatOf } from "./float_formats.ts";

/**
 * The format's numbers nearest to x, half to even, as float32; beyond the largest one it saturates,
 * infinities included. The numbers of `encodeFloats` with `saturate`, on every backend, compiled or
 * not, but for three things: zeros may lose their sign; bf16 numbers below 2^−126 become zero where
 * the device flushes them; and NaN stays NaN in e3m2 too, so that a broken model still shows.
 *
 * The gradient is straight-through: that of the result where x rounds to a finite number, 0 where it
 * saturates.
 *
 * @throws UserError for a name that is no format.
 */
export function castToFloatFormat(x: Tensor, format: FloatFormatName): Tensor {
  const { mantissaBits, bias, largest, overflowsFrom } = floatFormatOf(format);
  return straightThrough(
    x,
    // Not clipByValue, which makes a number of NaN on wasm.
    (x) => roundMantissa(minimum(maximum(x, -largest), largest), mantissaBits, 1 - bias),
    (x) => cast(less(abs(x), overflowsFrom), "float32"),
  );
}
