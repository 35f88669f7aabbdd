/**
 * Llama-style transformer (paper §2.3): RMSNorm (ε = 1e-6), full multi-head attention, SwiGLU of
 * inner width 4D, no biases, final RMSNorm; weights N(0, 0.02²).
 *
 *   x ← x + Attention(RMSNorm(x));   x ← x + SwiGLU(RMSNorm(x))
 *
 *   Attention(x) = [softmax(R(x Q_h) R(x K_h)ᵀ / √E + mask) x V_h]_{h ≤ H} O,  E = D/H
 *   R turns channels (e, e + E/2) of position t by the angle t · 10000^(−2e/E)
 *   SwiGLU(x) = (SiLU(x G) ⊙ x U) W
 *
 * Positions are rotary, or learned vectors added to the input. They count 0 … T−1 whatever the
 * padding; left pads are hidden as keys.
 *
 * Legend: T positions, B batch, D width, H heads.
 */

import { add, expandDims, rmsNorm, type Tensor, tensor } from "../engine/mod.ts";
import {
  type Attention,
  attention,
  type AttentionCache,
  type AttentionDropout,
  attentionMask,
  attentionStep,
  type GatedFeedForward,
  gatedFeedForward,
  hookedOutput,
  initAttention,
  initGatedFeedForward,
  initNormal,
  initRmsNorm,
  type RmsNorm,
  rotaryTable,
  rowAt,
  type Slot,
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
  /** `rotary` by default. */
  positions?: "rotary" | "learned";
  /** False leaves the last norm out, as the paper's modular autoencoders do (§2.5). */
  finalNorm?: boolean;
  /** False lets tokens see later ones, for the paper's ablation (§2.5). */
  causal?: boolean;
}>;

export type TransformerBlock = {
  norm1: RmsNorm;
  attention: Attention;
  norm2: RmsNorm;
  feedForward: GatedFeedForward;
};

export type TransformerStack = {
  /** Learned positions alone have a table, weight `[T, D]`. */
  positions?: { weight: Tensor };
  blocks: TransformerBlock[];
  finalNorm?: RmsNorm;
};

/** The standard deviation of every weight inside the stack. */
export const TRANSFORMER_DEVIATION = 0.02;

export function initTransformer(config: TransformerConfig, random: Random): TransformerStack {
  const { contextLength, width, layerCount, positions = "rotary", finalNorm = true } = config;
  const table = () =>
    initNormal(random.stream("positions"), [contextLength, width], TRANSFORMER_DEVIATION);
  const blocks = Array.from({ length: layerCount }, (_, index) => {
    const stream = (name: string) => random.stream(`${index}.${name}`);
    return {
      norm1: initRmsNorm(width),
      attention: initAttention(stream("attention"), width, TRANSFORMER_DEVIATION),
      norm2: initRmsNorm(width),
      feedForward: initGatedFeedForward(stream("feedForward"), width, TRANSFORMER_DEVIATION),
    };
  });
  return {
    ...(positions === "learned" ? { positions: { weight: table() } } : {}),
    blocks,
    ...(finalNorm ? { finalNorm: initRmsNorm(width) } : {}),
  };
}

export type TransformerOptions = Readonly<{
  /** The rotary position of every slot, `[B, T]`; 0 … T−1 by default. */
  positionsBT?: Tensor | undefined;
  /**
   * Dropout of every layer's attention weights, in training alone (paper §5.2). Layer l has the seed
   * `[seed₀ + l, seed₁]`, so that the seeds of two batches must differ in seed₁, or in seed₀ by at
   * least the number of layers.
   */
  attentionDropout?: AttentionDropout | undefined;
}>;

/**
 * Embedded tokens `[T, B, D]` → hidden states `[T, B, D]`, the final norm included.
 *
 * @param visibleBT 1 for tokens, 0 for pads; null where nothing is padded.
 */
export function transformer(
  { width, headCount, causal = true }: TransformerConfig,
  { positions, blocks, finalNorm }: Readonly<TransformerStack>,
  embeddedTBD: Tensor,
  visibleBT: Tensor | null,
  { positionsBT, attentionDropout }: TransformerOptions = {},
): Tensor {
  const length = embeddedTBD.shape[0]!;
  const mask = attentionMask(length, visibleBT, { causal });
  const rotary = positions === undefined
    ? rotaryTable(positionsBT ?? length, width / headCount)
    : null;
  let xTBD = positions === undefined
    ? embeddedTBD
    : add(embeddedTBD, expandDims(hookedOutput(positions, positions.weight), 1));
  for (const [index, block] of blocks.entries()) {
    const dropout = attentionDropout && dropoutOfLayer(attentionDropout, index);
    xTBD = transformerBlock(
      block,
      xTBD,
      (layer, normalTBD) => attention(layer, normalTBD, headCount, rotary, mask, dropout),
    );
  }
  return normalized(finalNorm, xTBD);
}

/** {@linkcode transformer} of one slot, `[1, B, D]`, and what each block then remembers. */
export function transformerStep(
  { contextLength, width, headCount }: TransformerConfig,
  { positions, blocks, finalNorm }: Readonly<TransformerStack>,
  embeddedTBD: Tensor,
  caches: readonly AttentionCache[],
  slot: Slot,
): { xTBD: Tensor; blocks: AttentionCache[] } {
  const rotary = positions === undefined ? rotaryTable(contextLength, width / headCount) : null;
  let xTBD = positions === undefined
    ? embeddedTBD
    : add(embeddedTBD, rowAt(hookedOutput(positions, positions.weight), slot));
  const nextCaches: AttentionCache[] = [];
  for (const [index, block] of blocks.entries()) {
    xTBD = transformerBlock(block, xTBD, (layer, normalTBD) => {
      const { yTBD, cache } = attentionStep(
        layer,
        normalTBD,
        headCount,
        rotary,
        caches[index]!,
        slot,
      );
      nextCaches.push(cache);
      return yTBD;
    });
  }
  return { xTBD: normalized(finalNorm, xTBD), blocks: nextCaches };
}

function normalized(finalNorm: RmsNorm | undefined, xTBD: Tensor): Tensor {
  return finalNorm === undefined ? xTBD : rmsNorm(xTBD, finalNorm.weight);
}

/** One block of x `[T, B, D]`, whose tokens exchange information by `attend`. */
function transformerBlock(
  { norm1, attention: layer, norm2, feedForward }: TransformerBlock,
  xTBD: Tensor,
  attend: (layer: Attention, normalTBD: Tensor) => Tensor,
): Tensor {
  const attendedTBD = add(xTBD, attend(layer, rmsNorm(xTBD, norm1.weight)));
  return add(attendedTBD, gatedFeedForward(feedForward, rmsNorm(attendedTBD, norm2.weight)));
}

function dropoutOfLayer({ rate, seed }: AttentionDropout, layer: number): AttentionDropout {
  return { rate, seed: add(seed, tensor([layer, 0], [2], "int32")) };
}
