/** Random numbers inside compiled functions: pure functions of a seed that is an input. */

import * as tf from "@tensorflow/tfjs";
import { philox, type PhiloxCounter } from "../random.ts";
import { activeTensorFlow, type TensorFlowBackend, typeAttribute } from "./_tensorflow.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Uniform random numbers of [low, high], a pure function of `seed` (int32 `[2]`): pass a step's
 * number in the seed for fresh noise at every step. The same numbers on every backend, within
 * rounding: TensorFlow's stateless operation, compiled or not, or the same generator on the host.
 */
export function randomUniform(
  shape: readonly number[],
  seed: Tensor,
  low: number,
  high: number,
): Tensor {
  const unit = tf.add(tf.mul(tf.cast(randomBits(shape, seed), "float32"), 2 ** -32), 0.5);
  return tf.add(tf.mul(unit, high - low), low);
}

/** 32 random bits an element, as int32: Philox with the seed as its key, counting from zero. */
function randomBits(shape: readonly number[], seed: Tensor): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const native = activeTensorFlow();
  if (native !== null) return tf.reshape(nativeBits(native, count, seed), [...shape]);
  const [first, second] = seed.dataSync() as Int32Array;
  const bits = new Int32Array(count);
  let words: PhiloxCounter = [0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    if (i % 4 === 0) words = philox([first! >>> 0, second! >>> 0], [i / 4, 0, 0, 0]);
    bits[i] = words[i % 4]!;
  }
  return tf.tensor(bits, [...shape]);
}

/**
 * TensorFlow's stateless operation in its second version, whose numbers do not depend on the
 * device or the compiler. It is asked for 64 bits at a time, which are two of the generator's words
 * in their order: XLA runs the generator anew for each element, so that this takes half the time.
 * uint64 is a type that TensorFlow.js lacks: key, counter and result are bit casts that never
 * become tensors there.
 */
function nativeBits(native: TensorFlowBackend, count: number, seed: Tensor): Tensor {
  const { binding } = native;
  const bitCast = (id: number, from: "int32" | "uint64", to: "int32" | "uint64") => {
    const attributes = [typeAttribute("T", from), typeAttribute("type", to)];
    return binding.executeOp("Bitcast", attributes, [id], 1)[0]!;
  };
  const toUint64 = (tensor: Tensor) =>
    bitCast(native.getInputTensorIds([tensor])[0]!, "int32", "uint64").id;
  const pairCount = Math.ceil(count / 2);
  const key = toUint64(tf.reshape(seed, [1, 2]));
  const counter = toUint64(tf.zeros([2, 2], "int32"));
  const inputs = native.getInputTensorIds([
    tf.tensor1d([pairCount], "int32"),
    tf.scalar(PHILOX_ALGORITHM, "int32"),
  ]);
  const [pairs] = binding.executeOp(
    "StatelessRandomUniformFullIntV2",
    [typeAttribute("dtype", "uint64"), typeAttribute("Tshape", "int32")],
    [inputs[0]!, key, counter, inputs[1]!],
    1,
  );
  const words = bitCast(pairs!.id, "uint64", "int32");
  for (const id of [key, counter, pairs!.id]) binding.deleteTensor(id);
  return tf.slice(tf.reshape(native.createOutputTensor(words), [2 * pairCount]), [0], [count]);
}

const PHILOX_ALGORITHM = 1;
