/** A small number that tells trees of numbers apart: whether two processes hold the same bits. */

import * as tf from "@tensorflow/tfjs";
import { activeTensorFlow, typeAttribute } from "./_tensorflow.ts";
import type { Tensor } from "./tensor.ts";
import { leavesOf, type Tree } from "./tree.ts";

/**
 * The sum over all float32 numbers of a tree of their bits times odd weights, which depend on the
 * place, modulo 2³²: int32 `[]`. It changes with any one number, and with almost all that differ in
 * more. For compiled functions of the backend tensorflow.
 */
export function fingerprint(tree: Tree): Tensor {
  return leavesOf(tree)
    .map((leaf, index) => tf.mul(bitSum(leaf), tf.scalar(2 * index + 1, "int32")))
    .reduce((total, one) => tf.add(total, one));
}

/** Rows and columns have weights of their own, so that no weights for all numbers are needed. */
function bitSum(leaf: Tensor): Tensor {
  const native = activeTensorFlow()!;
  const [bits] = native.binding.executeOp(
    "Bitcast",
    [typeAttribute("T", "float32"), typeAttribute("type", "int32")],
    native.getInputTensorIds([leaf]),
    1,
  );
  const columns = leaf.shape.at(-1) ?? 1;
  const bitsRC = tf.reshape(native.createOutputTensor(bits!), [-1, columns]);
  const weights = (count: number) =>
    tf.tensor1d(Int32Array.from({ length: count }, oddAt), "int32");
  const rowsR = tf.sum(tf.mul(bitsRC, weights(columns)), 1);
  return tf.sum(tf.mul(rowsR, weights(rowsR.shape[0]!)));
}

/** 1, 3, 5, … */
function oddAt(_: unknown, index: number): number {
  return 2 * index + 1;
}
