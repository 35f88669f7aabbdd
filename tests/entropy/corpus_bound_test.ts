import assert from "node:assert/strict";
import { corpusEntropy, entropyBound } from "../../lib/entropy/mod.ts";
import { assertClose } from "../_numbers.ts";
import { refusal } from "../models/_tiny.ts";

const row = (embeddingBits: number, sequenceNats: number, tokens = 10) => ({
  embeddingBits,
  sequenceNats,
  tokens,
});

Deno.test("entropyBound() adds the embedding's bits to the loss, in nats", () => {
  const { natsPerSequence, natsPerToken } = entropyBound(row(8, 3));
  // 8 ln 2 = 5.545177…
  assertClose([natsPerSequence, natsPerToken], [8.545177444479562, 0.8545177444479562], 1e-15, "");
});

Deno.test("corpusEntropy() finds the tightest bound and the smallest lossless embedding", () => {
  // Bounds, nats: 0 + 9, 2.77 + 5, 5.55 + 2, 11.09 + 0.05, 22.18 + 0.
  const rows = [row(32, 0), row(0, 9), row(8, 2), row(16, 0.05), row(4, 5)];
  const { bounds, tightest, lossless } = corpusEntropy(rows, { tolerance: 0.005 });
  assert.deepEqual(bounds.map(({ embeddingBits }) => embeddingBits), [0, 4, 8, 16, 32]);
  assert.deepEqual(tightest, entropyBound(row(8, 2)));
  assert.deepEqual(lossless, entropyBound(row(16, 0.05)));
  assert.equal(corpusEntropy(rows, { tolerance: 0.0049 }).lossless!.embeddingBits, 32);
  assert.equal(corpusEntropy(rows.slice(1), { tolerance: 0.0049 }).lossless, null);
});

Deno.test("corpusEntropy() refuses no rows, other lengths and numbers out of range", () => {
  const said = (...rows: Parameters<typeof corpusEntropy>[0]) =>
    refusal(() => corpusEntropy(rows, { tolerance: 0.01 }));
  assert.match(said(), /expected one model or more, found none/);
  assert.match(said(row(4, 1, 10), row(4, 1, 11)), /one length from all.*found 10 and 11 tokens/);
  assert.match(said(row(4, 1, 0)), /one length from all.*found 0/);
  assert.match(said(row(-1, 1)), /embedding bits of 0 or more, found -1/);
  assert.match(said(row(4, NaN)), /nats of a sequence of 0 or more, found NaN/);
  assert.match(refusal(() => corpusEntropy([row(4, 1)], { tolerance: -1 })), /tolerance.*found -1/);
});
