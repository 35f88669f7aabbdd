import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { appendFile, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { UserError } from "../../lib/errors.ts";
import { readFileDocuments } from "../../lib/text/local_files.ts";
import {
  type DocumentSource,
  openSource,
  parseSource,
  type SourcePart,
  type TextDocument,
} from "../../lib/text/mod.ts";
import { parquetFile } from "./_parquet.ts";
import { withFiles } from "./_temporary.ts";

const open = (name: string, options: Parameters<typeof parseSource>[1] = {}) =>
  openSource(parseSource(name, options), { cacheFolder: "nowhere" });

async function readAll(source: DocumentSource, parts = source.parts): Promise<TextDocument[]> {
  const documents: TextDocument[] = [];
  for (const part of parts) documents.push(...await Array.fromAsync(source.read(part)));
  return documents;
}

/** All documents of a file. */
async function readFile(
  file: Readonly<{ path: string; id: string }>,
  range?: Readonly<{ start: number; end: number }>,
): Promise<TextDocument[]> {
  return (await Array.fromAsync(readFileDocuments(file, { textField: "text" }, range))).flat();
}

const rows = ["row one", "row two", "row three", "row four", "row five"];
const files = {
  "a/notes.md": "# Notes",
  "a/web.jsonl": '{"text":"one"}\n\n{"text":"two"}',
  "b.txt.zst": "packed",
  "c.jsonl.zst": '{"text":"three"}\n{"text":"four"}\n',
  "d.parquet": parquetFile(rows, { rowGroupSize: 2 }),
  "e.parquet.gz": parquetFile(["packed twice"]),
  "f.txt": "last",
};
const wanted = [
  { id: "a/notes.md", text: "# Notes" },
  { id: "a/web.jsonl:1", text: "one" },
  { id: "a/web.jsonl:3", text: "two" },
  { id: "b.txt.zst", text: "packed" },
  { id: "c.jsonl.zst:1", text: "three" },
  { id: "c.jsonl.zst:2", text: "four" },
  ...rows.map((text, row) => ({ id: `d.parquet:${row + 1}`, text })),
  { id: "e.parquet.gz:1", text: "packed twice" },
  { id: "f.txt", text: "last" },
];

Deno.test("openSource() reads every kind of local file, part by part", async () => {
  await withFiles(files, async (folder) => {
    const source = await open(folder);
    assert.deepEqual(source.parts.map(({ name, documents }) => [name, documents]), [
      ["a/notes.md", 1],
      ["a/web.jsonl", undefined],
      ["b.txt.zst", 1],
      ["c.jsonl.zst", undefined],
      ["d.parquet#0", 2],
      ["d.parquet#1", 2],
      ["d.parquet#2", 1],
      ["e.parquet.gz#0", 1],
      ["f.txt", 1],
    ]);
    assert.ok(source.parts.every(({ bytes }) => bytes > 0));
    assert.deepEqual(await readAll(source), wanted);
    assert.equal(source.heldOutDocuments, undefined);
  });
});

Deno.test("openSource() opens by a descriptor and parts that went through JSON", async () => {
  await withFiles(files, async (folder) => {
    const source = await open(folder);
    const [descriptor, parts] = JSON.parse(JSON.stringify([source.descriptor, source.parts]));
    const again = await openSource(descriptor, { cacheFolder: "nowhere", parts });
    assert.deepEqual(again.parts, source.parts);
    assert.deepEqual(
      await readAll(again, parts.toReversed()),
      await readAll(source, source.parts.toReversed()),
    );
  });
});

Deno.test("openSource() takes the first documents of a source with a limit", async () => {
  await withFiles(files, async (folder) => {
    for (const limit of [1, 2, 3, 6, 8, wanted.length, 1000]) {
      const source = await open(folder, { limit });
      assert.deepEqual(await readAll(source), wanted.slice(0, limit), `limit ${limit}`);
      const counted = source.parts.reduce((sum, { documents }) => sum + documents!, 0);
      assert.equal(counted, Math.min(limit, wanted.length));
    }
  });
});

Deno.test("openSource() reads patterns, built-in corpora and other fields", async () => {
  await withFiles(files, async (folder) => {
    const idsOf = async (pattern: string) =>
      (await readAll(await open(join(folder, pattern)))).map(({ id }) => id);
    assert.deepEqual(await idsOf("*.txt"), ["f.txt"]);
    assert.deepEqual(await idsOf("**/*.{md,txt}"), ["a/notes.md", "f.txt"]);
    assert.deepEqual(await idsOf("a/*.jsonl"), ["web.jsonl:1", "web.jsonl:3"]);
    await assert.rejects(
      open(join(folder, "*.csv")),
      new UserError(
        `${folder}/*.csv: expected files that fit the pattern, found none in ${folder}`,
      ),
    );
  });
  const sotu = await readAll(await open("sotu", { limit: 2 }));
  assert.deepEqual(sotu.map(({ id }) => id.slice(0, 4)), ["1790", "1791"]);
  const [tfjs] = await readAll(await open("tfjs", { limit: 1 }));
  assert.match(tfjs!.id, /^tfjs-core\/.*\.js$/);
  await withFiles({ "x.parquet": parquetFile(rows, { column: "body" }) }, async (folder) => {
    assert.equal((await readAll(await open(folder, { textField: "body" }))).length, rows.length);
  });
});

Deno.test("openSource()'s part versions change with the file, and reading notices", async () => {
  await withFiles({ "a.jsonl": '{"text":"one"}\n', "b.txt": "b" }, async (folder) => {
    const path = join(folder, "a.jsonl");
    const source = await open(folder);
    const versions = (parts: readonly SourcePart[]) => parts.map(({ version }) => version);
    assert.deepEqual(versions((await open(folder)).parts), versions(source.parts));
    await appendFile(path, '{"text":"two"}\n');
    const changed = new UserError(
      `${path}: expected the file as it was when it was listed, found it changed: start again`,
    );
    await assert.rejects(readAll(source), changed);
    const [first, second] = versions((await open(folder)).parts);
    assert.notEqual(first, source.parts[0]!.version);
    assert.equal(second, source.parts[1]!.version);
    // The same size and time, other content.
    await writeFile(join(folder, "b.txt"), "c");
    await utimes(join(folder, "b.txt"), 1, 1);
    const before = (await open(folder)).parts[1]!.version;
    await writeFile(join(folder, "b.txt"), "d");
    await utimes(join(folder, "b.txt"), 1, 1);
    assert.notEqual((await open(folder)).parts[1]!.version, before);
  });
});

Deno.test("openSource() refuses links and patterns that lead out of the folder", async () => {
  await withFiles({ "in/a.txt": "a", "out/secret.txt": "s" }, async (root) => {
    const folder = join(root, "in");
    for (const target of [join(root, "out", "secret.txt"), join(root, "out")]) {
      const link = join(folder, `link-${target.length}.txt`);
      await symlink(target, link);
      for (const source of [folder, join(folder, "**"), join(folder, "*.txt")]) {
        await assert.rejects(
          open(source),
          new UserError(
            `${link}: expected a file within ${folder}, found a link out of it: ` +
              "copy what it leads to",
          ),
        );
      }
      await Deno.remove(link);
    }
    await symlink("a.txt", join(folder, "b.txt"));
    assert.equal((await readAll(await open(folder))).length, 2);
    await assert.rejects(
      open(`${folder}/*/../../out/*.txt`),
      new UserError(
        `${folder}/*/../../out/*.txt: expected a pattern that stays in its folder, ` +
          'found ".." after a wildcard',
      ),
    );
    const source = await open(folder);
    await assert.rejects(
      readAll(source, [{ ...source.parts[0]!, name: "../out/secret.txt" }]),
      new UserError(
        `../out/secret.txt: expected a file within ${folder}, found a path out of it`,
      ),
    );
  });
});

Deno.test("openSource()'s read() stops when its signal aborts", async () => {
  const lines = Array.from({ length: 100 }, (_, i) => `{"text":"${i}"}\n`).join("");
  await withFiles({ "a.jsonl": lines }, async (folder) => {
    const source = await open(folder);
    const controller = new AbortController();
    const read: string[] = [];
    await assert.rejects(async () => {
      for await (const { text } of source.read(source.parts[0]!, { signal: controller.signal })) {
        read.push(text);
        if (read.length === 5) controller.abort(new Error("enough"));
      }
    }, /enough/);
    assert.deepEqual(read, ["0", "1", "2", "3", "4"]);
  });
});

/** What is wrong with a file, and the message after its path. */
const REFUSALS: readonly (readonly [name: string, content: string | Uint8Array, said: RegExp])[] = [
  ["bytes.jsonl.zst", Uint8Array.of(0x0a, 0xff, 0x0a), /^:2: expected UTF-8, found other bytes/],
  ["broken.jsonl.gz", '{"text":"a"}\n{', /^:2: expected one JSON object a line, found broken/],
  ["list.jsonl", '{"text":["a"]}', /^:1: expected text in field "text", found \["a"\]$/],
  ["cut.md", "", /^:1: expected text, found an empty file/],
  ["not.parquet", "text, not Parquet", /^: expected Parquet, found no "PAR1" at the end/],
];

for (const [name, content, said] of REFUSALS) {
  Deno.test(`openSource() or its parts refuse, with file and line: ${name}`, async () => {
    await withFiles({ [name]: content }, async (folder) => {
      const path = join(folder, name);
      await assert.rejects(async () => await readAll(await open(path)), (error) => {
        assert.ok(error instanceof UserError, String(error));
        assert.ok(error.message.startsWith(path), error.message);
        assert.match(error.message.slice(path.length), said);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
    });
  });
}

Deno.test("readFileDocuments() refuses compressed files that are cut off or something else", async () => {
  const packed = zstdCompressSync('{"text":"a long enough text to be cut"}\n'.repeat(50));
  await withFiles({ "keep.txt": "x" }, async (folder) => {
    const read = async (name: string, content: Uint8Array) => {
      await writeFile(join(folder, name), content);
      const file = { path: join(folder, name), id: name };
      return await readFile(file);
    };
    assert.equal((await read("whole.jsonl.zst", packed)).length, 50);
    const twice = await read("frames.jsonl.zst", Buffer.concat([packed, packed]));
    assert.equal(twice.length, 100);
    await assert.rejects(
      read("cut.jsonl.zst", packed.subarray(0, packed.length - 5)),
      new UserError(
        `${folder}/cut.jsonl.zst: expected Zstandard data, found unexpected EOF: ` +
          "compress the file anew",
      ),
    );
    await assert.rejects(read("text.txt.zst", Buffer.from("plain text, not packed")), /Zstandard/);
  });
});

Deno.test("readFileDocuments() gives each line once, however a file is cut into ranges", async () => {
  const texts = ["", "a", "bb", "é漢", "", "a longer line of text", "x", ""];
  const content = texts.map((text) => text === "" ? "\n" : `{"text":"${text}"}\n`).join("") +
    '{"text":"no line feed"}';
  await withFiles({ "a.jsonl": content }, async (folder) => {
    const file = { path: join(folder, "a.jsonl"), id: "a.jsonl" };
    const size = Buffer.byteLength(content);
    const read = (start: number, end: number) => readFile(file, { start, end });
    const whole = (await readFile(file)).map(({ text }) => text);
    assert.deepEqual(whole, [...texts.filter((text) => text !== ""), "no line feed"]);
    for (let step = 1; step <= size; step++) {
      const found: TextDocument[] = [];
      for (let at = 0; at < size; at += step) found.push(...await read(at, at + step));
      assert.deepEqual(found.map(({ text }) => text), whole, `ranges of ${step} bytes`);
      assert.equal(new Set(found.map(({ id }) => id)).size, whole.length);
    }
  });
});

Deno.test("readFileDocuments() counts the lines of all of a file in a range's errors", async () => {
  await withFiles({ "a.jsonl": '{"text":"one"}\n{"text":"two"}\n{"no":1}\n' }, async (folder) => {
    const path = join(folder, "a.jsonl");
    const range = { start: 20, end: 100 };
    await assert.rejects(
      readFile({ path, id: "a.jsonl" }, range),
      new UserError(
        `${path}:3: expected a field "text", found "no": name the field that holds the text`,
      ),
    );
  });
});

Deno.test("parseSource() knows names, addresses and paths", () => {
  const hub = { kind: "hub", revision: "main", textField: "text" };
  const cases = {
    sotu: { kind: "built-in", name: "sotu" },
    tfjs: { kind: "built-in", name: "tfjs" },
    "my/texts": { kind: "local", path: "my/texts", textField: "text" },
    "fineweb-edu": {
      ...hub,
      repository: "HuggingFaceFW/fineweb-edu",
      configuration: "sample-10BT",
    },
    finemath: { ...hub, repository: "HuggingFaceTB/finemath", configuration: "finemath-4plus" },
    "hf:a/b": { ...hub, repository: "a/b" },
    "hf:a/b.c/d/e": { ...hub, repository: "a/b.c", configuration: "d/e" },
    "hf:a/b@refs/convert/parquet": { ...hub, repository: "a/b", revision: "refs/convert/parquet" },
    "hf:a/b/c@v1": { ...hub, repository: "a/b", configuration: "c", revision: "v1" },
  };
  for (const [name, descriptor] of Object.entries(cases)) {
    assert.deepEqual(parseSource(name), descriptor);
  }
  assert.deepEqual(parseSource("hf:a/b", { textField: "body", limit: 3 }), {
    ...hub,
    repository: "a/b",
    textField: "body",
    limit: 3,
  });
  for (
    const name of [
      "hf:",
      "hf:a",
      "hf:a/",
      "hf:../b",
      "hf:a/..",
      "hf:a/b/../c",
      "hf:a/b@",
      "hf:a b/c",
    ]
  ) {
    assert.throws(
      () => parseSource(name),
      new UserError(
        "expected hf:OWNER/NAME, hf:OWNER/NAME/CONFIGURATION or either with @REVISION, " +
          `found ${name}`,
      ),
    );
  }
});
