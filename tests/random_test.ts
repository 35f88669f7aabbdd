import assert from "node:assert/strict";
import { createRandom, philox, type PhiloxCounter, type PhiloxKey } from "../lib/random.ts";

const hex = (words: readonly number[]) =>
  words.map((word) => word.toString(16).padStart(8, "0")).join(" ");

// Known answers of Random123 (Salmon et al. 2011), kat_vectors, philox4x32-10.
const KNOWN_ANSWERS: readonly [PhiloxCounter, PhiloxKey, string][] = [
  [[0, 0, 0, 0], [0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    "408f276d 41c83b0e a20bc7c6 6d5451fd",
  ],
  [ // the digits of π
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  ],
];

for (const [counter, key, expected] of KNOWN_ANSWERS) {
  Deno.test(`philox() gives Random123's answer for counter ${hex(counter)}`, () => {
    assert.equal(hex(philox(key, counter)), expected);
  });
}

Deno.test("createRandom() repeats a seed and differs between seeds", () => {
  const draw = (seed: number) => createRandom(seed).uniforms(8, 0, 1).join();
  assert.equal(draw(5), draw(5));
  assert.equal(new Set([draw(5), draw(6), draw(-5), draw(5 + 2 ** 40)]).size, 4);
});

Deno.test("createRandom() refuses what is no integer", () => {
  for (const seed of [0.5, NaN, Infinity, 2 ** 60]) {
    assert.throws(() => createRandom(seed), /expected an integer seed/);
  }
});

Deno.test("Random.stream() does not depend on what was drawn before", () => {
  const fresh = createRandom(7).stream("a").uniforms(4, 0, 1);
  const used = createRandom(7);
  used.uniforms(3, 0, 1);
  used.stream("b").bits();
  assert.deepEqual(used.stream("a").uniforms(4, 0, 1), fresh);
  assert.equal(
    used.bits(),
    (() => {
      const other = createRandom(7);
      other.uniforms(3, 0, 1);
      return other.bits();
    })(),
    "stream() must not advance its parent",
  );
});

Deno.test("Random.stream() gives streams that are unrelated to each other", () => {
  const random = createRandom(7);
  const streams = [
    random,
    random.stream("a"),
    random.stream("b"),
    random.stream("a").stream("b"),
    random.stream("b").stream("a"),
    random.stream("a.b"),
    createRandom(8).stream("a"),
  ].map((stream) => stream.normals(2000, 0, 1));
  streams.forEach((one, i) =>
    streams.slice(i + 1).forEach((other, j) => {
      const correlation = one.reduce((total, x, k) => total + x * other[k]!, 0) / 2000;
      // Five standard errors: 21 pairs of independent streams stay below.
      assert.ok(
        Math.abs(correlation) < 5 / Math.sqrt(2000),
        `streams ${i}, ${i + 1 + j}: ${correlation}`,
      );
    })
  );
});

Deno.test("Random.bits() never repeats a block", () => {
  const random = createRandom(3);
  const blocks = Array.from(
    { length: 500 },
    () => [random.bits(), random.bits(), random.bits(), random.bits()].join(),
  );
  assert.equal(new Set(blocks).size, 500);
});

Deno.test("Random.uniform() fills [0, 1) evenly", () => {
  const random = createRandom(11);
  const bins = new Array<number>(20).fill(0);
  const count = 20000;
  for (let i = 0; i < count; i++) {
    const one = random.uniform();
    assert.ok(one >= 0 && one < 1);
    bins[Math.floor(20 * one)]! += 1;
  }
  assertUniform(bins, count);
});

Deno.test("Random.uniforms() stays within its range", () => {
  const values = createRandom(1).uniforms(5000, -3, 2);
  assert.equal(values.length, 5000);
  assert.ok(Math.min(...values) >= -3 && Math.min(...values) < -2.98);
  assert.ok(Math.max(...values) <= 2 && Math.max(...values) > 1.98);
});

Deno.test("Random.normals() has the moments of a normal distribution", () => {
  const count = 40001; // odd: Box–Muller makes two at a time
  const values = createRandom(2).normals(count, 3, 2);
  assert.equal(values.length, count);
  const standard = values.map((value) => (value - 3) / 2);
  const moment = (power: number) =>
    standard.reduce((total, value) => total + value ** power, 0) / count;
  // Moments 0, 1, 0, 3, each within four standard errors: var(x^k) is 1, 2, 15, 96.
  [[1, 0, 1], [2, 1, 2], [3, 0, 15], [4, 3, 96]].forEach(([power, expected, variance]) =>
    assert.ok(
      Math.abs(moment(power!) - expected!) < 4 * Math.sqrt(variance! / count),
      `moment ${power}: ${moment(power!)}`,
    )
  );
  const pairs = standard.slice(1).reduce((total, value, i) => total + value * standard[i]!, 0);
  assert.ok(Math.abs(pairs) / count < 4 / Math.sqrt(count), "neighbours are correlated");
});

Deno.test("Random.permutation() is a permutation", () => {
  for (const count of [0, 1, 2, 17]) {
    const order = createRandom(count).permutation(count);
    assert.deepEqual([...order].sort((a, b) => a - b), Array.from({ length: count }, (_, i) => i));
  }
});

Deno.test("Random.permutation() gives every order equally often", () => {
  const random = createRandom(4);
  const counts = new Map<string, number>();
  const count = 12000;
  for (let i = 0; i < count; i++) {
    const order = random.permutation(4).join();
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 24);
  assertUniform([...counts.values()], count);
});

/** Pearson's χ² at the 0.1 % level, by Wilson and Hilferty's approximation of its quantile. */
function assertUniform(bins: readonly number[], count: number): void {
  const expected = count / bins.length;
  const statistic = bins.reduce((total, one) => total + (one - expected) ** 2 / expected, 0);
  const freedom = bins.length - 1;
  const limit = freedom * (1 - 2 / (9 * freedom) + 3.0902 * Math.sqrt(2 / (9 * freedom))) ** 3;
  assert.ok(statistic < limit, `χ² = ${statistic}, expected below ${limit}`);
}
