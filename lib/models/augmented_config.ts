/** The configuration of an encoder-augmented decoder (augmented_decoder.ts), its sizes and checks. */

import { UserError } from "../errors.ts";
import {
  type BackboneConfig,
  checkBackbone,
  checkBackbones,
  checkPositiveInteger,
} from "./backbone.ts";

/** How the embedding meets the decoder's tokens (paper §2.6). */
export const JOINS = ["token", "embedding", "linear"] as const;
export type Join = (typeof JOINS)[number];

export type AugmentedDecoderConfig = Readonly<
  & {
    kind: "augmented";
    /** Its context is N + 1 for the token join and N otherwise; its width includes a joined z. */
    decoder: BackboneConfig;
    /** `token` by default. */
    join?: Join;
    /**
     * How the decoder's embedding and head start. `pytorch` (the default): N(0, 1) and U(±1/√D), as
     * in the reference, where they stand outside the stack. `causal`: as in a causal model of the
     * family; only transformers differ.
     */
    outerInitialization?: "pytorch" | "causal";
  }
  & (
    | {
      memory: "embedding";
      encoder: BackboneConfig;
      /** P; absent: the encoder's whole state, without down and up (c = 1 in the paper). */
      embeddingSize?: number;
      /**
       * Which of the encoder's positions the embedding is read from: −1, the last, or −2, as the
       * paper does where the encoder was trained as a causal model (§2.7).
       */
      readPosition?: -1 | -2;
    }
    /** `embeddingSize` is the number of zeros beside each token: embedding join only. */
    | { memory: "zeros"; embeddingSize?: number }
  )
>;

/** How many numbers z has; for a model of zeros how many zeros stand beside each token. */
export function joinedSize(config: AugmentedDecoderConfig): number {
  return config.embeddingSize ?? (config.memory === "embedding" ? config.encoder.width : 0);
}

/** Whether a linear layer brings the encoder's width to the decoder's. */
export function hasProjection(
  { join = "token", encoder, decoder }: AugmentedDecoderConfig & { memory: "embedding" },
): boolean {
  return join === "linear" || (join === "token" && encoder.width !== decoder.width);
}

/** How wide the memory is when it meets the decoder's tokens. */
export function memoryWidth(config: AugmentedDecoderConfig): number {
  return config.join === "embedding" ? joinedSize(config) : config.decoder.width;
}

/** @throws UserError when sizes of encoder and decoder do not fit each other. */
export function checkAugmentedDecoder(config: AugmentedDecoderConfig): void {
  const { join = "token", embeddingSize, decoder } = config;
  if (config.memory === "zeros") checkBackbone(decoder, "decoder.");
  else checkBackbones(config.encoder, decoder);
  if (embeddingSize !== undefined) checkPositiveInteger("embeddingSize", embeddingSize);
  if (join === "embedding" && joinedSize(config) >= decoder.width) {
    throw new UserError(
      `decoder.width: expected more than the ${
        joinedSize(config)
      } numbers of the embedding joined to each token, found ${decoder.width}`,
    );
  }
  if (config.memory === "zeros") return;
  const expected = config.encoder.contextLength + (join === "token" ? 1 : 0);
  if (decoder.contextLength === expected) return;
  const what = join === "token"
    ? "the encoder's tokens and the memory slot"
    : "the encoder's tokens";
  throw new UserError(
    `decoder.contextLength: expected ${expected}, ${what}, found ${decoder.contextLength}`,
  );
}
