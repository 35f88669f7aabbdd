/** Rows of a table by their numbers, and sums of rows by the same, on every backend. */

import * as tf from "@tensorflow/tfjs";
import { activeTensorFlow, typeAttribute } from "./_tensorflow.ts";
import type { Tensor } from "./tensor.ts";

/** Rows `[R, D]` of a `table [V, D]`, ids int32 `[R]`. */
export function gatherRows(tableVD: Tensor, idsR: Tensor): Tensor {
  const native = activeTensorFlow();
  if (native === null) return tf.gather(tableVD, idsR as tf.Tensor1D);
  // tfjs-node's kernel checks the ids on the JavaScript side, which a trace cannot do.
  return native.executeSingleOutput("GatherV2", [
    { name: "batch_dims", type: native.binding.TF_ATTR_INT, value: 0 },
    typeAttribute("Tparams", "float32"),
    typeAttribute("Tindices", "int32"),
    typeAttribute("Taxis", "int32"),
  ], [tableVD, idsR, tf.scalar(0, "int32")]);
}

/** Adds row r of `x [R, D]` to row `ids[r]` of a zero `[count, D]`. */
export function sumRows(xRD: Tensor, idsR: Tensor, count: number): Tensor {
  const native = activeTensorFlow();
  if (native === null) {
    return tf.scatterND(tf.expandDims(idsR, 1), xRD, [count, xRD.shape[1]!]);
  }
  return native.executeSingleOutput("UnsortedSegmentSum", [
    typeAttribute("T", "float32"),
    typeAttribute("Tindices", "int32"),
    typeAttribute("Tnumsegments", "int32"),
  ], [xRD, idsR, tf.scalar(count, "int32")]);
}
