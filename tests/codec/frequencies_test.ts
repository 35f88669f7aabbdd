import assert from "node:assert/strict";
import {
  byteFrequencies,
  type Frequencies,
  frequenciesOf,
  intervalOf,
  LARGEST_VOCABULARY,
  surprisalBits,
  tokenAt,
  TOTAL,
  uniformFrequencies,
} from "../../lib/codec/frequencies.ts";
import { createRangeDecoder, createRangeEncoder } from "../../lib/codec/range_coder.ts";
import { createRandom } from "../../lib/random.ts";
import { normals } from "../_numbers.ts";
import { refusal } from "../models/_tiny.ts";
import { TOKENIZER } from "./_tiny.ts";

const V = 300;

const LOGITS: Readonly<Record<string, Float32Array>> = {
  alike: new Float32Array(V),
  "alike and far from 0": new Float32Array(V).fill(-5000),
  normal: normals(V, 1),
  "of a wide spread": normals(V, 2, 50),
  "one certain": Float32Array.from({ length: V }, (_, id) => id === 123 ? 1000 : 0),
  "the first certain": Float32Array.from({ length: V }, (_, id) => id === 0 ? 200 : -200),
  "the last certain": Float32Array.from({ length: V }, (_, id) => id === V - 1 ? 3e38 : -3e38),
  "two alike above all": Float32Array.from({ length: V }, (_, id) => id % 200 === 7 ? 40 : 0),
  "some that never come": Float32Array.from({ length: V }, (_, id) => id % 3 ? id / 50 : -Infinity),
  "one that comes": Float32Array.from({ length: V }, (_, id) => id === 50 ? 0 : -Infinity),
  single: Float32Array.of(-7),
  pair: Float32Array.of(0.1, -0.1),
};

const sizesOf = (frequencies: Frequencies) =>
  Array.from(
    { length: frequencies.cumulative.length - 1 },
    (_, id) => intervalOf(frequencies, id).size,
  );

/** p = softmax, summed from the smallest on. */
function softmax(logits: Float32Array): number[] {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const weights = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = weights.toSorted((a, b) => a - b).reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

Deno.test("frequenciesOf() shares out all of 2^26, to every token at least one", () => {
  for (const [name, logits] of Object.entries(LOGITS)) {
    const frequencies = frequenciesOf(logits);
    const sizes = sizesOf(frequencies);
    assert.equal(sizes.reduce((a, b) => a + b, 0), TOTAL, name);
    assert.equal(frequencies.cumulative[0], 0, name);
    assert.ok(sizes.every((size) => Number.isInteger(size) && size >= 1), name);
    const p = softmax(logits);
    const likeliest = p.indexOf(Math.max(...p));
    p.forEach((p, id) => {
      if (id === likeliest) return;
      const expected = 1 + p * (TOTAL - logits.length);
      const difference = expected - sizes[id]!;
      assert.ok(difference > -1e-6 && difference < 1 + 1e-6, `${name}: token ${id}`);
    });
  }
});

Deno.test("frequenciesOf() makes no token dearer than V / 2^26 nats and its rounding", () => {
  for (const [name, logits] of Object.entries(LOGITS)) {
    const frequencies = frequenciesOf(logits);
    const p = softmax(logits);
    const most = -Math.log2(1 - logits.length / TOTAL) + 1e-9;
    for (const [id, size] of sizesOf(frequencies).entries()) {
      const bits = -Math.log2(size / TOTAL);
      assert.ok(bits <= 26, name);
      assert.ok(bits <= -Math.log2(p[id]!) + most, `${name}: token ${id}: ${bits} bits`);
      const surprisal = surprisalBits(frequencies, id);
      const expected = -Math.log2(p[id]!);
      if (expected < 1000) {
        assert.ok(Math.abs(surprisal - expected) < 1e-9 * (1 + expected), `${name}: token ${id}`);
      } else assert.ok(surprisal > 999, name);
    }
  }
});

Deno.test("tokenAt() finds the token of every border", () => {
  for (const [name, logits] of Object.entries(LOGITS)) {
    const frequencies = frequenciesOf(logits);
    for (let id = 0; id < logits.length; id++) {
      const { start, size, total } = intervalOf(frequencies, id);
      assert.equal(total, TOTAL);
      assert.equal(tokenAt(frequencies, start), id, `${name}: its first place`);
      assert.equal(tokenAt(frequencies, start + size - 1), id, `${name}: its last place`);
    }
  }
});

Deno.test("frequenciesOf() takes the largest vocabulary", () => {
  const frequencies = frequenciesOf(normals(LARGEST_VOCABULARY, 3, 4));
  const { cumulative } = frequencies;
  assert.equal(cumulative[LARGEST_VOCABULARY], TOTAL);
  for (let id = 0; id < LARGEST_VOCABULARY; id++) assert.ok(cumulative[id]! < cumulative[id + 1]!);
});

Deno.test("frequenciesOf() gives tokens that were coded back, the rarest too", () => {
  const random = createRandom(4);
  const all = Object.values(LOGITS).map(frequenciesOf);
  const tokens = Array.from({ length: 3000 }, (_, i) => {
    const frequencies = all[i % all.length]!;
    const id = Math.floor(random.uniform() * (frequencies.cumulative.length - 1));
    return { frequencies, id };
  });
  const writer = createRangeEncoder();
  for (const { frequencies, id } of tokens) writer.encode(intervalOf(frequencies, id));
  const reader = createRangeDecoder(writer.finish());
  for (const { frequencies, id } of tokens) {
    assert.equal(tokenAt(frequencies, reader.peek(TOTAL)), id);
    reader.read(intervalOf(frequencies, id));
  }
});

Deno.test("frequenciesOf() refuses logits that are no numbers", () => {
  const bad = [
    [0, NaN],
    [NaN, 0],
    [NaN, NaN],
    [Infinity, 0],
    [Infinity, Infinity],
    [-Infinity, -Infinity],
    [-Infinity, NaN],
  ];
  for (const logits of bad) {
    assert.equal(
      refusal(() => frequenciesOf(Float32Array.from(logits))),
      "the model: expected logits that are finite, found some that are not; its weights are " +
        "damaged or its training diverged, choose another run",
    );
  }
});

Deno.test("uniformFrequencies() makes all tokens alike but for the rest", () => {
  for (const V of [1, 2, 3, 256, 259, 8000]) {
    const sizes = sizesOf(uniformFrequencies(V));
    const usual = 1 + Math.floor((TOTAL - V) / V);
    assert.deepEqual(sizes.slice(1), Array(V - 1).fill(usual));
    assert.equal(sizes[0], TOTAL - (V - 1) * usual);
  }
});

Deno.test("byteFrequencies() charges 8 bits a byte and what longer tokens take", () => {
  const frequencies = byteFrequencies(TOKENIZER);
  const { vocabSize, specialTokens } = TOKENIZER;
  const lengths = Array.from({ length: vocabSize }, (_, id) => TOKENIZER.tokenBytes(id).length);
  const doubles = lengths.reduce((sum, length) => sum + (length > 0 ? 256 ** -length : 0), 0);
  assert.ok(doubles > 1 && doubles < 1.01);
  for (const [id, length] of lengths.entries()) {
    const { size, total } = intervalOf(frequencies, id);
    const bits = -Math.log2(size / total);
    if (Object.values(specialTokens).includes(id)) assert.equal(bits, 26);
    else if (length <= 2) {
      assert.ok(
        Math.abs(bits - 8 * length - Math.log2(doubles)) < 2e-3,
        `${length} bytes: ${bits}`,
      );
    } else assert.ok(bits > 20 && bits <= 8 * length + Math.log2(doubles) && bits <= 26);
  }
});
