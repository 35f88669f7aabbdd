import assert from "node:assert/strict";
import { join } from "node:path";
import { initEngine } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  compressedBytes,
  type CompressedFileRecord,
  compressedFiles,
  runAll,
  type RunSpec,
} from "../../lib/experiments/mod.ts";
import { FILE_VERSION, HEADER_BYTES } from "../../lib/codec/mod.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus, tinyLatentSpec, tinySpec } from "./_tiny.ts";
import { optionsIn, refuses } from "./_tiny_runs.ts";

await initEngine({ backend: "wasm", log: () => {} });

type Files = NonNullable<RunSpec["compression"]>["files"];

const TEXT = { name: "held out", heldOutDocuments: 2 };
/** Not written to: these texts are held in memory. */
const CACHE = { cacheFolder: "no-such-folder" };
const RANDOM = { name: "random", randomBytes: 100, seed: 5 };

function withFilesOf(spec: RunSpec, files: Files): RunSpec {
  return { ...spec, compression: { fileVersion: FILE_VERSION, files } };
}

Deno.test("compressedBytes() joins the last held-out documents by a blank line", async () => {
  const { data } = tinySpec("", "clm");
  const bytes = await compressedBytes({ name: "since 2010", heldOutDocuments: 12 }, {
    ...data,
    corpus: "sotu",
  }, CACHE);
  // What notebook 08 and the README say of compressors is about these bytes.
  assert.equal(bytes.length, 451_095);
  const text = new TextDecoder().decode(bytes);
  assert.equal(text.startsWith("Madam Speaker, Vice President Biden"), true, text.slice(0, 80));
});

Deno.test("compressedBytes() draws random bytes by their seed alone", async () => {
  const { data } = tinySpec("", "clm");
  const draw = (seed: number) =>
    compressedBytes({ name: "random", randomBytes: 5000, seed }, data, CACHE);
  assert.deepEqual(await draw(1), await draw(1));
  assert.notDeepEqual(await draw(1), await draw(2));
  assert.equal(new Set(await draw(1)).size, 256);
});

Deno.test("compressedBytes() takes what documents there are, and refuses none", async () => {
  await withFiles(tinyCorpus(), async (folder) => {
    const { data } = tinySpec(folder, "clm");
    const read = (heldOutDocuments: number) =>
      compressedBytes({ name: "text", heldOutDocuments }, data, CACHE);
    assert.deepEqual(await read(99), await read(4)); // a tenth of forty
    assert.ok((await read(4)).length > (await read(3)).length);
    for (const count of [0, -1, 1.5]) {
      await assert.rejects(
        read(count),
        new UserError(`text: expected 1 document or more, found ${count}`),
      );
    }
  });
  await assert.rejects(
    compressedBytes(TEXT, tinyLatentSpec().data, CACHE),
    /^UserError: held out: expected a run on a corpus, .* found one on made sequences$/,
  );
});

Deno.test("compressedBytes() reads text that is too much for memory from its shards", async () => {
  await withFiles(tinyCorpus(), async (folder) => {
    const { data } = tinySpec(folder, "clm");
    const options = { cacheFolder: join(folder, "cache") };
    // A sample of a source is always read from shards, whatever its size.
    const sample = { ...data, limit: 40 };
    const bytes = await compressedBytes({ name: "text", heldOutDocuments: 2 }, sample, options);
    const lines = tinyCorpus()["corpus.jsonl"]!.split("\n");
    const texts: string[] = lines.map((line) => JSON.parse(line).text);
    const found = new TextDecoder().decode(bytes);
    const [first, ...others] = texts.filter((text) => found.startsWith(text));
    assert.ok(first !== undefined && others.length === 0);
    assert.ok(texts.includes(found.slice(`${first}\n\n`.length)));
    // The last ones, so that one is the second of two.
    const last = await compressedBytes({ name: "text", heldOutDocuments: 1 }, sample, options);
    assert.equal(new TextDecoder().decode(last), found.slice(`${first}\n\n`.length));
  });
});

Deno.test("runAll() makes the files that a run asks for, and decodes them", async () => {
  await withFiles(tinyCorpus(), async (folder) => {
    const specs = [
      withFilesOf(tinySpec(folder, "clm"), [
        { text: TEXT, overlap: 0 },
        { text: TEXT, overlap: 4 },
        { text: RANDOM, overlap: 4 },
      ]),
      withFilesOf(tinySpec(folder, "eem"), [{ text: TEXT, overlap: 1, embedding: "int8/channel" }]),
    ];
    const results = await runAll(specs, optionsIn(folder));
    const [clm, eem] = results.map(compressedFiles);
    const originalBytes = (await compressedBytes(TEXT, tinySpec(folder, "clm").data, CACHE)).length;
    const facts = (
      { text, overlap, embedding, originalBytes, isDecoded }: CompressedFileRecord,
    ) => [text, overlap, embedding, originalBytes, isDecoded];
    assert.deepEqual(clm!.map(facts), [
      ["held out", 0, null, originalBytes, true],
      ["held out", 4, null, originalBytes, true],
      ["random", 4, null, 100, true],
    ]);
    assert.deepEqual(eem!.map(facts), [["held out", 1, "int8/channel", originalBytes, true]]);

    const [, , random] = clm!;
    assert.equal(random!.isStored, true);
    assert.equal(random!.fileBytes, 100 + HEADER_BYTES);
    assert.equal(random!.predicted, null);

    for (const file of [clm![0]!, clm![1]!, eem![0]!]) {
      const parts = Object.values(file.bits).reduce((sum, part) => sum + part, 0);
      assert.ok(Math.abs(parts - 8 * file.fileBytes) < 0.1, `${parts} bits of ${file.fileBytes}`);
      assert.equal(file.bitsByPosition.length, 8);
      const gap = Math.abs(file.predicted!.fileBytes + file.bits.flags / 8 - file.fileBytes);
      assert.ok(gap < 2 + 0.001 * file.fileBytes, `${gap} bytes more or less than predicted`);
    }
    // As stored, to the last bit, and loaded again.
    const again = await runAll(specs, optionsIn(folder));
    assert.deepEqual(again.map(compressedFiles), results.map(compressedFiles));
    assert.deepEqual(again.map(({ source }) => source), ["stored", "stored"]);
  });
});

Deno.test("runAll() refuses files that cannot be made before it trains", async () => {
  await withFiles(tinyCorpus(), async (folder) => {
    const clm = tinySpec(folder, "clm");
    await refuses(folder, [
      [
        withFilesOf(clm, [{ text: TEXT, overlap: 0, embedding: "fp16" }]),
        /^embedding format: expected none, since a causal model has no embedding, found fp16/,
      ],
      [withFilesOf(clm, [{ text: TEXT, overlap: 8 }]), /^overlap: expected 0 … 7 tokens/],
      [
        withFilesOf(clm, [{ text: { ...TEXT, heldOutDocuments: 0 }, overlap: 0 }]),
        /^held out: expected 1 document or more, found 0$/,
      ],
      [
        withFilesOf(tinySpec(folder, "ae"), [{ text: TEXT, overlap: 0 }]),
        /^reading token by token: expected a causal model/,
      ],
      [
        withFilesOf(tinyLatentSpec(), [{ text: TEXT, overlap: 0 }]),
        /^held out: expected a run on a corpus/,
      ],
    ]);
  });
});
