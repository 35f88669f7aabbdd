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
  const native = activeTensorFlow();
  if (native !== null) return nativeBits(native, shape, seed);
  const [first, second] = seed.dataSync() as Int32Array;
  const bits = new Int32Array(shape.reduce((product, size) => product * size, 1));
  let words: PhiloxCounter = [0, 0, 0, 0];
  for (let i = 0; i < bits.length; i++) {
    if (i % 4 === 0) words = philox([first! >>> 0, second! >>> 0], [i / 4, 0, 0, 0]);
    bits[i] = words[i % 4]!;
  }
  return tf.tensor(bits, [...shape]);
}

/**
 * TensorFlow's stateless operation in its second version, whose numbers do not depend on the
 * device or the compiler. Its key and counter are uint64, a type that TensorFlow.js lacks, so they
 * are bit casts that never become tensors there.
 */
function nativeBits(native: TensorFlowBackend, shape: readonly number[], seed: Tensor): Tensor {
  const { binding } = native;
  const toUint64 = (tensor: Tensor) => {
    const attributes = [typeAttribute("T", "int32"), typeAttribute("type", "uint64")];
    return binding.executeOp("Bitcast", attributes, native.getInputTensorIds([tensor]), 1)[0]!.id;
  };
  const key = toUint64(tf.reshape(seed, [1, 2]));
  const counter = toUint64(tf.zeros([2, 2], "int32"));
  const inputs = native.getInputTensorIds([
    tf.tensor1d([...shape], "int32"),
    tf.scalar(PHILOX_ALGORITHM, "int32"),
  ]);
  const [bits] = binding.executeOp(
    "StatelessRandomUniformFullIntV2",
    [
      typeAttribute("dtype", "int32"),
      typeAttribute("Tshape", "int32"),
    ],
    [inputs[0]!, key, counter, inputs[1]!],
    1,
  );
  binding.deleteTensor(key);
  binding.deleteTensor(counter);
  return native.createOutputTensor(bits!);
}

const PHILOX_ALGORITHM = 1;
