import assert from "node:assert/strict";
import manifest from "../../data/manifest.json" with { type: "json" };
import { loadCorpus, type TextDocument } from "../../lib/text/mod.ts";
import { readTfjsSource } from "../../lib/text/tfjs_source.ts";

const byteCount = (documents: readonly TextDocument[]) =>
  documents.reduce((sum, { text }) => sum + new TextEncoder().encode(text).length, 0);

Deno.test("loadCorpus() gives the built-in code as its manifest says", async () => {
  const corpus = await loadCorpus("tfjs");
  const expected = manifest.corpora.tfjs;
  assert.deepEqual(
    {
      licence: corpus.licence,
      sha256: corpus.hash,
      train: { documents: corpus.train.length, bytes: byteCount(corpus.train) },
      heldOut: { documents: corpus.heldOut.length, bytes: byteCount(corpus.heldOut) },
    },
    {
      licence: expected.licence,
      sha256: expected.sha256,
      train: expected.train,
      heldOut: expected.heldOut,
    },
  );
});

Deno.test("readTfjsSource() leaves out tests, bundles, source maps and licences", async () => {
  const documents = await readTfjsSource();
  const ids = documents.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.includes("tfjs-core/engine.js"));
  assert.deepEqual(ids.filter((id) => /_test\.js$|\/tf-/.test(id)), []);
  for (const { id, text } of documents) {
    assert.ok(!text.includes("sourceMappingURL"), id);
    assert.ok(!text.startsWith("/**\n * @license"), id);
  }
});
