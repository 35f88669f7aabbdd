import assert from "node:assert/strict";
import manifest from "../../data/manifest.json" with { type: "json" };
import { loadCorpus, type TextDocument } from "../../lib/text/mod.ts";
import { readSotu } from "../../lib/text/sotu.ts";

const byteCount = (documents: readonly TextDocument[]) =>
  documents.reduce((sum, { text }) => sum + new TextEncoder().encode(text).length, 0);
const yearOf = (document: TextDocument | undefined) => Number(document?.id.slice(0, 4));

Deno.test("loadCorpus() gives the built-in corpus as its manifest says", async () => {
  const corpus = await loadCorpus("sotu");
  const expected = manifest.corpora.sotu;
  assert.equal(corpus.name, "sotu");
  assert.equal(corpus.licence, expected.licence);
  assert.equal(corpus.hash, expected.sha256);
  for (
    const [documents, side] of [
      [corpus.train, expected.train],
      [corpus.heldOut, expected.heldOut],
    ] as const
  ) {
    assert.equal(documents.length, side.documents);
    assert.equal(byteCount(documents), side.bytes);
    assert.deepEqual([yearOf(documents[0]), yearOf(documents.at(-1))], side.years);
  }
});

Deno.test("loadCorpus() holds out the newest share of the built-in corpus", async () => {
  const { train, heldOut } = await loadCorpus("sotu", { heldOutShare: 12 / 233 });
  assert.deepEqual([train.length, heldOut.length], [221, 12]);
  assert.equal(yearOf(heldOut[0]), 2010);
  assert.equal(byteCount(heldOut), 451_073);
});

Deno.test("readSotu() goes by date, also in years with two addresses", async () => {
  const documents = await readSotu();
  const ids = documents.map(({ id }) => id);
  assert.equal(ids.length, 233);
  assert.deepEqual(documents.map(yearOf), documents.map(yearOf).sort((a, b) => a - b));
  assert.deepEqual(ids.filter((id) => /^19(53|61)/.test(id)), [
    "1953_harry_s_truman_d",
    "1953_dwight_d_eisenhower_r",
    "1961_dwight_d_eisenhower_r",
    "1961_john_f_kennedy_d",
  ]);
  assert.ok(documents.every(({ text }) => !text.endsWith("\n")));
});
