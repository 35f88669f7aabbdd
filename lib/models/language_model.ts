/** The models as one: configuration, initialization, sizes, and what acts on a batch. */

import { cast, notEqual, type Tensor, transpose } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import type { AttentionDropout, Hooks } from "../layers/mod.ts";
import type { Random } from "../random.ts";
import { type AugmentedDecoderConfig, joinedSize } from "./augmented_config.ts";
import {
  type AugmentedDecoder,
  type AugmentedOptions,
  initAugmentedDecoder,
} from "./augmented_decoder.ts";
import { type Autoencoder, type AutoencoderConfig, initAutoencoder } from "./autoencoder.ts";
import type { BackboneConfig } from "./backbone.ts";
import { type CausalModel, type CausalModelConfig, initCausalModel } from "./causal_model.ts";
import {
  initSecondOrderModel,
  type SecondOrderConfig,
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
