/** Equality with the Python package `tokenizers`; see tests/reference/tokenizer_golden.py. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { loadCorpus } from "../../lib/text/mod.ts";
import { formatTokenizer, parseTokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { spellBytes } from "../../lib/tokenizer/byte_alphabet.ts";
import type { BpeTokenizer } from "../../lib/tokenizer/mod.ts";
import golden from "../golden/tokenizer.json" with { type: "json" };

function spelledMerges(tokenizer: BpeTokenizer): string[] {
  const spell = (id: number) => spellBytes(tokenizer.tokenBytes(id));
  return Array.from(
    { length: tokenizer.merges.length / 2 },
    (_, rank) => `${spell(tokenizer.merges[2 * rank]!)} ${spell(tokenizer.merges[2 * rank + 1]!)}`,
  );
}

const sha256 = (data: string | Uint8Array) => createHash("sha256").update(data).digest("hex");

for (const { name, texts, vocab_size, min_frequency, merges, ids, file_sha256 } of golden.small) {
  const train = () => trainTokenizer(texts, { vocabSize: vocab_size, minFrequency: min_frequency });

  Deno.test(`trainTokenizer() finds the merges of tokenizers: ${name}`, () => {
    assert.deepEqual(spelledMerges(train()), merges);
  });

  Deno.test(`encode() gives the ids of tokenizers: ${name}`, () => {
    const tokenizer = train();
    golden.probes.forEach((probe, i) => {
      assert.deepEqual(Array.from(tokenizer.encode(probe)), ids[i], JSON.stringify(probe));
    });
  });

  Deno.test(`formatTokenizer() writes the file of tokenizers, byte for byte: ${name}`, () => {
    const file = formatTokenizer(train());
    assert.equal(sha256(file), file_sha256);
    assert.equal(formatTokenizer(parseTokenizer(file)), file);
  });
}

Deno.test("trainTokenizer() and encode() equal tokenizers on the built-in corpus", async () => {
  const expected = golden.sotu;
  const corpus = await loadCorpus("sotu");
  assert.equal(corpus.train.length, expected.documents - expected.held_out_documents);
  assert.equal(corpus.heldOut.length, expected.held_out_documents);
  const tokenizer = trainTokenizer(corpus.train.map((document) => document.text), {
    vocabSize: expected.vocab_size,
  });
  assert.equal(sha256(spelledMerges(tokenizer).join("\n")), expected.merges_sha256);
  assert.equal(sha256(formatTokenizer(tokenizer)), expected.file_sha256);
  const ids = corpus.heldOut.flatMap(({ text }) => Array.from(tokenizer.encode(text)));
  assert.equal(ids.length, expected.held_out_tokens);
  const bytes = new DataView(new ArrayBuffer(4 * ids.length));
  ids.forEach((id, i) => bytes.setUint32(4 * i, id, true));
  assert.equal(sha256(new Uint8Array(bytes.buffer)), expected.held_out_ids_sha256);
});
