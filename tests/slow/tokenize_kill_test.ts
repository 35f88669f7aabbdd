/** Tokenizing killed without warning, again and again, ends with the shards of one that was not. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TEMPORARY_ENDING } from "../../lib/files.ts";
import { createRandom, type Random } from "../../lib/random.ts";
import { formatTokenizer, trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { withFiles } from "../text/_temporary.ts";

const KILLS = 40;
/** A kill comes within this time of the first shard, or of the start of the process. */
const LONGEST_MS = 1200;
const SCRIPT = fileURLToPath(new URL("../text/shards/_tokenize_process.ts", import.meta.url));

/** Words of which few are frequent and many are rare. */
function randomText(random: Random, words: number): string {
  return Array.from({ length: words }, () => {
    const rank = Math.floor(Math.exp(9 * random.uniform()));
    return `${rank.toString(36)}${"aeiou"[rank % 5]}${rank % 7 === 0 ? "," : ""}`;
  }).join(" ");
}

function jsonLines(random: Random, documents: number): string {
  return Array.from(
    { length: documents },
    () => JSON.stringify({ text: randomText(random, 20 + Math.floor(800 * random.uniform())) }),
  ).join("\n");
}

const random = createRandom(1);
const texts = {
  ...Object.fromEntries(
    [900, 30, 700, 1100, 400].map((documents, file) => [
      `texts/${file}.jsonl${file === 2 ? ".gz" : file === 4 ? ".zst" : ""}`,
      jsonLines(random.stream(`file ${file}`), documents),
    ]),
  ),
  ...Object.fromEntries(
    Array.from({ length: 40 }, (_, file) => [
      `texts/more/${file}.txt`,
      randomText(random.stream(`text ${file}`), 900),
    ]),
  ),
  "tokenizer.json": formatTokenizer(
    trainTokenizer([randomText(random.stream("tokenizer"), 50_000)], { vocabSize: 1000 }),
  ),
};

function start(folder: string, shards: string, workers: number): Deno.ChildProcess {
  const paths = [join(folder, "texts"), join(folder, "tokenizer.json"), join(folder, shards)];
  const permissions = ["read", "write", "env", "sys"].map((name) => `--allow-${name}`);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", ...permissions, SCRIPT, ...paths, `${workers}`],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The files of the only set in a folder, without the lock and what was being written. */
function filesOf(folder: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const set of Deno.readDirSync(folder)) {
    const path = join(folder, set.name);
    const names = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
    for (const name of names) {
      if (name === "lock" || name.endsWith(TEMPORARY_ENDING)) continue;
      found.set(`${set.name}/${name}`, Deno.readFileSync(join(path, name)));
    }
  }
  return found;
}

function temporaryFiles(folder: string): number {
  return [...Deno.readDirSync(folder)].flatMap(({ name }) => [
    ...Deno.readDirSync(join(folder, name)),
  ]).filter(({ name }) => name.endsWith(TEMPORARY_ENDING)).length;
}

Deno.test(`tokenizing killed ${KILLS} times at random moments, by any number of threads, leaves the same shards`, () =>
  withFiles(texts, async (folder) => {
    const { code, stderr } = await start(folder, "whole", 1).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const wanted = filesOf(join(folder, "whole"));
    assert.ok(wanted.size > 30, `${wanted.size} files`);

    const moments = createRandom(2).stream("kills");
    let killed = 0, kept = 0, cut = 0, rounds = 0;
    for (let round = 1; killed < KILLS; round++) {
      assert.ok(round < 4 * KILLS, `${killed} kills in ${round} rounds`);
      // A set that is finished is killed while it is made anew.
      const shards = `killed ${rounds}`;
      Deno.mkdirSync(join(folder, shards), { recursive: true });
      const before = filesOf(join(folder, shards)).size;
      const child = start(folder, shards, round % 4);
      const isEarly = killed % 5 === 0;
      const output = child.output();
      for (let wait = 0; !isEarly && wait < 400; wait++) {
        if (filesOf(join(folder, shards)).size > before) break;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await new Promise((resolve) => setTimeout(resolve, LONGEST_MS * moments.uniform()));
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended already
      }
      const { signal, code, stderr } = await output;
      const found = filesOf(join(folder, shards));
      for (const [name, bytes] of found) {
        assert.ok(wanted.get(name)?.every((byte, i) => byte === bytes[i]), name);
        assert.equal(bytes.length, wanted.get(name)!.length);
      }
      if (signal === "SIGKILL") {
        killed++;
        if (found.size > 0 && found.size < wanted.size) kept++;
        if (temporaryFiles(join(folder, shards)) > 0) cut++;
      } else {
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        assert.equal(found.size, wanted.size);
        assert.equal(
          temporaryFiles(join(folder, shards)),
          0,
          "nothing of a killed process is left",
        );
        rounds++;
      }
    }
    console.log(`${KILLS} kills: ${kept} left some shards, ${cut} a half of one; ${rounds} ends`);
    assert.ok(kept > KILLS / 2);
    const last = await start(folder, `killed ${rounds}`, 2).output();
    assert.equal(last.code, 0, new TextDecoder().decode(last.stderr));
    assert.deepEqual(filesOf(join(folder, `killed ${rounds}`)), wanted);
  }));
