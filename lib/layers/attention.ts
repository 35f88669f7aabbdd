import {
  add,
  cast,
  concat,
  cos,
  greaterEqual,
  matMul,
  minimum,
  mul,
  neg,
  ones,
  randomUniform,
  reshape,
  sin,
  slice,
  softmaxAttention,
  sub,
  type Tensor,
  tensor,
  transpose,
  zeros,
} from "../engine/mod.ts";
import type { Random } from "../random.ts";
import { type Linear, linear } from "./linear.ts";
import { initNormal } from "./init.ts";
import { causalMask } from "./masked_mixing.ts";
import { remember, rowAt, type Slot } from "./slots.ts";

/** Multi-head self-attention, four `[width, width]` matrices without biases (paper §2.3). */
export type Attention = { query: Linear; key: Linear; value: Linear; output: Linear };

export function initAttention(random: Random, width: number, deviation: number): Attention {
  const draw = (name: string) => ({
    weight: initNormal(random.stream(name), [width, width], deviation),
  });
  return {
    query: draw("query"),
    key: draw("key"),
    value: draw("value"),
    output: draw("output"),
  };
}

/**
 * Cosines and sines of rotary positions for head width E: `[T, E]` where all rows of a batch have
 * the same ones, else `[B, 1, T, E]`.
 */
export type RotaryTable = Readonly<{ cosTE: Tensor; sinTE: Tensor }>;

/**
 * Rotary position embedding of base 10000, in the rotate-half arrangement (paper §2.3).
 *
 * @param positions Their number, for 0 … T−1, or any positions `[B, T]`.
 */
export function rotaryTable(
  positions: number | Tensor,
  headWidth: number,
  base = 10000,
): RotaryTable {
  const rates = Float64Array.from({ length: headWidth }, (_, channel) => {
    const pair = channel % (headWidth / 2);
    return base ** (-2 * pair / headWidth);
  });
  if (typeof positions !== "number") {
    const [batch, length] = positions.shape as [number, number];
    const placed = reshape(positions, [batch, 1, length, 1]);
    const angles = mul(placed, tensor(Float32Array.from(rates), [headWidth]));
    return { cosTE: cos(angles), sinTE: sin(angles) };
  }
  const angles = Float64Array.from(
    { length: positions * headWidth },
    (_, at) => Math.floor(at / headWidth) * rates[at % headWidth]!,
  );
  const shape = [positions, headWidth];
  return {
    cosTE: tensor(Float32Array.from(angles, Math.cos), shape),
    sinTE: tensor(Float32Array.from(angles, Math.sin), shape),
  };
}

/** Turns each pair of channels (e, e + E/2) of position t by its angle; x `[B, H, T, E]`. */
export function rotate(xBHTE: Tensor, { cosTE, sinTE }: RotaryTable): Tensor {
  const [batch, heads, length, width] = xBHTE.shape as [number, number, number, number];
  const half = width / 2;
  const low = slice(xBHTE, [0, 0, 0, 0], [batch, heads, length, half]);
  const high = slice(xBHTE, [0, 0, 0, half], [batch, heads, length, half]);
  return add(mul(xBHTE, cosTE), mul(concat([neg(high), low], 3), sinTE));
}

/** Added to a score, it hides the key: finite, since −∞ would turn rows without a key into NaN. */
const HIDDEN = -1e9;

/** What each query may see. */
export type AttentionMask = Readonly<{
  /** Added to scores `[B, H, T, T]`: 0 where a query sees a key, a large negative number elsewhere. */
  bias: Tensor;
  /**
   * `[B, 1, T, 1]`: 1 for queries that see any key, 0 for those that see none, whose attention is
   * zero, as in PyTorch; null where every query sees one. The last left pad is such a query, and
   * it predicts the first token.
   */
  sees: Tensor | null;
}>;

/**
 * A query sees the keys up to its own position that are tokens, not pads; without `causal` later
 * ones too.
 */
export function attentionMask(
  contextLength: number,
  visibleBT: Tensor | null,
  { causal = true }: { causal?: boolean } = {},
): AttentionMask {
  const reachTT = causal ? causalMask(contextLength) : ones([contextLength, contextLength]);
  const reachBias = hideUnseen(reachTT);
  if (visibleBT === null) return { bias: reachBias, sees: null };
  const batch = visibleBT.shape[0]!;
  const padBias = reshape(hideUnseen(visibleBT), [batch, 1, 1, contextLength]);
  const keysSeenBT = matMul(visibleBT, reachTT, false, true);
  return {
    bias: add(reachBias, padBias),
    sees: reshape(minimum(keysSeenBT, 1), [batch, 1, contextLength, 1]),
  };
}

/** 0 where `isSeen` is 1, a large negative number where it is 0. */
function hideUnseen(isSeen: Tensor): Tensor {
  return mul(sub(isSeen, 1), -HIDDEN);
}

/**
 * Dropout of attention weights, in training alone (paper §5.2): after the softmax each is set to
 * zero with probability `rate`, and the others are divided by 1 − rate, as PyTorch's dropout does.
 */
export type AttentionDropout = Readonly<{
  /** In [0, 1). */
  rate: number;
  /** int32 `[2]`; what is dropped is a pure function of it. */
  seed: Tensor;
}>;

/** What dropout multiplies weights by, 0 or 1/(1 − rate): the same on every backend. */
function keepMask(shape: readonly number[], { rate, seed }: AttentionDropout): Tensor {
  const isKept = greaterEqual(randomUniform(shape, seed, 0, 1), rate);
  return mul(cast(isKept, "float32"), 1 / (1 - rate));
}

/**
 * Self-attention over x `[T, B, D]`.
 *
 * @param rotary Null where positions are told otherwise.
 * @param dropout Of the attention weights; none by default.
 */
export function attention(
  layer: Attention,
  xTBD: Tensor,
  headCount: number,
  rotary: RotaryTable | null,
  { bias, sees }: AttentionMask,
  dropout?: AttentionDropout,
): Tensor {
  const [length, batch] = xTBD.shape as [number, number, number];
  const { query, key, value } = projectHeads(layer, xTBD, headCount, rotary);
  const keep = dropout && keepMask([batch, headCount, length, length], dropout);
  const mixedBHTE = softmaxAttention(query, key, value, bias, keep);
  return joinHeads(layer, sees === null ? mixedBHTE : mul(mixedBHTE, sees));
}

/** Keys and values of all slots, `[B, H, T, E]`, zeros where nothing was read yet. */
export type AttentionCache = Readonly<{ keyBHTE: Tensor; valueBHTE: Tensor }>;

/** The cache before the first slot; `shape` is B, H, T, E. */
export function attentionStart(shape: readonly [number, number, number, number]): AttentionCache {
  return { keyBHTE: zeros([...shape]), valueBHTE: zeros([...shape]) };
}

/**
 * {@linkcode attention} of one slot, `[1, B, D]`, over all that were read and itself, causal and
 * without pads.
 *
 * @param rotary Of all slots.
 */
export function attentionStep(
  layer: Attention,
  xTBD: Tensor,
  headCount: number,
  rotary: RotaryTable | null,
  cache: AttentionCache,
  slot: Slot,
): { yTBD: Tensor; cache: AttentionCache } {
  const placed = rotary &&
    { cosTE: rowAt(rotary.cosTE, slot), sinTE: rowAt(rotary.sinTE, slot) };
  const { query, key, value } = projectHeads(layer, xTBD, headCount, placed);
  const keyBHTE = remember(cache.keyBHTE, key, slot);
  const valueBHTE = remember(cache.valueBHTE, value, slot);
  const mixedBHTE = softmaxAttention(query, keyBHTE, valueBHTE, hideUnseen(slot.isPast1T));
  return { yTBD: joinHeads(layer, mixedBHTE), cache: { keyBHTE, valueBHTE } };
}

/** Queries, keys and values `[B, H, T, E]` of x `[T, B, D]`, queries and keys rotated. */
function projectHeads(
  layer: Attention,
  xTBD: Tensor,
  headCount: number,
  rotary: RotaryTable | null,
): { query: Tensor; key: Tensor; value: Tensor } {
  const [length, batch, width] = xTBD.shape as [number, number, number];
  const heads = (projection: Linear) =>
    transpose(
      reshape(linear(projection, xTBD), [length, batch, headCount, width / headCount]),
      [1, 2, 0, 3],
    );
  const placed = (xBHTE: Tensor) => rotary === null ? xBHTE : rotate(xBHTE, rotary);
  return {
    query: placed(heads(layer.query)),
    key: placed(heads(layer.key)),
    value: heads(layer.value),
  };
}

/** The output `[T, B, D]` of what the heads have gathered, `[B, H, T, E]`. */
function joinHeads(layer: Attention, xBHTE: Tensor): Tensor {
  const [batch, headCount, length, headWidth] = xBHTE.shape as [number, number, number, number];
  const joined = transpose(xBHTE, [2, 0, 1, 3]);
  return linear(layer.output, reshape(joined, [length, batch, headCount * headWidth]));
}
