import { tableFromIPC } from "@uwdata/flechette";
import { fromCSV } from "arquero";
import assert from "node:assert/strict";
import { join } from "node:path";
import { decodeText } from "../../lib/cli/entropy.ts";
import { UserError } from "../../lib/errors.ts";
import { estimateTable, textEntropies } from "../../lib/experiments/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose } from "../_numbers.ts";
import {
  CONTEXT,
  foldersIn,
  HARD_TEXT,
  models,
  OWN_TEXT,
  storeTextRun,
} from "../experiments/_text_runs.ts";
import { withFiles } from "../text/_temporary.ts";
import { runTask, type TaskResult } from "./_task.ts";

function runEntropy(options: readonly string[], input?: string): Promise<TaskResult> {
  return runTask("entropy", options, input === undefined ? {} : { input });
}

const WASM = ["--backend", "wasm"];

function numbers(values: readonly (number | null)[]): number[] {
  return values.map((value) => value ?? 0);
}

/** What the library gives, within float32 rounding of another backend. */
async function expectedBits(folder: string, run: string | string[], text = OWN_TEXT) {
  const { records, unit } = await textEntropies(text, { run, folders: foldersIn(folder) });
  const texts = estimateTable({ records, unit }).array("text") as string[];
  const bits = records.map(({ estimate }) => estimate === null ? null : estimate / Math.LN2);
  const scored = records.filter(({ estimate }) => estimate !== null);
  const bytes = scored.reduce((total, { bytes }) => total + bytes!.length, 0);
  const total = numbers(bits).reduce((sum, value) => sum + value, 0);
  return { records, texts, bits, mean: total / scored.length, perByte: total / bytes };
}

onEveryBackend(
  "deno task entropy prints a line a token and a summary",
  () =>
    withFiles({ "my.txt": OWN_TEXT }, async (folder) => {
      const place = await storeTextRun(folder, "clm-1", models.clm());
      const { code, stdout, stderr } = await runEntropy(
        ["--model", place, "--text", join(folder, "my.txt"), ...WASM],
      );
      assert.equal(code, 0, stderr);
      const { records, bits, mean, perByte } = await expectedBits(folder, "clm-1");
      const lines = stdout.split("\n");
      assert.deepEqual(lines.slice(records.length), [
        "",
        `${records.length} tokens, ${records.length - 1} with an estimate: mean ${
          mean.toFixed(3)
        } bits/token, ${
          perByte.toFixed(3)
        } bits/byte (loss: how unlikely each token was, by clm-1)`,
        "",
      ]);
      const [texts, values] = [0, 1].map((column) =>
        lines.slice(0, records.length).map((line) => line.split("\t")[column]!)
      );
      assert.equal(values![0], "–");
      assertClose(values!.slice(1).map(Number), numbers(bits.slice(1)), 1e-3, "bits");
      assert.equal(
        texts!.join("").replaceAll("·", " ").replaceAll("↵", "\n").replaceAll("⋯", ""),
        OWN_TEXT,
      );
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "deno task entropy reads a pipe and prints one JSON object of an ensemble",
  () =>
    withFiles({}, async (folder) => {
      const [one, two] = [
        await storeTextRun(folder, "clm-1", models.clm(), { seed: 1 }),
        await storeTextRun(folder, "clm-2", models.clm(), { seed: 2 }),
      ];
      const expected = await expectedBits(folder, ["clm-1", "clm-2"]);
      const { records, texts, bits, mean, perByte } = expected;
      for (const from of [[], ["--text", "-"]]) {
        const { code, stdout, stderr } = await runEntropy(
          ["--model", one, "--model", two, "--json", ...WASM, ...from],
          OWN_TEXT,
        );
        assert.equal(code, 0, stderr);
        const found = JSON.parse(stdout);
        assert.deepEqual(Object.keys(found), [
          "estimator",
          "unit",
          "models",
          "tokens",
          "estimatedTokens",
          "meanBits",
          "bitsPerByte",
          "records",
        ]);
        assert.deepEqual(found.models, ["clm-1", "clm-2"]);
        assert.deepEqual([found.estimator, found.unit], ["loss", "bits"]);
        assert.deepEqual([found.tokens, found.estimatedTokens], [
          records.length,
          records.length - 1,
        ]);
        assertClose([found.meanBits, found.bitsPerByte], [mean, perByte], 1e-4, "means");
        type Row = { bits: number | null; standardErrorBits: number | null; text: string };
        const rows: Row[] = found.records;
        assert.deepEqual(rows.map(({ text }) => text), texts);
        assert.equal(texts.join(""), OWN_TEXT);
        assert.equal(rows[0]!.bits, null);
        assertClose(numbers(rows.map((row) => row.bits)), numbers(bits), 1e-4, "bits");
        assertClose(
          numbers(rows.map((row) => row.standardErrorBits)),
          records.map(({ standardError }) => (standardError ?? 0) / Math.LN2),
          1e-4,
          "standard errors",
        );
      }
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "deno task entropy writes JSON lines, CSV and Arrow files that read back",
  () =>
    withFiles({ "my.txt": HARD_TEXT }, async (folder) => {
      const place = await storeTextRun(folder, "clm-1", models.clm());
      const { records, texts, bits } = await expectedBits(folder, "clm-1", HARD_TEXT);
      const write = async (name: string) => {
        const path = join(folder, name);
        const { code, stdout, stderr } = await runEntropy(
          ["--model", place, "--text", join(folder, "my.txt"), "--output", path, ...WASM],
        );
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^\d+ tokens, .*\nwritten: .*\n$/);
        return path;
      };
      const names = ["position", "text", "id", "nats", "bits", "standardErrorBits"];
      const check = (rows: Record<string, unknown>[]) => {
        assert.deepEqual(Object.keys(rows[0]!), names);
        assert.deepEqual(
          rows.map(({ position, text, id, standardErrorBits }) => [
            position,
            text,
            id,
            standardErrorBits,
          ]),
          records.map(({ position, id }, row) => [position, texts[row], id, null]),
        );
        assert.equal(rows.map(({ text }) => text).join(""), HARD_TEXT);
        const found = rows.map((row) => row.bits as number | null);
        assert.equal(found[0], null);
        assertClose(numbers(found), numbers(bits), 1e-4, "bits");
        assertClose(
          numbers(rows.map((row) => row.nats as number | null)),
          numbers(records.map(({ estimate }) => estimate)),
          1e-4,
          "nats",
        );
      };
      const [lines, csv, arrow] = [
        await Deno.readTextFile(await write("a.jsonl")),
        await Deno.readTextFile(await write("b.csv")),
        await Deno.readFile(await write("c.arrow")),
      ];
      check(lines.trimEnd().split("\n").map((line) => JSON.parse(line)));
      const table = tableFromIPC(arrow);
      check(table.toArray() as Record<string, unknown>[]);
      assert.deepEqual(
        table.schema.fields.map(({ type }) => type.typeId),
        [2, 5, 2, 3, 3, 3],
        "integers, UTF-8, floating point, whatever the text is",
      );
      assert.equal(new TextDecoder().decode(arrow.subarray(0, 6)), "ARROW1", "a file, no stream");
      assert.equal(csv.split("\n")[0], names.join(","));
      assert.match(csv.split("\n")[1]!, /^0,[^,]*,\d+,,,$/);
      const read = await fromCSV(csv, { parse: { text: (text: string) => text } });
      // Of a field without quotes CSV cannot tell whether it is empty or missing.
      check(read.objects().map((row) => ({ ...row, text: (row as { text: unknown }).text ?? "" })));
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "deno task entropy gives attributions no bits",
  () =>
    withFiles({ "my.txt": OWN_TEXT }, async (folder) => {
      const place = await storeTextRun(folder, "eem-1", models.eem());
      const options = ["--model", place, "--text", join(folder, "my.txt"), ...WASM];
      const attributed = [...options, "--estimator", "occlusion-cosine"];
      const { code, stdout, stderr } = await runEntropy(attributed);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /: mean -?[\d.]+, no unit \(occlusion-cosine, by eem-1\)\n$/);
      assert.doesNotMatch(stdout, /bits/);
      const found = JSON.parse((await runEntropy([...attributed, "--json"])).stdout);
      assert.equal(found.unit, null);
      assert.ok(Number.isFinite(found.mean) && !("meanBits" in found));
      assert.deepEqual(Object.keys(found.records[0]), [
        "position",
        "text",
        "id",
        "estimate",
        "standardError",
      ]);
      const loss = await runEntropy([...options, "--estimator", "loss"]);
      assert.match(
        loss.stdout,
        /bits\/byte \(loss: how unlikely each token was, by eem-1, embedding not paid for\)\n$/,
      );
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "deno task entropy reads by two windows, and by pad-shift of padded runs",
  () =>
    withFiles({ "my.txt": OWN_TEXT }, async (folder) => {
      const place = await storeTextRun(folder, "clm-1", models.clm());
      const shorter = await storeTextRun(folder, "short-1", models.clm(CONTEXT - 1));
      const padded = await storeTextRun(folder, "eem-1", models.eem(), { layout: "padded" });
      const text = ["--text", join(folder, "my.txt"), ...WASM];
      const pair = await runEntropy(["--model", place, "--shorter", shorter, ...text]);
      assert.equal(pair.code, 0, pair.stderr);
      assert.match(pair.stdout, /\(two-window: of each window's last token; .*, by clm-1\)\n$/);
      assert.match(pair.stdout, /^(\S+\t–\n){7}\S+\t-?[\d.]+\n/, "only the last token of a window");
      const shifted = await runEntropy(["--model", padded, ...text]);
      assert.match(
        shifted.stdout,
        /\(pad-shift: how much the summed loss grows .*, by eem-1, embedding not paid for\)\n$/,
      );
    }),
  { only: ["cpu"] },
);

onEveryBackend("deno task entropy says in one line what it cannot do", () =>
  withFiles({
    "my.txt": OWN_TEXT,
    "zero.bin": Uint8Array.of(0x61, 0, 0x62),
    "short.txt": "t",
  }, async (folder) => {
    const place = await storeTextRun(folder, "clm-1", models.clm());
    const packed = await storeTextRun(folder, "eem-1", models.eem());
    const model = ["--model", place];
    const text = ["--text", join(folder, "my.txt")];
    const file = (name: string) => ["--text", join(folder, name)];
    const cases: readonly (readonly [options: string[], code: number, line: RegExp])[] = [
      [text, 2, /^error: --model is missing: /],
      [[...model, ...text, "--estimator", "hunch"], 2, /^error: --estimator must be one of loss,/],
      [["--model", "none-1", ...text], 1, /^error: none-1: expected the folder or the id of a run/],
      [
        ["--model", packed, ...text],
        1,
        /^error: eem-1: expected an augmented model trained on lef/,
      ],
      [[...model, ...file("none.txt")], 1, /none\.txt: expected a text file that can be read: No/],
      [
        [...model, ...file("zero.bin")],
        1,
        /zero\.bin: expected text, found a binary file \(byte 1/,
      ],
      [[...model, ...file("short.txt")], 1, /^error: expected a text of two tokens or more, /],
      [model, 1, /^error: standard input: expected text, found nothing/],
      [
        [...model, ...text, "--output", "a.xlsx"],
        1,
        /^error: --output a\.xlsx: expected a file en/,
      ],
      // Said before anything is read: neither run nor text is there.
      [
        ["--model", "none-1", ...file("none.txt"), "--output", join(folder, "new", "a.csv")],
        1,
        /^error: --output .*a\.csv: expected an existing folder, found no .*new; make it$/m,
      ],
    ];
    await Promise.all(cases.map(async ([options, expected, line]) => {
      const { code, stdout, stderr } = await runEntropy([...options, "--json"]);
      assert.equal(code, expected, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, line);
      assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
    }));
    assert.ok(!Array.from(Deno.readDirSync(folder), ({ name }) => name).includes("new"));
    const unwritable = join(folder, "my.txt", "a.csv");
    const { code, stderr } = await runEntropy([...model, ...text, "--output", unwritable, ...WASM]);
    assert.equal(code, 1);
    const last = stderr.trimEnd().split("\n").at(-1)!;
    assert.match(last, /^error: --output .*a\.csv: expected a file that can be written: /);
    assert.doesNotMatch(stderr, /\n\s+at /);
  }), { only: ["cpu"] });

Deno.test("decodeText() takes UTF-8 as it is, without a byte order mark", () => {
  const encode = (text: string) => new TextEncoder().encode(text);
  assert.equal(decodeText(encode(OWN_TEXT), "a.txt"), OWN_TEXT);
  assert.equal(decodeText(encode("\ufeffa\r\n"), "a.txt"), "a\r\n");
});

Deno.test("decodeText() refuses what is no text", () => {
  const refusals = [[], [0x61, 0x62, 0], [0x63, 0x61, 0x66, 0xe9]].map((bytes) => {
    try {
      return decodeText(Uint8Array.from(bytes), "a.txt");
    } catch (error) {
      assert.ok(error instanceof UserError);
      return error.message;
    }
  });
  assert.deepEqual(refusals, [
    "a.txt: expected text, found nothing; add some",
    "a.txt: expected text, found a binary file (byte 2 is zero); give a text file",
    "a.txt: expected UTF-8, found other bytes; convert the file (iconv -t utf-8)",
  ]);
});
