import assert from "node:assert/strict";
import { mul, sum, type Tensor, tensor, valueAndGradient } from "../../lib/engine/mod.ts";
import { castToNf4, decodeNf4, encodeNf4, NF4_BLOCK_SIZE, NF4_LEVELS } from "../../lib/qat/mod.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { refusal } from "../models/_tiny.ts";
import { golden } from "./_integer_formats.ts";

const { nf4 } = golden;

async function cast(
  mode: Mode,
  numbers: Float32Array,
  shape: readonly number[],
  blockSize?: number,
  scaling?: "tensor" | "row",
): Promise<number[]> {
  const run = mode.compile((x: Tensor) => castToNf4(x, blockSize, scaling));
  const found = await read(run(tensor(numbers, [...shape])));
  run.dispose();
  return [...found];
}

/** What is read back of one row of numbers, whose blocks begin with it. */
function stored(numbers: Float32Array, blockSize?: number): number[] {
  return [...decodeNf4(encodeNf4(numbers, blockSize), blockSize)];
}

Deno.test("NF4_LEVELS are the quantiles of QLoRA's formula", () => {
  // They were computed in float32 for the most part.
  assertClose(NF4_LEVELS, nf4.levels, 2e-7, "levels");
  assert.equal(NF4_BLOCK_SIZE, nf4.blockSize);
});

onEveryBackend("castToNf4() gives bitsandbytes' numbers, ties included", async (mode) => {
  const found = await cast(mode, Float32Array.from(nf4.x), [nf4.x.length]);
  if (mode.backend === "webgpu") return assertClose(found, nf4.values, 1e-6, "values");
  assert.deepEqual(found, nf4.values);
});

Deno.test("encodeNf4() gives bitsandbytes' codes and scales", () => {
  const { codes, scales } = encodeNf4(Float32Array.from(nf4.x));
  assert.deepEqual([...codes], nf4.codes);
  assertClose(scales, nf4.scales, 1e-11, "scales"); // that of zeros is not quite 0
});

Deno.test("decodeNf4() gives bitsandbytes' numbers", () => {
  const codes = Uint8Array.from(nf4.codes);
  const scales = Float32Array.from(nf4.scales);
  assert.deepEqual([...decodeNf4({ codes, scales })], nf4.values);
});

onEveryBackend("castToNf4() begins blocks in memory order, or with each vector", async (mode) => {
  const shape = [2, 3, 10];
  const numbers = normals(60, 5).map((value, i) => value * (1 + i));
  for (const blockSize of [1, 4, 5, 10, 16, 64]) {
    const rows = Array.from({ length: 6 }, (_, r) => numbers.subarray(10 * r, 10 * r + 10));
    const expected = {
      tensor: stored(numbers, blockSize),
      row: rows.flatMap((row) => stored(row, blockSize)),
    };
    for (const scaling of ["tensor", "row"] as const) {
      const found = await cast(mode, numbers, shape, blockSize, scaling);
      assertClose(found, expected[scaling], 1e-7, `${scaling}, ${blockSize} numbers a block`);
    }
  }
});

onEveryBackend("castToNf4() leaves zeros alone and shows NaN", async (mode) => {
  const found = await cast(mode, Float32Array.of(0, 0, 1, NaN), [2, 2], 64, "row");
  assert.deepEqual(found.slice(0, 2), [0, 0]);
  assert.ok(Number.isNaN(found[3]));
});

onEveryBackend("castToNf4() passes gradients straight", async (mode) => {
  const weights = Array.from({ length: 70 }, (_, i) => i - 3);
  const run = mode.compile((x: Tensor) =>
    valueAndGradient(
      ({ x }: { x: Tensor }) => sum(mul(castToNf4(x), tensor(weights, [7, 10]))),
      { x },
    ).gradient
  );
  const { x } = run(tensor(normals(70, 6), [7, 10]));
  assert.deepEqual([...await read(x)], weights);
  run.dispose();
});

Deno.test("NF4 refuses what cannot be", () => {
  const numbers = normals(10, 1);
  const { codes, scales } = encodeNf4(numbers);
  for (const size of [0, -1, 2.5, NaN]) {
    const message = `NF4 block size: expected a whole number above 0, found ${size}`;
    assert.equal(refusal(() => encodeNf4(numbers, size)), message);
    assert.equal(refusal(() => decodeNf4({ codes, scales }, size)), message);
  }
  assert.equal(
    refusal(() => encodeNf4(Float32Array.of(1, NaN))),
    "NF4: expected finite numbers, found NaN as number 1",
  );
  assert.equal(
    refusal(() => decodeNf4({ codes, scales }, 4)),
    "NF4: expected 3 scales for 10 codes in blocks of 4, found 1",
  );
  assert.equal(
    refusal(() => decodeNf4({ codes: Uint8Array.of(16), scales })),
    "NF4: expected codes 0 … 15, found 16",
  );
});

onEveryBackend("castToNf4() refuses a block size that is none", () => {
  const x = tensor([1, 2]);
  assert.match(refusal(() => castToNf4(x, 0)), /^NF4 block size: .* found 0$/);
}, { oncePerBackend: true });
