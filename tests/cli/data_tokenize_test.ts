import assert from "node:assert/strict";
import { join } from "node:path";
import { ShardSet } from "../../lib/text/mod.ts";
import { parseTokenizer } from "../../lib/tokenizer/mod.ts";
import { madeDocuments } from "../text/shards/_made_source.ts";
import { withFiles } from "../text/_temporary.ts";
import { dataTask } from "./_data_task.ts";

const TEXTS = madeDocuments(120).map(({ text }) => `${text} end`);
const FILES = {
  "texts/a.jsonl": TEXTS.slice(0, 70).map((text) => JSON.stringify({ text })).join("\n"),
  "texts/b.jsonl.zst": TEXTS.slice(70).map((text) => JSON.stringify({ text })).join("\n"),
};

async function run(folder: string, argv: readonly string[]) {
  const { code, stdout, stderr } = await (await dataTask(folder, argv)).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, output: text(stdout), errors: text(stderr) };
}

Deno.test("deno task data tokenizer, then tokenize, make shards of a folder by that tokenizer", () =>
  withFiles(FILES, async (folder) => {
    const path = join(folder, ".cache", "mine.json");
    const made = await run(folder, [
      ...["tokenizer", "train", "texts", "--vocabulary", "300", "-o", path],
    ]);
    assert.equal(made.code, 0, made.errors);
    assert.match(made.output, /mine\.json: 300 entries from 0\.0 MB of texts\n$/);
    const tokenizer = parseTokenizer(Deno.readTextFileSync(path));
    assert.equal(tokenizer.vocabSize, 300);

    const argv = ["tokenize", "texts", "--tokenizer", path, "--workers", "1"];
    const { code, output, errors } = await run(folder, argv);
    assert.equal(code, 0, errors);
    const [training, heldOut, where] = output.trim().split("\n");
    const set = /^texts, 300 entries: 1 shards in (.*)$/.exec(where!)![1]!;
    const shards = await ShardSet.open(set);
    const texts = (["train", "heldOut"] as const).map((side) =>
      Array.from(
        { length: shards.manifest[side].documents },
        (_, document) => tokenizer.decode(shards.documentIds(side, document)),
      )
    );
    assert.deepEqual(texts.flat().sort(), TEXTS.toSorted());
    assert.match(training!, new RegExp(`^training: ${texts[0]!.length} documents, `));
    assert.match(
      heldOut!,
      new RegExp(`^held out: ${texts[1]!.length} documents, .* bytes a token$`),
    );
    const again = await run(folder, argv);
    assert.equal(again.output, output);
    assert.doesNotMatch(again.errors, /tokenizing/);
  }));

Deno.test("deno task data tokenize trains a tokenizer of its own, on a sample if it is asked to", () =>
  withFiles(FILES, async (folder) => {
    const argv = ["tokenize", "texts/*", "--vocabulary", "280", "--limit", "100", "--unit"];
    const { code, output, errors } = await run(folder, [...argv, "sentence"]);
    assert.equal(code, 0, errors);
    assert.match(errors, /training a tokenizer of 280 entries on texts\n/);
    assert.match(output, /texts, 280 entries: /);
    const [training, heldOut] = output.match(/\d+(?= documents)/g)!.map(Number);
    assert.ok(training! + heldOut! >= 100);
  }));

Deno.test("deno task data tokenizer and tokenize say in one line what is wrong", () =>
  withFiles({ ...FILES, "not.json": "{}" }, async (folder) => {
    const cases: readonly (readonly [RegExp, ...string[]])[] = [
      [/^error: expected the word train, found "make"/, "tokenizer", "make", "texts"],
      [/^error: SOURCE is missing/, "tokenizer", "train"],
      [/^error: --vocabulary does nothing with --tokenizer/, "tokenize", "texts"],
      [/^error: nothing\.json: expected a tokenizer\.json, found none; make one with/, "tokenize"],
      [/^error: not\.json: expected /, "tokenize", "texts", "--tokenizer", "not.json"],
      [/^error: nowhere: expected a file, a folder/, "tokenize", "nowhere"],
    ];
    const more: Readonly<Record<number, readonly string[]>> = {
      2: ["--vocabulary", "300", "--tokenizer", "x.json"],
      3: ["texts", "--tokenizer", "nothing.json"],
    };
    for (const [at, [message, ...argv]] of cases.entries()) {
      const { code, errors } = await run(folder, [...argv, ...more[at] ?? []]);
      assert.ok(code === 1 || code === 2, `${code}: ${errors}`);
      assert.match(errors, message);
      assert.equal(errors.trim().split("\n").length, 1, errors);
    }
  }));
