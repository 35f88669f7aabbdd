/** What every model here is to training, evaluation and estimators: token losses of a batch. */

import {
  cast,
  mul,
  notEqual,
  reshape,
  slice,
  softmaxCrossEntropy,
  type Tensor,
  transpose,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import type { Random } from "../random.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  augmentedLogits,
  type EmbeddingHook,
  initAugmentedDecoder,
} from "./augmented_decoder.ts";
import {
  causalLogits,
  type CausalModel,
  type CausalModelConfig,
  initCausalModel,
} from "./causal_model.ts";

export type ModelConfig = CausalModelConfig | AugmentedDecoderConfig;
export type Model = CausalModel | AugmentedDecoder;

export type BatchOptions = Readonly<{
  /** The pad id of left-padded batches; null for packed ones, which have none (paper §2.8). */
  padId: number | null;
  /** Acts on an augmented decoder's embedding; a causal model has none. */
  hook?: EmbeddingHook;
}>;

/** Losses of the scored tokens 1 … N−1, tokens first. */
export type TokenLosses = {
  /** Nats, 0 where not scored: `[N−1, B]`. */
  lossTB: Tensor;
  /** 1 where the target is a token, 0 where it is a pad: `[N−1, B]`. */
  scoredTB: Tensor;
};

export function initModel(config: ModelConfig, random: Random): Model {
  return config.kind === "causal"
    ? initCausalModel(config, random)
    : initAugmentedDecoder(config, random);
}

/** The tokens of one sample, N: the memory slot of an augmented decoder is not one. */
export function sampleLength(config: ModelConfig): number {
  return config.kind === "causal"
    ? config.backbone.contextLength
    : config.decoder.contextLength - 1;
}

/** How many numbers an augmented decoder is handed per sample; 0 for models without a channel. */
export function embeddingSize(config: ModelConfig): number {
  return config.kind === "augmented" && config.memory === "embedding" ? config.embeddingSize : 0;
}

/** 1 for tokens, 0 for pads, `[B, N]`; null where nothing is padded. */
export function visibleTokens(idsNB: Tensor, padId: number | null): Tensor | null {
  return padId === null ? null : transpose(cast(notEqual(idsNB, padId), "float32"));
}

/** Logits `[N−1, B, V]` for tokens 1 … N−1 of ids int32 `[N, B]`. */
export function modelLogits(
  config: ModelConfig,
  params: Model,
  idsNB: Tensor,
  { padId, hook }: BatchOptions,
): Tensor {
  const visibleBN = visibleTokens(idsNB, padId);
  return config.kind === "causal"
    ? causalLogits(config, params as CausalModel, idsNB, visibleBN)
    : augmentedLogits(config, params as AugmentedDecoder, idsNB, visibleBN, hook);
}

/**
 * Cross-entropy of every scored token, in nats; ids int32 `[B, N]`, row by row as in a batch.
 *
 * @throws UserError when the samples' length is not the model's context.
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
  const logits = modelLogits(config, params, idsNB, options);
  const targetsTB = slice(idsNB, [1, 0], [length - 1, batch]);
  const rows = softmaxCrossEntropy(
    reshape(logits, [-1, logits.shape.at(-1)!]),
    reshape(targetsTB, [-1]),
  );
  const scoredTB = cast(notEqual(targetsTB, options.padId ?? -1), "float32");
  return { lossTB: mul(reshape(rows, [length - 1, batch]), scoredTB), scoredTB };
}
