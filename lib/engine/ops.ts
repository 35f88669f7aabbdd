/**
 * Operations with gradients of their own: each is exact, and exists because the composed form is
 * slow, or because a backend lacks a kernel for it or for its gradient.
 *
 * Legend: B batch, T context (queries), S context (keys), H heads, E head width, D model width,
 * V vocabulary, R rows.
 */

import * as tf from "@tensorflow/tfjs";
import { activeTensorFlow, typeAttribute } from "./_tensorflow.ts";
import { withGradient } from "./_gradient.ts";
import { gatherRows, sumRows } from "./_rows.ts";
import type { Tensor } from "./tensor.ts";

/**
 * A function whose own gradient is zero or missing, such as rounding, with the straight-through
 * gradient: what comes back goes on as if the function were not there.
 *
 * @param passes 1 where the gradient goes through and 0 where it stops; everywhere by default.
 */
export function straightThrough(
  x: Tensor,
  forward: (x: Tensor) => Tensor,
  passes?: (x: Tensor) => Tensor,
): Tensor {
  return withGradient(
    ([x], save) => {
      if (passes !== undefined) save([passes(x!)]);
      return forward(x!);
    },
    (dy, [mask]) => [mask === undefined ? dy : tf.mul(dy, mask)],
    [x],
  );
}

/**
 * Matrix product over the last two axes, with leading batch axes equal. TensorFlow.js' own, except
 * on wasm, whose fast kernel takes a single untransposed product only.
 */
export function matMul(a: Tensor, b: Tensor, transposeA = false, transposeB = false): Tensor {
  if (tf.getBackend() !== "wasm") return tf.matMul(a, b, transposeA, transposeB);
  return withGradient(
    ([a, b], save) => {
      save([a!, b!]);
      return plainMatMul(a!, b!, transposeA, transposeB);
    },
    (dy, [a, b]) => {
      const da = transposeA
        ? plainMatMul(b!, dy, transposeB, true)
        : plainMatMul(dy, b!, false, !transposeB);
      const db = transposeB
        ? plainMatMul(dy, a!, true, transposeA)
        : plainMatMul(a!, dy, !transposeA, false);
      return [da, db];
    },
    [a, b],
  );
}

/** The product as single untransposed products, without a gradient. */
function plainMatMul(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  const left = transposeA ? swapLastAxes(a) : a;
  const right = transposeB ? swapLastAxes(b) : b;
  if (left.rank === 2) return tf.matMul(left, right);
  const batch = left.shape.slice(0, -2);
  const lefts = tf.unstack(tf.reshape(left, [-1, ...left.shape.slice(-2)]));
  const rights = tf.unstack(tf.reshape(right, [-1, ...right.shape.slice(-2)]));
  const products = lefts.map((one, index) => tf.matMul(one, rights[index]!));
  const rows = left.shape.at(-2)!;
  const columns = right.shape.at(-1)!;
  return tf.reshape(tf.stack(products), [...batch, rows, columns]);
}

function swapLastAxes(x: Tensor): Tensor {
  const axes = x.shape.map((_, axis) => axis);
  [axes[x.rank - 2], axes[x.rank - 1]] = [x.rank - 1, x.rank - 2];
  return tf.transpose(x, axes);
}

/**
 * Token mixing: `(W ⊙ M) x` with weights `[…, T, S]`, mask `[T, S]`, x `[…, S, R]`. The mask
 * multiplies in the graph, so that stored weights are never overwritten and masked entries get
 * zero gradient (paper §2.1, functional form).
 */
export function maskedMatMul(weights: Tensor, maskTS: Tensor, x: Tensor): Tensor {
  return matMul(tf.mul(weights, maskTS), x);
}

/** Rows of a table: `table [V, D]`, ids int32 of any shape → `[...ids.shape, D]`. */
export function embeddingLookup(tableVD: Tensor, ids: Tensor): Tensor {
  const [vocabulary, width] = tableVD.shape as [number, number];
  const idsR = tf.reshape(ids, [-1]);
  const rowsRD = withGradient(
    ([table], save) => {
      save([idsR]);
      return gatherRows(table!, idsR);
    },
    (dyRD, [ids]) => [sumRows(dyRD, ids!, vocabulary)],
    [tableVD],
  );
  return tf.reshape(rowsRD, [...ids.shape, width]);
}

/** Cross-entropy of every row, in nats: logits `[R, V]`, labels int32 `[R]` → `[R]`. */
export function softmaxCrossEntropy(logitsRV: Tensor, labelsR: Tensor): Tensor {
  return withGradient(
    ([logits], save) => {
      const [lossR, gradientRV] = crossEntropyWithGradient(logits!, labelsR);
      save([gradientRV]);
      return lossR;
    },
    (dyR, [gradientRV]) => [tf.mul(gradientRV!, tf.expandDims(dyR, 1))],
    [logitsRV],
  );
}

function crossEntropyWithGradient(logitsRV: Tensor, labelsR: Tensor): [Tensor, Tensor] {
  const native = activeTensorFlow();
  if (native !== null) {
    return native.executeMultipleOutputs(
      "SparseSoftmaxCrossEntropyWithLogits",
      [
        typeAttribute("T", "float32"),
        typeAttribute("Tlabels", "int32"),
      ],
      [logitsRV, labelsR],
      2,
    ) as [Tensor, Tensor];
  }
  const vocabulary = logitsRV.shape[1]!;
  const shiftedRV = tf.sub(logitsRV, tf.max(logitsRV, 1, true));
  const exponentialRV = tf.exp(shiftedRV);
  const totalR1 = tf.sum(exponentialRV, 1, true);
  const labelsRV = tf.cast(tf.oneHot(labelsR as tf.Tensor1D, vocabulary), "float32");
  const lossR = tf.sub(tf.squeeze(tf.log(totalR1), [1]), tf.sum(tf.mul(shiftedRV, labelsRV), 1));
  return [lossR, tf.sub(tf.div(exponentialRV, totalR1), labelsRV)];
}

/** LayerNorm over the last axis: `(x − mean)/√(variance + ε) · gain + bias` (paper §2.1). */
export function layerNorm(x: Tensor, gainD: Tensor, biasD: Tensor, epsilon = 1e-5): Tensor {
  return withGradient(
    ([x, gain, bias], save) => {
      const centred = tf.sub(x!, tf.mean(x!, -1, true));
      const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
      const normal = tf.mul(centred, inverse);
      save([normal, inverse, gain!]);
      return tf.add(tf.mul(normal, gain!), bias!);
    },
    (dy, [normal, inverse, gain]) => {
      const scaled = tf.mul(dy, gain!);
      const mean = tf.mean(scaled, -1, true);
      const projection = tf.mean(tf.mul(scaled, normal!), -1, true);
      const dx = tf.mul(inverse!, tf.sub(tf.sub(scaled, mean), tf.mul(normal!, projection)));
      const rows = dy.shape.map((_, axis) => axis).slice(0, -1);
      return [dx, tf.sum(tf.mul(dy, normal!), rows), tf.sum(dy, rows)];
    },
    [x, gainD, biasD],
  );
}

/** RMSNorm over the last axis: `x/√(mean(x²) + ε) · gain` (paper §2.3). */
export function rmsNorm(x: Tensor, gainD: Tensor, epsilon = 1e-6): Tensor {
  return withGradient(
    ([x, gain], save) => {
      const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(x!), -1, true), epsilon));
      const normal = tf.mul(x!, inverse);
      save([normal, inverse, gain!]);
      return tf.mul(normal, gain!);
    },
    (dy, [normal, inverse, gain]) => {
      const scaled = tf.mul(dy, gain!);
      const projection = tf.mean(tf.mul(scaled, normal!), -1, true);
      const dx = tf.mul(inverse!, tf.sub(scaled, tf.mul(normal!, projection)));
      const rows = dy.shape.map((_, axis) => axis).slice(0, -1);
      return [dx, tf.sum(tf.mul(dy, normal!), rows)];
    },
    [x, gainD],
  );
}

/** Exact GELU, `x · Φ(x)` with the normal distribution function Φ (paper §2.1). */
export function gelu(x: Tensor): Tensor {
  return withGradient(
    ([x], save) => {
      save([x!]);
      return tf.mul(x!, normalDistribution(x!));
    },
    (dy, [x]) => {
      const density = tf.mul(tf.exp(tf.mul(tf.square(x!), -0.5)), 1 / Math.sqrt(2 * Math.PI));
      return [tf.mul(dy, tf.add(normalDistribution(x!), tf.mul(x!, density)))];
    },
    [x],
  );
}

function normalDistribution(x: Tensor): Tensor {
  return tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
}

/** SiLU, `x · sigmoid(x)` (paper §2.3). */
export function silu(x: Tensor): Tensor {
  return withGradient(
    ([x], save) => {
      const gate = tf.sigmoid(x!);
      save([x!, gate]);
      return tf.mul(x!, gate);
    },
    (dy, [x, gate]) => {
      const slope = tf.mul(gate!, tf.add(tf.mul(x!, tf.sub(1, gate!)), 1));
      return [tf.mul(dy, slope)];
    },
    [x],
  );
}

/**
 * Softmax attention: queries `[B, H, T, E]`, keys and values `[B, H, S, E]` → `[B, H, T, E]`,
 * scaled by 1/√E.
 *
 * @param bias Added to the scores; broadcasts to `[B, H, T, S]`. A large negative value hides a key.
 * @param keepBHTS Dropout (paper §5.2): multiplies the softmax weights before they meet the values,
 *   0 or 1/(1 − rate). No gradient flows to it.
 */
export function softmaxAttention(
  queryBHTE: Tensor,
  keyBHSE: Tensor,
  valueBHSE: Tensor,
  bias: Tensor,
  keepBHTS?: Tensor,
): Tensor {
  const drop = (weights: Tensor, keep?: Tensor) =>
    keep === undefined ? weights : tf.mul(weights, keep);
  const scale = 1 / Math.sqrt(queryBHTE.shape.at(-1)!);
  return withGradient(
    ([query, key, value], save) => {
      const scores = tf.add(tf.mul(matMul(query!, key!, false, true), scale), bias);
      const weights = tf.softmax(scores);
      save([query!, key!, value!, weights, ...(keepBHTS === undefined ? [] : [keepBHTS])]);
      return matMul(drop(weights, keepBHTS), value!);
    },
    (dy, [query, key, value, weights, keep]) => {
      const dWeights = drop(matMul(dy, value!, false, true), keep);
      const carried = tf.sum(tf.mul(dWeights, weights!), -1, true);
      const dScores = tf.mul(tf.mul(weights!, tf.sub(dWeights, carried)), scale);
      return [
        matMul(dScores, key!),
        matMul(dScores, query!, true, false),
        matMul(drop(weights!, keep), dy, true, false),
      ];
    },
    [queryBHTE, keyBHSE, valueBHSE],
  );
}
