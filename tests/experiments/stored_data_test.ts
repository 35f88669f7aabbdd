import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { initEngine } from "../../lib/engine/mod.ts";
import { type CorpusData, prepareData, runAll, runId } from "../../lib/experiments/mod.ts";
import { usesShards } from "../../lib/experiments/stored_data.ts";
import { inMemory, trainSubset } from "../../lib/experiments/window_subsets.ts";
import { isStored, type StoredWindows, type Windows } from "../../lib/text/mod.ts";
import { refusalOf } from "../_refusal.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus, tinySpec } from "./_tiny.ts";
import { optionsIn } from "./_tiny_runs.ts";

await initEngine({ backend: "wasm", log: () => {} });

const LINES = tinyCorpus()["corpus.jsonl"]!;
const files = {
  ...tinyCorpus(),
  "compressed/corpus.jsonl.zst": LINES,
};

const data = (folder: string, changes: Partial<CorpusData> = {}): CorpusData => ({
  ...tinySpec(folder, "clm").data,
  corpus: join(folder, "compressed"),
  ...changes,
});

Deno.test("usesShards() of the Hub, compressed and large files, and samples", () =>
  withFiles({ ...files, "large.txt": "a word ".repeat(1e7) }, async (folder) => {
    const uses = (corpus: string, limit?: number) =>
      usesShards(data(folder, { corpus, ...(limit !== undefined && { limit }) }));
    for (const name of ["fineweb-edu", "finemath", "hf:someone/something"]) {
      assert.equal(await uses(name), true, name);
    }
    for (
      const name of [
        "*.txt",
        "compressed/*",
        "compressed",
        "compressed/corpus.jsonl.zst",
        "large.txt",
      ]
    ) {
      assert.equal(await uses(join(folder, name)), true, name);
    }
    for (
      const name of [
        "sotu",
        join(folder, "corpus.jsonl"),
        join(folder, "*.jsonl"),
        join(folder, "nothing"),
      ]
    ) {
      assert.equal(await uses(name), false, name);
      assert.equal(await uses(name, 10), true, name);
    }
  }));

Deno.test("prepareData() of a compressed corpus reads its windows from shards", () =>
  withFiles(files, async (folder) => {
    const options = { ...optionsIn(folder), workers: 0 };
    for (const layout of ["packed", "padded"] as const) {
      const spec = data(folder, { layout, heldOutWindows: 3 });
      const { training, tokenizer, bytesPerToken, corpusKey } = await prepareData(spec, options);
      const { train, heldOut } = training;
      assert.ok(isStored(train));
      assert.equal(training.padId, layout === "padded" ? tokenizer.padId : null);

      const isHeldOut = (text: string) =>
        createHash("sha256").update(text).digest().readUInt32BE() < 0.1 * 2 ** 32;
      const texts = LINES.split("\n").map((line): string => JSON.parse(line).text);
      const sides = [texts.filter((text) => !isHeldOut(text)), texts.filter(isHeldOut)];
      assert.ok(sides[1]!.length > 0);
      if (layout === "packed") {
        const read = tokenizer.decode(inMemory(train).ids);
        assert.ok(
          sides[0]!.join("").startsWith(read) && read.length > 0.98 * sides[0]!.join("").length,
        );
      } else {
        assert.equal(train.count, sides[0]!.length);
        assert.equal(heldOut.count, Math.min(3, sides[1]!.length));
      }
      const bytes = heldOut.byteCounts.reduce((sum, count) => sum + count, 0);
      assert.ok(bytes / bytesPerToken <= 3 * 8 && bytesPerToken > 1);
      assert.equal((await prepareData(spec, options)).corpusKey, corpusKey);
      assert.deepEqual(
        (await prepareData({ ...spec, heldOutWindows: 1e6 }, options)).corpusKey,
        corpusKey,
      );
    }
  }));

Deno.test("prepareData() of a pattern of small plain files is that of the files", () =>
  withFiles(files, async (folder) => {
    const options = { ...optionsIn(folder), workers: 0 };
    const of = (name: string) => prepareData(data(folder, { corpus: join(folder, name) }), options);
    const [pattern, file] = [await of("*.jsonl"), await of("corpus.jsonl")];
    assert.deepEqual(pattern.training, file.training);
    assert.equal(pattern.corpusKey, file.corpusKey);
  }));

Deno.test("prepareData() says it where all documents or none are held out", () => {
  const isHeldOut = (text: string) =>
    createHash("sha256").update(text).digest().readUInt32BE() < 0.1 * 2 ** 32;
  const texts = Array.from({ length: 60 }, (_, i) => `number ${i} ` + "some words ".repeat(50));
  const lines = (wanted: boolean) =>
    texts.filter((text) => isHeldOut(text) === wanted).slice(0, 3)
      .map((text) => JSON.stringify({ text })).join("\n");
  const sides = { "train.jsonl.zst": lines(false), "held.jsonl.zst": lines(true) };
  return withFiles(sides, async (folder) => {
    const options = { ...optionsIn(folder), workers: 0 };
    for (const layout of ["packed", "padded"] as const) {
      for (const [name, found] of [["train", "none is"], ["held", "all are"]] as const) {
        const spec = data(folder, { corpus: join(folder, `${name}.jsonl.zst`), layout });
        assert.equal(
          await refusalOf(prepareData(spec, options)),
          `${name}: expected documents on both sides, found 3, of which by their SHA-256 ${found} ` +
            "held out: cut them into ten or more",
        );
      }
    }
  });
});

Deno.test("prepareData() takes the first documents only", () =>
  withFiles(files, async (folder) => {
    const options = { ...optionsIn(folder), workers: 0 };
    const of = async (limit?: number) => {
      const spec = data(folder, { heldOutWindows: 1e6, ...(limit !== undefined && { limit }) });
      const { training: { train, heldOut }, corpusKey } = await prepareData(spec, options);
      return { corpusKey, count: train.count + heldOut.count };
    };
    const [few, all] = [await of(30), await of()];
    assert.ok(few.count > 0.6 * all.count && few.count < 0.9 * all.count);
    assert.notEqual(few.corpusKey, all.corpusKey);
  }));

Deno.test("runAll() on shards is the same run stopped and resumed, from any path of the text", () =>
  withFiles(files, async (folder) => {
    const spec = (corpus: string) => ({
      ...tinySpec(folder, "eem"),
      data: data(folder, { corpus }),
    });
    const compressed = join(folder, "compressed");
    const options = { ...optionsIn(folder), workers: 0 };
    const whole = await runAll([spec(compressed)], options);

    const controller = new AbortController();
    const elsewhere = { ...optionsIn(join(folder, "other")), workers: 0, checkpointSeconds: 0 };
    const stopping = runAll([spec(join(compressed, "*.zst"))], {
      ...elsewhere,
      signal: controller.signal,
      onProgress: ({ record }) => {
        if (record.type === "train" && record.step === 6) controller.abort();
      },
    });
    assert.match(await refusalOf(stopping), /^stopped mixer eem, seed 3 after step 6/);
    const resumed = await runAll([spec(join(compressed, "*.zst"))], elsewhere);
    const plain = (records: typeof whole[0]["records"]) =>
      records.map((record) => ({ ...record, tokensPerSecond: 0 }));
    assert.deepEqual(plain(resumed[0]!.records), plain(whole[0]!.records));
    assert.equal(resumed[0]!.config.id, whole[0]!.config.id);
    assert.ok(whole[0]!.records.some(({ type }) => type === "evaluation"));
  }));

Deno.test("runId() does not depend on where the text lies, nor how much of it was asked for", () => {
  const spec = tinySpec("", "clm");
  const other = {
    ...spec,
    data: { ...spec.data, corpus: "fineweb-edu", limit: 5, textField: "a" },
  };
  assert.equal(runId(other, "key"), runId(spec, "key"));
  assert.notEqual(runId(other, "other key"), runId(spec, "key"));
});

/** Windows of a megatoken, each its number again and again. */
function numbered(count: number): StoredWindows {
  const contextLength = 2 ** 20;
  return {
    contextLength,
    count,
    layout: "packed",
    read: (rows) => {
      const ids = new Int32Array(rows.length * contextLength);
      Array.from(rows).forEach((row, i) => {
        ids.fill(row, i * contextLength, (i + 1) * contextLength);
      });
      const numbers = new Int32Array(rows.length).fill(contextLength);
      return {
        contextLength,
        count: rows.length,
        ids,
        realTokens: numbers,
        byteCounts: numbers,
        layout: "packed",
      };
    },
  };
}

Deno.test("trainSubset() of stored windows: few are read now, many when they are asked for", () => {
  const numbersOf = (windows: Windows) =>
    Array.from({ length: windows.count }, (_, row) => windows.ids[row * 2 ** 20]!);
  const few = trainSubset(numbered(100), { trainWindows: 4, trainHalf: "odd" });
  assert.ok(!isStored(few));
  assert.deepEqual(numbersOf(few), [25, 75]);

  const all = numbered(66);
  assert.equal(trainSubset(all, {}), all);
  const rest = trainSubset(all, { trainWithout: 1 });
  assert.ok(isStored(rest));
  assert.deepEqual(numbersOf(rest.read([0, 64, 5])), [1, 65, 6]);
  assert.throws(
    () => inMemory(rest),
    /expected at most 64 training windows of 1048576 tokens to be rated, found 65/,
  );
});
