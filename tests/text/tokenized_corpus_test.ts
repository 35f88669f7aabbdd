import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../lib/errors.ts";
import {
  type Corpus,
  prepareCorpus,
  splitParagraphs,
  type TokenizedDocuments,
} from "../../lib/text/mod.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { createTokenizer } from "../../lib/tokenizer/tokenizer.ts";
import { withFiles } from "./_temporary.ts";

const corpus: Corpus = {
  name: "mine",
  hash: "0123",
  train: [
    { id: "a", text: "the low and the lower é\n\nthe new and the newer" },
    { id: "b", text: "shared words\n\nthe low and the new" },
  ],
  heldOut: [{ id: "c", text: "the lowest\n\nshared words\n\nzzz zzz zzz zzz" }],
};
const bytesOf = (text: string) => new TextEncoder().encode(text).length;

function decodeAll(
  { ids, offsets }: TokenizedDocuments,
  decode: (ids: ArrayLike<number>) => string,
) {
  return Array.from(offsets.subarray(1), (end, d) => decode(ids.subarray(offsets[d], end)));
}

Deno.test("prepareCorpus() encodes both sides by a tokenizer of the training text alone", async () => {
  await withFiles({}, async (cacheFolder) => {
    const { name, tokenizer, train, heldOut } = await prepareCorpus(corpus, {
      vocabSize: 266,
      cacheFolder,
    });
    assert.equal(name, "mine");
    assert.equal(
      tokenizer.hash,
      trainTokenizer(corpus.train.map(({ text }) => text), { vocabSize: 266 }).hash,
    );
    assert.deepEqual(decodeAll(train, tokenizer.decode), corpus.train.map(({ text }) => text));
    assert.deepEqual(decodeAll(heldOut, tokenizer.decode), corpus.heldOut.map(({ text }) => text));
    assert.equal(train.byteCount, bytesOf(corpus.train.map(({ text }) => text).join("")));
    assert.equal(heldOut.byteCount, bytesOf(corpus.heldOut[0]!.text));
    assert.ok(train.ids instanceof Uint16Array);
    assert.deepEqual([train.vocabSize, heldOut.vocabSize], [266, 266]);
    assert.deepEqual([train.source, heldOut.source], ["mine, training", "mine, held out"]);
  });
});

Deno.test("prepareCorpus() by paragraph leaves out held-out ones that were trained on", async () => {
  await withFiles({}, async (cacheFolder) => {
    const lines: string[] = [];
    const { tokenizer, train, heldOut } = await prepareCorpus(corpus, {
      vocabSize: 266,
      unit: "paragraph",
      cacheFolder,
      log: (line) => lines.push(line),
    });
    assert.deepEqual(
      decodeAll(train, tokenizer.decode),
      splitParagraphs(corpus.train).map(({ text }) => text),
    );
    assert.deepEqual(decodeAll(heldOut, tokenizer.decode), ["the lowest", "zzz zzz zzz zzz"]);
    assert.equal(heldOut.byteCount, 25);
    assert.deepEqual(lines, [
      "training a tokenizer of 266 entries on mine",
      "encoding mine by paragraph",
      "1 held-out paragraphs are in the training text: left out",
    ]);
  });
});

Deno.test("prepareCorpus() reads the cache: same result, nothing done again", async () => {
  await withFiles({}, async (cacheFolder) => {
    const options = { vocabSize: 266, cacheFolder };
    const first = await prepareCorpus(corpus, options);
    const lines: string[] = [];
    const second = await prepareCorpus(corpus, { ...options, log: (line) => lines.push(line) });
    assert.deepEqual(lines, []);
    assert.equal(second.key, first.key);
    assert.equal(second.tokenizer.hash, first.tokenizer.hash);
    assert.deepEqual([second.train, second.heldOut], [first.train, first.heldOut]);
  });
});

Deno.test("prepareCorpus() keys cover corpus, tokenizer and unit", async () => {
  await withFiles({}, async (cacheFolder) => {
    const options = { vocabSize: 266, cacheFolder };
    const keys = [
      await prepareCorpus(corpus, options),
      await prepareCorpus({ ...corpus, hash: "4567" }, options),
      await prepareCorpus(corpus, { ...options, vocabSize: 265 }),
      await prepareCorpus(corpus, { ...options, unit: "paragraph" }),
    ].map(({ key }) => key);
    assert.equal(new Set(keys).size, keys.length);
    assert.equal((await prepareCorpus({ ...corpus, name: "other" }, options)).key, keys[0]);
  });
});

Deno.test("prepareCorpus() makes damaged cache files anew and says so", async () => {
  await withFiles({}, async (cacheFolder) => {
    const options = { vocabSize: 266, cacheFolder };
    const first = await prepareCorpus(corpus, options);
    const names = (await readdir(cacheFolder)).sort();
    assert.equal(names.length, 2);
    for (const name of names) {
      const path = join(cacheFolder, name);
      const intact = await readFile(path);
      await writeFile(path, intact.subarray(0, intact.length - 1));
      const lines: string[] = [];
      const again = await prepareCorpus(corpus, { ...options, log: (line) => lines.push(line) });
      assert.equal(lines[0], `cache ${path} is damaged: making it anew`);
      assert.equal(lines.length, 2);
      assert.deepEqual([again.train, again.heldOut], [first.train, first.heldOut]);
      assert.deepEqual(await readFile(path), intact);
    }
  });
});

Deno.test("prepareCorpus() uses the tokenizer given", async () => {
  await withFiles({}, async (cacheFolder) => {
    const tokenizer = trainTokenizer(["zzz zzz"], { vocabSize: 260 });
    const prepared = await prepareCorpus(corpus, { vocabSize: 260, cacheFolder, tokenizer });
    assert.equal(prepared.tokenizer, tokenizer);
    assert.deepEqual(
      prepared.heldOut.ids,
      Uint16Array.from(tokenizer.encode(corpus.heldOut[0]!.text)),
    );
    await assert.rejects(
      prepareCorpus(corpus, { vocabSize: 261, cacheFolder, tokenizer }),
      new UserError(
        "expected a tokenizer of 261 entries, found 260: " +
          "ask for the vocabulary size of the tokenizer given",
      ),
    );
  });
});

Deno.test("prepareCorpus() says that the text gives a smaller tokenizer", async () => {
  await withFiles({}, async (cacheFolder) => {
    const lines: string[] = [];
    const { tokenizer } = await prepareCorpus(corpus, {
      vocabSize: 4096,
      cacheFolder,
      log: (line) => lines.push(line),
    });
    assert.equal(lines[1], `mine has text for ${tokenizer.vocabSize} of 4096 tokenizer entries`);
  });
});

Deno.test("prepareCorpus() keeps ids of more than 16 bits", async () => {
  await withFiles({}, async (cacheFolder) => {
    // Every pair of bytes is a token; that of bytes 1 and 1 has id 2 + 256 + 65,278 = 65,536.
    const pairs = Array.from({ length: 65536 }, (_, i) => [255 - (i >> 8), 255 - i % 256] as const);
    const large = createTokenizer({
      specialTokens: { "<s>": 0, "</s>": 1 },
      tokens: [
        ...[[], []],
        ...Array.from({ length: 256 }, (_, byte) => [byte]),
        ...pairs,
      ].map((bytes) => Uint8Array.from(bytes)),
      merges: pairs.map(([left, right]) => [2 + left, 2 + right]),
    });
    const heldOut = [{ id: "c", text: "\x01\x01" }];
    for (let round = 0; round < 2; round++) { // made, then read from the cache
      const prepared = await prepareCorpus({ ...corpus, heldOut }, {
        vocabSize: large.vocabSize,
        cacheFolder,
        tokenizer: large,
      });
      assert.ok(prepared.heldOut.ids instanceof Int32Array);
      assert.deepEqual(prepared.heldOut.ids, Int32Array.of(65_536));
    }
  });
});
