import assert from "node:assert/strict";
import { join } from "node:path";
import {
  classicalParts,
  compressedBytes,
  COMPRESSION_PRESETS,
  type CorpusData,
} from "../../lib/experiments/mod.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus, tinySpec } from "./_tiny.ts";

/** Both parts on one text. */
function presetOf(data: CorpusData) {
  const { quick } = COMPRESSION_PRESETS;
  const part = { ...quick.prose, data, heldOutDocuments: 2 };
  return { ...quick, prose: part, code: part, primed: true };
}

Deno.test("classicalParts() also counts what a text adds to the training text", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const { data } = tinySpec(folder, "clm");
    const options = { cacheFolder: join(folder, "cache") };
    const { prose, code } = await classicalParts(presetOf(data), options);
    const text = { name: "text", heldOutDocuments: 2 };
    assert.equal(prose.originalBytes, (await compressedBytes(text, data, options)).length);
    const bytesOf = (records: typeof prose.records) =>
      records.map(({ name, bytes }) => [name, bytes]);
    assert.deepEqual(bytesOf(code.records), bytesOf(prose.records));
    const names = ["xz -9e", "7-Zip PPMd o=10"];
    const alone = prose.records.filter(({ name }) => names.includes(name));
    assert.deepEqual(prose.primed.map(({ name }) => name), alone.map(({ name }) => name));
    // A header, and the words of the training text, need not be said again.
    for (const [index, { name, bytes }] of prose.primed.entries()) {
      assert.ok(bytes > 0 && bytes < alone[index]!.bytes, `${name}: ${bytes}`);
    }
  }));

Deno.test("classicalParts() primes nothing with text that is read from shards", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const data = { ...tinySpec(folder, "clm").data, limit: 40 };
    const options = { cacheFolder: join(folder, "cache") };
    const { prose } = await classicalParts(presetOf(data), options);
    assert.deepEqual(prose.primed, []);
    assert.ok(prose.originalBytes > 0);
  }));
