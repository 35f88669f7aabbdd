import { add, maskedMatMul, reshape, type Tensor, tensor } from "../engine/mod.ts";
import type { Random } from "../random.ts";
import { initUniform } from "./init.ts";

/** A 1-D convolution of kernel size 1 over tokens as channels: weight `[T, T]`, bias `[T]`. */
export type MaskedMixing = { weight: Tensor; bias: Tensor };

/** PyTorch's default for a convolution: U(±1/√fan-in), fan-in = T (paper §2.1). */
export function initMaskedMixing(random: Random, contextLength: number): MaskedMixing {
  const draw = (name: string, shape: number[]) =>
    initUniform(random.stream(name), shape, contextLength);
  return {
    weight: draw("weight", [contextLength, contextLength]),
    bias: draw("bias", [contextLength]),
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
 * `y[t] = bias[t] + Σ_{s ≤ t} W[t, s] x[s]` for x `[T, B, D]` (paper §2.1). With tokens first, all
 * sequences and channels are columns of one matrix product.
 */
export function maskedMixing(layer: MaskedMixing, maskTT: Tensor, xTBD: Tensor): Tensor {
  const [contextLength, batch, width] = xTBD.shape as [number, number, number];
  const mixed = maskedMatMul(layer.weight, maskTT, reshape(xTBD, [contextLength, batch * width]));
  return add(reshape(mixed, [contextLength, batch, width]), reshape(layer.bias, [-1, 1, 1]));
}
