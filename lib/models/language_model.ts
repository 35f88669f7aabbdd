/** What every model here is to training, evaluation and estimators: token losses of a batch. */

import {
  cast,
  logSumExp,
  mean,
  mul,
  notEqual,
  reshape,
  slice,
  softmaxCrossEntropy,
  square,
  sub,
  type Tensor,
  transpose,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { attachHooks, type AttentionDropout, type Hooks } from "../layers/mod.ts";
import type { Random } from "../random.ts";
import { type AugmentedDecoderConfig, joinedSize } from "./augmented_config.ts";
import {
  type AugmentedDecoder,
  augmentedLogits,
  type AugmentedOptions,
  initAugmentedDecoder,
} from "./augmented_decoder.ts";
import {
  type Autoencoder,
  type AutoencoderConfig,
  autoencoderLogits,
  initAutoencoder,
} from "./autoencoder.ts";
import type { BackboneConfig } from "./backbone.ts";
import {
  causalLogits,
  type CausalModel,
  type CausalModelConfig,
  initCausalModel,
} from "./causal_model.ts";
import {
  initSecondOrderModel,
  type SecondOrderConfig,
  secondOrderEstimates,
  type SecondOrderModel,
} from "./second_order.ts";

export type ModelConfig =
  | CausalModelConfig
  | AutoencoderConfig
  | AugmentedDecoderConfig
  | SecondOrderConfig;
export type Model = CausalModel | Autoencoder | AugmentedDecoder | SecondOrderModel;

/** `hook` and `occluded` act on an augmented decoder's memory; other models have none. */
export type BatchOptions =
  & Readonly<{
    /** The pad id of left-padded batches; null for packed ones, which have none (paper §2.8). */
    padId: number | null;
    /** The number of every token, `[B, N]`, which second-order models learn and others ignore. */
    valuesBN?: Tensor;
    /**
     * For training alone: drops attention weights of a causal transformer (paper §5.2). Every step
     * needs a seed of its own; {@linkcode TransformerOptions} says how layers share it.
     */
    attentionDropout?: AttentionDropout;
    /** Also gives `uniformTB`; not of second-order models. */
    uniform?: boolean;
    /** Of modules by their names; none by default. */
    hooks?: Hooks;
  }>
  & AugmentedOptions;

/**
 * Losses of the scored tokens, S of N, tokens first. Autoencoders score all tokens, other models
 * 1 … N−1.
 */
export type TokenLosses = {
  /** Nats, of second-order models nats²; 0 where not scored: `[S, B]`. */
  lossTB: Tensor;
  /**
   * 1 where the target is a token, 0 where it is a pad: `[S, B]`. Second-order models do not score
   * the first token behind pads either.
   */
  scoredTB: Tensor;
  /** Mean of −ln p over the whole vocabulary, nats, if it was asked for: `[S, B]`. */
  uniformTB?: Tensor;
};

/** @throws UserError when the sizes of a configuration do not fit each other. */
export function initModel(config: ModelConfig, random: Random): Model {
  switch (config.kind) {
    case "causal":
      return initCausalModel(config, random);
    case "autoencoder":
      return initAutoencoder(config, random);
    case "augmented":
      return initAugmentedDecoder(config, random);
    case "second-order":
      return initSecondOrderModel(config, random);
  }
}

/** Whether a model learns a number of every token, `valuesBN`, and not the tokens. */
export function needsValues(config: ModelConfig): config is SecondOrderConfig {
  return config.kind === "second-order";
}

/**
 * @throws UserError for a model other than a causal transformer, the only one with attention
 *   dropout, and for a rate outside [0, 1).
 */
export function checkAttentionDropout(config: ModelConfig, rate: number): void {
  if (config.kind !== "causal" || config.backbone.architecture !== "transformer") {
    const found = config.kind === "causal"
      ? `a causal model of architecture ${config.backbone.architecture}`
      : `a model of kind ${config.kind}`;
    throw new UserError(
      "attention dropout: expected a causal model of architecture transformer, " +
        `found ${found}; leave it out`,
    );
  }
  if (!(rate >= 0 && rate < 1)) {
    throw new UserError(
      `attention dropout: expected a rate of at least 0 and below 1, found ${rate}`,
    );
  }
}

/** The stacks of a model, encoder first. */
export function stacksOf(config: ModelConfig): BackboneConfig[] {
  if (config.kind === "causal" || config.kind === "second-order") return [config.backbone];
  if (config.kind === "augmented" && config.memory === "zeros") return [config.decoder];
  return [config.encoder, config.decoder];
}

/** Whether any of a model's stacks goes through its positions one after another. */
export function isRecurrent(config: ModelConfig): boolean {
  return stacksOf(config).some(({ architecture }) => architecture === "lstm");
}

/** The tokens of one sample, N: the memory slot of an augmented decoder is not one. */
export function sampleLength(config: ModelConfig): number {
  switch (config.kind) {
    case "causal":
    case "second-order":
      return config.backbone.contextLength;
    case "autoencoder":
      return config.encoder.contextLength;
    case "augmented":
      return config.decoder.contextLength -
        (config.join === undefined || config.join === "token" ? 1 : 0);
  }
}

/** How many numbers a decoder is handed per sample; 0 for models without a channel. */
export function embeddingSize(config: ModelConfig): number {
  switch (config.kind) {
    case "causal":
    case "second-order":
      return 0;
    case "autoencoder":
      return config.embeddingSize ?? Math.min(config.encoder.width, config.decoder.width);
    case "augmented":
      return config.memory === "embedding" ? joinedSize(config) : 0;
  }
}

/** 1 for tokens, 0 for pads, `[B, N]`; null where nothing is padded. */
export function visibleTokens(idsNB: Tensor, padId: number | null): Tensor | null {
  return padId === null ? null : transpose(cast(notEqual(idsNB, padId), "float32"));
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
  { padId, attentionDropout, hooks = {}, ...options }: BatchOptions,
): Tensor {
  if (attentionDropout !== undefined) checkAttentionDropout(config, attentionDropout.rate);
  const visibleBN = visibleTokens(idsNB, padId);
  const hooked = attachHooks(params, hooks);
  switch (config.kind) {
    case "causal":
      return causalLogits(config, hooked as CausalModel, idsNB, visibleBN, attentionDropout);
    case "autoencoder":
      return autoencoderLogits(config, hooked as Autoencoder, idsNB, visibleBN);
    case "augmented":
      return augmentedLogits(config, hooked as AugmentedDecoder, idsNB, visibleBN, options);
    case "second-order":
      throw new UserError(
        "logits: expected a model that predicts tokens, found a second-order one, which gives a " +
          "number of every token",
      );
  }
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
  const [batch, length] = idsBN.shape as [number, number];
  if (length !== sampleLength(config)) {
    throw new UserError(
      `expected samples of ${sampleLength(config)} tokens, the model's context, found ${length}`,
    );
  }
  const idsNB = transpose(idsBN);
  if (needsValues(config)) {
    return squaredErrors(config, params as SecondOrderModel, idsNB, options);
  }
  const logits = modelLogits(config, params, idsNB, options);
  const scored = logits.shape[0]!;
  const targetsTB = slice(idsNB, [length - scored, 0], [scored, batch]);
  const logitsRV = reshape(logits, [-1, logits.shape.at(-1)!]);
  const rows = softmaxCrossEntropy(logitsRV, reshape(targetsTB, [-1]));
  const scoredTB = cast(notEqual(targetsTB, options.padId ?? -1), "float32");
  const losses = { lossTB: mul(reshape(rows, [scored, batch]), scoredTB), scoredTB };
  if (!options.uniform) return losses;
  const uniformTB = reshape(sub(logSumExp(logitsRV, 1), mean(logitsRV, 1)), [scored, batch]);
  return { ...losses, uniformTB };
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
