import { type Tensor, tensor } from "../engine/mod.ts";
import type { Random } from "../random.ts";

/** A tensor of N(0, deviation²) draws. */
export function initNormal(random: Random, shape: readonly number[], deviation: number): Tensor {
  return tensor(random.normals(sizeOf(shape), 0, deviation), [...shape]);
}

/** A tensor of U(−1/√fanIn, 1/√fanIn) draws, PyTorch's default for linear and convolution layers. */
export function initUniform(random: Random, shape: readonly number[], fanIn: number): Tensor {
  const bound = 1 / Math.sqrt(fanIn);
  return tensor(random.uniforms(sizeOf(shape), -bound, bound), [...shape]);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
