import assert from "node:assert/strict";
import { join } from "node:path";
import { CLASSICAL_PROGRAMS, classicalCompressors } from "../../lib/experiments/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { refusalOf } from "../_refusal.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus } from "./_tiny.ts";

const TEXT = new TextEncoder().encode(tinyCorpus()["corpus.jsonl"]);

/** What a user would type; the archive's name is not in it, the file's name is. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  "gzip -9": ["gzip", "-9", "-n", "-c", "original"],
  "bzip2 -9": ["bzip2", "-9", "-c", "original"],
  "xz -9e": ["xz", "-9e", "-c", "original"],
  "zstd -19": ["zstd", "-19", "-c", "original"],
  "zstd --ultra -22": ["zstd", "--ultra", "-22", "-c", "original"],
  "brotli -q 11": ["brotli", "-q", "11", "-w", "24", "-c", "original"],
  "7-Zip PPMd o=32": ["7z", "a", "-m0=PPMd:o=32:mem=192m", "a.7z", "original"],
  "7-Zip PPMd o=10": ["7z", "a", "-m0=PPMd:o=10:mem=256m", "b.7z", "original"],
};

const PACKAGES: Readonly<Record<string, string>> = {
  "gzip -9": "gzip",
  "bzip2 -9": "bzip2",
  "xz -9e": "xz-utils",
  "zstd -19": "zstd",
  "zstd --ultra -22": "zstd",
  "brotli -q 11": "brotli",
  "7-Zip PPMd o=32": "7zip",
  "7-Zip PPMd o=10": "7zip",
};

/** Bytes of the tool's file, or null where it is not installed. */
async function bytesOf(folder: string, [program, ...args]: readonly string[]) {
  try {
    const command = new Deno.Command(program!, { args, cwd: folder });
    const { code, stdout } = await command.output();
    assert.equal(code, 0, `${program} ${args.join(" ")}`);
    return program === "7z" ? (await Deno.stat(join(folder, args.at(-2)!))).size : stdout.length;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** With programs of the test's own, and with temporary files in a folder of their own. */
async function withPrograms(
  scripts: Readonly<Record<string, string>>,
  use: (temporary: string) => Promise<void>,
): Promise<void> {
  await withFiles({}, async (folder) => {
    const [programs, temporary] = [join(folder, "programs"), join(folder, "temporary")];
    for (const path of [programs, temporary]) await Deno.mkdir(path);
    for (const [name, script] of Object.entries(scripts)) {
      await Deno.writeTextFile(join(programs, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    const before = ["PATH", "TMPDIR"].map((name) => [name, Deno.env.get(name)] as const);
    Deno.env.set("PATH", programs);
    Deno.env.set("TMPDIR", temporary);
    try {
      await use(temporary);
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) Deno.env.delete(name);
        else Deno.env.set(name, value);
      }
    }
  });
}

const isWindows = Deno.build.os === "windows";

/** `case` of a program that makes a file and does what the test says with `-d`. */
const gzipThat = (decodes: string) =>
  `case "$1" in --version) echo "gzip 7.8.9";; -d) ${decodes};; ` +
  `*) /bin/cp original original.gz;; esac`;

Deno.test("classicalCompressors() counts what the programs themselves write", () =>
  withFiles({ original: TEXT }, async (folder) => {
    const seen: string[] = [];
    const { records, absent } = await classicalCompressors(TEXT, {
      onProgress: ({ name, done, total }) => {
        assert.equal(done, seen.length);
        assert.equal(total, Object.keys(COMMANDS).length);
        seen.push(name);
      },
    });
    assert.deepEqual(seen, Object.keys(COMMANDS));
    assert.deepEqual(
      [...records, ...absent].map(({ name }) => name).sort(),
      Object.keys(COMMANDS).sort(),
    );
    for (const record of records) {
      assert.match(record.version, /^\d+(\.\d+)+$/, record.name);
      assert.ok(record.encodeSeconds > 0 && record.decodeSeconds > 0);
      assert.ok(CLASSICAL_PROGRAMS.includes(record.command.split(" ")[0]!));
      const expected = await bytesOf(folder, COMMANDS[record.name]!);
      // The official 7-Zip alone is there where 7z is not.
      if (expected !== null) assert.equal(record.bytes, expected, record.name);
    }
    for (const { name, debianPackage } of absent) assert.equal(debianPackage, PACKAGES[name]);
  }));

Deno.test("classicalCompressors() takes nothing, and bytes that do not get shorter", async () => {
  const random = createRandom(3);
  for (const length of [0, 1, 4096]) {
    const bytes = Uint8Array.from({ length }, () => random.bits() & 0xff);
    for (const record of (await classicalCompressors(bytes)).records) {
      assert.ok(record.bytes >= length, record.name);
    }
  }
});

Deno.test({
  name: "classicalCompressors() runs only those that it is asked for, in its own order",
  ignore: isWindows,
  fn: () =>
    withPrograms({ gzip: gzipThat("/bin/cat original.gz") }, async (temporary) => {
      const seen: string[] = [];
      const { records, absent } = await classicalCompressors(TEXT, {
        only: ["7-Zip PPMd o=10", "gzip -9"],
        onProgress: ({ name, done, total }) => void seen.push(`${name}, ${done} of ${total}`),
      });
      assert.deepEqual(seen, ["gzip -9, 0 of 2", "7-Zip PPMd o=10, 1 of 2"]);
      assert.deepEqual(records.map(({ name, bytes }) => [name, bytes]), [["gzip -9", TEXT.length]]);
      assert.deepEqual(absent, [{ name: "7-Zip PPMd o=10", debianPackage: "7zip" }]);
      const nothing = await classicalCompressors(TEXT, { only: [] });
      assert.deepEqual(nothing, { records: [], absent: [] });
      assert.deepEqual([...Deno.readDirSync(temporary)], []);
    }),
});

Deno.test({
  name: "classicalCompressors() names what is not on the machine",
  ignore: isWindows,
  fn: () =>
    withPrograms({}, async (temporary) => {
      assert.deepEqual(await classicalCompressors(TEXT), {
        records: [],
        absent: Object.entries(PACKAGES).map(([name, debianPackage]) => ({ name, debianPackage })),
      });
      assert.deepEqual([...Deno.readDirSync(temporary)], []);
    }),
});

Deno.test({
  name: "classicalCompressors() believes no program that does not give the text back",
  ignore: isWindows,
  fn: async () => {
    const cases = [
      [
        gzipThat("/bin/cat original.gz"),
        null,
      ],
      [
        gzipThat("echo else"),
        "gzip -9: expected the original to come back, found other bytes; check the program gzip",
      ],
      [
        gzipThat("echo it is worn out >&2; exit 3"),
        "gzip -9: expected gzip -d -c original.gz to succeed, found exit code 3 (it is worn out); " +
        "repair or remove the program",
      ],
      [
        `[ "$1" = --version ] || exit 4`,
        "gzip -9: expected gzip -9 -n -k original to succeed, found exit code 4; repair or remove " +
        "the program",
      ],
    ] as const;
    for (const [script, message] of cases) {
      await withPrograms({ gzip: script }, async (temporary) => {
        const results = classicalCompressors(TEXT);
        if (message === null) {
          const { records: [record, ...others], absent } = await results;
          const { encodeSeconds: _, decodeSeconds: __, ...facts } = record!;
          assert.deepEqual(facts, {
            name: "gzip -9",
            version: "7.8.9",
            command: "gzip -9 -n -k original",
            bytes: TEXT.length,
          });
          assert.deepEqual([others.length, absent.length], [0, 7]);
        } else assert.equal(await refusalOf(results), message);
        assert.deepEqual([...Deno.readDirSync(temporary)], []);
      });
    }
  },
});

Deno.test({
  name: "classicalCompressors() that is aborted ends its program and leaves nothing",
  ignore: isWindows,
  fn: () =>
    withPrograms({ gzip: gzipThat("/bin/sleep 6") }, async (temporary) => {
      const reason = new Error("enough");
      const start = performance.now();
      await assert.rejects(
        classicalCompressors(TEXT, { signal: AbortSignal.abort(reason) }),
        reason,
      );
      const controller = new AbortController();
      const results = classicalCompressors(TEXT, { signal: controller.signal });
      setTimeout(() => controller.abort(reason), 100);
      await assert.rejects(results, reason);
      assert.ok(performance.now() - start < 5000, "it did not wait for the program");
      assert.deepEqual([...Deno.readDirSync(temporary)], []);
    }),
});
