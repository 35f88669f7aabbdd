import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type CorpusData,
  halfRows,
  latentData,
  pickWindows,
  prepareData,
  type PreparedData,
  type PreparedText,
  scoredTokens,
  sourceData,
  type TrainSubset,
} from "../../lib/experiments/data.ts";
import { inMemory } from "../../lib/experiments/window_subsets.ts";
import { UserError } from "../../lib/errors.ts";
import { createRandom } from "../../lib/random.ts";
import {
  exactValues,
  type Source,
  sourceProcess,
  sourceSequences,
  type Windows,
} from "../../lib/text/mod.ts";
import { refusalOf } from "../_refusal.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus } from "./_tiny.ts";

const PAD = 1;

/** Three windows of four: without pads, with one, with three. */
const WINDOWS: Windows = {
  contextLength: 4,
  count: 3,
  ids: Int32Array.of(5, 6, 7, 8, PAD, 9, 10, 11, PAD, PAD, PAD, 12),
  realTokens: Int32Array.of(4, 3, 1),
  byteCounts: Int32Array.of(30, 20, 10),
  layout: "padded",
};

Deno.test("pickWindows() takes rows with all that belongs to them, in the order given", () => {
  assert.deepEqual(pickWindows(WINDOWS, [2, 0, 2]), {
    contextLength: 4,
    count: 3,
    ids: Int32Array.of(PAD, PAD, PAD, 12, 5, 6, 7, 8, PAD, PAD, PAD, 12),
    realTokens: Int32Array.of(1, 4, 1),
    byteCounts: Int32Array.of(10, 30, 10),
    layout: "padded",
  });
  const values = Float32Array.from({ length: 12 }, (_, at) => at / 2);
  assert.deepEqual(
    pickWindows({ ...WINDOWS, values }, [2, 1]).values,
    Float32Array.of(4, 4.5, 5, 5.5, 2, 2.5, 3, 3.5),
  );
  assert.equal(pickWindows(WINDOWS, []).count, 0);
});

Deno.test("scoredTokens() counts neither first positions nor pads", () => {
  assert.equal(scoredTokens(WINDOWS, PAD), 3 + 3 + 1);
  assert.equal(scoredTokens(pickWindows(WINDOWS, [0]), PAD), 3);
  assert.equal(scoredTokens(WINDOWS, 99), 9);
});

function prepare(folder: string, changes: Partial<CorpusData>): Promise<PreparedText> {
  const spec: CorpusData = {
    corpus: join(folder, "corpus.jsonl"),
    vocabSize: 270,
    unit: "document",
    layout: "packed",
    contextLength: 8,
    heldOutWindows: 1e6,
    ...changes,
  };
  return prepareData(spec, { cacheFolder: join(folder, "cache") });
}

/** Documents of 1 … 40 ASCII letters: shorter and longer than a window. */
function shortDocuments(): Record<string, string> {
  const lines = Array.from({ length: 40 }, (_, i) => {
    const words = "the union of the states is the state of the union".slice(0, i + 1);
    return JSON.stringify({ text: `${words}${i}` });
  });
  return { "corpus.jsonl": lines.join("\n") };
}

/** Text of a window's row, without its pads. */
function textOf({ tokenizer, training }: PreparedText, row: number): string {
  const { contextLength, ids } = training.heldOut;
  return tokenizer.decode(ids.subarray(row * contextLength, (row + 1) * contextLength));
}

Deno.test("prepareData() counts bytes per token of padded windows as one does by hand", () =>
  withFiles(shortDocuments(), async (folder) => {
    // Without merges a token is a letter.
    const letters = await prepare(folder, { vocabSize: 258, layout: "padded", contextLength: 16 });
    const { heldOut, padId } = letters.training;
    assert.equal(padId, letters.tokenizer.padId);
    assert.equal(letters.bytesPerToken, 1);
    let scored = 0, full = 0;
    for (let row = 0; row < heldOut.count; row++) {
      const { length } = textOf(letters, row);
      assert.equal(heldOut.realTokens[row], length);
      // Where nothing is padded the first letter has no predecessor.
      scored += length === 16 ? 15 : length;
      if (length === 16) full++;
    }
    assert.ok(full > 0 && full < heldOut.count, "windows with and without pads");
    assert.equal(scoredTokens(heldOut, padId!), scored);

    const merged = await prepare(folder, {
      layout: "padded",
      contextLength: 6,
      heldOutWindows: 3,
    });
    let bytes = 0, tokens = 0;
    for (let row = 0; row < merged.training.heldOut.count; row++) {
      const text = textOf(merged, row);
      const ids = merged.tokenizer.encode(text);
      const unscored = merged.training.heldOut.realTokens[row] === 6 ? 1 : 0;
      bytes += text.length - (unscored && merged.tokenizer.tokenText(ids[0]!).length);
      tokens += ids.length - unscored;
    }
    assert.ok(merged.bytesPerToken > 1);
    assert.equal(merged.bytesPerToken, bytes / tokens);
  }));

Deno.test("prepareData() counts bytes per token of packed windows without their first tokens", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const data = await prepare(folder, { heldOutWindows: 5 });
    assert.equal(data.training.padId, null);
    const { heldOut } = data.training;
    let bytes = 0;
    for (let row = 0; row < heldOut.count; row++) {
      bytes += data.tokenizer.decode(heldOut.ids.subarray(row * 8 + 1, row * 8 + 8)).length;
    }
    assert.equal(data.bytesPerToken, bytes / (heldOut.count * 7));
  }));

Deno.test("prepareData() evaluates windows spread evenly over the held-out text", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const all = (await prepare(folder, {})).training.heldOut;
    const rowText = (windows: Windows, row: number) =>
      windows.ids.subarray(row * 8, row * 8 + 8).join();
    const rowOf = new Map(Array.from({ length: all.count }, (_, row) => [rowText(all, row), row]));
    assert.ok(all.count > 50);
    for (const count of [1, 2, 7, 16, all.count - 1, all.count]) {
      const { heldOut, train } = (await prepare(folder, { heldOutWindows: count })).training;
      assert.equal(heldOut.count, count);
      assert.equal(heldOut.ids.length, 8 * count);
      assert.ok(train.count > all.count, "training windows are not thinned out");
      const step = all.count / count;
      for (let i = 0; i < count; i++) {
        const row = Math.floor(i * step);
        assert.equal(rowText(heldOut, i), rowText(all, row), `window ${i} of ${count}`);
        assert.equal(heldOut.byteCounts[i], all.byteCounts[row]);
      }
    }
    assert.ok(rowOf.size > all.count / 2, "windows can be told apart");
    const more = await prepare(folder, { heldOutWindows: all.count + 1 });
    assert.deepEqual(more.training.heldOut, all);
  }));

Deno.test("halfRows() are every other row, from the first or the second", () => {
  assert.deepEqual(halfRows({ count: 5 }, "even"), [0, 2, 4]);
  assert.deepEqual(halfRows({ count: 5 }, "odd"), [1, 3]);
  assert.deepEqual(halfRows({ count: 1 }, "odd"), []);
});

/** All of the windows' rows, and what belongs to each. */
function rowsOf({ contextLength, count, ids, realTokens, byteCounts }: Windows): string[] {
  return Array.from({ length: count }, (_, row) => {
    const own = ids.subarray(row * contextLength, (row + 1) * contextLength);
    return `${own} ${realTokens[row]} ${byteCounts[row]}`;
  });
}

/** Asserts that `prepare` gives parts of the training windows and all of the held-out ones. */
async function assertTrainSubsets(
  prepare: (subset: TrainSubset) => Promise<PreparedData>,
): Promise<void> {
  const { training: all, corpusKey } = await prepare({});
  const rows = rowsOf(inMemory(all.train));
  const { count } = all.train;
  assert.ok(count > 20 && new Set(rows).size > count / 2, "windows can be told apart");
  for (const trainWindows of [1, 2, 7, 16, count - 1, count]) {
    const part = Array.from(
      { length: trainWindows },
      (_, i) => rows[Math.floor(i * count / trainWindows)]!,
    );
    const { training, corpusKey: key } = await prepare({ trainWindows });
    assert.deepEqual(rowsOf(inMemory(training.train)), part, `${trainWindows} of ${count}`);
    assert.deepEqual(training.heldOut, all.heldOut);
    assert.equal(key, corpusKey);
    const halves = await Promise.all(
      (["even", "odd"] as const).map((trainHalf) => prepare({ trainWindows, trainHalf })),
    );
    for (const [first, { training: half }] of halves.entries()) {
      assert.deepEqual(rowsOf(inMemory(half.train)), part.filter((_, i) => i % 2 === first));
      assert.deepEqual(half.heldOut, all.heldOut);
    }
    if (trainWindows === count) continue;
    const { training: others, corpusKey: sameKey } = await prepare({ trainWithout: trainWindows });
    const taken = new Set(part.map((_, i) => Math.floor(i * count / trainWindows)));
    assert.equal(taken.size, trainWindows);
    const rest = rowsOf(inMemory(others.train));
    assert.deepEqual(rest, rows.filter((_, row) => !taken.has(row)), `without ${trainWindows}`);
    assert.deepEqual([...part, ...rest].sort(), rows.toSorted(), "together all windows");
    assert.deepEqual(others.heldOut, all.heldOut);
    assert.equal(sameKey, corpusKey);
  }
  const odd = await prepare({ trainHalf: "odd" });
  assert.deepEqual(rowsOf(inMemory(odd.training.train)), rows.filter((_, i) => i % 2 === 1));

  const length = all.train.contextLength;
  for (const [field, most] of [["trainWindows", count], ["trainWithout", count - 1]] as const) {
    for (const number of [0, -1, 1.5, NaN]) {
      assert.equal(
        await refusalOf(prepare({ [field]: number })),
        `${field}: expected a positive integer, found ${number}`,
      );
    }
    assert.equal(
      await refusalOf(prepare({ [field]: most + 1 })),
      `${field}: expected at most ${most} of the ${count} training windows of ${length} tokens ` +
        `that there are, found ${most + 1}; ask for fewer or add text`,
    );
  }
  for (const other of [{ trainWindows: 1 }, { trainHalf: "odd" }] as const) {
    assert.equal(
      await refusalOf(prepare({ trainWithout: 1, ...other })),
      "trainWithout: expected no trainWindows and trainHalf beside it",
    );
  }
}

for (const layout of ["packed", "padded"] as const) {
  Deno.test(`prepareData() trains on the ${layout} windows of a text that are asked for`, () =>
    withFiles(
      shortDocuments(),
      (folder) => assertTrainSubsets((subset) => prepare(folder, { layout, ...subset })),
    ));
}

Deno.test("prepareData() trains on the windows of a source that are asked for", () =>
  assertTrainSubsets((subset) => prepareKnown({ ...subset })));

Deno.test("prepareData() refuses a number of held-out windows that is none", () =>
  withFiles(tinyCorpus(), async (folder) => {
    for (const heldOutWindows of [0, -1, 1.5, NaN]) {
      await assert.rejects(
        prepare(folder, { heldOutWindows }),
        (error) =>
          error instanceof UserError &&
          error.message ===
            `heldOutWindows: expected a positive integer, found ${heldOutWindows}`,
      );
    }
  }));

Deno.test("prepareData() has a key for corpus, vocabulary and unit, not for windows", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const { corpusKey } = await prepare(folder, {});
    const keyWith = async (changes: Partial<CorpusData>) =>
      (await prepare(folder, changes)).corpusKey;
    assert.equal(
      await keyWith({ contextLength: 4, layout: "padded", heldOutWindows: 3 }),
      corpusKey,
    );
    assert.notEqual(await keyWith({ vocabSize: 265 }), corpusKey);
    assert.notEqual(await keyWith({ unit: "paragraph" }), corpusKey);
    const changed = (await Deno.readTextFile(join(folder, "corpus.jsonl"))).replace(
      "union",
      "onion",
    );
    await Deno.writeTextFile(join(folder, "corpus.jsonl"), changed);
    assert.notEqual(await keyWith({}), corpusKey);
  }));

Deno.test("prepareData() reads the text from the field that is named", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const { corpusKey } = await prepare(folder, {});
    const path = join(folder, "corpus.jsonl");
    await Deno.writeTextFile(path, (await Deno.readTextFile(path)).replaceAll('"text"', '"body"'));
    await assert.rejects(prepare(folder, {}), /expected a field "text", found "body"/);
    assert.equal((await prepare(folder, { textField: "body" })).corpusKey, corpusKey);
  }));

const LATENT = latentData(
  { latentBits: 10, blockCount: 2, blockLength: 3 },
  { trainWindows: 40, heldOutWindows: 9, sequenceSeed: 5 },
);

function prepareLatent(changes: Partial<typeof LATENT> = {}) {
  return prepareData({ ...LATENT, ...changes }, { cacheFolder: "nothing is written there" });
}

Deno.test("latentData() has the sizes of its source", () => {
  assert.deepEqual(LATENT, {
    source: { latentBits: 10, blockCount: 2, blockLength: 3 },
    vocabSize: 33,
    layout: "packed",
    contextLength: 7,
    trainWindows: 40,
    heldOutWindows: 9,
    sequenceSeed: 5,
  });
});

Deno.test("prepareData() makes sequences, which have no tokenizer, pads or bytes", async () => {
  const { tokenizer, training, bytesPerToken, exact, entropyRateNats } = await prepareLatent();
  assert.equal(tokenizer, null);
  assert.equal(exact, null);
  assert.equal(entropyRateNats, null);
  assert.equal(bytesPerToken, 1);
  const { train, heldOut, padId } = training;
  assert.equal(padId, null);
  for (const [windows, count] of [[train, 40], [heldOut, 9]] as const) {
    assert.equal(windows.count, count);
    assert.equal(windows.contextLength, 7);
    assert.equal(windows.ids.length, 7 * count);
    assert.ok(windows.ids.every((id) => id < 33));
  }
  await assert.rejects(Deno.stat("nothing is written there"), Deno.errors.NotFound);
});

Deno.test("prepareData() makes sequences by their seed, held-out ones apart", async () => {
  const { train, heldOut } = (await prepareLatent()).training;
  assert.deepEqual((await prepareLatent()).training, { train, heldOut, padId: null });
  assert.notDeepEqual(heldOut.ids, train.ids.subarray(0, heldOut.ids.length));
  const more = (await prepareLatent({ trainWindows: 50 })).training;
  assert.deepEqual(more.heldOut, heldOut);
  assert.deepEqual(more.train.ids.subarray(0, train.ids.length), train.ids);
  const other = (await prepareLatent({ sequenceSeed: 6 })).training;
  assert.notDeepEqual(other.train.ids, train.ids);
  assert.notDeepEqual(other.heldOut.ids, heldOut.ids);
});

Deno.test("prepareData() holds out sequences that training does not have", async () => {
  const rows = ({ ids, count }: Windows) =>
    Array.from({ length: count }, (_, row) => ids.subarray(7 * row, 7 * row + 7).join());
  // 500 of 1,024 sequences: about every third drawn one is among them.
  const { train, heldOut } = (await prepareLatent({ trainWindows: 500 })).training;
  const seen = new Set(rows(train));
  assert.deepEqual(rows(heldOut).filter((row) => seen.has(row)), []);
  await assert.rejects(
    prepareLatent({ trainWindows: 20_000 }),
    (error) =>
      error instanceof UserError && /^10 latent bits: .* use more bits/.test(error.message),
  );
});

Deno.test("prepareData() refuses a number of sequences that is none", async () => {
  for (const field of ["trainWindows", "heldOutWindows"] as const) {
    for (const count of [0, 1.5]) {
      await assert.rejects(
        prepareLatent({ [field]: count }),
        (error) =>
          error instanceof UserError &&
          error.message === `${field}: expected a positive integer, found ${count}`,
      );
    }
  }
});

const COPY: Source = {
  kind: "corrupted-copy",
  symbols: 4,
  corruption: 0.5,
  length: 1000,
  seed: 4,
};
/** 125 windows, of which 12 are held out. */
const KNOWN = sourceData(COPY, { layout: "packed", contextLength: 8, heldOutWindows: 500 });

function prepareKnown(changes: Partial<typeof KNOWN> = {}) {
  return prepareData({ ...KNOWN, ...changes }, { cacheFolder: "nothing is written there" });
}

Deno.test("sourceData() hands on which windows are trained on", () => {
  for (const subset of [{ trainWindows: 9, trainHalf: "even" }, { trainWithout: 9 }] as const) {
    assert.deepEqual(sourceData(COPY, { ...KNOWN, ...subset }), { ...KNOWN, ...subset });
  }
});

Deno.test("sourceData() has the source itself and its vocabulary, pad included", () => {
  assert.deepEqual(KNOWN, {
    known: COPY,
    vocabSize: 5,
    layout: "packed",
    contextLength: 8,
    heldOutWindows: 500,
  });
});

Deno.test("prepareData() of a source cuts its length into windows and holds out a tenth", async () => {
  const { tokenizer, training, bytesPerToken } = await prepareKnown();
  assert.equal(tokenizer, null);
  assert.equal(bytesPerToken, 1);
  assert.equal(training.padId, null);
  assert.equal(training.train.count, 113);
  assert.equal(training.heldOut.count, 12);
  const few = await prepareKnown({ heldOutWindows: 5 });
  assert.deepEqual(few.training.train, training.train);
  assert.deepEqual(few.training.heldOut.ids, training.heldOut.ids.subarray(0, 5 * 8));
  // Fewer than ten windows hold out one.
  const short = await prepareKnown({ known: { ...COPY, length: 20 } });
  assert.equal(short.training.train.count, 1);
  assert.equal(short.training.heldOut.count, 1);
  await assert.rejects(
    prepareKnown({ known: { ...COPY, length: 15 } }),
    (error) =>
      error instanceof UserError &&
      error.message === "length: expected tokens for two windows of 8, one of them held out, " +
          "found 15; use more or a shorter context",
  );
  await assert.rejects(prepareKnown({ heldOutWindows: 0 }), /^UserError: heldOutWindows: expected/);
});

Deno.test("prepareData() of a source draws the sides from streams of its seed", async () => {
  const { train, heldOut } = (await prepareKnown()).training;
  assert.deepEqual((await prepareKnown()).training, { train, heldOut, padId: null });
  assert.notDeepEqual(heldOut.ids, train.ids.subarray(0, heldOut.ids.length));
  const other = (await prepareKnown({ known: { ...COPY, seed: 5 } })).training;
  assert.notDeepEqual(other.train.ids, train.ids);
  assert.notDeepEqual(other.heldOut.ids, heldOut.ids);
});

Deno.test("prepareData() of a source pads with id 0; held out, the first half is full", async () => {
  const packed = (await prepareKnown()).training;
  const { train, heldOut, padId } = (await prepareKnown({ layout: "padded" })).training;
  assert.equal(padId, 0);
  assert.ok(heldOut.realTokens.subarray(0, 6).every((real) => real === 8));
  assert.ok(heldOut.realTokens.subarray(6).some((real) => real < 8));
  assert.ok(train.realTokens.every((real, row) => row % 2 === 1 || real === 8));
  for (const [padded, whole] of [[train, packed.train], [heldOut, packed.heldOut]] as const) {
    for (let row = 0; row < padded.count; row++) {
      const real = padded.realTokens[row]!;
      assert.deepEqual(
        padded.ids.subarray(8 * row + 8 - real, 8 * row + 8),
        whole.ids.subarray(8 * row, 8 * row + real),
      );
      assert.ok(padded.ids.subarray(8 * row, 8 * row + 8 - real).every((id) => id === 0));
    }
  }
});

Deno.test("prepareData() of a source knows the exact values of windows and beginnings", async () => {
  const { exact, entropyRateNats, training } = await prepareKnown();
  assert.equal(entropyRateNats, null);
  const process = sourceProcess(COPY);
  const ids = training.heldOut.ids.subarray(0, 8);
  assert.deepEqual(exact!(ids), exactValues(process, ids));
  // Of the first six tokens the last two are copies, as in the whole window.
  assert.deepEqual(exact!(ids.subarray(0, 6)), exactValues(process, ids.subarray(0, 6), 8));
  const iid: Source = { kind: "iid", probabilities: [0.5, 0.5], length: 100, seed: 1 };
  const { entropyRateNats: bit } = await prepareKnown({ known: iid });
  assert.ok(Math.abs(bit! - Math.LN2) < 1e-15);
});

Deno.test("prepareData() has a key for the source, not for windows", async () => {
  const { corpusKey } = await prepareKnown();
  const same = await prepareKnown({ contextLength: 4, layout: "padded", heldOutWindows: 3 });
  assert.equal(same.corpusKey, corpusKey);
  for (const changes of [{ seed: 5 }, { corruption: 0.4 }, { length: 2000 }]) {
    assert.notEqual((await prepareKnown({ known: { ...COPY, ...changes } })).corpusKey, corpusKey);
  }
});

Deno.test("prepareData() draws a source's sequences as sourceSequences() does", async () => {
  const { train } = (await prepareKnown()).training;
  const random = createRandom(4).stream("train");
  const sizes = { count: 113, contextLength: 8, layout: "packed" } as const;
  assert.deepEqual(train, sourceSequences(sourceProcess(COPY), { ...sizes, random }));
});
