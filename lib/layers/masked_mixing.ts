/**
 * Token mixing of masked mixers (paper §2.1, §2.2): a 1-D convolution over tokens as channels,
 * along the hidden axis, with a causal mask on its weights.
 *
 * Legend: T positions, B batch, D width, K kernel size, H heads, E = D/H.
 */

import {
  add,
  concat,
  maskedMatMul,
  matMul,
  reshape,
  slice,
  type Tensor,
  tensor,
  tile,
  transpose,
  unstack,
  zeros,
} from "../engine/mod.ts";
import type { Random } from "../random.ts";
import { hookedInput, hookedOutput } from "./hooks.ts";
import { initUniform } from "./init.ts";
import { initLinear, type Linear, linear } from "./linear.ts";
import { remember, rowAt, type Slot } from "./slots.ts";

/** Weight `[T, K·T]`: column p·T + s is tap p of input token s; bias `[T]`. */
export type MaskedMixing = { weight: Tensor; bias: Tensor };

/** PyTorch's default for a convolution: U(±1/√fan-in), fan-in = K·T (paper §2.1). */
export function initMaskedMixing(
  random: Random,
  contextLength: number,
  kernelSize = 1,
): MaskedMixing {
  const taps = kernelSize * contextLength;
  return {
    weight: initUniform(random.stream("weight"), [contextLength, taps], taps),
    bias: initUniform(random.stream("bias"), [contextLength], taps),
  };
}

/** Ones on and below the diagonal, zeros above: position t mixes positions s ≤ t. */
export function causalMask(contextLength: number): Tensor {
  const mask = new Float32Array(contextLength * contextLength);
  for (let t = 0; t < contextLength; t++) {
    mask.fill(1, t * contextLength, t * contextLength + t + 1);
  }
  return tensor(mask, [contextLength, contextLength]);
}

/**
 * `y[t, j] = bias[t] + Σ_{s ≤ t} Σ_{p < K} W[t, s, p] x[s, j + p − ⌊(K−1)/2⌋]` for x `[T, B, D]`,
 * zeros beyond the ends of the hidden axis (paper §2.1). With tokens first, all sequences and
 * channels are columns of one matrix product.
 *
 * @param maskTT See {@linkcode causalMask}; null mixes all positions.
 */
export function maskedMixing(layer: MaskedMixing, maskTT: Tensor | null, xTBD: Tensor): Tensor {
  const [contextLength, batch, width] = xTBD.shape as [number, number, number];
  const kernelSize = layer.weight.shape[1]! / contextLength;
  const tapsSR = reshape(stackTaps(hookedInput(layer, xTBD), kernelSize), [-1, batch * width]);
  const mixed = mask(layer.weight, maskTT, kernelSize, tapsSR);
  const mixedTBD = reshape(mixed, [contextLength, batch, width]);
  return hookedOutput(layer, add(mixedTBD, reshape(layer.bias, [-1, 1, 1])));
}

/**
 * Heads that each project to E channels, mix them on their own, and are joined again: `input` and
 * `output` `[D, D]` with biases, columns of `input` head by head; weight `[H, T, K·T]`, bias
 * `[H, T]` (paper §2.2).
 */
export type MultiHeadMixing = { input: Linear; weight: Tensor; bias: Tensor; output: Linear };

/** PyTorch's defaults for the linear layers and convolutions. */
export function initMultiHeadMixing(
  random: Random,
  contextLength: number,
  { width, headCount, kernelSize }: { width: number; headCount: number; kernelSize: number },
): MultiHeadMixing {
  const taps = kernelSize * contextLength;
  const draw = (name: string, shape: number[]) => initUniform(random.stream(name), shape, taps);
  return {
    input: initLinear(random.stream("input"), width, width),
    weight: draw("weight", [headCount, contextLength, taps]),
    bias: draw("bias", [headCount, contextLength]),
    output: initLinear(random.stream("output"), width, width),
  };
}

/** Mixing by heads of x `[T, B, D]`; a kernel does not reach across heads (paper §2.2). */
export function multiHeadMixing(
  layer: MultiHeadMixing,
  maskTT: Tensor | null,
  xTBD: Tensor,
): Tensor {
  const [contextLength, batch, width] = xTBD.shape as [number, number, number];
  const [headCount, , taps] = layer.weight.shape as [number, number, number];
  const kernelSize = taps / contextLength;
  const headWidth = width / headCount;
  const headsTBHE = reshape(
    hookedInput(layer, linear(layer.input, xTBD)),
    [contextLength, batch, headCount, headWidth],
  );
  const tapsHSR = reshape(
    transpose(stackTaps(headsTBHE, kernelSize), [2, 0, 1, 3]),
    [headCount, taps, batch * headWidth],
  );
  const mixed = reshape(
    mask(layer.weight, maskTT, kernelSize, tapsHSR),
    [headCount, contextLength, batch, headWidth],
  );
  const biased = add(mixed, reshape(layer.bias, [headCount, contextLength, 1, 1]));
  const joinedTBD = reshape(transpose(biased, [1, 2, 0, 3]), [-1, batch, width]);
  return linear(layer.output, hookedOutput(layer, joinedTBD));
}

/**
 * What a mixing remembers before its first slot: its inputs at all slots, head by head, as zeros
 * `[H, T, B·E]`, where H = 1 if it is flat.
 */
export function mixingStart(
  { weight }: MaskedMixing | MultiHeadMixing,
  batch: number,
  width: number,
): Tensor {
  const [headCount, contextLength] = headShape(weight);
  return zeros([headCount, contextLength, batch * width / headCount]);
}

/**
 * The causal {@linkcode maskedMixing} or {@linkcode multiHeadMixing} at one slot: x `[1, B, D]` with
 * those that were read. Needs no mask, since later slots are zeros. Taps are shifted after the sum
 * over tokens, on B·E channels in the place of T·B·E.
 */
export function mixingStep(
  layer: MaskedMixing | MultiHeadMixing,
  xTBD: Tensor,
  cacheHTR: Tensor,
  slot: Slot,
): { yTBD: Tensor; cacheHTR: Tensor } {
  const [, batch, width] = xTBD.shape as [number, number, number];
  const [headCount, contextLength, taps] = headShape(layer.weight);
  const kernelSize = taps / contextLength;
  const headWidth = width / headCount;
  const input = hookedInput(layer, "input" in layer ? linear(layer.input, xTBD) : xTBD);
  const inputHBE = transpose(reshape(input, [batch, headCount, headWidth]), [1, 0, 2]);
  const nextHTR = remember(cacheHTR, reshape(inputHBE, [headCount, 1, -1]), slot);
  const weightTHS = transpose(reshape(layer.weight, [headCount, contextLength, taps]), [1, 0, 2]);
  const weightHKT = reshape(rowAt(weightTHS, slot), [headCount, kernelSize, contextLength]);
  const biasTH = transpose(reshape(layer.bias, [headCount, contextLength]));
  const mixedHKBE = reshape(matMul(weightHKT, nextHTR), [headCount, kernelSize, batch, headWidth]);
  const tapsHBE = unstack(mixedHKBE, 1).map((xHBE, tap) => shiftTap(xHBE, tap, kernelSize));
  const biasedHBE = tapsHBE.reduce(
    (sum, tap) => add(sum, tap),
    reshape(rowAt(biasTH, slot), [headCount, 1, 1]),
  );
  const yTBD = hookedOutput(layer, reshape(transpose(biasedHBE, [1, 0, 2]), [1, batch, width]));
  return { yTBD: "output" in layer ? linear(layer.output, yTBD) : yTBD, cacheHTR: nextHTR };
}

/** H, T and K·T of a weight, H = 1 for a flat one. */
function headShape({ shape }: Tensor): [number, number, number] {
  return (shape.length === 3 ? shape : [1, ...shape]) as [number, number, number];
}

/** Weights, masked for every tap alike, times x `[…, K·T, R]`. */
function mask(weight: Tensor, maskTT: Tensor | null, kernelSize: number, x: Tensor): Tensor {
  if (maskTT === null) return matMul(weight, x);
  return maskedMatMul(weight, kernelSize === 1 ? maskTT : tile(maskTT, [1, kernelSize]), x);
}

/** x `[T, …]` as each tap sees it, tap after tap: `[K·T, …]`, shifted along the last axis. */
function stackTaps(x: Tensor, kernelSize: number): Tensor {
  if (kernelSize === 1) return x;
  return concat(Array.from({ length: kernelSize }, (_, tap) => shiftTap(x, tap, kernelSize)), 0);
}

/** x as a kernel's tap sees it: channel j sees j + tap − ⌊(K−1)/2⌋. */
function shiftTap(x: Tensor, tap: number, kernelSize: number): Tensor {
  return shift(x, tap - Math.floor((kernelSize - 1) / 2));
}

/** `y[…, j] = x[…, j + offset]`, zeros where there is no such channel. */
function shift(x: Tensor, offset: number): Tensor {
  if (offset === 0) return x;
  const outer = x.shape.slice(0, -1);
  const width = x.shape.at(-1)!;
  const kept = Math.max(0, width - Math.abs(offset));
  const empty = zeros([...outer, width - kept]);
  if (kept === 0) return empty;
  const begin = [...outer.map(() => 0), Math.max(0, offset)];
  const seen = slice(x, begin, [...outer, kept]);
  return concat(offset > 0 ? [seen, empty] : [empty, seen], x.rank - 1);
}
