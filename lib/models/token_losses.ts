/** What every model here is to training, evaluation and estimators: token losses of a batch. */

import {
  cast,
  div,
  linearCrossEntropy,
  logSumExp,
  maximum,
  mean,
  mul,
  notEqual,
  reshape,
  slice,
  softmaxCrossEntropy,
  square,
  sub,
  sum,
  type Tensor,
  transpose,
  weightedLinearCrossEntropy,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { attachHooks, hasHookedOutput, hookedInput, type Linear, linear } from "../layers/mod.ts";
import { type AugmentedDecoder, augmentedStates } from "./augmented_decoder.ts";
import { type Autoencoder, autoencoderStates } from "./autoencoder.ts";
import { type CausalModel, causalStates } from "./causal_model.ts";
import {
  type BatchOptions,
  checkAttentionDropout,
  type Model,
  type ModelConfig,
  needsValues,
  sampleLength,
  type TokenLosses,
  visibleTokens,
} from "./language_model.ts";
import {
  type SecondOrderConfig,
  secondOrderEstimates,
  type SecondOrderModel,
} from "./second_order.ts";

/** A head and what it reads to predict the last S of N tokens, `[S, B, D]`. */
type Predictions = Readonly<{ head: Linear; statesSBD: Tensor }>;

function predictions(
  config: ModelConfig,
  params: Model,
  idsNB: Tensor,
  { padId, attentionDropout, hooks = {}, ...options }: BatchOptions,
): Predictions {
  if (attentionDropout !== undefined) checkAttentionDropout(config, attentionDropout.rate);
  const visibleBN = visibleTokens(idsNB, padId);
  const hooked = attachHooks(params, hooks);
  switch (config.kind) {
    case "causal": {
      const model = hooked as CausalModel;
      const statesSBD = causalStates(config, model, idsNB, visibleBN, attentionDropout);
      return { head: model.head, statesSBD };
    }
    case "autoencoder": {
      const model = hooked as Autoencoder;
      const statesSBD = autoencoderStates(config, model, idsNB, visibleBN);
      return { head: model.decoder.head, statesSBD };
    }
    case "augmented": {
      const model = hooked as AugmentedDecoder;
      const statesSBD = augmentedStates(config, model, idsNB, visibleBN, options);
      return { head: model.decoder.head, statesSBD };
    }
    case "second-order":
      throw new UserError(
        "logits: expected a model that predicts tokens, found a second-order one, which gives a " +
          "number of every token",
      );
  }
}

/**
 * Logits `[S, B, V]` for the last S of ids int32 `[N, B]`: N − 1 tokens, autoencoders' N.
 *
 * @throws UserError for second-order models, which have none, for attention dropout that
 *   {@linkcode checkAttentionDropout} refuses, and for hooks that `attachHooks` does.
 */
export function modelLogits(
  config: ModelConfig,
  params: Model,
  idsNB: Tensor,
  options: BatchOptions,
): Tensor {
  const { head, statesSBD } = predictions(config, params, idsNB, options);
  return linear(head, statesSBD);
}

/** What a head reads, what it should say, int32 `[S, B]`, and 1 where that is a token, 0 for a pad. */
type Scored = Predictions & Readonly<{ targetsTB: Tensor; scoredTB: Tensor }>;

function scoredPredictions(
  config: ModelConfig,
  params: Model,
  idsBN: Tensor,
  options: BatchOptions,
): Scored {
  const idsNB = idsOf(config, idsBN);
  const { head, statesSBD } = predictions(config, params, idsNB, options);
  const [scored, batch] = statesSBD.shape as [number, number, number];
  const targetsTB = slice(idsNB, [idsNB.shape[0]! - scored, 0], [scored, batch]);
  const scoredTB = cast(notEqual(targetsTB, options.padId ?? -1), "float32");
  return { head, statesSBD, targetsTB, scoredTB };
}

/** The rows that a head reads, `[S·B, D]`. */
function headRows({ head, statesSBD }: Predictions): Tensor {
  return hookedInput(head, reshape(statesSBD, [-1, statesSBD.shape.at(-1)!]));
}

function idsOf(config: ModelConfig, idsBN: Tensor): Tensor {
  const length = idsBN.shape[1]!;
  if (length !== sampleLength(config)) {
    throw new UserError(
      `expected samples of ${sampleLength(config)} tokens, the model's context, found ${length}`,
    );
  }
  return transpose(idsBN);
}

/**
 * Cross-entropy of every scored token, in nats, or the squared error of a second-order model's
 * estimate of it, in nats²; ids int32 `[B, N]`, row by row as in a batch.
 *
 * @throws UserError when the samples' length is not the model's context, and as
 *   {@linkcode modelLogits} does.
 * @throws RangeError when a second-order model is given no `valuesBN`.
 */
export function tokenLosses(
  config: ModelConfig,
  params: Model,
  idsBN: Tensor,
  options: BatchOptions,
): TokenLosses {
  if (needsValues(config)) {
    return squaredErrors(config, params as SecondOrderModel, idsOf(config, idsBN), options);
  }
  return lossesOf(scoredPredictions(config, params, idsBN, options), options);
}

function lossesOf(predicted: Scored, { uniform = false }: BatchOptions): TokenLosses {
  const { head, statesSBD, targetsTB, scoredTB } = predicted;
  const targetsR = reshape(targetsTB, [-1]);
  const ofTokens = (rows: Tensor) => reshape(rows, targetsTB.shape);
  if (!uniform && !hasHookedOutput(head)) {
    const rows = linearCrossEntropy(headRows(predicted), head, targetsR);
    return { lossTB: mul(ofTokens(rows), scoredTB), scoredTB };
  }
  const logits = linear(head, statesSBD);
  const logitsRV = reshape(logits, [-1, logits.shape.at(-1)!]);
  const lossTB = mul(ofTokens(softmaxCrossEntropy(logitsRV, targetsR)), scoredTB);
  if (!uniform) return { lossTB, scoredTB };
  const uniformTB = ofTokens(sub(logSumExp(logitsRV, 1), mean(logitsRV, 1)));
  return { lossTB, scoredTB, uniformTB };
}

/** Σ losses over the scored tokens of a batch, and how many these are; scalars. */
export type LossSum = { loss: Tensor; scored: Tensor };

export function sumOfLosses({ lossTB, scoredTB }: TokenLosses): LossSum {
  return { loss: sum(lossTB), scored: sum(scoredTB) };
}

/** 0 where nothing is scored. */
export function meanOf({ loss, scored }: LossSum): Tensor {
  return div(loss, maximum(scored, 1));
}

/** Mean loss over the scored tokens of a batch: nats, of second-order models nats². */
export function meanLoss(losses: TokenLosses): Tensor {
  return meanOf(sumOfLosses(losses));
}

/** Losses of tokens where something acts on logits or there are none, else what the head reads. */
function lossesOrPredictions(
  config: ModelConfig,
  params: Model,
  idsBN: Tensor,
  options: BatchOptions,
): TokenLosses | Scored {
  if (needsValues(config)) return tokenLosses(config, params, idsBN, options);
  const predicted = scoredPredictions(config, params, idsBN, options);
  return hasHookedOutput(predicted.head) ? lossesOf(predicted, options) : predicted;
}

function weightedLoss(predicted: Scored, weightsTB: Tensor): Tensor {
  const [targetsR, weightsR] = [predicted.targetsTB, weightsTB].map((x) => reshape(x, [-1]));
  return weightedLinearCrossEntropy(headRows(predicted), predicted.head, targetsR!, weightsR!);
}

/**
 * The sum of {@linkcode tokenLosses}, for training: the head's logits are computed once for the loss
 * and its gradient, and not kept.
 *
 * @throws UserError as {@linkcode tokenLosses} does.
 */
export function summedTokenLoss(
  config: ModelConfig,
  params: Model,
  idsBN: Tensor,
  options: BatchOptions,
): LossSum {
  const found = lossesOrPredictions(config, params, idsBN, options);
  if ("lossTB" in found) return sumOfLosses(found);
  return { loss: weightedLoss(found, found.scoredTB), scored: sum(found.scoredTB) };
}

/**
 * The {@linkcode meanLoss} of {@linkcode tokenLosses}, as {@linkcode summedTokenLoss}; gradients have
 * the bits that those of the mean have.
 */
export function meanTokenLoss(
  config: ModelConfig,
  params: Model,
  idsBN: Tensor,
  options: BatchOptions,
): Tensor {
  const found = lossesOrPredictions(config, params, idsBN, options);
  if ("lossTB" in found) return meanLoss(found);
  return weightedLoss(found, div(found.scoredTB, maximum(sum(found.scoredTB), 1)));
}

/**
 * 1 for targets 1 … N − 1 that are tokens and follow a token, `[N−1, B]`: those that estimators
 * have an estimate of (lib/entropy).
 */
export function tokensAfterTokens(idsNB: Tensor, padId: number | null): Tensor {
  const [length, batch] = idsNB.shape as [number, number];
  const isTokenNB = cast(notEqual(idsNB, padId ?? -1), "float32");
  const part = (first: number) => slice(isTokenNB, [first, 0], [length - 1, batch]);
  return mul(part(0), part(1));
}

function squaredErrors(
  config: SecondOrderConfig,
  params: SecondOrderModel,
  idsNB: Tensor,
  { padId, valuesBN, attentionDropout, hooks = {} }: BatchOptions,
): TokenLosses {
  if (attentionDropout !== undefined) checkAttentionDropout(config, attentionDropout.rate);
  if (valuesBN === undefined) {
    throw new RangeError("a second-order model: expected valuesBN to learn, found none");
  }
  const hooked = attachHooks(params, hooks);
  const estimatesTB = secondOrderEstimates(config, hooked, idsNB, visibleTokens(idsNB, padId));
  const targetsTB = slice(transpose(valuesBN), [1, 0], estimatesTB.shape as [number, number]);
  const scoredTB = tokensAfterTokens(idsNB, padId);
  return { lossTB: mul(square(sub(estimatesTB, targetsTB)), scoredTB), scoredTB };
}
