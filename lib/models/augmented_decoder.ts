/**
 * Encoder-augmented causal decoder, EEM (paper §2.6): the decoder is handed one small embedding of
 * the whole sequence, the tokens to be predicted included.
 *
 *   e = Enc(ids)[last position];   z = down(e) ∈ R^p;   m = projection(up(z))
 *   states = Dec([m ; embed(ids)]), N + 1 slots (token concatenation)
 *
 * Slot j ≥ 1 holds token j − 1 and predicts token j; slot 0 could predict token 0 and is not
 * scored, nor is the last slot: N − 1 of N tokens, as in the causal model. `z` is the only channel
 * from later tokens, and its bits must be paid for (lib/measure).
 *
 * `memory: "zeros"` is the control twin: the same decoder and slot, fed with zeros, no encoder.
 *
 * Legend: N tokens, T = N + 1 slots, B batch, D width, P embedding size.
 */

import { concat, ones, reshape, slice, type Tensor, zeros } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { initLinear, type Linear, linear } from "../layers/mod.ts";
import type { Random } from "../random.ts";
import {
  type Backbone,
  type BackboneConfig,
  embedTokens,
  hiddenStates,
  initBackbone,
} from "./backbone.ts";
import { type CausalModel, initCausalModel } from "./causal_model.ts";

export type AugmentedDecoderConfig = Readonly<
  & {
    kind: "augmented";
    decoder: BackboneConfig;
    /**
     * How the decoder's embedding and head start. `pytorch` (the default): N(0, 1) and U(±1/√D), as
     * in the reference, where they stand outside the stack. `causal`: as in a causal model of the
     * family; only transformers differ.
     */
    outerInitialization?: "pytorch" | "causal";
  }
  & (
    | { memory: "embedding"; encoder: BackboneConfig; embeddingSize: number }
    | { memory: "zeros" }
  )
>;

export type AugmentedDecoder = { decoder: CausalModel } | {
  encoder: Backbone;
  down: Linear;
  up: Linear;
  /** Only where encoder and decoder widths differ. */
  projection?: Linear;
  decoder: CausalModel;
};

/** Acts on the embedding `z [B, P]` on its way to the decoder: quantization, noise, replacement. */
export type EmbeddingHook = (zBP: Tensor) => Tensor;

/** @throws UserError when the context lengths of encoder and decoder do not fit each other. */
export function initAugmentedDecoder(
  config: AugmentedDecoderConfig,
  random: Random,
): AugmentedDecoder {
  const { width, vocabSize } = config.decoder;
  const decoderRandom = random.stream("decoder");
  const decoder = config.outerInitialization === "causal"
    ? initCausalModel({ kind: "causal", backbone: config.decoder }, decoderRandom)
    : {
      ...initBackbone(config.decoder, decoderRandom, { outerEmbedding: true }),
      head: initLinear(decoderRandom.stream("head"), width, vocabSize, { bias: false }),
    };
  if (config.memory === "zeros") return { decoder };
  const { encoder, embeddingSize } = config;
  if (config.decoder.contextLength !== encoder.contextLength + 1) {
    throw new UserError(
      `decoder.contextLength: expected ${
        encoder.contextLength + 1
      }, the encoder's tokens and the memory slot, found ${config.decoder.contextLength}`,
    );
  }
  if (!Number.isInteger(embeddingSize) || embeddingSize < 1) {
    throw new UserError(`embeddingSize: expected a positive integer, found ${embeddingSize}`);
  }
  return {
    encoder: initBackbone(encoder, random.stream("encoder")),
    down: initLinear(random.stream("down"), encoder.width, embeddingSize),
    up: initLinear(random.stream("up"), embeddingSize, encoder.width),
    ...(encoder.width === width
      ? {}
      : { projection: initLinear(random.stream("projection"), encoder.width, width) }),
    decoder,
  };
}

/** The embedding `z [B, P]` of ids int32 `[N, B]`: the encoder's last state, made small. */
export function encodeSequence(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  idsNB: Tensor,
  visibleBN: Tensor | null,
): Tensor {
  if (config.memory === "zeros" || !("encoder" in params)) {
    throw new UserError("a model with zero memory has no encoder and gives no embedding");
  }
  const [length, batch] = idsNB.shape as [number, number];
  const embeddedNBD = embedTokens(params.encoder, idsNB);
  const statesNBD = hiddenStates(config.encoder, params.encoder, embeddedNBD, visibleBN);
  const last = slice(statesNBD, [length - 1, 0, 0], [1, batch, config.encoder.width]);
  return linear(params.down, reshape(last, [batch, config.encoder.width]));
}

/** Logits `[N−1, B, V]` for tokens 1 … N−1 of ids int32 `[N, B]`. */
export function augmentedLogits(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  idsNB: Tensor,
  visibleBN: Tensor | null,
  hook: EmbeddingHook = (zBP) => zBP,
): Tensor {
  const [length, batch] = idsNB.shape as [number, number];
  const { width } = config.decoder;
  const memoryBD = config.memory === "zeros" || !("encoder" in params)
    ? zeros([batch, width])
    : expand(params, hook(encodeSequence(config, params, idsNB, visibleBN)));
  const slotsTBD = concat([
    reshape(memoryBD, [1, batch, width]),
    embedTokens(params.decoder, idsNB),
  ], 0);
  const visibleBT = visibleBN === null ? null : concat([ones([batch, 1]), visibleBN], 1);
  const statesTBD = hiddenStates(config.decoder, params.decoder, slotsTBD, visibleBT);
  const predicting = slice(statesTBD, [1, 0, 0], [length - 1, batch, width]);
  return linear(params.decoder.head, predicting);
}

function expand(params: { up: Linear; projection?: Linear }, zBP: Tensor): Tensor {
  const wide = linear(params.up, zBP);
  return params.projection === undefined ? wide : linear(params.projection, wide);
}
