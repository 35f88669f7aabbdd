import assert from "node:assert/strict";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../lib/errors.ts";
import { readLocalDocuments } from "../../lib/text/local_files.ts";
import { parquetFile } from "./_parquet.ts";
import { withFiles } from "./_temporary.ts";

Deno.test("readLocalDocuments() reads every kind of file, folders in the order of paths", async () => {
  await withFiles({
    "b.txt": "bee",
    "B.MD": "# Bee",
    "a/z.jsonl": '{"text":"one","n":1}\r\n\n{"text":"two\\nlines"}',
    "a/y.txt.gz": "\ufeffzipped é",
    "a/c/x.jsonl.gz": '{"text":"deep"}\n',
    "a.md.gz": "zipped *too*",
    ".hidden.bin": "not read",
    ".git/config": "not read",
  }, async (folder) => {
    assert.deepEqual(await readLocalDocuments(folder, "text"), [
      { id: "B.MD", text: "# Bee" },
      { id: "a.md.gz", text: "zipped *too*" },
      { id: "a/c/x.jsonl.gz:1", text: "deep" },
      { id: "a/y.txt.gz", text: "zipped é" },
      { id: "a/z.jsonl:1", text: "one" },
      { id: "a/z.jsonl:3", text: "two\nlines" },
      { id: "b.txt", text: "bee" },
    ]);
  });
});

Deno.test("readLocalDocuments() reads one file, and the field asked for", async () => {
  await withFiles({ "x.jsonl": '{"text":1,"body":"b"}' }, async (folder) => {
    assert.deepEqual(await readLocalDocuments(join(folder, "x.jsonl"), "body"), [
      { id: "x.jsonl:1", text: "b" },
    ]);
  });
});

Deno.test("readLocalDocuments() reads Parquet, and refuses its rows without text", async () => {
  const files = { "a.parquet": parquetFile(["one", "two"]), "b.parquet": parquetFile(["x", null]) };
  await withFiles(files, async (folder) => {
    assert.deepEqual(await readLocalDocuments(join(folder, "a.parquet"), "text"), [
      { id: "a.parquet:1", text: "one" },
      { id: "a.parquet:2", text: "two" },
    ]);
    await assert.rejects(
      readLocalDocuments(folder, "text"),
      new UserError(
        `${folder}/b.parquet:2: expected text in column "text", found none: remove the row`,
      ),
    );
  });
});

/** What is wrong with a file, and the message after its path. */
const REFUSALS: readonly [name: string, content: string | Uint8Array, message: RegExp][] = [
  [
    "bytes.txt",
    Uint8Array.of(0x41, 0x0a, 0x42, 0xff, 0x0a),
    /^:2: expected UTF-8, found other bytes: convert the file \(iconv -t utf-8\)$/,
  ],
  [
    "bytes.jsonl",
    new Uint8Array([...new TextEncoder().encode('{"text":"a"}\n'), 0xc3, 0x28]),
    /^:2: expected UTF-8, found other bytes: convert/,
  ],
  ["empty.txt", "", /^:1: expected text, found an empty file: fill or remove it$/],
  ["blank.md", " \n\n", /^:1: expected text, found an empty file: fill or remove it$/],
  ["empty.jsonl", "\n", /^:1: expected JSON lines, found an empty file: fill or remove it$/],
  ["empty.txt.gz", "", /^:1: expected text, found an empty file: fill or remove it$/],
  [
    "broken.jsonl",
    '{"text":"a"}\n\n{"text":',
    /^:3: expected one JSON object a line, found broken JSON \(.+\)$/,
  ],
  ["array.jsonl", '["a"]', /^:1: expected a JSON object, found \["a"\]$/],
  ["null.jsonl", "null", /^:1: expected a JSON object, found null$/],
  [
    "field.jsonl",
    '{"text":"a"}\n{"body":"a","id":1}',
    /^:2: expected a field "text", found "body", "id": name the field that holds the text$/,
  ],
  [
    "fields.jsonl",
    "{}",
    /^:1: expected a field "text", found none: name the field that holds the text$/,
  ],
  ["number.jsonl", '{"text":12}', /^:1: expected text in field "text", found 12$/],
  [
    "blank.jsonl",
    '{"text":"a"}\n{"text":" "}',
    /^:2: expected text in field "text", found none: remove the line$/,
  ],
  [
    "image.png",
    "x",
    /^: expected \.txt, \.md, \.jsonl, \.parquet, or one of these with \.gz or \.zst, found another kind of file: remove it, or name a pattern such as 'texts\/\*\*\/\*\.md'$/,
  ],
  [
    "notes.tar.gz",
    "x",
    /^: expected \.txt, \.md, \.jsonl, \.parquet, or one of these with \.gz or \.zst, found another kind of file: remove it, or name a pattern such as 'texts\/\*\*\/\*\.md'$/,
  ],
];

for (const [name, content, message] of REFUSALS) {
  Deno.test(`readLocalDocuments() refuses, with file and line: ${name}`, async () => {
    await withFiles({ "folder/good.txt": "good", [`folder/${name}`]: content }, async (root) => {
      const path = join(root, "folder", name);
      for (const source of [join(root, "folder"), path]) {
        await assert.rejects(readLocalDocuments(source, "text"), (error) => {
          assert.ok(error instanceof UserError);
          assert.ok(error.message.startsWith(path), error.message);
          assert.match(error.message.slice(path.length), message);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        });
      }
    });
  });
}

Deno.test("readLocalDocuments() refuses what is not there, not gzip, or links astray", async () => {
  await withFiles({ "full/a.txt": "a", "empty/.keep": "" }, async (root) => {
    const refuses = (source: string, message: string) =>
      assert.rejects(readLocalDocuments(source, "text"), new UserError(message));
    const missing = join(root, "no-such.txt");
    await refuses(
      missing,
      `${missing}: expected a file, a folder, a pattern or a name (sotu, tfjs, fineweb-edu, finemath, hf:…), found none`,
    );
    const empty = join(root, "empty");
    await refuses(
      empty,
      `${empty}: expected files (.txt, .md, .jsonl, .parquet, or one of these with .gz or .zst), ` +
        `found an empty folder`,
    );
    const fake = join(root, "fake.txt.gz");
    await writeFile(fake, "not zipped");
    await refuses(
      fake,
      `${fake}: expected gzip data, found incorrect header check: compress the file anew`,
    );
    const full = join(root, "full"), astray = join(full, "b.txt");
    await symlink("nowhere", astray);
    await refuses(
      full,
      `${astray}: expected a readable file or folder, found a link to nothing`,
    );
  });
});

Deno.test("readLocalDocuments() refuses a folder that contains itself", async () => {
  await withFiles({ "a/b.txt": "b" }, async (root) => {
    const circle = join(root, "a", "circle");
    await symlink(root, circle);
    await assert.rejects(
      readLocalDocuments(root, "text"),
      new UserError(`${circle}: expected a folder, found a link in a circle: remove it`),
    );
  });
});
