/** Seeded numbers and comparisons for numeric tests. */

import assert from "node:assert/strict";
import type { Tensor } from "../lib/engine/mod.ts";
import { createRandom } from "../lib/random.ts";

/** `count` seeded numbers of N(0, deviation²), exact in float32. */
export function normals(count: number, seed: number, deviation = 1): Float32Array<ArrayBuffer> {
  return createRandom(seed).normals(count, 0, deviation);
}

/** Fails unless every number is within `tolerance · max(1, largest |expected|)`. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  assert.equal(actual.length, expected.length, `${what}: number of values`);
  const scale = Math.max(1, ...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    assert.ok(
      difference <= tolerance * scale,
      `${what}: value ${i}: expected ${expected[i]} within ${tolerance * scale}, found ${
        actual[i]
      }`,
    );
  }
}

/** The same, relative to the largest |expected| however small it is. */
export function assertRelative(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  const scale = Math.max(1e-12, ...Array.from(expected, Math.abs));
  const scaled = (values: ArrayLike<number>) => Array.from(values, (value) => value / scale);
  assertClose(scaled(actual), scaled(expected), tolerance, what);
}

/** A float32 tensor's values. */
export async function read(tensor: Tensor): Promise<Float32Array> {
  return await tensor.data() as Float32Array;
}

/**
 * The gradient of `value` at `inputs` by central differences in float64: one array per input.
 * Exact to some 1e-9 for smooth functions.
 */
export function centralDifferences(
  value: (inputs: readonly Float64Array[]) => number,
  inputs: readonly Float64Array[],
  step = 1e-5,
): Float64Array[] {
  return inputs.map((input) =>
    input.map((original, i) => {
      input[i] = original + step;
      const above = value(inputs);
      input[i] = original - step;
      const below = value(inputs);
      input[i] = original;
      return (above - below) / (2 * step);
    })
  );
}
