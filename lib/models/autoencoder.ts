/**
 * Autoencoder in one pass (paper §2.5): a sequence through one vector and back.
 *
 *   e = Enc(ids)[last position];   e ← bridge(e) where widths differ;   e ← up(down(e)), optional
 *   states = Dec(expand(e));   position t gives back token t, so all N tokens are scored
 *
 *   expand "repeat":  the same vector at every position
 *   expand "unroll":  position i gets D/2 channels of e from channel i mod D on, around the end,
 *                     through one linear layer `[D/2, D]`
 *
 * Encoder and decoder may be of different architectures, and each may lose its causal mask.
 * Deviates from the reference: pads are hidden from transformers on both sides, and the causal mask
 * of the "modular" ones (no final norm) does not depend on the attention kernel.
 *
 * Legend: N tokens, B batch, D the decoder's width, V vocabulary.
 */

import {
  embeddingLookup,
  expandDims,
  type Tensor,
  tensor,
  tile,
  transpose,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { initLinear, type Linear, linear } from "../layers/mod.ts";
import type { Random } from "../random.ts";
import {
  type Backbone,
  type BackboneConfig,
  checkBackbones,
  checkPositiveInteger,
  embedTokens,
  hiddenStates,
  initBackbone,
  initStack,
  type Stack,
  statesAt,
} from "./backbone.ts";
import { initHead } from "./causal_model.ts";

/** How one vector becomes N (paper §2.5). */
export const EXPANSIONS = ["repeat", "unroll"] as const;
export type Expansion = (typeof EXPANSIONS)[number];

export type AutoencoderConfig = Readonly<{
  kind: "autoencoder";
  encoder: BackboneConfig;
  /** Has no token embedding: its input is the expanded vector. */
  decoder: BackboneConfig;
  expansion: Expansion;
  /** Numbers between down and up; absent: neither of them. */
  embeddingSize?: number;
  /** As an augmented decoder's: −2 for an encoder that was trained as a causal model (§2.7). */
  readPosition?: -1 | -2;
  /**
   * How a transformer encoder's token embedding starts: `outer` (the default) N(0, 1), for a table
   * of its own beside the stack; `inner` N(0, 0.02²), as within a whole Llama model.
   */
  embedding?: "outer" | "inner";
}>;

export type Autoencoder = {
  encoder: Backbone;
  /** Only where encoder and decoder widths differ. */
  bridge?: Linear;
  /** Both only with an `embeddingSize`. */
  down?: Linear;
  up?: Linear;
  /** Only with expansion `unroll`. */
  unroll?: Linear;
  decoder: Stack & { head: Linear };
};

/** @throws UserError when sizes of encoder and decoder do not fit each other. */
export function initAutoencoder(config: AutoencoderConfig, random: Random): Autoencoder {
  checkAutoencoder(config);
  const { encoder, decoder, expansion, embeddingSize, embedding = "outer" } = config;
  const { width } = decoder;
  const between = (name: string, from: number, to: number) => ({
    [name]: initLinear(random.stream(name), from, to),
  });
  const decoderRandom = random.stream("decoder");
  return {
    encoder: initBackbone(encoder, random.stream("encoder"), {
      outerEmbedding: embedding === "outer",
    }),
    ...(encoder.width === width ? {} : between("bridge", encoder.width, width)),
    ...(embeddingSize === undefined ? {} : {
      ...between("down", width, embeddingSize),
      ...between("up", embeddingSize, width),
    }),
    ...(expansion === "unroll" ? between("unroll", width / 2, width) : {}),
    decoder: {
      ...initStack(decoder, decoderRandom),
      head: initHead(decoder, decoderRandom.stream("head"), { isOuter: true }),
    },
  };
}

/** Logits `[N, B, V]` for all tokens of ids int32 `[N, B]`. */
export function autoencoderLogits(
  config: AutoencoderConfig,
  params: Autoencoder,
  idsNB: Tensor,
  visibleBN: Tensor | null,
): Tensor {
  return linear(params.decoder.head, autoencoderStates(config, params, idsNB, visibleBN));
}

/** What the head reads to predict all tokens of ids int32 `[N, B]`: `[N, B, D]`. */
export function autoencoderStates(
  config: AutoencoderConfig,
  params: Autoencoder,
  idsNB: Tensor,
  visibleBN: Tensor | null,
): Tensor {
  const embeddedNBD = embedTokens(params.encoder, idsNB);
  const encodedNBD = hiddenStates(config.encoder, params.encoder, embeddedNBD, visibleBN);
  const stateBD = statesAt(encodedNBD, config.readPosition ?? -1);
  const bridged = params.bridge === undefined ? stateBD : linear(params.bridge, stateBD);
  const eBD = params.down === undefined || params.up === undefined
    ? bridged
    : linear(params.up, linear(params.down, bridged));
  const length = idsNB.shape[0]!;
  const inputNBD = params.unroll === undefined
    ? tile(expandDims(eBD, 0), [length, 1, 1])
    : linear(params.unroll, unrollWindows(eBD, length));
  return hiddenStates(config.decoder, params.decoder, inputNBD, visibleBN);
}

/** Windows `[N, B, D/2]` of e `[B, D]`: window i is e turned left by i, cut after D/2 channels. */
export function unrollWindows(eBD: Tensor, length: number): Tensor {
  const width = eBD.shape[1]!;
  const half = width / 2;
  const channels = Int32Array.from(
    { length: length * half },
    (_, at) => (Math.floor(at / half) + at % half) % width,
  );
  const indices = tensor(channels, [length, half], "int32");
  return transpose(embeddingLookup(transpose(eBD), indices), [0, 2, 1]);
}

/**
 * The checks of {@linkcode initAutoencoder} alone.
 *
 * @throws UserError when sizes of encoder and decoder do not fit each other.
 */
export function checkAutoencoder(
  { encoder, decoder, expansion, embeddingSize }: AutoencoderConfig,
): void {
  checkBackbones(encoder, decoder);
  if (embeddingSize !== undefined) checkPositiveInteger("embeddingSize", embeddingSize);
  if (decoder.contextLength !== encoder.contextLength) {
    throw new UserError(
      `decoder.contextLength: expected the encoder's ${encoder.contextLength} tokens, found ${decoder.contextLength}`,
    );
  }
  if (expansion === "unroll" && decoder.width % 2 !== 0) {
    throw new UserError(
      `decoder.width: expected an even number, so that half of it can be unrolled, found ${decoder.width}`,
    );
  }
}
