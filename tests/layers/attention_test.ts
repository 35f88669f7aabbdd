import assert from "node:assert/strict";
import { mul, sum, type Tensor, tensor } from "../../lib/engine/mod.ts";
import {
  attention,
  type AttentionDropout,
  attentionMask,
  initAttention,
  rotaryTable,
  rotate,
} from "../../lib/layers/mod.ts";
import { createRandom, philox } from "../../lib/random.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";

const once = { oncePerBackend: true };

onEveryBackend("rotate() turns channel pairs (e, e + E/2) by t · 10000^(−2e/E)", async () => {
  const [length, width] = [5, 6];
  const x = normals(length * width, 1);
  const expected = Array.from({ length: length * width }, (_, i) => {
    const [t, e] = [Math.floor(i / width), i % width];
    const pair = e % 3;
    const angle = t * 10000 ** (-2 * pair / width);
    const [first, second] = [x[t * width + pair]!, x[t * width + pair + 3]!];
    return e < 3
      ? first * Math.cos(angle) - second * Math.sin(angle)
      : second * Math.cos(angle) + first * Math.sin(angle);
  });
  const rotated = rotate(tensor(x, [1, 1, length, width]), rotaryTable(length, width));
  assertClose(await read(rotated), expected, 1e-6, "rotated");
}, once);

onEveryBackend("rotate() makes products depend on distances only", async () => {
  const [query, key] = [normals(4, 1), normals(4, 2)];
  const table = rotaryTable(9, 4);
  /** The product of the query at position `at` and the key `distance` before it. */
  const product = async (at: number, distance: number) => {
    const place = (vector: Float32Array, t: number): Tensor => {
      const values = new Float32Array(9 * 4);
      values.set(vector, 4 * t);
      const rotated = rotate(tensor(values, [1, 1, 9, 4]), table);
      return sum(rotated, 2); // all other positions are zero
    };
    return (await read(sum(mul(place(query, at), place(key, at - distance)))))[0]!;
  };
  assertClose([await product(8, 3)], [await product(3, 3)], 1e-5, "distance 3");
  assert.ok(Math.abs(await product(8, 3) - await product(8, 1)) > 1e-2);
}, once);

onEveryBackend("attentionMask() hides later keys and pads", async () => {
  const { bias, sees } = attentionMask(3, tensor([1, 1, 1, 0, 0, 1], [2, 3]));
  assert.deepEqual(bias.shape, [2, 1, 3, 3]);
  const visible = Array.from(await read(bias), (one) => one === 0 ? 1 : one <= -1e9 ? 0 : NaN);
  // deno-fmt-ignore
  assert.deepEqual(visible, [
    1, 0, 0,  1, 1, 0,  1, 1, 1,
    0, 0, 0,  0, 0, 0,  0, 0, 1,
  ]);
  assert.deepEqual(sees!.shape, [2, 1, 3, 1]);
  assert.deepEqual([...await read(sees!)], [1, 1, 1, 0, 0, 1]);
  const unpadded = attentionMask(2, null);
  assert.equal(unpadded.sees, null);
  assert.deepEqual(Array.from(await read(unpadded.bias), (one) => one === 0), [
    true,
    false,
    true,
    true,
  ]);
}, { only: ["cpu", "tensorflow eager"] });

onEveryBackend("attentionMask() without causality hides pads alone", async () => {
  const { bias, sees } = attentionMask(3, tensor([1, 1, 1, 0, 0, 1], [2, 3]), { causal: false });
  assert.deepEqual(bias.shape, [2, 1, 3, 3]);
  const visible = Array.from(await read(bias), (one) => one === 0 ? 1 : one <= -1e9 ? 0 : NaN);
  // deno-fmt-ignore
  assert.deepEqual(visible, [
    1, 1, 1,  1, 1, 1,  1, 1, 1,
    0, 0, 1,  0, 0, 1,  0, 0, 1,
  ]);
  assert.deepEqual([...await read(sees!)], [1, 1, 1, 1, 1, 1]);
  const nothing = attentionMask(2, tensor([0, 0], [1, 2]), { causal: false });
  assert.deepEqual([...await read(nothing.sees!)], [0, 0]);
  const unpadded = attentionMask(2, null, { causal: false });
  assert.equal(unpadded.sees, null);
  assert.ok((await read(unpadded.bias)).every((one) => one === 0));
}, { only: ["cpu", "tensorflow eager"] });

onEveryBackend("attention() gives zero to queries that see no key", async () => {
  const layer = initAttention(createRandom(1), 4, 0.5);
  const x = tensor(normals(24, 1), [3, 2, 4]);
  const mask = attentionMask(3, tensor([1, 1, 1, 0, 0, 1], [2, 3]));
  const output = await read(attention(layer, x, 2, rotaryTable(3, 2), mask));
  const isZero = Array.from(
    { length: 6 },
    (_, row) => output.subarray(4 * row, 4 * row + 4).every((one) => one === 0),
  );
  // Rows of t, columns of samples: the second sample starts with two pads.
  assert.deepEqual(isZero, [false, true, false, true, false, false]);
}, once);

onEveryBackend("attention() has heads of their own", async () => {
  const identity = tensor([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], [4, 4]);
  const one = { weight: identity };
  const x = normals(12, 4);
  const mask = attentionMask(3, null);
  const output = async (values: Float32Array) =>
    await read(attention(
      { query: one, key: one, value: one, output: one },
      tensor(values, [3, 1, 4]),
      2,
      rotaryTable(3, 2),
      mask,
    ));
  // With identity projections the second head (channels 2 and 3) must not see channel 0.
  const changed = x.map((value, i) => i % 4 === 0 ? value + 1 : value);
  const [before, after] = [await output(x), await output(changed)];
  const moved = Array.from(before, (value, i) => Math.abs(value - after[i]!) > 1e-6);
  assert.deepEqual(moved.map((one, i) => one && i % 4 >= 2), new Array(12).fill(false));
  assert.ok(moved[4] && moved[5], "the first head must");
}, once);

/** What dropout multiplies attention weights by, `[T, B, H, T]`, of queries that see all keys. */
async function readKeep(
  { compile }: Mode,
  [length, batch, heads]: readonly [number, number, number],
  rate: number,
  seed: readonly [number, number],
): Promise<Float32Array> {
  // Queries and keys of zero weigh all T keys alike; value s of each head is the sth unit vector.
  const width = heads * length;
  const identity = (scale: number) => {
    const values = new Float32Array(width * width);
    for (let i = 0; i < width; i++) values[i * width + i] = scale;
    return { weight: tensor(values, [width, width]) };
  };
  const [zero, one] = [identity(0), identity(1)];
  const layer = { query: zero, key: zero, value: one, output: identity(length) };
  const units = Float32Array.from(
    { length: length * batch * width },
    (_, i) => i % length === Math.floor(i / (batch * width)) ? 1 : 0,
  );
  const mask = attentionMask(length, null, { causal: false });
  const run = compile((xTBD: Tensor, seed: Tensor) =>
    attention(layer, xTBD, heads, null, mask, { rate, seed })
  );
  const keep = run(tensor(units, [length, batch, width]), tensor([...seed], [2], "int32"));
  run.dispose();
  return await read(keep);
}

onEveryBackend("attention() drops what Philox says, the same on every backend", async (mode) => {
  const [length, batch, heads] = [5, 3, 2];
  for (const [rate, seed] of [[0.1, [0, 0]], [0.7, [-3, 123456789]]] as const) {
    const expected = Array.from({ length: length * batch * heads * length }, (_, i) => {
      const [t, b] = [Math.floor(i / (batch * heads * length)), Math.floor(i / (heads * length))];
      const h = Math.floor(i / length) % heads;
      // Numbers are drawn for [B, H, T, T], row by row.
      const drawn = (((b % batch) * heads + h) * length + t) * length + i % length;
      const counter = [Math.floor(drawn / 4), 0, 0, 0] as const;
      const word = philox([seed[0] >>> 0, seed[1] >>> 0], [...counter])[drawn % 4]!;
      return (word | 0) / 2 ** 32 + 0.5 >= rate ? 1 / (1 - rate) : 0;
    });
    const keep = await readKeep(mode, [length, batch, heads], rate, seed);
    assertClose(keep, expected, 1e-6, `rate ${rate}`);
  }
});

onEveryBackend("attention() drops a share of `rate` and leaves the expectation", async (mode) => {
  const sizes = [20, 8, 4] as const;
  for (const rate of [0.1, 0.5]) {
    const keep = await readKeep(mode, sizes, rate, [11, 12]);
    const dropped = keep.filter((one) => one === 0).length / keep.length;
    // Four standard errors of the share.
    const tolerance = 4 * Math.sqrt(rate * (1 - rate) / keep.length);
    assert.ok(Math.abs(dropped - rate) < tolerance, `rate ${rate}: dropped ${dropped}`);
    const mean = keep.reduce((total, one) => total + one, 0) / keep.length;
    assert.ok(Math.abs(mean - 1) < tolerance / (1 - rate), `rate ${rate}: mean ${mean}`);
  }
}, once);

onEveryBackend("attention() with a rate of 0 is attention() without dropout", async () => {
  const layer = initAttention(createRandom(1), 4, 0.5);
  const x = tensor(normals(24, 1), [3, 2, 4]);
  const output = async (dropout?: AttentionDropout) =>
    await read(attention(layer, x, 2, rotaryTable(3, 2), attentionMask(3, null), dropout));
  const seed = tensor([1, 2], [2], "int32");
  assert.deepEqual(await output({ rate: 0, seed }), await output());
  assert.notDeepEqual(await output({ rate: 0.5, seed }), await output());
}, once);

onEveryBackend("initAttention() draws four different matrices without biases", async () => {
  const layer = initAttention(createRandom(1), 6, 0.02);
  assert.deepEqual(Object.keys(layer), ["query", "key", "value", "output"]);
  const drawn = await Promise.all(
    Object.values(layer).map(async ({ weight, bias }) => {
      assert.deepEqual(weight.shape, [6, 6]);
      assert.equal(bias, undefined);
      return (await read(weight)).join();
    }),
  );
  assert.equal(new Set(drawn).size, 4);
}, { only: ["cpu"] });
