import { add, matMul, reshape, type Tensor } from "../engine/mod.ts";
import type { Random } from "../random.ts";
import { hookedInput, hookedOutput } from "./hooks.ts";
import { initUniform } from "./init.ts";

/** `y = x W (+ b)`: weight `[in, out]` (transposed with respect to PyTorch), bias `[out]`. */
export type Linear = { weight: Tensor; bias?: Tensor };

/** PyTorch's default: weight and bias U(±1/√in) (paper §2.1). */
export function initLinear(
  random: Random,
  inputWidth: number,
  outputWidth: number,
  { bias = true }: { bias?: boolean } = {},
): Linear {
  const weight = initUniform(random.stream("weight"), [inputWidth, outputWidth], inputWidth);
  return bias
    ? { weight, bias: initUniform(random.stream("bias"), [outputWidth], inputWidth) }
    : { weight };
}

/** x `[…, in]` → `[…, out]`. */
export function linear(layer: Linear, x: Tensor): Tensor {
  const [inputWidth, outputWidth] = layer.weight.shape as [number, number];
  const product = matMul(reshape(hookedInput(layer, x), [-1, inputWidth]), layer.weight);
  const y = layer.bias === undefined ? product : add(product, layer.bias);
  return hookedOutput(layer, reshape(y, [...x.shape.slice(0, -1), outputWidth]));
}
