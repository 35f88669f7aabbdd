import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { count, expectedFile, TEXT, withRuns } from "./_codec_runs.ts";
import { interruptTask, runTask, taskCommand } from "./_task.ts";

const HEADER_BYTES = 64;

const decompress = (...argv: readonly string[]) => runTask("decompress", argv);

Deno.test("deno task decompress gives back what was compressed, by both kinds of models", () =>
  withRuns({}, async ({ clm, eem, path, names }) => {
    for (const run of [clm, eem]) {
      const { file, report } = await expectedFile(run, TEXT);
      assert.ok(!report.isStored);
      await Deno.writeFile(path("my.txt.kylc"), file);
      const before = names();
      // Whatever the environment asks for: the header says where the file is from.
      const { code, stdout, stderr } = await runTask(
        "decompress",
        [path("my.txt.kylc"), "--model", run],
        { env: { KYL_BACKEND: "cpu" } },
      );
      assert.equal(code, 0, stderr);
      assert.match(
        stdout,
        new RegExp(
          `^${path("my.txt.kylc")}: ${count(file.length)} bytes\n` +
            `${path("my.txt")}: 2,000 bytes, the checksum is the original's\n` +
            "decompressed: \\d+\\.\\d s, \\d+(\\.\\d+)? KB/s\n$",
        ),
      );
      assert.match(stderr, /^engine: wasm /);
      assert.match(stderr, /\ndecompressing · token (\d+)\/\1 · .*done\n$/);
      assert.equal(await Deno.readTextFile(path("my.txt")), TEXT);
      assert.deepEqual(names(), [...before, "my.txt"].sort());
      await Deno.remove(path("my.txt"));
    }
  }));

Deno.test("deno task decompress needs neither model nor engine for a stored file", () =>
  withRuns({}, async ({ clm, path }) => {
    const originals = [[], [0x78], [0xff, 0x00, 0xfe]].map((bytes) => Uint8Array.from(bytes));
    for (const original of originals) {
      const { file, report } = await expectedFile(clm, original);
      assert.ok(report.isStored);
      await Deno.writeFile(path("a.kylc"), file);
      const { code, stderr } = await decompress(path("a.kylc"), "--force");
      assert.equal(code, 0, stderr);
      assert.equal(stderr, "");
      assert.deepEqual(await Deno.readFile(path("a")), original);
    }
  }));

Deno.test("deno task decompress reads and writes pipes", () =>
  withRuns({}, async ({ clm, names }) => {
    const { file } = await expectedFile(clm, TEXT);
    const before = names();
    const { code, stdout, stderr } = await runTask(
      "decompress",
      ["-", "-o", "-", "--model", clm],
      { input: file },
    );
    assert.equal(code, 0, stderr);
    assert.equal(stdout, TEXT);
    assert.match(stderr, /\nstandard input: [\d,]+ bytes\nstandard output: 2,000 bytes, the check/);
    assert.deepEqual(names(), before);
  }));

/** A file whose header says another checksum of the original, and is whole. */
function withOtherChecksum(file: Uint8Array): Uint8Array {
  const changed = file.slice();
  changed[52]! ^= 1;
  const crc = crc32(changed.subarray(HEADER_BYTES), crc32(changed.subarray(0, HEADER_BYTES - 4)));
  new DataView(changed.buffer).setUint32(HEADER_BYTES - 4, crc, true);
  return changed;
}

Deno.test("deno task decompress says in one line what it cannot do, and writes nothing", () =>
  withRuns({ "my.txt": TEXT }, async ({ clm, eem, path, names }) => {
    const { file, hash } = await expectedFile(clm, TEXT);
    const { hash: other } = await expectedFile(eem, TEXT);
    const flipped = file.slice();
    flipped[file.length - 1]! ^= 4;
    const stored = {
      "whole.kylc": file,
      "start.kylc": file.subarray(0, 20),
      "half.kylc": file.subarray(0, file.length >> 1),
      "flipped.kylc": flipped,
      "other.kylc": withOtherChecksum(file),
      "there.kylc": file,
      "there": new Uint8Array(3),
      "text.kylc": new TextEncoder().encode(TEXT),
    };
    for (const [name, bytes] of Object.entries(stored)) await Deno.writeFile(path(name), bytes);
    await Deno.mkdir(path("folder"));
    const damaged = "expected the file as it was written, found one that is cut short or damaged " +
      "(its CRC-32 does not fit); copy it anew";
    const help = "(see deno task decompress --help)";
    const model = ["--model", clm];
    const cases: readonly (readonly [argv: string[], code: number, line: string])[] = [
      [
        [],
        2,
        `FILE is missing: what deno task compress wrote; - for standard input, with -o ${help}`,
      ],
      [
        [path("my.txt"), ...model],
        2,
        `-o is missing: ${path("my.txt")} has no .kylc at its end that could be left out ${help}`,
      ],
      [
        ["-", ...model],
        2,
        `-o is missing: - has no .kylc at its end that could be left out ${help}`,
      ],
      [
        [path("none.kylc"), ...model],
        1,
        `${path("none.kylc")}: expected a file that can be read: No such file or directory ` +
        `(os error 2): readfile '${path("none.kylc")}'`,
      ],
      [
        [path("text.kylc"), ...model],
        1,
        `${
          path("text.kylc")
        }: expected a file that deno task compress wrote, found another; check ` +
        "its name",
      ],
      [
        [path("start.kylc"), ...model],
        1,
        `${
          path("start.kylc")
        }: expected at least 64 bytes, found 20: the file is cut short; copy ` +
        "it anew",
      ],
      [[path("half.kylc"), ...model], 1, `${path("half.kylc")}: ${damaged}`],
      [[path("flipped.kylc"), ...model], 1, `${path("flipped.kylc")}: ${damaged}`],
      [
        [path("other.kylc"), ...model],
        1,
        `${path("other.kylc")}: expected the original's checksum, found another: the logits here ` +
        "are not those of the machine that wrote the file; decompress it on one like that, with the " +
        "same release of this library",
      ],
      [
        [path("whole.kylc"), "--model", eem],
        1,
        `${path("whole.kylc")}: expected the model that wrote the file, ${hash.slice(0, 16)}…, ` +
        `found ${
          other.slice(0, 16)
        }…; name the run that compressed it (trained anew it has other ` +
        "weights)",
      ],
      [
        [path("whole.kylc")],
        1,
        `${path("whole.kylc")}: expected --model with the run that compressed the file, found ` +
        "none; name it",
      ],
      [
        [path("there.kylc"), ...model],
        1,
        `${path("there")}: expected no file of this name, found one; name another with -o, or ` +
        "overwrite it with --force",
      ],
      [
        [path("whole.kylc"), ...model, "--force", "-o", path("whole.kylc")],
        1,
        `${path("whole.kylc")}: expected another file than the one that is read; name one with -o`,
      ],
      [
        [path("whole.kylc"), ...model, "--force", "-o", path("folder")],
        1,
        `${
          path("folder")
        }: expected a file's name, found a folder or a device; name a file with -o`,
      ],
      [
        [path("whole.kylc"), ...model, "-o", path("new/a.txt")],
        1,
        `${path("new/a.txt")}: expected an existing folder, found no ${path("new")}; make it`,
      ],
    ];
    const before = names();
    await Promise.all(cases.map(async ([argv, expected, line]) => {
      const { code, stdout, stderr } = await decompress(...argv);
      assert.equal(code, expected, stderr);
      assert.equal(stdout, "");
      const said = stderr.trimEnd().split("\n").filter((line) => !/^(engine: |decomp)/.test(line));
      assert.deepEqual(said, [`error: ${line}`]);
    }));
    assert.deepEqual(names(), before);
    assert.equal((await Deno.readFile(path("there"))).length, 3);
    const forced = await decompress(path("there.kylc"), ...model, "--force");
    assert.equal(forced.code, 0, forced.stderr);
    assert.equal(await Deno.readTextFile(path("there")), TEXT);

    const none = await decompress(path("whole.kylc"), "--model", "none-1");
    assert.equal(none.code, 1);
    assert.match(
      none.stderr,
      /^error: none-1: expected the folder or the id of a run, found none; /,
    );
  }));

Deno.test({
  name: "deno task decompress that gets Ctrl-C ends with 130 and writes nothing",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withRuns({}, async ({ clm, path, names }) => {
      const { file } = await expectedFile(clm, TEXT.repeat(10));
      await Deno.writeFile(path("a.kylc"), file);
      const before = names();
      const command = taskCommand("decompress", [path("a.kylc"), "--model", clm]);
      const { code, signal, stdout, stderr } = await interruptTask(command, /decompressing · /);
      assert.deepEqual([code, signal, stdout], [130, null, ""], stderr);
      assert.match(stderr, /\ninterrupted: nothing was written\n$/);
      assert.doesNotMatch(stderr, /error|\n\s+at |done/);
      assert.deepEqual(names(), before);
    }),
});
