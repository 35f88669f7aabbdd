/**
 * Masked mixer (paper §2.1): a causal stack whose tokens exchange information through learned,
 * position-specific weights instead of attention.
 *
 *   x ← x + Mix(LayerNorm(x));   x ← x + FeedForward(LayerNorm(x))
 *
 * No position code (mixing weights are positions), no final norm, pads are ordinary tokens.
 * Deviates from the reference: the causal mask multiplies in the graph; stored weights stay as they
 * are. Kernel size 1, one head.
 *
 * Legend: T positions, B batch, D width.
 */

import { add, layerNorm, type Tensor } from "../engine/mod.ts";
import {
  causalMask,
  type FeedForward,
  feedForward,
  initFeedForward,
  initLayerNorm,
  initMaskedMixing,
  type LayerNorm,
  type MaskedMixing,
  maskedMixing,
} from "../layers/mod.ts";
import type { Random } from "../random.ts";

export type MaskedMixerConfig = Readonly<{
  architecture: "mixer";
  vocabSize: number;
  /** Positions, the memory slot of an augmented decoder included: the mixing weights' size. */
  contextLength: number;
  width: number;
  layerCount: number;
}>;

export type MaskedMixerBlock = {
  norm1: LayerNorm;
  mix: MaskedMixing;
  norm2: LayerNorm;
  feedForward: FeedForward;
};

export function initMaskedMixerBlocks(
  config: MaskedMixerConfig,
  random: Random,
): MaskedMixerBlock[] {
  return Array.from({ length: config.layerCount }, (_, index) => ({
    norm1: initLayerNorm(config.width),
    mix: initMaskedMixing(random.stream(`${index}.mix`), config.contextLength),
    norm2: initLayerNorm(config.width),
    feedForward: initFeedForward(random.stream(`${index}.feedForward`), config.width),
  }));
}

/** Embedded tokens `[T, B, D]` → hidden states `[T, B, D]`. */
export function maskedMixer(
  config: MaskedMixerConfig,
  blocks: readonly MaskedMixerBlock[],
  embeddedTBD: Tensor,
): Tensor {
  const maskTT = causalMask(config.contextLength);
  let xTBD = embeddedTBD;
  for (const { norm1, mix, norm2, feedForward: layer } of blocks) {
    const normal1TBD = layerNorm(xTBD, norm1.weight, norm1.bias);
    xTBD = add(xTBD, maskedMixing(mix, maskTT, normal1TBD));
    const normal2TBD = layerNorm(xTBD, norm2.weight, norm2.bias);
    xTBD = add(xTBD, feedForward(layer, normal2TBD));
  }
  return xTBD;
}
