import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { createRandom } from "../../lib/random.ts";
import { measureSource } from "../../lib/text/mod.ts";
import { repetitionCounter } from "../../lib/text/source_stats.ts";

/** A tokenizer whose tokens are characters. */
const characters = { encode: (text: string) => Int32Array.from([...text], () => 0) };

async function* documentsOf(texts: readonly string[]) {
  for (const [i, text] of texts.entries()) yield await Promise.resolve({ id: `${i}`, text });
}

const random = createRandom(4).stream("texts");
const texts = Array.from(
  { length: 500 },
  (_, i) =>
    i % 10 === 9 ? `the same ${i % 50}` : Array.from(
      { length: Math.floor(random.uniform() * 300) },
      () => "aeioué "[Math.floor(random.uniform() * 7)],
    ).join(""),
);

Deno.test("measureSource() counts documents, bytes, tokens and lengths", async () => {
  const stats = await measureSource(documentsOf(["", "a", "éé", "abc", "abcd", "abcde"]), {
    tokenizer: characters,
  });
  assert.equal(stats.documents, 6);
  assert.equal(stats.emptyDocuments, 1);
  assert.equal(stats.bytes, 0 + 1 + 4 + 3 + 4 + 5);
  assert.equal(stats.tokens, 0 + 1 + 2 + 3 + 4 + 5);
  assert.deepEqual(stats.lengths, [
    { from: 0, documents: 1 },
    { from: 1, documents: 1 },
    { from: 2, documents: 2 },
    { from: 4, documents: 2 },
  ]);
});

Deno.test("measureSource() compresses all documents in a row", async () => {
  const stats = await measureSource(documentsOf(texts), { tokenizer: characters });
  const all = Buffer.from(texts.join(""));
  assert.equal(stats.bytes, all.length);
  // In one piece or many, a compressor does about the same.
  assert.ok(Math.abs(stats.gzipRatio / (all.length / gzipSync(all).length) - 1) < 0.02);
  assert.ok(Math.abs(stats.zstdRatio / (all.length / zstdCompressSync(all).length) - 1) < 0.02);
});

Deno.test("measureSource() gives the share of documents that repeat one", async () => {
  const stats = await measureSource(documentsOf(texts), { tokenizer: characters });
  assert.equal(stats.duplicateShare, 1 - new Set(texts).size / texts.length);
  assert.equal(stats.comparedDocuments, texts.length);
  const none = await measureSource(documentsOf([]), { tokenizer: characters });
  assert.deepEqual([none.documents, none.duplicateShare, none.gzipRatio], [0, 0, 0]);
});

Deno.test("repetitionCounter() compares fewer documents when there are too many to remember", () => {
  const counter = repetitionCounter(256);
  // Every text twice, half of them four times: 1 − 2/6 of the documents repeat one.
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 20_000; i++) if (round < 2 || i % 2 === 0) counter.add(`text ${i}`);
  }
  const { share, compared } = counter.result();
  assert.ok(compared > 300 && compared < 256 * 4, `${compared}`);
  assert.ok(Math.abs(share - 2 / 3) < 0.05, `${share}`);
});
