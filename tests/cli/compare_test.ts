import assert from "node:assert/strict";
import { basename } from "node:path";
import { CLASSICAL_PROGRAMS } from "../../lib/experiments/mod.ts";
import { parseQuantization } from "../../lib/qat/mod.ts";
import { count, expectedFile, TEXT, WASM, withRuns } from "./_codec_runs.ts";
import { runTask } from "./_task.ts";

/** Rows of a table by the name in front. */
function rowsOf(stdout: string): Map<string, string[]> {
  const [, rows] = stdout.split(/^─[─ ]+\n/m);
  return new Map(
    rows!.split("\n\n")[0]!.split("\n").map((line) => {
      const [name, ...cells] = line.split(/ {2,}/);
      return [name!, cells];
    }),
  );
}

/** What a program prints of a file, counted; null where it is not installed. */
async function countOf(program: string, argv: readonly string[]): Promise<number | null> {
  try {
    const { code, stdout } = await new Deno.Command(program, { args: [...argv] }).output();
    assert.equal(code, 0);
    return stdout.length;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

Deno.test("deno task compress --compare has real sizes, the smallest first", () =>
  withRuns({ "my.txt": TEXT }, async ({ clm, eem, path, names }) => {
    const before = names();
    const text = path("my.txt");
    const alone = await runTask("compress", [text, "--compare"]);
    assert.equal(alone.code, 0, alone.stderr);
    assert.doesNotMatch(alone.stderr, /engine: /, "no model needs no engine");
    assert.match(alone.stdout, new RegExp(`^${text}: 2,000 bytes\n\ncompressor +bytes +BPB +enc`));
    const both = await runTask("compress", [
      ...["--compare", text, "--model", clm, "--model", eem, "--embedding", "fp16", ...WASM],
    ]);
    assert.equal(both.code, 0, both.stderr);
    assert.match(both.stderr, /^compressing, 1 of 2 · /m);
    assert.match(both.stderr, /^decompressing, 2 of 2 · /m);

    const expected = {
      "gzip -9": await countOf("gzip", ["-9", "-n", "-c", text]),
      "bzip2 -9": await countOf("bzip2", ["-9", "-c", text]),
      "xz -9e": await countOf("xz", ["-9e", "-c", text]),
      "zstd -19": await countOf("zstd", ["-19", "-q", "-c", text]),
      "brotli -q 11": await countOf("brotli", ["-q", "11", "-c", text]),
    };
    for (const { stdout } of [alone, both]) {
      const lines = stdout.split("\n").slice(1);
      assert.ok(lines.every((line) => [...line].length <= 80), stdout);
      const rows = rowsOf(stdout);
      for (const [name, bytes] of Object.entries(expected)) {
        if (bytes === null) {
          assert.match(stdout.replaceAll("\n", " "), new RegExp(`not on this machine: .*${name}`));
        } else assert.equal(rows.get(name)![0], count(bytes), name);
      }
      const sizes = [...rows.values()].map(([bytes]) => Number(bytes!.replaceAll(",", "")));
      assert.deepEqual(sizes, sizes.toSorted((a, b) => a - b));
    }
    for (const run of [clm, eem]) {
      const options = run === eem ? { embedding: parseQuantization("fp16") } : {};
      const { file, modelBytes } = await expectedFile(run, TEXT, options);
      const [bytes, bpb, withModel] = rowsOf(both.stdout).get(basename(run))!;
      assert.equal(bytes, count(file.length));
      assert.equal(bpb, (8 * file.length / 2000).toFixed(3));
      assert.equal(withModel, (8 * (file.length + modelBytes) / 2000).toFixed(3));
      assert.ok(both.stdout.includes(`\n  ${basename(run)}: ${count(modelBytes)} bytes\n`));
    }
    assert.deepEqual(names(), before);
  }));

Deno.test("deno task compress --compare --json has what the table has", () =>
  withRuns({ "my.txt": TEXT }, async ({ clm, path }) => {
    const argv = [path("my.txt"), "--compare", "--json", "--model", clm, ...WASM];
    const { code, stdout, stderr } = await runTask("compress", argv);
    assert.equal(code, 0, stderr);
    const { input, originalBytes, compressors, models: [model, ...others], absent } = JSON.parse(
      stdout,
    );
    assert.deepEqual([input, originalBytes, others], [path("my.txt"), 2000, []]);
    assert.equal(compressors.length + absent.length, 8);
    for (
      const { command, version, bytes, bitsPerByte, encodeSeconds, decodeSeconds } of compressors
    ) {
      assert.ok(CLASSICAL_PROGRAMS.includes(command.split(" ")[0]));
      assert.equal(typeof version, "string");
      assert.equal(bitsPerByte, 8 * bytes / 2000);
      assert.ok(encodeSeconds > 0 && decodeSeconds > 0);
    }
    const { file, report, modelBytes } = await expectedFile(clm, TEXT);
    const { encodeSeconds, decodeSeconds, ...facts } = model;
    assert.ok(encodeSeconds > 0 && decodeSeconds > 0);
    assert.deepEqual(facts, {
      name: basename(clm),
      bytes: file.length,
      modelBytes,
      report,
      bitsPerByte: 8 * file.length / 2000,
      bitsPerByteWithModel: 8 * (file.length + modelBytes) / 2000,
    });
  }));

Deno.test("deno task compress --compare names what is not on the machine", () =>
  withRuns({ "my.txt": TEXT }, async ({ clm, path }) => {
    const argv = [path("my.txt"), "--compare", "--model", clm, ...WASM];
    const { code, stdout, stderr } = await runTask("compress", argv, { env: { PATH: "" } });
    assert.equal(code, 0, stderr);
    assert.deepEqual([...rowsOf(stdout).keys()], [basename(clm)]);
    const absent = [
      "not on this machine: gzip -9, bzip2 -9, xz -9e, zstd -19, zstd --ultra -22,",
      "brotli -q 11, 7-Zip PPMd o=32, 7-Zip PPMd o=10 (apt install gzip bzip2 xz-utils",
      "zstd brotli 7zip)",
      "",
    ].join("\n");
    assert.ok(stdout.endsWith(`\n${absent}`), stdout);
    const alone = await runTask("compress", [path("my.txt"), "--compare"], { env: { PATH: "" } });
    assert.equal(alone.stdout, `${path("my.txt")}: 2,000 bytes\n${absent}`);
    assert.doesNotMatch(stderr, /allow-run/, "no notices of Deno");
  }));
