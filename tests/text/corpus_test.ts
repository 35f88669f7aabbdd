import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../../lib/errors.ts";
import { loadCorpus, type TextDocument } from "../../lib/text/mod.ts";
import { splitByContent } from "../../lib/text/corpus.ts";
import { withFiles } from "./_temporary.ts";

const documents: TextDocument[] = Array.from({ length: 57 }, (_, i) => ({
  id: `d${i}`,
  text: `text number ${i % 50}`, // the last seven repeat the first seven
}));
const textsOf = (side: readonly TextDocument[]) => new Set(side.map(({ text }) => text));

Deno.test("splitByContent() holds out the share of the different documents", () => {
  assert.equal(textsOf(splitByContent(documents, 0.1).heldOut).size, 5);
  assert.equal(textsOf(splitByContent(documents, 0.5).heldOut).size, 25);
  assert.equal(textsOf(splitByContent(documents.slice(0, 3), 0.1).heldOut).size, 1);
  assert.equal(textsOf(splitByContent(documents.slice(0, 3), 0.99).heldOut).size, 2);
});

Deno.test("splitByContent() never puts equal documents on both sides, nor loses any", () => {
  for (const share of [0.1, 0.3, 0.6]) {
    const { train, heldOut } = splitByContent(documents, share);
    assert.equal(train.length + heldOut.length, documents.length);
    const trained = textsOf(train);
    assert.ok(heldOut.every(({ text }) => !trained.has(text)));
  }
});

Deno.test("splitByContent() does not depend on order or ids", () => {
  const shuffled = documents.map((_, i) => documents[i * 23 % 57]!).map(({ text }, i) => ({
    id: `other${i}`,
    text,
  }));
  assert.deepEqual(
    textsOf(splitByContent(shuffled, 0.2).heldOut),
    textsOf(splitByContent(documents, 0.2).heldOut),
  );
});

const lines = (count: number) =>
  Array.from({ length: count }, (_, i) => JSON.stringify({ text: `document ${i}` })).join("\n");

Deno.test("loadCorpus() loads a file; name and hash do not depend on where it lies", async () => {
  await withFiles({ "one/my.jsonl": lines(30), "two/my.jsonl": lines(30) }, async (folder) => {
    const corpus = await loadCorpus(join(folder, "one", "my.jsonl"));
    assert.equal(corpus.name, "my");
    assert.deepEqual([corpus.train.length, corpus.heldOut.length], [27, 3]);
    assert.equal(corpus.licence, undefined);
    assert.deepEqual(await loadCorpus(join(folder, "two", "my.jsonl")), corpus);
    assert.equal((await loadCorpus(join(folder, "one") + "/")).name, "one");
  });
});

Deno.test("loadCorpus() hashes texts and split", async () => {
  await withFiles({ "a.jsonl": lines(30), "b/a.jsonl": lines(31) }, async (folder) => {
    const path = join(folder, "a.jsonl");
    const hashes = new Set([
      (await loadCorpus(path)).hash,
      (await loadCorpus(path, { heldOutShare: 0.2 })).hash,
      (await loadCorpus(join(folder, "b", "a.jsonl"))).hash,
    ]);
    assert.equal(hashes.size, 3);
  });
});

Deno.test("loadCorpus() reads the text field asked for", async () => {
  await withFiles({ "a.jsonl": lines(30).replaceAll('"text"', '"body"') }, async (folder) => {
    const path = join(folder, "a.jsonl");
    assert.equal((await loadCorpus(path, { textField: "body" })).train.length, 27);
    await assert.rejects(
      loadCorpus(path),
      new UserError(
        `${path}:1: expected a field "text", found "body": name the field that holds the text`,
      ),
    );
  });
});

Deno.test("loadCorpus() cuts a single document at paragraphs, losing nothing", async () => {
  const text = Array.from({ length: 200 }, (_, i) => `Paragraph ${i}.\n\n`).join("");
  await withFiles({ "book.txt": text }, async (folder) => {
    const { train, heldOut } = await loadCorpus(join(folder, "book.txt"));
    assert.ok(train.length >= 30 && train.length <= 40, `${train.length}`);
    assert.ok(heldOut.length >= 3 && heldOut.length <= 4, `${heldOut.length}`);
    const numberOf = ({ id }: TextDocument) => Number(/^book\.txt#(\d+)$/.exec(id)![1]);
    const all = [...train, ...heldOut].sort((a, b) => numberOf(a) - numberOf(b));
    assert.equal(all.map((piece) => piece.text).join(""), text);
    assert.ok(all.every((piece) => piece.text.endsWith(".\n\n")));
  });
});

Deno.test("loadCorpus() cuts nine documents, and leaves ten as they are", async () => {
  const book = (i: number) => `Book ${i}, first.\n\nBook ${i}, second.\n\nBook ${i}, third.`;
  const books = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}.txt`, book(i)]));
  await withFiles(books(9), async (folder) => {
    const { train, heldOut } = await loadCorpus(folder);
    assert.deepEqual([train.length, heldOut.length], [25, 2]);
  });
  await withFiles(books(10), async (folder) => {
    const { train, heldOut } = await loadCorpus(folder);
    assert.deepEqual([train.length, heldOut.length], [9, 1]);
  });
});

Deno.test("loadCorpus() refuses a corpus that cannot be split, and shares that are none", async () => {
  await withFiles({ "a.txt": "one paragraph", "b.txt": "one paragraph" }, async (folder) => {
    await assert.rejects(
      loadCorpus(folder),
      new UserError(
        `${folder}: expected text for training and for holding out, ` +
          `found one paragraph only: add text`,
      ),
    );
    for (const heldOutShare of [0, 1, NaN]) {
      await assert.rejects(
        loadCorpus(folder, { heldOutShare }),
        new UserError(`expected a held-out share between 0 and 1, found ${heldOutShare}`),
      );
    }
  });
});
