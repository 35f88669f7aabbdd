/** Rounding to fewer mantissa bits, exact and the same whatever runs it. */

import * as tf from "@tensorflow/tfjs";
import { activeTensorFlow, type TensorFlowBackend, typeAttribute } from "./_tensorflow.ts";
import type { Tensor } from "./tensor.ts";

/** The bits of a float32 number that hold its exponent. */
const EXPONENT_BITS = 0x7f800000;

/**
 * Numbers rounded to `mantissaBits` bits after their leading one, half to even. Below
 * `2^lowestExponent` they are rounded to multiples of the step that numbers have there,
 * `2^(lowestExponent − mantissaBits)`, as subnormal numbers are.
 *
 * Exact, with the same bits whatever runs it: what is compiled multiplies by powers of two alone, so
 * that no compiler changes a bit by fusing, reordering or approximating. (The shorter `(x + c) − c`
 * XLA takes for x.) Zeros may lose their sign, and numbers below 2^−126, float32's normal range,
 * become zero on devices that flush them, as TensorFlow's do. NaN stays NaN.
 *
 * It has no gradient: use it within `straightThrough`.
 *
 * @param x Finite numbers, or NaN.
 * @param mantissaBits 1 … 22.
 * @param lowestExponent −126 … 127.
 */
export function roundMantissa(x: Tensor, mantissaBits: number, lowestExponent: number): Tensor {
  const native = activeTensorFlow();
  const [power, twiceInverse] = native === null
    ? powersByArithmetic(x, lowestExponent)
    : powersByBits(native, x, lowestExponent);
  const steps = tf.round(tf.mul(tf.mul(x, twiceInverse), 2 ** (mantissaBits - 1)));
  return tf.mul(tf.mul(steps, 2 ** -mantissaBits), power);
}

/**
 * The largest power of two up to each |x|, at least `2^lowest`, and 2 over it. (Twice the inverse,
 * because that of 2^127 itself is below the normal range.)
 */
function powersByBits(native: TensorFlowBackend, x: Tensor, lowest: number): [Tensor, Tensor] {
  const exponentBits = tf.scalar(EXPONENT_BITS, "int32");
  const bitCast = (x: Tensor, from: "int32" | "float32", to: "int32" | "float32") => {
    const attributes = [typeAttribute("T", from), typeAttribute("type", to)];
    return native.executeSingleOutput("Bitcast", attributes, [x]);
  };
  const withExponentBits = (operation: "BitwiseAnd" | "BitwiseXor", x: Tensor) => {
    const inputs = [bitCast(x, "float32", "int32"), exponentBits];
    const bits = native.executeSingleOutput(operation, [typeAttribute("T", "int32")], inputs);
    return bitCast(bits, "int32", "float32");
  };
  const power = tf.maximum(withExponentBits("BitwiseAnd", x), 2 ** lowest);
  // The eight bits of 2^e are 127 + e; inverted they are 255 − (127 + e), those of 2^(1 − e).
  return [power, withExponentBits("BitwiseXor", power)];
}

/**
 * The same without operations on bits, but half of it where |x| is a power of two itself: rounding
 * leaves that as it is either way. Between 2^e and 2^(e + 1), the number nearest to
 * `|x| · (1 − 2^−24)` is the one right below |x|, so that their difference is 2^(e − 23) (compare
 * Rump, Ogita and Oishi 2008). This needs each operation rounded on its own, which XLA does not do:
 * it fuses a product with a difference.
 */
function powersByArithmetic(x: Tensor, lowest: number): [Tensor, Tensor] {
  const magnitude = tf.abs(x);
  const unit = tf.sub(magnitude, tf.mul(magnitude, 1 - 2 ** -24));
  const power = tf.maximum(tf.mul(unit, 2 ** 23), 2 ** lowest);
  return [power, tf.div(2, power)];
}
