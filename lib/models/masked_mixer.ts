/**
 * Masked mixer (paper §2.1, §2.2): a causal stack whose tokens exchange information through
 * learned, position-specific weights instead of attention.
 *
 *   x ← x + Mix(LayerNorm(x));   x ← x + W₂ GELU(W₁ LayerNorm(x) + b₁) + b₂,  inner width 4D
 *
 *   flat:      Mix(x)[t, j] = b[t] + Σ_{s ≤ t} Σ_{p < K} W[t, s, p] x[s, j + p − ⌊(K−1)/2⌋]
 *   by heads:  Mix(x) = [Mix₁(x A₁ + a₁) | … | Mix_H(x A_H + a_H)] C + c,  A_h to D/H channels
 *
 * A convolution with tokens as channels, along the hidden axis (lib/layers/masked_mixing.ts). No
 * position code (mixing weights are positions), no final norm, pads are ordinary tokens.
 * Deviates from the reference: the causal mask multiplies in the graph; stored weights stay as they
 * are. Every head has weights of its own (some of the reference's scripts use the last head's for
 * all).
 *
 * Legend: T positions, B batch, D width, K kernel size, H heads.
 */

import { add, layerNorm, type Tensor } from "../engine/mod.ts";
import {
  causalMask,
  type FeedForward,
  feedForward,
  initFeedForward,
  initLayerNorm,
  initMaskedMixing,
  initMultiHeadMixing,
  type LayerNorm,
  type MaskedMixing,
  maskedMixing,
  mixingStep,
  type MultiHeadMixing,
  multiHeadMixing,
  type Slot,
} from "../layers/mod.ts";
import type { Random } from "../random.ts";

export type MaskedMixerConfig = Readonly<{
  architecture: "mixer";
  vocabSize: number;
  /** Positions, the memory slot of an augmented decoder included: the mixing weights' size. */
  contextLength: number;
  width: number;
  layerCount: number;
  /** Channels that the convolution spans, odd or even; 1 by default. */
  kernelSize?: number;
  /** 0, the default, mixes flat: all channels alike and without projections. */
  headCount?: number;
  /** False lets tokens see later ones, for the paper's ablation (§2.5). */
  causal?: boolean;
}>;

export type MaskedMixerBlock = {
  norm1: LayerNorm;
  mix: MaskedMixing | MultiHeadMixing;
  norm2: LayerNorm;
  feedForward: FeedForward;
};

export function initMaskedMixerBlocks(
  { contextLength, width, layerCount, kernelSize = 1, headCount = 0 }: MaskedMixerConfig,
  random: Random,
): MaskedMixerBlock[] {
  const initMixing = (stream: Random) =>
    headCount === 0
      ? initMaskedMixing(stream, contextLength, kernelSize)
      : initMultiHeadMixing(stream, contextLength, { width, headCount, kernelSize });
  return Array.from({ length: layerCount }, (_, index) => ({
    norm1: initLayerNorm(width),
    mix: initMixing(random.stream(`${index}.mix`)),
    norm2: initLayerNorm(width),
    feedForward: initFeedForward(random.stream(`${index}.feedForward`), width),
  }));
}

/** Embedded tokens `[T, B, D]` → hidden states `[T, B, D]`. */
export function maskedMixer(
  { contextLength, causal = true }: MaskedMixerConfig,
  blocks: readonly MaskedMixerBlock[],
  embeddedTBD: Tensor,
): Tensor {
  const maskTT = causal ? causalMask(contextLength) : null;
  let xTBD = embeddedTBD;
  for (const block of blocks) {
    xTBD = maskedMixerBlock(
      block,
      xTBD,
      (mix, normalTBD) =>
        "output" in mix
          ? multiHeadMixing(mix, maskTT, normalTBD)
          : maskedMixing(mix, maskTT, normalTBD),
    );
  }
  return xTBD;
}

/** {@linkcode maskedMixer} of one slot, `[1, B, D]`, and what each block then remembers. */
export function maskedMixerStep(
  blocks: readonly MaskedMixerBlock[],
  embeddedTBD: Tensor,
  caches: readonly Tensor[],
  slot: Slot,
): { xTBD: Tensor; blocks: Tensor[] } {
  const nextCaches: Tensor[] = [];
  let xTBD = embeddedTBD;
  for (const [index, block] of blocks.entries()) {
    xTBD = maskedMixerBlock(block, xTBD, (mix, normalTBD) => {
      const { yTBD, cacheHTR } = mixingStep(mix, normalTBD, caches[index]!, slot);
      nextCaches.push(cacheHTR);
      return yTBD;
    });
  }
  return { xTBD, blocks: nextCaches };
}

/** One block of x `[T, B, D]`, whose tokens exchange information by `mixTokens`. */
function maskedMixerBlock(
  { norm1, mix, norm2, feedForward: layer }: MaskedMixerBlock,
  xTBD: Tensor,
  mixTokens: (mix: MaskedMixerBlock["mix"], normalTBD: Tensor) => Tensor,
): Tensor {
  const mixedTBD = add(xTBD, mixTokens(mix, layerNorm(xTBD, norm1.weight, norm1.bias)));
  return add(mixedTBD, feedForward(layer, layerNorm(mixedTBD, norm2.weight, norm2.bias)));
}
