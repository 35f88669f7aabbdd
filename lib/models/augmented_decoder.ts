/**
 * Encoder-augmented causal decoder, EEM (paper §2.6): the decoder is handed one small embedding of
 * the whole sequence, the tokens to be predicted included.
 *
 *   z = down(Enc(ids)[last position]) ∈ R^P
 *
 *   join "token":      states = Dec([m ; embed(ids)]),  m = projection(up(z)),  N + 1 slots
 *   join "embedding":  states = Dec([z | embed(ids)]),  side by side on the hidden axis
 *   join "linear":     states = Dec(m + embed(ids)),    m = projection(up(z))
 *
 * Whatever the join, token 0 of 0 … N − 1 is not scored and the last slot predicts nothing: N − 1
 * of N tokens, as in the causal model. `z` is the only channel from later tokens, and its bits must
 * be paid for (lib/measure). Encoder and decoder may be of different architectures.
 *
 * `memory: "zeros"` is the control twin: the same decoder and join, fed with zeros, no encoder.
 *
 * Legend: N tokens, T slots, B batch, D width, P embedding size.
 */

import {
  add,
  concat,
  expandDims,
  neg,
  ones,
  range,
  reshape,
  slice,
  type Tensor,
  tile,
  zeros,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { initLinear, type Linear, linear } from "../layers/mod.ts";
import type { Random } from "../random.ts";
import {
  type AugmentedDecoderConfig,
  checkAugmentedDecoder,
  hasProjection,
  joinedSize,
  memoryWidth,
} from "./augmented_config.ts";
import { type Backbone, embedTokens, hiddenStates, initBackbone, statesAt } from "./backbone.ts";
import { type CausalModel, initHead } from "./causal_model.ts";

export type AugmentedDecoder = { decoder: CausalModel } | {
  encoder: Backbone;
  /** Only with an `embeddingSize`. */
  down?: Linear;
  /** Only with an `embeddingSize`, and not in the embedding join. */
  up?: Linear;
  /** In the linear join, and in the token join where encoder and decoder widths differ. */
  projection?: Linear;
  decoder: CausalModel;
};

/** Acts on the embedding `z [B, P]` on its way to the decoder: quantization, noise, replacement. */
export type EmbeddingHook = (zBP: Tensor) => Tensor;

/** @throws UserError when sizes of encoder and decoder do not fit each other. */
export function initAugmentedDecoder(
  config: AugmentedDecoderConfig,
  random: Random,
): AugmentedDecoder {
  checkAugmentedDecoder(config);
  const { join = "token", embeddingSize, decoder: { width } } = config;
  const isOuter = config.outerInitialization !== "causal";
  const decoderRandom = random.stream("decoder");
  const embeddingWidth = join === "embedding" ? width - joinedSize(config) : width;
  const options = { outerEmbedding: isOuter, embeddingWidth };
  const decoder = {
    ...initBackbone(config.decoder, decoderRandom, options),
    head: initHead(config.decoder, decoderRandom.stream("head"), { isOuter }),
  };
  if (config.memory === "zeros") return { decoder };
  const { encoder } = config;
  const between = (name: string, from: number, to: number) => ({
    [name]: initLinear(random.stream(name), from, to),
  });
  return {
    encoder: initBackbone(encoder, random.stream("encoder")),
    ...(embeddingSize === undefined ? {} : between("down", encoder.width, embeddingSize)),
    ...(embeddingSize === undefined || join === "embedding"
      ? {}
      : between("up", embeddingSize, encoder.width)),
    ...(hasProjection(config) ? between("projection", encoder.width, width) : {}),
    decoder,
  };
}

/** The embedding `z [B, P]` of ids int32 `[N, B]`: a state of the encoder, made small. */
export function encodeSequence(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  idsNB: Tensor,
  visibleBN: Tensor | null,
): Tensor {
  const { down, statesNBD } = encoderStates(config, params, idsNB, visibleBN);
  const { readPosition = -1 } = config as AugmentedDecoderConfig & { memory: "embedding" };
  const stateBD = statesAt(statesNBD, readPosition);
  return down === undefined ? stateBD : linear(down, stateBD);
}

/**
 * The embeddings `[N, B, P]` of all prefixes of ids int32 `[N, B]`: the first t + 1 tokens at
 * position t. One causal pass gives those that {@linkcode encodeSequence} gives for every prefix,
 * padded on the left or not, if the encoder is causal and tells positions by distance alone.
 */
export function encodePrefixes(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  idsNB: Tensor,
): Tensor {
  const { down, statesNBD } = encoderStates(config, params, idsNB, null);
  return down === undefined ? statesNBD : linear(down, statesNBD);
}

function encoderStates(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  idsNB: Tensor,
  visibleBN: Tensor | null,
) {
  if (config.memory === "zeros" || !("encoder" in params)) {
    throw new UserError("a model with zero memory has no encoder and gives no embedding");
  }
  const embeddedNBD = embedTokens(params.encoder, idsNB);
  const statesNBD = hiddenStates(config.encoder, params.encoder, embeddedNBD, visibleBN);
  return { down: params.down, statesNBD };
}

export type DecoderOptions = Readonly<{
  /**
   * Takes the memory away (paper §4.4): zeros in its place, and a transformer does not see its
   * slot. The slot of a mixer or LSTM stays, as pads do.
   */
  occluded?: boolean | undefined;
  /**
   * `[B]`: how many slots further from the memory's slot the tokens are than next to it, as if so
   * many pads stood between. Transformers with rotary positions and a token join alone.
   */
  memoryDistanceB?: Tensor | undefined;
}>;

export type AugmentedOptions = Readonly<{ hook?: EmbeddingHook | undefined }> & DecoderOptions;

/** Logits `[N−1, B, V]` for tokens 1 … N−1 of ids int32 `[N, B]`. */
export function augmentedLogits(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  idsNB: Tensor,
  visibleBN: Tensor | null,
  options: AugmentedOptions = {},
): Tensor {
  return linear(params.decoder.head, augmentedStates(config, params, idsNB, visibleBN, options));
}

/** What the head reads to predict tokens 1 … N−1 of ids int32 `[N, B]`: `[N−1, B, D]`. */
export function augmentedStates(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  idsNB: Tensor,
  visibleBN: Tensor | null,
  { hook = (zBP) => zBP, ...options }: AugmentedOptions = {},
): Tensor {
  const isEmpty = options.occluded || config.memory === "zeros";
  const memoryBM = isEmpty
    ? zeros([idsNB.shape[1]!, memoryWidth(config)])
    : memoryOf(params, hook(encodeSequence(config, params, idsNB, visibleBN)));
  return decoderStates(config, params, memoryBM, idsNB, visibleBN, options);
}

/** The memory `[B, M]` of an embedding `z [B, P]`: m of the equations above, z itself if joined. */
export function memoryOf(params: AugmentedDecoder, zBP: Tensor): Tensor {
  if (!("encoder" in params)) return zBP;
  const wide = params.up === undefined ? zBP : linear(params.up, zBP);
  return params.projection === undefined ? wide : linear(params.projection, wide);
}

/** Logits `[N−1, B, V]` for tokens 1 … N−1 of ids int32 `[N, B]`, of a decoder handed a memory. */
export function decoderLogits(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  memoryBM: Tensor,
  idsNB: Tensor,
  visibleBN: Tensor | null,
  options: DecoderOptions = {},
): Tensor {
  const states = decoderStates(config, params, memoryBM, idsNB, visibleBN, options);
  return linear(params.decoder.head, states);
}

/** What the head reads in {@linkcode decoderLogits}: `[N−1, B, D]`. */
export function decoderStates(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  memoryBM: Tensor,
  idsNB: Tensor,
  visibleBN: Tensor | null,
  { occluded = false, memoryDistanceB }: DecoderOptions = {},
): Tensor {
  const [length, batch] = idsNB.shape as [number, number];
  const { join = "token", decoder: { width } } = config;
  const tokensNBD = embedTokens(params.decoder, idsNB);
  const slots = (
    inputTBD: Tensor,
    visibleBT: Tensor | null,
    first: number,
    positionsBT?: Tensor,
  ) => {
    const { decoder } = params;
    const statesTBD = hiddenStates(config.decoder, decoder, inputTBD, visibleBT, { positionsBT });
    return slice(statesTBD, [first, 0, 0], [length - 1, batch, width]);
  };
  switch (join) {
    case "token": {
      // The memory's slot could predict token 0; slot j ≥ 1 holds token j − 1, predicts token j.
      const inputTBD = concat([expandDims(memoryBM, 0), tokensNBD], 0);
      const positionsBT = memoryDistanceB && concat([
        reshape(neg(memoryDistanceB), [batch, 1]),
        tile(reshape(range(1, length + 1), [1, length]), [batch, 1]),
      ], 1);
      return slots(inputTBD, withSlot(visibleBN, batch, length, occluded), 1, positionsBT);
    }
    case "embedding":
    case "linear":
      return slots(withMemory(join, memoryBM, tokensNBD), visibleBN, 0);
  }
}

/** The decoder's input `[N, B, D]`: the memory `[B, M]` beside every token, or added to it. */
export function withMemory(
  join: "embedding" | "linear",
  memoryBM: Tensor,
  tokensNBD: Tensor,
): Tensor {
  if (join === "linear") return add(tokensNBD, memoryBM);
  return concat([tile(expandDims(memoryBM, 0), [tokensNBD.shape[0]!, 1, 1]), tokensNBD], 2);
}

/** The visibility `[B, N + 1]` of the memory's slot and the tokens; null where all are seen. */
function withSlot(
  visibleBN: Tensor | null,
  batch: number,
  length: number,
  occluded: boolean,
): Tensor | null {
  if (visibleBN === null && !occluded) return null;
  const slot = occluded ? zeros([batch, 1]) : ones([batch, 1]);
  return concat([slot, visibleBN ?? ones([batch, length])], 1);
}
