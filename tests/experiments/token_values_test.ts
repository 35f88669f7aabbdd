import assert from "node:assert/strict";
import { join } from "node:path";
import { disposeTree, initEngine, memory } from "../../lib/engine/mod.ts";
import {
  type EstimatedModel,
  estimateWindows,
  type EstimatorName,
  type WindowEstimates,
  writeEntropies,
} from "../../lib/entropy/mod.ts";
import {
  prepareData,
  type PreparedData,
  type RatedData,
  type RunSpec,
  sourceData,
  type Teacher,
  type ValueTransform,
  withTeacher,
} from "../../lib/experiments/mod.ts";
import { initModel } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import type { Source, Windows } from "../../lib/text/mod.ts";
import type { TrainingConfig, TrainingData } from "../../lib/train/mod.ts";
import { refusalOf } from "../_refusal.ts";
import { assertClose } from "../_numbers.ts";
import { withFiles } from "../text/_temporary.ts";
import {
  CONFIG,
  DATA,
  LENGTH,
  SECOND_ORDER,
  windows,
  WITH_OBJECTIVE,
} from "../train/_tiny_training.ts";
import { tinySpec } from "./_tiny.ts";

await initEngine({ backend: "wasm", log: () => {} });

/** Padded windows of one to six tokens. */
const PADDED: TrainingData<Windows> = {
  train: windows("train", 9, true),
  heldOut: windows("held out", 8, true),
  padId: 1,
};

const RUN = tinySpec("", "clm");
const TEACHER: Teacher = { run: RUN, estimator: "loss" };
/** Runs by arm, which decides the weights of their models. */
const EVEN: RunSpec = { ...RUN, arm: "even" };
const ODD: RunSpec = { ...RUN, arm: "odd" };

/** A causal model whose weights are drawn, to be disposed of. */
function modelOf({ arm }: RunSpec, padId: number | null): EstimatedModel {
  const { model: config } = CONFIG;
  const params = initModel(config, createRandom(["clm", "even", "odd"].indexOf(arm)));
  return { config, params, padId };
}

function prepared(training: TrainingData): PreparedData {
  return {
    corpusKey: "corpus key",
    tokenizer: null,
    training,
    bytesPerToken: 1,
    exact: null,
    entropyRateNats: null,
  };
}

/** Rates data, and says which runs' models were loaded for it. */
async function rate(
  cacheFolder: string,
  teacher: Teacher,
  data: PreparedData | TrainingData,
  training: TrainingConfig = WITH_OBJECTIVE,
): Promise<RatedData & { loaded: string[] }> {
  const all = "training" in data ? data : prepared(data);
  const loaded: string[] = [];
  const rated = await withTeacher({ training }, teacher, all, {
    cacheFolder,
    keyOf: ({ arm }) => Promise.resolve(`the ${arm} run`),
    load: (run) => {
      loaded.push(run.arm);
      return Promise.resolve(modelOf(run, all.training.padId));
    },
  });
  return { ...rated, loaded };
}

/** What a run's model says of windows, as it is stored. */
async function said(
  run: RunSpec,
  estimator: EstimatorName,
  { train, padId }: Pick<TrainingData<Windows>, "train" | "padId">,
): Promise<WindowEstimates> {
  const model = modelOf(run, padId);
  const estimates = await estimateWindows(estimator, model, train);
  disposeTree(model.params);
  return estimates.map((row) => row.map((value) => value === null ? null : Math.fround(value)));
}

/** The estimates as values of windows: row by row, 0 where there is none. */
function valuesOf(estimates: WindowEstimates): Float32Array {
  return Float32Array.from(estimates.flat(), (value) => value ?? 0);
}

/** The windows' values row by row, of the tokens that follow one. */
function scoredValues({ values, realTokens, count, contextLength }: Windows): number[][] {
  return Array.from(
    { length: count },
    (_, row) => [
      ...values!.subarray(
        (row + 1) * contextLength - realTokens[row]! + 1,
        (row + 1) * contextLength,
      ),
    ],
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

for (const [name, data] of Object.entries({ packed: DATA, padded: PADDED })) {
  Deno.test(`withTeacher() gives ${name} training windows a run's estimates, 0 where there is none`, () =>
    withFiles({}, async (folder) => {
      const before = memory().numTensors;
      const { data: rated, meanValue } = await rate(folder, TEACHER, data);
      assert.equal(memory().numTensors, before, "the teacher is freed");
      assert.equal(rated.padId, data.padId);
      assert.equal(rated.heldOut, data.heldOut, "evaluation is plain");
      const { values, ...rest } = rated.train;
      assert.deepEqual(rest, data.train);
      const estimates = await said(RUN, "loss", data);
      assert.deepEqual(values, valuesOf(estimates));
      const known = estimates.flat().filter((value) => value !== null);
      assert.ok(known.length < values!.length && known.every((value) => value > 0));
      assertClose([meanValue], [mean(known)], 1e-12, "mean");
    }));
}

Deno.test("withTeacher() rates held-out windows for a model that learns the numbers", () =>
  withFiles({}, async (folder) => {
    const { data: { heldOut } } = await rate(folder, TEACHER, DATA, SECOND_ORDER);
    const { values, ...rest } = heldOut;
    assert.deepEqual(rest, DATA.heldOut);
    assert.deepEqual(
      values,
      valuesOf(await said(RUN, "loss", { train: DATA.heldOut, padId: null })),
    );
  }));

Deno.test("withTeacher() rates as many training windows as the run reads, and all held-out", () =>
  withFiles({}, async (folder) => {
    // Five steps of three windows, of 22.
    const training = { ...SECOND_ORDER, schedule: { ...CONFIG.schedule, steps: 5 } };
    const teacher: Teacher = { run: RUN, estimator: "predictive-entropy" };
    const { data: { train, heldOut } } = await rate(folder, teacher, DATA, training);
    assert.equal(train.count, 15);
    assert.equal(heldOut.count, DATA.heldOut.count);
    const rows = Array.from({ length: 15 }, (_, i) => Math.floor(i * 22 / 15));
    const ids = rows.flatMap((
      row,
    ) => [...DATA.train.ids.subarray(LENGTH * row, LENGTH * row + LENGTH)]);
    assert.deepEqual([...train.ids], ids);
    const estimates = await said(RUN, "predictive-entropy", { train, padId: null });
    assert.deepEqual(train.values, valuesOf(estimates));
  }));

Deno.test("withTeacher() has each window rated by the half that has not seen it", () =>
  withFiles({}, async (folder) => {
    const teacher: Teacher = { halves: { even: EVEN, odd: ODD }, estimator: "loss" };
    const byEven = await said(EVEN, "loss", DATA);
    const byOdd = await said(ODD, "loss", DATA);
    const expected = valuesOf(byEven.map((row, window) => window % 2 === 0 ? byOdd[window]! : row));
    // Runs that read all windows, and one that reads fewer: window 2 must not become window 1.
    for (const steps of [11, 2]) {
      const training = { ...WITH_OBJECTIVE, schedule: { ...CONFIG.schedule, steps } };
      const before = memory().numTensors;
      const { data: { train } } = await rate(folder, teacher, DATA, training);
      assert.equal(memory().numTensors, before);
      assert.deepEqual(train.ids, DATA.train.ids);
      assert.deepEqual(train.values, expected);
    }
  }));

Deno.test("withTeacher() estimates what is not in store, and loads no model for the rest", () =>
  withFiles({}, async (folder) => {
    const halves: Teacher = { halves: { even: EVEN, odd: ODD }, estimator: "loss" };
    const first = await rate(folder, TEACHER, DATA);
    assert.deepEqual(first.loaded, ["clm"]);
    const again = await rate(folder, TEACHER, DATA);
    assert.deepEqual(again, { ...first, loaded: [] });
    // The transforms, what is trained and from which start are no part of what is stored.
    const shuffled = { ...TEACHER, transforms: ["shuffled"] } as const;
    const reseeded = { ...WITH_OBJECTIVE, seed: 4, objective: { form: "signed" } } as const;
    assert.deepEqual((await rate(folder, shuffled, DATA, reseeded)).loaded, []);
    // Each half has its own windows.
    assert.deepEqual((await rate(folder, halves, DATA)).loaded, ["odd", "even"]);
    assert.deepEqual((await rate(folder, halves, DATA)).loaded, []);
    const other = { ...TEACHER, estimator: "predictive-entropy" } as const;
    assert.deepEqual((await rate(folder, other, DATA)).loaded, ["clm"]);
    const { run: _, ...rest } = TEACHER as { run: RunSpec; estimator: EstimatorName };
    assert.deepEqual((await rate(folder, { ...rest, run: EVEN }, DATA)).loaded, ["even"]);
    assert.deepEqual((await rate(folder, TEACHER, PADDED)).loaded, ["clm"]);
    // Held-out windows are others than those of training.
    assert.deepEqual((await rate(folder, TEACHER, DATA, SECOND_ORDER)).loaded, ["clm"]);
  }));

Deno.test("withTeacher() frees a teacher that fails", () =>
  withFiles({}, async (folder) => {
    const before = memory().numTensors;
    const teacher: Teacher = { run: RUN, estimator: "pad-shift" };
    assert.match(await refusalOf(rate(folder, teacher, DATA)), /^pad-shift: /);
    assert.equal(memory().numTensors, before);
  }));

for (
  const [name, data, row, position] of [
    ["packed", DATA, 2, 1],
    ["packed", DATA, 21, LENGTH - 1],
    ["padded", PADDED, 3, LENGTH - 2], // behind three pads
  ] as const
) {
  Deno.test(`withTeacher() refuses estimates without token ${position} of ${name} window ${row}`, () =>
    withFiles({}, async (folder) => {
      const key = { model: "the clm run", estimator: "loss" };
      const estimates = (await said(RUN, "loss", data)).map((values, window) =>
        values.map((value, t) => window === row && t === position ? null : value)
      );
      await writeEntropies(folder, key, data.train, estimates);
      assert.equal(
        await refusalOf(rate(folder, TEACHER, data)),
        "teacher: expected an estimate of every token that follows another, found none of token " +
          `${position} of training window ${row}; use an estimator that rates every token`,
      );
    }));
}

type Transformed = Readonly<{
  /** The numbers of the tokens that follow one, a list a window: without transforms, and with. */
  before: number[][];
  after: number[][];
  plain: RatedData;
  rated: RatedData;
}>;

async function transformed(
  transforms: readonly ValueTransform[],
  training: TrainingConfig = WITH_OBJECTIVE,
  data: TrainingData<Windows> = DATA,
): Promise<Transformed> {
  let result: Transformed | undefined;
  await withFiles({}, async (folder) => {
    const plain = await rate(folder, TEACHER, data, training);
    const rated = await rate(folder, { ...TEACHER, transforms }, data, training);
    const [before, after] = [scoredValues(plain.data.train), scoredValues(rated.data.train)];
    // Pads and first tokens have no number afterwards, either.
    const others = rated.data.train.values!.filter((_, at) => plain.data.train.values![at] === 0);
    assert.ok(others.every((value) => value === 0));
    assertClose([rated.meanValue], [mean(after.flat())], 1e-6, "the mean is that of the result");
    result = { before, after, plain, rated };
  });
  return result!;
}

function sorted(rows: readonly number[][]): number[][] {
  return rows.map((row) => row.toSorted((a, b) => a - b));
}

for (const [name, data] of Object.entries({ packed: DATA, padded: PADDED })) {
  Deno.test(`withTeacher() shuffles the numbers of ${name} windows, each in itself`, async () => {
    const { before, after, plain, rated } = await transformed(["shuffled"], WITH_OBJECTIVE, data);
    assert.deepEqual(sorted(after), sorted(before));
    const kept = before.flat().filter((value, at) => after.flat()[at] === value).length;
    assert.ok(kept < 0.6 * before.flat().length, `${kept} of ${before.flat().length} stayed`);
    assertClose([rated.meanValue], [plain.meanValue], 1e-7, "mean");
  });

  Deno.test(`withTeacher() puts the mean over all ${name} windows in every token's place`, async () => {
    const { before, after } = await transformed(["mean"], WITH_OBJECTIVE, data);
    const expected = Math.fround(mean(before.flat()));
    for (const value of after.flat()) assertClose([value], [expected], 1e-7, "mean");
  });

  Deno.test(`withTeacher() puts the numbers of each ${name} window on a scale of 0 to 1`, async () => {
    const { before, after } = await transformed(["min-max"], WITH_OBJECTIVE, data);
    before.forEach((row, window) => {
      const [low, high] = [Math.min(...row), Math.max(...row)];
      if (row.length < 2) return;
      const expected = row.map((value) => (value - low) / (high - low));
      assertClose(after[window]!, expected, 1e-6, `window ${window}`);
    });
  });
}

Deno.test("withTeacher() shuffles by the run's seed, each window in its own order", async () => {
  const { after } = await transformed(["shuffled"]);
  assert.deepEqual((await transformed(["shuffled"])).after, after);
  const { after: other } = await transformed(["shuffled"], { ...WITH_OBJECTIVE, seed: 4 });
  assert.notDeepEqual(other, after);
  const { before } = await transformed(["shuffled"]);
  const orders = before.map((row, window) => after[window]!.map((value) => row.indexOf(value)));
  assert.ok(new Set(orders.map(String)).size > 15, "22 windows, 120 orders");
});

Deno.test("withTeacher() applies transforms one after another", async () => {
  const { before, after } = await transformed(["min-max", "mean"]);
  const shares = before.flatMap((row) => {
    const [low, high] = [Math.min(...row), Math.max(...row)];
    return row.map((value) => (value - low) / (high - low));
  });
  assertClose([...new Set(after.flat())], [mean(shares)], 1e-6, "the mean of shares");
});

Deno.test("withTeacher() leaves held-out numbers as they are", async () => {
  const { plain, rated } = await transformed(["mean"], SECOND_ORDER);
  assert.deepEqual(rated.data.heldOut.values, plain.data.heldOut.values);
});

const WEIGHT: TrainingConfig = { ...CONFIG, objective: { form: "weight" } };

Deno.test("withTeacher() gives the weight form numbers from 0 to 1 alone", () =>
  withFiles({}, async (folder) => {
    assert.match(
      await refusalOf(rate(folder, TEACHER, DATA, WEIGHT)),
      /^objective weight: expected estimates from 0 to 1, found \d+\.\d+; add "min-max" to the teacher's transforms$/,
    );
    const scaled = { ...TEACHER, transforms: ["min-max"] } as const;
    const { data: { train } } = await rate(folder, scaled, DATA, WEIGHT);
    assert.deepEqual(
      scoredValues(train).map((row) => [Math.min(...row), Math.max(...row)]),
      Array.from({ length: DATA.train.count }, () => [0, 1]),
    );

    const key = { model: "the even run", estimator: "loss" };
    for (const [value, isAllowed] of [[0, true], [1, true], [-1e-6, false], [1 + 1e-6, false]]) {
      const path = join(folder, String(value));
      const estimates = Array.from(
        { length: DATA.train.count },
        () => Array.from({ length: LENGTH }, (_, t) => t === 0 ? null : value as number),
      );
      await writeEntropies(path, key, DATA.train, estimates);
      const rating = rate(path, { run: EVEN, estimator: "loss" }, DATA, WEIGHT);
      if (isAllowed) await rating;
      else {assert.match(
          await refusalOf(rating),
          /^objective weight: expected estimates from 0 to 1/,
        );}
      // Other forms take any number.
      await rate(path, { run: EVEN, estimator: "loss" }, DATA);
    }
  }));

const TRANSITIONS = [[0.9, 0.1], [0.4, 0.6]];
const CHAIN: Source = {
  kind: "markov",
  order: 1,
  transitions: TRANSITIONS,
  length: 300,
  seed: 1,
};
const COPY: Source = { kind: "corrupted-copy", symbols: 4, corruption: 0.5, length: 350, seed: 4 };

/** Exact values by hand of token t of a sequence, whose symbols have ids from 1 on. */
const BY_HAND: Readonly<
  Record<string, readonly [Source, "entropy" | "surprisal" | "corruption", HandValue]>
> = {
  "a chain's entropies": [
    CHAIN,
    "entropy",
    (ids, t) => TRANSITIONS[ids[t - 1]! - 1]!.reduce((sum, p) => sum - p * Math.log(p), 0),
  ],
  "a chain's surprisals": [
    CHAIN,
    "surprisal",
    (ids, t) => -Math.log(TRANSITIONS[ids[t - 1]! - 1]![ids[t]! - 1]!),
  ],
  "a copy's entropies": [
    COPY,
    "entropy",
    (_, t) => t < 4 ? Math.log(4) : -0.625 * Math.log(0.625) - 3 * 0.125 * Math.log(0.125),
  ],
  "what is corrupted of a copy, its second half as uncertain as the first": [
    { ...COPY, corruption: 1 },
    "corruption",
    (ids, t) => t < 4 || ids[t] !== ids[t - 4] ? Math.log(4) : 0,
  ],
  "what is corrupted of a copy": [
    COPY,
    "corruption",
    (ids, t) => t < 4 || ids[t] !== ids[t - 4] ? Math.log(4) : 0,
  ],
};
type HandValue = (ids: readonly number[], t: number) => number;

for (const [name, [source, exact, byHand]] of Object.entries(BY_HAND)) {
  for (const layout of ["packed", "padded"] as const) {
    Deno.test(`withTeacher() knows ${name}, of ${layout} windows`, () =>
      withFiles({}, async (folder) => {
        // Seven tokens: the first four are said, the other three say it again.
        const data = sourceData(source, { layout, contextLength: 7, heldOutWindows: 4 });
        const all = await prepareData(data, { cacheFolder: folder });
        // Two steps read fewer windows than there are, but all have exact values.
        const training = { ...CONFIG, schedule: { ...CONFIG.schedule, steps: 2 } };
        assert.ok(2 * CONFIG.batchSize < all.training.train.count);
        const { data: rated, meanValue, loaded } = await rate(folder, { exact }, all, training);
        assert.deepEqual(loaded, []);
        assert.equal(rated.heldOut, all.training.heldOut);
        const { values, ...rest } = rated.train;
        assert.deepEqual(rest, all.training.train);
        const { ids, realTokens, count } = rated.train;
        const found = scoredValues(rated.train);
        for (let row = 0; row < count; row++) {
          const real = realTokens[row]!;
          const own = [...ids.subarray(7 * (row + 1) - real, 7 * (row + 1))];
          const expected = own.slice(1).map((_, at) => byHand(own, at + 1));
          assertClose(found[row]!, expected, 1e-6, `window ${row}`);
          const unscored = values!.subarray(7 * row, 7 * (row + 1) - real + 1);
          assert.ok(unscored.every((value) => value === 0), "pads and the first token");
        }
        const mean = found.flat().reduce((sum, value) => sum + value, 0) / found.flat().length;
        assertClose([meanValue], [mean], 1e-6, "mean");
        const isPadded = realTokens.some((real) => real < 7);
        assert.equal(isPadded, layout === "padded");
        assert.ok(new Set(found.flat().map((value) => value.toFixed(4))).size > 1);
        // Nothing is computed again.
        const blind = { ...all, exact: () => assert.fail("computed again") };
        const stored = await rate(folder, { exact }, blind, training);
        assert.deepEqual(stored.data.train.values, values);
      }));
  }
}
