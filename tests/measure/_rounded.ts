/** Tiny models and windows to be rounded, and what rounding comes to on the host. */

import * as tf from "@tensorflow/tfjs";
import type { TensorFlowBackend } from "../../lib/engine/_tensorflow.ts";
import { mapTree, memory, type Tensor, tensor, transpose } from "../../lib/engine/mod.ts";
import { type Model, modelLogits } from "../../lib/models/mod.ts";
import type { QuantizedModel } from "../../lib/measure/mod.ts";
import { decodeFloats, encodeFloats, type FloatFormatName } from "../../lib/qat/mod.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { joined } from "../entropy/_estimated.ts";
import { read } from "../_numbers.ts";
import { leftPadded, LENGTH, tinyIds } from "../models/_tiny.ts";

/** Three windows without pads. */
export const WINDOWS = joined(tinyIds(), tinyIds(LENGTH, 4).slice(0, LENGTH));

/** Three windows, of which the second starts with two pads. */
export const PADDED = joined(leftPadded(2), tinyIds(LENGTH, 4).slice(0, LENGTH));

/** Tensors of TensorFlow.js, and of TensorFlow itself where that runs. */
export function tensorCounts(): readonly number[] {
  const native = tf.getBackend() === "tensorflow"
    ? (tf.backend() as TensorFlowBackend).binding.getNumOfTensors()
    : 0;
  return [memory().numTensors, native];
}

/** Counts the functions that TensorFlow is given and that it is told to forget, until it stops. */
export function countFunctions() {
  const { binding } = tf.backend() as TensorFlowBackend;
  const { finishTrace, deleteFunction } = binding;
  let made = 0, freed = 0;
  binding.finishTrace = (...inputs) => {
    made++;
    return finishTrace.apply(binding, inputs);
  };
  binding.deleteFunction = (fn) => {
    freed++;
    deleteFunction.call(binding, fn);
  };
  const stop = (): readonly [made: number, freed: number] => {
    Object.assign(binding, { finishTrace, deleteFunction });
    return [made, freed];
  };
  return { stop };
}

/** The nearest numbers of a format, by its codes. */
export function toFormat(values: Float32Array, format: FloatFormatName): Float32Array<ArrayBuffer> {
  return decodeFloats(encodeFloats(values, format, "saturate"), format);
}

/** The nearest symmetric integers of so many bits times the step that `largest` gives. */
export function toIntegers(values: Float32Array, bits: number, largest: number): Float32Array {
  const code = 2 ** (bits - 1) - 1;
  return values.map((value) => {
    const share = value / largest * code;
    const floor = Math.floor(share);
    const rounded = share - floor === 0.5 ? floor + floor % 2 : Math.round(share);
    return rounded * largest / code;
  });
}

export function largestOf(values: Float32Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

/** The model with the weights of modules replaced, `[rows, columns]` for those of two axes. */
export function withWeights(
  params: Model,
  modules: readonly string[],
  replace: (values: Float32Array, shape: readonly number[]) => Float32Array,
): Model {
  const names = new Set(modules.map((module) => `${module}.weight`));
  return mapTree(params, (leaf, name) => {
    if (!names.has(name)) return leaf;
    return tensor(replace(leaf.dataSync() as Float32Array, leaf.shape), leaf.shape);
  });
}

/** All windows as ids `[N, B]`. */
export function idsOf({ ids, count, contextLength }: WindowIds): Tensor {
  return transpose(tensor(ids, [count, contextLength], "int32"));
}

/** The mean cross-entropy of a model's logits, which `round` may change, in float64. */
export async function hostLoss(
  { config, params, padId }: QuantizedModel,
  windows: WindowIds,
  round = (logits: Float32Array): Float32Array => logits,
): Promise<number> {
  const logits = modelLogits(config, params, idsOf(windows), { padId });
  return crossEntropy(round(await read(logits)), logits.shape, windows, padId);
}

/** The mean over tokens that are no pads of −ln softmax(logits `[S, B, V]`), the last S tokens'. */
export function crossEntropy(
  logits: Float32Array,
  shape: readonly number[],
  { ids, contextLength }: WindowIds,
  padId: number | null,
): number {
  const [scored, batch, vocabSize] = shape as [number, number, number];
  let nats = 0, count = 0;
  for (let s = 0; s < scored; s++) {
    for (let b = 0; b < batch; b++) {
      const target = ids[b * contextLength + contextLength - scored + s]!;
      if (target === padId) continue;
      const start = (s * batch + b) * vocabSize;
      const row = Array.from(logits.subarray(start, start + vocabSize));
      const largest = Math.max(...row);
      const total = row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
      nats += largest + Math.log(total) - row[target]!;
      count++;
    }
  }
  return nats / count;
}
