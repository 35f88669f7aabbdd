/**
 * What a model's own prediction of a token says of it: the cross-entropy on the token (paper §4.5),
 * and the entropy of the predicted distribution,
 *
 *   CE(t_i) = −ln p(t_i | t_<i),   H(t_i | t_<i) ≈ −Σ_v p(v | t_<i) ln p(v | t_<i).
 *
 * The first also depends on which token came; its mean over what may come is the second, as far as
 * the model is right.
 *
 * Legend: N tokens a window, B batch, V vocabulary.
 */

import {
  div,
  exp,
  log,
  max,
  mul,
  reshape,
  slice,
  softmaxCrossEntropy,
  sub,
  sum,
  type Tensor,
} from "../engine/mod.ts";
import { type ModelConfig, modelLogits } from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import {
  estimateBatches,
  type EstimatedModel,
  type EstimateOptions,
  requireKind,
  type WindowEstimates,
} from "./window_estimates.ts";

/**
 * @param estimator What needs the model, for the message.
 * @throws UserError unless the model predicts next tokens.
 */
export function requireNextTokens(estimator: string, config: ModelConfig): void {
  requireKind(estimator, config, ["causal", "augmented"], "others do not predict next tokens");
}

/**
 * The cross-entropy of every token, nats.
 *
 * @throws UserError when the model does not predict next tokens, or the windows do not fit it.
 */
export async function tokenCrossEntropies(
  model: EstimatedModel,
  windows: WindowIds,
  options: EstimateOptions = {},
): Promise<WindowEstimates> {
  const { config, padId } = model;
  requireNextTokens("loss", config);
  const { loss } = await estimateBatches(
    "token losses",
    model,
    windows,
    (params, idsNB) => ({
      loss: nextTokenLosses(modelLogits(config, params, idsNB, { padId }), idsNB),
    }),
    options,
  );
  return loss;
}

/** Cross-entropies `[N−1, B]`, nats, of tokens 1 … N−1 of ids int32 `[N, B]` by their logits. */
export function nextTokenLosses(logits: Tensor, idsNB: Tensor): Tensor {
  const [predicted, batch, vocabulary] = logits.shape as [number, number, number];
  const targetsTB = slice(idsNB, [1, 0], [predicted, batch]);
  const lossR = softmaxCrossEntropy(
    reshape(logits, [predicted * batch, vocabulary]),
    reshape(targetsTB, [predicted * batch]),
  );
  return reshape(lossR, [predicted, batch]);
}

/**
 * Only the prediction of a causal model, or of one whose memory is zeros, is the distribution of the
 * next token given those before it. An encoder-augmented model has been told the sequence by its
 * embedding: its entropy is what is left of the uncertainty then.
 *
 * @throws UserError for any other model.
 */
export function requireCausal(config: ModelConfig): void {
  if (config.kind === "augmented" && config.memory === "zeros") return;
  const reason = "a model with a memory has been told the sequence that it predicts";
  requireKind("predictive-entropy", config, ["causal"], reason);
}

/**
 * The entropy of the distribution that predicts each token, nats.
 *
 * @throws UserError when the model is not causal, or the windows do not fit it.
 */
export async function predictiveEntropies(
  model: EstimatedModel,
  windows: WindowIds,
  options: EstimateOptions = {},
): Promise<WindowEstimates> {
  const { config, padId } = model;
  requireCausal(config);
  const { entropy } = await estimateBatches(
    "predictive entropies",
    model,
    windows,
    (params, idsNB) => ({ entropy: softmaxEntropy(modelLogits(config, params, idsNB, { padId })) }),
    options,
  );
  return entropy;
}

/**
 * The entropy of softmax over the last axis, nats: with x' = x − max x and Z = Σ e^x',
 * `ln Z − Σ e^x' x' / Z`. Both terms are finite and not negative however large the logits are.
 */
export function softmaxEntropy(logits: Tensor): Tensor {
  const shifted = sub(logits, max(logits, -1, true));
  const weights = exp(shifted);
  const total = sum(weights, -1);
  return sub(log(total), div(sum(mul(weights, shifted), -1), total));
}
