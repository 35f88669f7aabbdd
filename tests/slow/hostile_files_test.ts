/** Files that would fill the memory of a careless reader, and large ones that are sound. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { createGzip, createZstdCompress } from "node:zlib";
import { craftedFile, dataPage, parquetFile } from "../text/_parquet.ts";
import { withFiles } from "../text/_temporary.ts";
import type { ReadReport } from "./_read_source.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const MEGABYTE = 1e6;

async function read(path: string): Promise<ReadReport> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--allow-all", "tests/slow/_read_source.ts", path],
    cwd: root,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** A line of JSON with `bytes` letters, piece by piece; `before` and `after` it. */
function* longLine(bytes: number, before = '{"text":"', after = '"}\n'): Generator<Buffer> {
  yield Buffer.from(before);
  const piece = Buffer.alloc(MEGABYTE, "a");
  for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
  yield Buffer.from(after);
}

async function write(path: string, pieces: Iterable<Buffer>): Promise<void> {
  const file = await open(path, "w");
  const source = Readable.from(pieces);
  try {
    const stream = path.endsWith(".gz")
      ? source.pipe(createGzip())
      : path.endsWith(".zst")
      ? source.pipe(createZstdCompress())
      : source;
    for await (const chunk of stream) await file.write(chunk);
  } finally {
    await file.close();
  }
}

async function compressed(pieces: Iterable<Buffer>): Promise<Uint8Array> {
  const chunks = await Array.fromAsync(Readable.from(pieces).pipe(createZstdCompress()));
  return new Uint8Array(Buffer.concat(chunks));
}

const tooLong = "expected at most 64.0 MB in a line, found more: cut it into several";
const LONG_TEXTS: readonly (readonly [name: string, said: string])[] = [
  ["long.jsonl", `:2: ${tooLong}`],
  ["long.jsonl.gz", `:2: ${tooLong}`],
  ["long.jsonl.zst", `:2: ${tooLong}`],
  [
    "long.txt",
    ": expected at most 64.0 MB in a file that is one text, found more: cut it into several",
  ],
  [
    "long.md.zst",
    ": expected at most 64.0 MB in a file that is one text, found more: cut it into several",
  ],
];

for (const [name, said] of LONG_TEXTS) {
  Deno.test(`a line of 200 MB is refused in bounded memory: ${name}`, () =>
    withFiles({}, async (folder) => {
      const path = join(folder, name);
      await write(path, longLine(200 * MEGABYTE, '{"text":"short"}\n{"text":"'));
      const { error, documents, peakBytes } = await read(path);
      assert.equal(error, path + said);
      assert.equal(documents, name.includes("jsonl") ? 1 : 0);
      console.log(`${(peakBytes / MEGABYTE).toFixed(0)} MB`);
      assert.ok(peakBytes < 350 * MEGABYTE);
    }));
}

const levels = (count: number) => {
  const bytes = [0, 0, 0, 0, 0].map((_, i) =>
    Math.floor(count * 2 / 128 ** i) % 128 + (i < 4 ? 128 : 0)
  );
  return new Uint8Array([6, 0, 0, 0, ...bytes, 1]);
};

Deno.test("Parquet that lies about its sizes is refused in bounded memory", () =>
  withFiles({}, async (folder) => {
    const bomb = await compressed(longLine(4000 * MEGABYTE, "", ""));
    const lies: readonly (readonly [what: string, bytes: Uint8Array, said: RegExp])[] = [
      [
        "a page of 4 GB that says it is of 200 MB",
        craftedFile(
          [{ header: { ...dataPage(1), uncompressed_page_size: 200 * MEGABYTE }, body: bomb }],
          { codec: "ZSTD" },
        ),
        /more than the 200000000 bytes of its header/,
      ],
      [
        "a page of 4 GB that says so",
        craftedFile([{
          header: { ...dataPage(1), uncompressed_page_size: 2 ** 31 - 1 },
          body: bomb,
        }], {
          codec: "ZSTD",
        }),
        /a page of 2147483647/,
      ],
      [
        "a page that says it is of 250 MB",
        craftedFile(
          [{
            header: { ...dataPage(1), uncompressed_page_size: 250 * MEGABYTE },
            body: Uint8Array.of(5),
          }],
          { codec: "SNAPPY" },
        ),
        /expected Parquet, found/,
      ],
      [
        "a run of a billion levels",
        craftedFile([{ header: dataPage(1), body: levels(1e9) }], { isOptional: true }),
        /a run of 1000000000 in a page of 1 values/,
      ],
      [
        "a billion rows",
        craftedFile([{ header: dataPage(1e9), body: levels(1e9) }], {
          isOptional: true,
          rows: 1e9,
        }),
        /a number of values of 1000000000/,
      ],
    ];
    for (const [what, bytes, said] of lies) {
      const path = join(folder, "lie.parquet");
      await Deno.writeFile(path, bytes);
      const { error, documents, peakBytes } = await read(path);
      assert.match(error ?? "", said, what);
      assert.doesNotMatch(error!, /\n/);
      assert.equal(documents, 0);
      console.log(`${what}: ${(peakBytes / MEGABYTE).toFixed(0)} MB`);
      assert.ok(peakBytes < 600 * MEGABYTE, what);
    }
  }));

Deno.test("invalid UTF-8 far into a file is found with its line", () =>
  withFiles({}, async (folder) => {
    const path = join(folder, "bytes.jsonl");
    const line = Buffer.from('{"text":"a line like many others, only that there are many"}\n');
    await write(
      path,
      (function* () {
        for (let i = 0; i < 150; i++) yield Buffer.alloc(line.length * 20_000, line);
        yield Buffer.from([0x7b, 0xc3, 0x28, 0x0a]);
      })(),
    );
    const { error, documents, peakBytes } = await read(path);
    assert.equal(
      error,
      `${path}:3000001: expected UTF-8, found other bytes: convert the file (iconv -t utf-8)`,
    );
    assert.equal(documents, 3_000_000);
    assert.ok(peakBytes < 350 * MEGABYTE);
  }));

Deno.test("large sound files are read in bounded memory", () =>
  withFiles({}, async (folder) => {
    const lines = Array.from({ length: 5000 }, (_, i) =>
      `${i} ${"of the many texts. ".repeat(i % 60)}`);
    const json = Buffer.from(
      lines.map((text) =>
        `${JSON.stringify({ text })}\n`
      ).join(""),
    );
    const characters = lines.reduce((sum, { length }) => sum + length, 0);
    const rounds = 150;
    for (const ending of ["", ".gz", ".zst"]) {
      const path = join(folder, `many.jsonl${ending}`);
      await write(path, Array.from({ length: rounds }, () => json));
      const report = await read(path);
      assert.deepEqual([report.error, report.documents, report.characters], [
        null,
        rounds * lines.length,
        rounds * characters,
      ]);
      console.log(`${path}: ${(report.peakBytes / MEGABYTE).toFixed(0)} MB`);
      assert.ok(report.peakBytes < 350 * MEGABYTE);
    }
    const path = join(folder, "many.parquet");
    const texts = Array.from({ length: 40 }, () => lines).flat();
    const distinct = texts.map((text, i) => `${i} ${text}`);
    await Deno.writeFile(path, parquetFile(distinct, { codec: "SNAPPY", rowGroupSize: 200_000 }));
    const report = await read(path);
    assert.deepEqual([report.error, report.documents], [null, distinct.length]);
    console.log(`${path}: ${(report.peakBytes / MEGABYTE).toFixed(0)} MB`);
    assert.ok(report.peakBytes < 350 * MEGABYTE);
  }));
