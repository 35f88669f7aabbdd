/**
 * The cross-entropy of a linear head, without the logits of all rows in memory at once: rows go
 * through in blocks, whose logits stay near the processor and are gone when the next ones come.
 *
 *   loss_r = log Σ_v exp(x_r · W_v + b_v) − (x_r · W_{y_r} + b_{y_r})
 *
 * The label is taken out of the sums over the vocabulary: it costs one number of a row in the loss
 * and D in the gradient, where a one-hot row costs V.
 *
 * Legend: R rows, D width, V vocabulary, C rows of a block.
 */

import * as tf from "@tensorflow/tfjs";
import { withGradient } from "./_gradient.ts";
import { gatherRows, sumRows } from "./_rows.ts";
import { matMul } from "./ops.ts";
import type { Tensor } from "./tensor.ts";

/** Weight `[D, V]` and, in some models, bias `[V]`. */
export type Head = Readonly<{ weight: Tensor; bias?: Tensor }>;

/** Logits of a block: 16 MB, of which a CPU's last cache holds two or three. */
const BLOCK_LOGITS = 2 ** 22;

/** More blocks make a graph larger than what they save. */
const MOST_BLOCKS = 64;

type Block = Readonly<{ start: number; rows: number }>;

function blocksOf(rows: number, vocabSize: number, blockLogits: number): Block[] {
  const fitting = Math.max(1, Math.floor(blockLogits / vocabSize));
  const count = Math.min(Math.ceil(rows / fitting), MOST_BLOCKS);
  const each = Math.ceil(rows / count);
  return Array.from({ length: Math.ceil(rows / each) }, (_, index) => ({
    start: index * each,
    rows: Math.min(each, rows - index * each),
  }));
}

function rowsOf(x: Tensor, { start, rows }: Block): Tensor {
  const [, ...rest] = x.shape;
  return tf.slice(x, [start, ...rest.map(() => 0)], [rows, ...rest]);
}

/** `exp(logits − their maximum)` of a block, its sums `[C, 1]`, and the losses `[C]`. */
function crossEntropies(xCD: Tensor, { weight, bias }: Head, labelsC: Tensor) {
  const [rows, vocabSize] = [xCD.shape[0]!, weight.shape[1]!];
  const productCV = matMul(xCD, weight);
  const logitsCV = bias === undefined ? productCV : tf.add(productCV, bias);
  const shiftedCV = tf.sub(logitsCV, tf.max(logitsCV, 1, true));
  const powersCV = tf.exp(shiftedCV);
  const totalC1 = tf.sum(powersCV, 1, true);
  const placesC = tf.add(labelsC, tf.range(0, rows * vocabSize, vocabSize, "int32"));
  const ofLabelsC1 = gatherRows(tf.reshape(shiftedCV, [-1, 1]), placesC);
  const lossC = tf.reshape(tf.sub(tf.log(totalC1), ofLabelsC1), [-1]);
  return { powersCV, totalC1, lossC };
}

/** The weights of every row's label, `[R, D]`. */
function weightsOfLabels({ weight }: Head, labelsR: Tensor): Tensor {
  return gatherRows(tf.transpose(weight), labelsR);
}

/** The gradients of Σ_r weight_r · loss_r, block by block. */
class GradientSums {
  readonly #inputs: Tensor[] = [];
  readonly #weights: Tensor[] = [];
  readonly #biases: Tensor[] = [];

  constructor(readonly head: Head) {}

  /** Adds a block of rows and their weights; gives its losses `[C]`. */
  add(block: Block, xRD: Tensor, labelsR: Tensor, rowWeightR: Tensor): Tensor {
    const xCD = rowsOf(xRD, block);
    const { powersCV, totalC1, lossC } = crossEntropies(xCD, this.head, rowsOf(labelsR, block));
    const weightC1 = tf.expandDims(rowsOf(rowWeightR, block), 1);
    const softmaxCV = tf.mul(powersCV, tf.div(weightC1, totalC1));
    this.#inputs.push(matMul(softmaxCV, this.head.weight, false, true));
    this.#weights.push(matMul(xCD, softmaxCV, true, false));
    if (this.head.bias !== undefined) this.#biases.push(tf.sum(softmaxCV, 0));
    return lossC;
  }

  /** In the order of x, weight, bias. */
  finish(xRD: Tensor, labelsR: Tensor, rowWeightR: Tensor): Tensor[] {
    const labelWeightRD = weightsOfLabels(this.head, labelsR);
    const vocabSize = this.head.weight.shape[1]!;
    const rowWeightR1 = tf.expandDims(rowWeightR, 1);
    const labelsVD = sumRows(tf.mul(xRD, rowWeightR1), labelsR, vocabSize);
    const gradients = [
      tf.sub(tf.concat(this.#inputs, 0), tf.mul(labelWeightRD, rowWeightR1)),
      tf.sub(tf.addN(this.#weights), tf.transpose(labelsVD)),
    ];
    if (this.head.bias === undefined) return gradients;
    const labelsV = tf.reshape(sumRows(rowWeightR1, labelsR, vocabSize), [-1]);
    return [...gradients, tf.sub(tf.addN(this.#biases), labelsV)];
  }
}

function headOf([weight, bias]: readonly Tensor[]): Head {
  return bias === undefined ? { weight: weight! } : { weight: weight!, bias };
}

function inputsOf(xRD: Tensor, { weight, bias }: Head): Tensor[] {
  return bias === undefined ? [xRD, weight] : [xRD, weight, bias];
}

/**
 * Cross-entropy of every row, in nats: x `[R, D]`, labels int32 `[R]` → `[R]`. Nothing as large as
 * the logits is kept for the gradient, which computes them once more.
 *
 * @param blockLogits How many logits a block may have, if not one row has more.
 */
export function linearCrossEntropy(
  xRD: Tensor,
  head: Head,
  labelsR: Tensor,
  blockLogits = BLOCK_LOGITS,
): Tensor {
  const blocks = blocksOf(xRD.shape[0]!, head.weight.shape[1]!, blockLogits);
  return withGradient(
    ([x, ...parts], save) => {
      const here = headOf(parts);
      save([x!, labelsR, ...parts]);
      const losses = blocks.map((block) =>
        crossEntropies(rowsOf(x!, block), here, rowsOf(labelsR, block)).lossC
      );
      return tf.concat(losses, 0);
    },
    (dyR, [x, labels, ...parts]) => {
      const sums = new GradientSums(headOf(parts));
      for (const block of blocks) sums.add(block, x!, labels!, dyR);
      return sums.finish(x!, labels!, dyR);
    },
    inputsOf(xRD, head),
  );
}

/**
 * `Σ_r weight_r · loss_r`, a scalar, for weights `[R]` that no gradient flows to: what
 * {@linkcode linearCrossEntropy} gives, with logits computed once, since the gradient of the sum is
 * known up to a factor as soon as they are.
 */
export function weightedLinearCrossEntropy(
  xRD: Tensor,
  head: Head,
  labelsR: Tensor,
  weightsR: Tensor,
  blockLogits = BLOCK_LOGITS,
): Tensor {
  const blocks = blocksOf(xRD.shape[0]!, head.weight.shape[1]!, blockLogits);
  return withGradient(
    ([x, ...parts], save) => {
      const sums = new GradientSums(headOf(parts));
      const losses = blocks.map((block) => sums.add(block, x!, labelsR, weightsR));
      save(sums.finish(x!, labelsR, weightsR));
      return tf.sum(tf.mul(tf.concat(losses, 0), weightsR));
    },
    (dy, gradients) => gradients.map((gradient) => tf.mul(gradient, dy)),
    inputsOf(xRD, head),
  );
}
