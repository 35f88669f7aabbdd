import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { createRandom } from "../../lib/random.ts";
import { readTextColumn, readTextGroup } from "../../lib/text/parquet.ts";
import {
  byteFile,
  craftedFile,
  type CraftedPage,
  dataPage,
  parquetFile,
  plainValues,
} from "./_parquet.ts";

async function readAll(bytes: Uint8Array, column = "text"): Promise<string[]> {
  const file = byteFile(bytes);
  const found = await readTextColumn(file, column);
  const texts: string[] = [];
  for (const group of found.groups) {
    texts.push(...(await Array.fromAsync(readTextGroup(file, found, group))).flat());
  }
  return texts;
}

const random = createRandom(1).stream("texts");
const letters = [..."abcdefgh \n", "é", "漢", "😀"];
const texts = Array.from({ length: 450 }, (_, i) =>
  `${i} ` + Array.from(
    { length: Math.floor(random.uniform() * 400) },
    () => letters[Math.floor(random.uniform() * letters.length)]!,
  ).join(""));

for (const codec of ["UNCOMPRESSED", "SNAPPY", "ZSTD", "GZIP"] as const) {
  Deno.test(`readTextGroup() reads ${codec} pages, group by group`, async () => {
    assert.deepEqual(await readAll(parquetFile(texts, { codec })), texts);
    assert.deepEqual(await readAll(parquetFile(texts, { codec, pageSize: 2000 })), texts);
  });
}

Deno.test("readTextGroup() reads dictionaries, and nulls as empty texts", async () => {
  const repeated = texts.map((_, i) => i % 3 === 0 ? null : texts[i % 7]!);
  for (const codec of ["SNAPPY", "ZSTD"] as const) {
    const wanted = repeated.map((text) => text ?? "");
    assert.deepEqual(await readAll(parquetFile(repeated, { codec })), wanted);
  }
  assert.deepEqual(await readAll(parquetFile([null, null])), ["", ""]);
});

Deno.test("readTextGroup() gives few texts at once, and shares those of a dictionary", async () => {
  // 600 million characters in a column of less than 10 kB.
  const two = ["a", "b"].map((letter) => letter.repeat(20_000));
  const rows = Array.from({ length: 30_000 }, (_, row) => two[row % 7 % 2]!);
  const file = byteFile(parquetFile(rows, { rowGroupSize: rows.length }));
  const column = await readTextColumn(file, "text");
  assert.equal(column.groups.length, 1);
  assert.ok(column.groups[0]!.bytes < 10_000);
  const before = Deno.memoryUsage().rss;
  const batches = await Array.fromAsync(readTextGroup(file, column, column.groups[0]!));
  const taken = Deno.memoryUsage().rss - before;
  assert.ok(taken < 200e6, `${taken} bytes`);
  for (const batch of batches) {
    const length = batch.reduce((sum, text) => sum + text.length, 0);
    assert.ok(length <= 16_000_000, `${length} characters`);
  }
  const all = batches.flat();
  assert.equal(all.length, rows.length);
  assert.ok(all.every((text, row) => text === rows[row]));
});

Deno.test("readTextGroup() starts at any group", async () => {
  const file = byteFile(parquetFile(texts, { rowGroupSize: 100 }));
  const column = await readTextColumn(file, "text");
  assert.deepEqual(column.groups.map(({ firstRow, rows }) => [firstRow, rows]), [
    [0, 100],
    [100, 100],
    [200, 100],
    [300, 100],
    [400, 50],
  ]);
  const last = await Array.fromAsync(readTextGroup(file, column, column.groups[4]!));
  assert.deepEqual(last.flat(), texts.slice(400));
});

Deno.test("readTextColumn() reads another column, and lists those there are", async () => {
  const bytes = parquetFile(texts, { column: "body" });
  assert.deepEqual(await readAll(bytes, "body"), texts);
  await assert.rejects(
    readAll(bytes),
    new UserError(
      'made.parquet: expected a column "text", found "id", "body", "good": ' +
        "name the column of the text",
    ),
  );
  await assert.rejects(
    readAll(bytes, "id"),
    new UserError(
      'made.parquet: expected text in column "id", found INT32: name another column',
    ),
  );
});

const page = (values: readonly (string | Uint8Array)[]): CraftedPage => ({
  header: dataPage(values.length),
  body: plainValues(values),
});
/** A run-length run of `count` numbers 1 of one bit, with the length of the levels before it. */
const levels = (count: number): Uint8Array => {
  const run: number[] = [];
  for (let left = count * 2;; left = Math.floor(left / 128)) {
    run.push(left < 128 ? left : left % 128 + 128);
    if (left < 128) break;
  }
  return new Uint8Array([run.length + 1, 0, 0, 0, ...run, 1]);
};

Deno.test("craftedFile() makes sound files as well", async () => {
  assert.deepEqual(await readAll(craftedFile([page(["one", "two"])], { rows: 2 })), ["one", "two"]);
  const optional = {
    header: dataPage(1),
    body: new Uint8Array([...levels(1), ...plainValues(["a"])]),
  };
  assert.deepEqual(await readAll(craftedFile([optional], { isOptional: true })), ["a"]);
});

const dictionary: CraftedPage = {
  header: {
    type: "DICTIONARY_PAGE",
    dictionary_page_header: { num_values: 1, encoding: "PLAIN" },
  },
  body: plainValues(["only"]),
};

/** Files that lie, and what is said of each after its name. */
const LIES: readonly (readonly [what: string, bytes: Uint8Array, said: RegExp])[] = [
  ["nothing", new Uint8Array(3), /found a file of 3 bytes/],
  ["another format", new TextEncoder().encode("PAR1 not at the end"), /no "PAR1" at the end/],
  [
    "metadata longer than the file",
    (() => {
      const bytes = craftedFile([page(["a"])]);
      new DataView(bytes.buffer).setUint32(bytes.length - 8, 2 ** 31, true);
      return bytes;
    })(),
    /metadata of 2147483648 bytes in a file of \d+/,
  ],
  [
    "metadata that is none",
    (() => {
      const bytes = craftedFile([page(["a"])]);
      return bytes.fill(0xff, bytes.length - 60, bytes.length - 8);
    })(),
    /expected Parquet, found .+/,
  ],
  [
    "a column beyond the end",
    craftedFile([page(["a"])], { offset: 2 ** 40 }),
    /row group 0: offset of 1099511627776/,
  ],
  [
    "a column longer than the file",
    craftedFile([page(["a"])], { columnBytes: 2 ** 40 }),
    /row group 0: size of 1099511627776/,
  ],
  [
    "more rows in groups than in all",
    craftedFile([page(["a"])], { rows: 1, groupRows: 2 }),
    /row group 0: number of rows of 2/,
  ],
  ["fewer rows in groups", craftedFile([page(["a"])], { rows: 2, groupRows: 1 }), /1 rows in its/],
  ["fewer values than rows", craftedFile([page(["a"])], { rows: 5 }), /row 2: .+ 1 of the 5 rows/],
  ["more values than rows", craftedFile([page(["a", "b"])]), /a number of values of 2/],
  [
    "a page that unpacks to 2 GB",
    craftedFile([{
      ...page(["a"]),
      header: { ...dataPage(1), uncompressed_page_size: 2 ** 31 - 1 },
    }], {
      codec: "ZSTD",
    }),
    /a page of 2147483647/,
  ],
  [
    "a page longer than its column",
    craftedFile([{ ...page(["a"]), header: { ...dataPage(1), compressed_page_size: 2 ** 30 } }]),
    /a page of 1073741824/,
  ],
  [
    "a billion values",
    craftedFile([{ ...page(["a"]), header: dataPage(1e9) }], { rows: 1e9 }),
    /a number of values of 1000000000/,
  ],
  [
    "a run of two billion levels",
    craftedFile(
      [{ header: dataPage(1), body: new Uint8Array([...levels(1e9), ...plainValues(["a"])]) }],
      { isOptional: true },
    ),
    /a run of 1000000000 in a page of 1 values/,
  ],
  [
    "a value longer than its page",
    craftedFile([{
      header: dataPage(1),
      body: new Uint8Array([...new Uint8Array(Uint32Array.of(2 ** 30).buffer), 0x41]),
    }]),
    /expected Parquet, found .*length/i,
  ],
  [
    "a dictionary of a billion entries",
    craftedFile([
      {
        ...dictionary,
        header: { ...dictionary.header, dictionary_page_header: { num_values: 1e9 } },
      },
    ] as CraftedPage[]),
    /a dictionary of 1000000000/,
  ],
  [
    "an index that is not in the dictionary",
    craftedFile([
      dictionary,
      { header: dataPage(1, "RLE_DICTIONARY"), body: Uint8Array.of(3, 2, 5) },
    ]),
    /row 1: expected Parquet, found a value that is not there/,
  ],
  [
    "another encoding",
    craftedFile([{ ...page(["a"]), header: dataPage(1, "DELTA_BYTE_ARRAY") }]),
    /encoding DELTA_BYTE_ARRAY, which is not read/,
  ],
  [
    "bytes that are no UTF-8",
    craftedFile([page(["good", Uint8Array.of(0x41, 0xff)])], { rows: 2 }),
    /row 2: expected UTF-8, found other bytes: convert the column/,
  ],
  [
    "another checksum",
    craftedFile([{ ...page(["a"]), header: { ...dataPage(1), crc: 12345 } }]),
    /a page with another checksum/,
  ],
  [
    "a page that is no Zstandard",
    craftedFile([page(["some text"])], { codec: "ZSTD" }),
    /row 1: expected Parquet, found .*zstd/i,
  ],
];

for (const [what, bytes, said] of LIES) {
  Deno.test(`readTextGroup() refuses, in one line: ${what}`, async () => {
    await assert.rejects(readAll(bytes), (error) => {
      assert.ok(error instanceof UserError, String(error));
      assert.match(error.message, said);
      assert.match(error.message, /^made\.parquet: [^\n]+$/);
      return true;
    });
  });
}

Deno.test("readTextGroup() refuses a file cut off anywhere, and gives no row twice or wrong", async () => {
  const whole = parquetFile(texts.slice(0, 120), { codec: "SNAPPY", rowGroupSize: 50 });
  const file = byteFile(whole);
  const column = await readTextColumn(file, "text");
  for (let cut = 50; cut < whole.length; cut += 997) {
    const rows: string[] = [];
    const cutFile = byteFile(whole.subarray(0, cut));
    const reading = (async () => {
      for (const group of column.groups) {
        for await (const page of readTextGroup(cutFile, column, group)) rows.push(...page);
      }
    })();
    const end = column.groups.at(-1)!.start + column.groups.at(-1)!.bytes;
    if (cut < end) await assert.rejects(reading, UserError);
    else await reading;
    assert.deepEqual(rows, texts.slice(0, rows.length));
  }
});

Deno.test("readTextGroup() refuses in one line, or reads, files with any bytes changed", async () => {
  const nulls = texts.slice(0, 120).map((text, i) => i % 4 === 0 ? null : text.slice(0, 60));
  const sound = (["UNCOMPRESSED", "SNAPPY", "ZSTD", "GZIP"] as const).map((codec) =>
    parquetFile(nulls, { codec, rowGroupSize: 50 })
  );
  const dice = createRandom(5).stream("changes");
  const below = (count: number) => Math.floor(dice.uniform() * count);
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const bytes = sound[round % sound.length]!.slice();
    // Half of the rounds change the metadata at the end.
    const reach = round % 8 < 4 ? 700 : bytes.length;
    for (let change = 0; change <= round % 5; change++) {
      bytes[bytes.length - 1 - below(reach)] = below(256);
    }
    try {
      await readAll(bytes);
    } catch (error) {
      assert.ok(error instanceof UserError, `round ${round}: ${(error as Error).stack}`);
      assert.doesNotMatch(error.message, /\n/);
      refused++;
    }
  }
  assert.ok(refused > 200, `${refused} refused`);
});
