/**
 * Llama-style transformer (paper §2.3): RMSNorm (ε = 1e-6), rotary positions, full multi-head
 * attention, SwiGLU of inner width 4D, no biases, final RMSNorm; weights N(0, 0.02²).
 *
 *   x ← x + Attention(RMSNorm(x));   x ← x + SwiGLU(RMSNorm(x))
 *
 * Positions count 0 … T−1 whatever the padding; left pads are hidden as keys.
 *
 * Legend: T positions, B batch, D width.
 */

import { add, rmsNorm, type Tensor } from "../engine/mod.ts";
import {
  type Attention,
  attention,
  causalAttentionMask,
  type GatedFeedForward,
  gatedFeedForward,
  initAttention,
  initGatedFeedForward,
  initRmsNorm,
  type RmsNorm,
  rotaryTable,
} from "../layers/mod.ts";
import type { Random } from "../random.ts";

export type TransformerConfig = Readonly<{
  architecture: "transformer";
  vocabSize: number;
  /** Positions, the memory slot of an augmented decoder included. */
  contextLength: number;
  width: number;
  layerCount: number;
  headCount: number;
}>;

export type TransformerBlock = {
  norm1: RmsNorm;
  attention: Attention;
  norm2: RmsNorm;
  feedForward: GatedFeedForward;
};

/** The standard deviation of every weight inside the stack. */
export const TRANSFORMER_DEVIATION = 0.02;

export function initTransformerBlocks(
  config: TransformerConfig,
  random: Random,
): TransformerBlock[] {
  return Array.from({ length: config.layerCount }, (_, index) => {
    const stream = (name: string) => random.stream(`${index}.${name}`);
    return {
      norm1: initRmsNorm(config.width),
      attention: initAttention(stream("attention"), config.width, TRANSFORMER_DEVIATION),
      norm2: initRmsNorm(config.width),
      feedForward: initGatedFeedForward(
        stream("feedForward"),
        config.width,
        TRANSFORMER_DEVIATION,
      ),
    };
  });
}

/**
 * Embedded tokens `[T, B, D]` → hidden states `[T, B, D]`, the final norm included.
 *
 * @param visibleBT 1 for tokens, 0 for pads; null where nothing is padded.
 */
export function transformer(
  config: TransformerConfig,
  params: { readonly blocks: readonly TransformerBlock[]; readonly finalNorm: RmsNorm },
  embeddedTBD: Tensor,
  visibleBT: Tensor | null,
): Tensor {
  const { contextLength, width, headCount } = config;
  const rotary = rotaryTable(contextLength, width / headCount);
  const mask = causalAttentionMask(contextLength, visibleBT);
  let xTBD = embeddedTBD;
  for (const { norm1, attention: heads, norm2, feedForward } of params.blocks) {
    const normal1TBD = rmsNorm(xTBD, norm1.weight);
    xTBD = add(xTBD, attention(heads, normal1TBD, headCount, rotary, mask));
    xTBD = add(xTBD, gatedFeedForward(feedForward, rmsNorm(xTBD, norm2.weight)));
  }
  return rmsNorm(xTBD, params.finalNorm.weight);
}
