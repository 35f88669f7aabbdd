/**
 * What pad-shift entropies of one window cost (paper §4.3), counted in multiply–adds of matrix
 * products.
 *
 *   reference  2N (E + m + D(N))                      every term of every difference anew
 *   plain      (N − 1) (E + m + D(N))                 every padded prefix once
 *   fast       E + Σ_{2 ≤ L ≤ N} (m + D(T_L))         one encoder pass; T_L = batchLength(N, L)
 *
 * E is the encoder over N tokens and `down`, m the memory from z, D(T) the decoder over T tokens,
 * its slot for the memory and its head included. Over S slots, of width W, a layer makes
 *
 *   transformer  16 S W² + 2 S² W        projections 4, gated feed-forward 12; scores and values
 *   mixer        8 S W² + K S² W         feed-forward; taps. With heads 2 S W² more
 *   LSTM         8 S W²                  four gates of input and state
 *
 * and the head T − 1 predictions of W V. Masked halves of attention and mixing are computed like
 * the others and counted. Norms, activations, look-ups and the mask of pads (S² a stack) are not.
 *
 * Legend: N context, L prefix length, T tokens, S slots, W width, K kernel size, V vocabulary.
 */

import {
  type AugmentedDecoderConfig,
  type BackboneConfig,
  hasProjection,
  sampleLength,
} from "../models/mod.ts";
import { batchLength } from "./_prefix_sums.ts";
import { isShiftable } from "./pad_shift.ts";

/** Multiply–adds a window. */
export type PadShiftCost = Readonly<{
  /** The paper's procedure, 2N evaluations of the whole model. */
  reference: number;
  plain: number;
  /** Null where the fast form is not exact. */
  fast: number | null;
}>;

/** The cost of a window without pads, in batches that are full. */
export function padShiftCost(
  config: AugmentedDecoderConfig & { memory: "embedding" },
): PadShiftCost {
  const { join = "token", embeddingSize, encoder, decoder } = config;
  const length = sampleLength(config);
  const down = embeddingSize === undefined ? 0 : encoder.width * embeddingSize;
  const up = join === "embedding" ? 0 : down;
  const memory = up + (hasProjection(config) ? encoder.width * decoder.width : 0);
  const encoding = stackCost(encoder, length);
  const decoding = (tokens: number) =>
    memory + stackCost(decoder, tokens + (join === "token" ? 1 : 0)) +
    (tokens - 1) * decoder.width * decoder.vocabSize;
  const evaluation = encoding + down + decoding(length);
  return {
    reference: 2 * length * evaluation,
    plain: (length - 1) * evaluation,
    fast: isShiftable(config) ? encoding + length * down + fastDecoding(length, decoding) : null,
  };
}

function fastDecoding(contextLength: number, decoding: (tokens: number) => number): number {
  let sum = 0;
  for (let length = 2; length <= contextLength; length++) {
    sum += decoding(batchLength(contextLength, length));
  }
  return sum;
}

function stackCost(config: BackboneConfig, slots: number): number {
  const { width, layerCount } = config;
  switch (config.architecture) {
    case "transformer":
      return layerCount * (16 * slots * width ** 2 + 2 * slots ** 2 * width);
    case "mixer": {
      const { kernelSize = 1, headCount = 0 } = config;
      const linearLayers = 8 + (headCount === 0 ? 0 : 2);
      return layerCount * (linearLayers * slots * width ** 2 + kernelSize * slots ** 2 * width);
    }
    case "lstm":
      return layerCount * 8 * slots * width ** 2;
  }
}
