import assert from "node:assert/strict";
import { basename } from "node:path";
import { CLASSICAL_PROGRAMS } from "../../lib/experiments/mod.ts";
import { parseQuantization } from "../../lib/qat/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { models, storeTextRun } from "../experiments/_text_runs.ts";
import { count, expectedFile, TEXT, WASM, withRuns } from "./_codec_runs.ts";
import { interruptTask, runTask, taskCommand, taskWords } from "./_task.ts";

const random = createRandom(8);
const FILES: Readonly<Record<string, Uint8Array>> = {
  "my.txt": new TextEncoder().encode(TEXT),
  "empty": new Uint8Array(0),
  "one": Uint8Array.of(0x78),
  "binary": Uint8Array.from({ length: 700 }, () => random.bits() & 0xff),
  "latin1.txt": Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x0d, 0x0a),
};

Deno.test("deno task compress writes the library's file, from which the original comes back", () =>
  withRuns(FILES, async ({ clm, eem, path, names }) => {
    const before = names();
    for (const [name, original] of Object.entries(FILES)) {
      for (const run of name === "my.txt" ? [clm, eem] : [clm]) {
        const made = await runTask("compress", [path(name), "--model", run, "--force", ...WASM]);
        assert.equal(made.code, 0, made.stderr);
        const packed = path(`${name}.kylc`);
        const { file, report } = await expectedFile(run, original);
        assert.deepEqual(await Deno.readFile(packed), file);
        const back = ["--model", run, "-o", path("back"), "--force"];
        const { code, stderr } = await runTask("decompress", [packed, ...back]);
        assert.equal(code, 0, stderr);
        assert.deepEqual(await Deno.readFile(path("back")), original);
        assert.equal(report.isStored, name !== "my.txt", name);
        assert.equal(
          made.stdout.includes(
            "stored as it is, since the model makes it no shorter; it decompresses without one\n",
          ),
          report.isStored,
        );
      }
    }
    const packed = Object.keys(FILES).map((name) => `${name}.kylc`);
    assert.deepEqual(names(), [...before, "back", ...packed].sort());
  }));

Deno.test("deno task compress says how long the file is and where its bits went", () =>
  withRuns(FILES, async ({ eem, path }) => {
    const { file, report, modelBytes } = await expectedFile(eem, TEXT, {
      overlap: 3,
      lanes: 2,
      embedding: parseQuantization("fp16"),
    });
    const options = ["--overlap", "3", "--lanes", "2", "--embedding", "fp16"];
    const argv = [path("my.txt"), "--model", eem, ...options, ...WASM];
    const { code, stdout, stderr } = await runTask("compress", [...argv, "-o", path("a")]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await Deno.readFile(path("a")), file);
    const lines = stdout.trimEnd().split("\n");
    assert.ok(lines.every((line) => [...line].length <= 80 || line.includes(path(""))), stdout);
    const bpb = (8 * file.length / 2000).toFixed(3);
    assert.deepEqual(lines.slice(0, 4), [
      `${path("my.txt")}: 2,000 bytes`,
      `${path("a")}: ${count(file.length)} bytes, ${bpb} bits/byte`,
      "",
      "where the bits went         bits       %  bits/byte",
    ]);
    const row = (name: string) => lines.find((line) => line.startsWith(name))!.split(/ {2,}/);
    assert.deepEqual(row("header"), [
      "header",
      "512",
      (6400 / file.length).toFixed(2),
      "0.2560",
    ]);
    const embeddings = report.windows - report.rawWindows;
    assert.equal(row("embeddings, fp16")[1], count(embeddings * 2 * 16));
    assert.equal(row("tokens, by the model")[1], count(Math.round(report.bits.tokens)));
    assert.deepEqual(row("the file"), [
      "the file",
      count(8 * file.length),
      "100.00",
      (8 * file.length / 2000).toFixed(4),
    ]);
    assert.match(
      lines.slice(-5).join("\n"),
      new RegExp(
        `^${count(report.tokens)} tokens in ${count(report.windows)} windows, ` +
          `${report.rawWindows} of them without the model; lanes: 2, overlap: 3\n` +
          `model: ${basename(eem)}, not in the file:\n` +
          `  ${
            count(modelBytes)
          } bytes of weights that a reader needs \\(float32\\) and tokenizer\\.json\n` +
          "compressed: \\d+\\.\\d s, \\d+(\\.\\d+)? KB/s\n" +
          "decompressed: \\d+\\.\\d s, \\d+(\\.\\d+)? KB/s, the original came back$",
      ),
    );
    for (const phase of ["compressing", "decompressing"]) {
      assert.match(stderr, new RegExp(`^${phase} · token (\\d+)/\\1 · .*done$`, "m"));
    }

    const { stdout: json } = await runTask("compress", [...argv, "--json", "-o", path("b")]);
    const { encodeSeconds, decodeSeconds, ...found } = JSON.parse(json);
    assert.ok(encodeSeconds > 0 && decodeSeconds > 0);
    assert.deepEqual(found, {
      input: path("my.txt"),
      output: path("b"),
      model: basename(eem),
      originalBytes: 2000,
      bitsPerByte: 8 * file.length / 2000,
      bytes: file.length,
      modelBytes,
      report,
    });
  }));

Deno.test("deno task compress reads and writes pipes", () =>
  withRuns({}, async ({ clm, names }) => {
    const before = names();
    const { file } = await expectedFile(clm, TEXT);
    const argv = ["-", "-o", "-", "--model", clm, ...WASM];
    const { code, bytes, stderr } = await runTask("compress", argv, { input: TEXT });
    assert.equal(code, 0, stderr);
    assert.deepEqual(bytes, new Uint8Array(file));
    assert.match(stderr, /^standard input: 2,000 bytes\nstandard output: [\d,]+ bytes, /m);
    assert.deepEqual(names(), before);
  }));

Deno.test("deno task compress says in one line what it cannot do, and writes nothing", () =>
  withRuns(FILES, async ({ folder, clm, eem, path, names }) => {
    await Deno.writeTextFile(path("one.kylc"), "own");
    await storeTextRun(folder, "ae-1", models.autoencoder());
    const [text, model] = [path("my.txt"), ["--model", clm]];
    const idle = "leave it out or change these (see deno task compress --help)";
    const help = "(see deno task compress --help)";
    const cases: readonly (readonly [argv: string[], code: number, line: string])[] = [
      [[], 2, `FILE is missing: any file; - for standard input, with -o ${help}`],
      [[text], 2, `--model is missing: it names a run's folder or its id in runs/ ${help}`],
      [
        [text, "--model", `${clm},${eem}`],
        2,
        `--model: expected one run, found 2; several need --compare ${help}`,
      ],
      [["-", ...model], 2, `-o is missing: standard input has no name ${help}`],
      [
        [text, "--compare", "-o", path("a")],
        2,
        `--output does nothing with --compare; ${idle}`,
      ],
      [[text, "--compare", "--verify"], 2, `--verify does nothing with --compare; ${idle}`],
      [[text, "--compare", "--no-verify"], 2, `--verify does nothing with --compare; ${idle}`],
      [
        [text, "--compare", "--lanes", "2"],
        2,
        `--lanes does nothing with --compare without --model; ${idle}`,
      ],
      [
        [path("none"), ...model],
        1,
        `${path("none")}: expected a file that can be read: No such file or directory ` +
        `(os error 2): readfile '${path("none")}'`,
      ],
      [
        [path("one"), ...model],
        1,
        `${path("one.kylc")}: expected no file of this name, found one; name another with -o, or ` +
        "overwrite it with --force",
      ],
      [
        [text, ...model, "--force", "-o", text],
        1,
        `${text}: expected another file than the one that is read; name one with -o`,
      ],
      [
        [text, ...model, "-o", path("new/a")],
        1,
        `${path("new/a")}: expected an existing folder, found no ${path("new")}; make it`,
      ],
      [
        [text, ...model, "--embedding", "fp16"],
        1,
        `${basename(clm)}: embedding format: expected none, since a causal model has no ` +
        "embedding, found fp16; leave it out",
      ],
      [
        [text, "--model", path("runs/ae-1")],
        1,
        "ae-1: reading token by token: expected a causal model or an encoder-augmented decoder, " +
        "found a model of kind autoencoder",
      ],
      [
        [text, "--model", eem, "--embedding", "int99"],
        1,
        "--embedding: quantization: expected fp16, bf16, e4m3fn, e5m2, e3m2, nf4 or int2 … int16, " +
        'found "int99"',
      ],
      [
        [text, ...model, "--lanes", "2000"],
        1,
        `${basename(clm)}: lanes: expected 1 … 1024, found 2000`,
      ],
      [
        [text, ...model, "--overlap", "8"],
        1,
        `${basename(clm)}: overlap: expected 0 … 7 tokens, less than the model's context, found 8`,
      ],
      // Before any compressor is run.
      [
        [text, ...model, "--compare", "--overlap", "500"],
        1,
        `${
          basename(clm)
        }: overlap: expected 0 … 7 tokens, less than the model's context, found 500`,
      ],
      [
        [text, "--model", eem, "--compare", "--embedding", "nf4/tensor"],
        1,
        `${basename(eem)}: nf4/tensor: expected embeddings of a multiple of 64 numbers, found 2; ` +
        "their blocks run on from one to the next, those of nf4/row do not",
      ],
    ];
    const before = names();
    await Promise.all(cases.map(async ([argv, expected, line]) => {
      const { code, stdout, stderr } = await runTask("compress", argv);
      assert.equal(code, expected, stderr);
      assert.equal(stdout, "");
      const said = stderr.trimEnd().split("\n").filter((line) => !line.startsWith("engine: "));
      assert.deepEqual(said, [`error: ${line}`]);
    }));
    assert.deepEqual(names(), before);
    assert.equal(await Deno.readTextFile(path("one.kylc")), "own");
    const { code, stderr } = await runTask("compress", [text, "--model", "none-1", "--compare"]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: none-1: expected the folder or the id of a run, found none; .*\n$/,
    );
  }));

Deno.test({
  name: "deno task compress that gets Ctrl-C ends with 130 and writes nothing",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withRuns({ "long.txt": TEXT.repeat(20) }, async ({ clm, path, names }) => {
      const before = names();
      for (const more of [[], ["--compare"]]) {
        const argv = [path("long.txt"), "--model", clm, ...more, ...WASM];
        const command = taskCommand("compress", argv);
        const { code, signal, stdout, stderr } = await interruptTask(command, /^compressing\b/m);
        assert.deepEqual([code, signal, stdout], [130, null, ""], stderr);
        assert.match(stderr, /\ninterrupted: nothing was written\n$/);
        assert.doesNotMatch(stderr, /error|\n\s+at /);
        assert.deepEqual(names(), before);
      }
    }),
});

Deno.test("deno task compress may run the compressors and nothing else", () => {
  const [runs, ...others] = taskWords("compress").filter((word) => word.startsWith("--allow-run"));
  assert.deepEqual(others, []);
  assert.deepEqual(runs!.split("=")[1]!.split(",").sort(), [...CLASSICAL_PROGRAMS].sort());
  assert.ok(!taskWords("decompress").some((word) => word.startsWith("--allow-run")));
});
