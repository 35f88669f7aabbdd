import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../../lib/errors.ts";
import {
  type BenchDocument,
  goalTable,
  parseBenchDocument,
  phaseBars,
  PROJECT_FOLDERS,
  readBenchDocument,
  readBenchRecords,
  scalingCases,
  scalingCurves,
  speedRatioBars,
} from "../../lib/experiments/mod.ts";
import { isRace } from "../../lib/experiments/bench_document.ts";
import { takeTurns } from "../../lib/measure/mod.ts";
import { withFiles } from "../text/_temporary.ts";

const one = { median: 1, min: 1, max: 1 };
const twice = { median: 2.5, min: 2, max: 3 };

function racer(name: string, medianMs: number, ratio = one) {
  const times = { rounds: [[medianMs]], firstStepMs: 900, startMs: 2000, compileMs: 800, medianMs };
  return { name, ...times, losses: [8], peakBytes: null, tokensPerSecond: 10, ratio };
}

const phase = (name: string, medianMs: number) => ({
  name,
  rounds: [medianMs],
  medianMs,
  ratio: one,
});

const race = {
  bench: "training",
  case: "mixer CLM 256",
  family: "mixer",
  sizes: { width: 256, layers: 2, context: 128, batch: 16, vocab: 2048 },
  parameters: 10,
  flopsPerStep: 1e9,
  largestLossDifference: 0,
  contestants: [
    { ...racer("ours", 10), shareOfPeak: 0.7 },
    { ...racer("PyTorch eager", 25, twice), shareOfPeak: 0.3 },
  ],
} as const;

const DOCUMENT: BenchDocument = {
  machine: {
    cpu: "a processor",
    logicalCores: 2,
    memoryBytes: 8e9,
    os: "linux x86_64",
    kernel: "6.1",
    deno: "2.8.1",
    tensorflow: "2.21.0",
    backend: "tensorflow",
    peers: { torch: "2.15.0" },
    threads: 2,
    date: "2026-01-02T03:04:05.678Z",
    commit: "0123456789ab",
    dirty: false,
  },
  matmulPeak: { gflops: 100, by: "torch", rates: { torch: { "1024": 100 } } },
  results: [race, { ...race, bench: "scaling" }, {
    bench: "phases",
    case: "mixer CLM 128",
    amount: 1,
    unit: "step",
    contestants: [
      phase("whole step", 100),
      phase("forward and backward", 80),
      phase("forward", 30),
      phase("batch to the engine", 0.5),
      phase("loss to the host", 0.1),
    ],
  }],
};

Deno.test("a document of benchmarks is read as it was written", () => {
  assert.deepEqual(parseBenchDocument(JSON.stringify(DOCUMENT), "a.json"), DOCUMENT);
});

// deno-lint-ignore no-explicit-any -- whatever a file may hold
type Change = (document: any) => void;

Deno.test("a document that is another is refused in one line that says where", () => {
  const refusal = (change: Change): string => {
    const changed = structuredClone(DOCUMENT);
    change(changed);
    try {
      parseBenchDocument(JSON.stringify(changed), "a.json");
    } catch (error) {
      assert.ok(error instanceof UserError);
      assert.doesNotMatch(error.message, /\n/);
      return error.message;
    }
    return "accepted";
  };
  const cases: [expected: string, change: Change][] = [
    ["a.json.results: expected a list with something in it, found []", (d) => d.results = []],
    [
      'a.json.results[0].family: expected mixer or transformer, found "lstm"',
      (d) => d.results[0].family = "lstm",
    ],
    [
      "a.json.results[0].contestants[1].ratio.min: expected a positive number, found 0",
      (d) => d.results[0].contestants[1].ratio.min = 0,
    ],
    [
      "a.json.results[2].contestants[0].rounds[0]: expected a positive number, found null",
      (d) => d.results[2].contestants[0].rounds = [null],
    ],
    ['a.json.machine.date: expected a date, found "soon"', (d) => d.machine.date = "soon"],
    [
      "a.json.matmulPeak: expected an object, found nothing",
      (d) => delete d.matmulPeak,
    ],
  ];
  for (const [expected, change] of cases) assert.equal(refusal(change), expected);
  assert.throws(() => parseBenchDocument("no", "a.json"), /^UserError: a\.json: expected JSON of/);
});

Deno.test("records are read newest first, and where there are none it is said", () =>
  withFiles({
    "records/a.json": JSON.stringify(DOCUMENT),
    "records/b.json": JSON.stringify({
      ...DOCUMENT,
      machine: { ...DOCUMENT.machine, date: "2026-02-02T00:00:00.000Z" },
    }),
  }, async (folder) => {
    const records = await readBenchRecords(join(folder, "records"));
    assert.deepEqual(records.map(({ machine }) => machine.date.slice(0, 7)), [
      "2026-02",
      "2026-01",
    ]);
    await assert.rejects(readBenchRecords(join(folder, "none")), /none: expected a record, found/);
    await assert.rejects(readBenchDocument(join(folder, "c.json")), /c\.json: expected a file of/);
  }));

Deno.test("rates of data/bench follow from the times of the same record", async () => {
  const records = await readBenchRecords(PROJECT_FOLDERS.bench);
  assert.ok(records.length > 0);
  for (const { results, matmulPeak } of records) {
    for (const { sizes, flopsPerStep, contestants } of results.filter(isRace)) {
      for (const { rounds, medianMs, shareOfPeak, tokensPerSecond } of contestants) {
        const sorted = rounds.flat().toSorted((a, b) => a - b);
        const half = (sorted.length - 1) / 2;
        const between = (sorted[Math.floor(half)]! + sorted[Math.ceil(half)]!) / 2;
        assert.ok(Math.abs(medianMs / between - 1) < 1e-9);
        const share = flopsPerStep / (1e6 * medianMs * matmulPeak.gflops);
        assert.ok(Math.abs(shareOfPeak / share - 1) < 1e-9);
        const rate = 1000 * sizes.context * sizes.batch / medianMs;
        assert.ok(Math.abs(tokensPerSecond / rate - 1) < 1e-9);
      }
    }
  }
});

Deno.test("bars, parts of a step and goals follow from a document", () => {
  assert.deepEqual(speedRatioBars(DOCUMENT, "training"), [
    { group: "mixer CLM 256", arm: "PyTorch eager", value: 2.5, interval: [2, 3] },
  ]);
  assert.deepEqual(phaseBars(DOCUMENT).map(({ arm, value }) => [arm, value]), [
    ["forward", 30],
    ["backward", 50],
    ["AdamW update", 20],
    ["batch to the engine", 0.5],
    ["loss to the host", 0.1],
  ]);
  assert.deepEqual(scalingCurves(DOCUMENT).map(({ facet, x }) => [facet, x]).slice(0, 2), [
    ["width", 256],
    ["width", 256],
  ]);
  const held = Object.fromEntries(goalTable(DOCUMENT).map(({ goal, held }) => [goal, held]));
  assert.equal(held["mixer: speed over PyTorch eager"], "yes");
  assert.equal(held["mixer: speed over JAX jit"], "–");
  assert.equal(held["share of the best matrix product from width 256"], "no");
});

Deno.test("sizes are varied one at a time, each case once", () => {
  const cases = scalingCases("mixer");
  assert.equal(cases.length, 4 + 4 + 5 - 2);
  assert.equal(new Set(cases.map(({ size }) => JSON.stringify(size))).size, cases.length);
});

Deno.test("takeTurns() gives each its turn in every round, and ratios to the first", async () => {
  const order: string[] = [];
  const turn = (name: string, times: number[]) => ({
    name,
    run: () => {
      order.push(name);
      return Promise.resolve(times.shift()!);
    },
  });
  const found = await takeTurns([turn("a", [1, 2, 4]), turn("b", [3, 2, 8])], 3);
  assert.equal(order.join(""), "ababab");
  assert.deepEqual(found[1], {
    name: "b",
    rounds: [3, 2, 8],
    medianMs: 3,
    ratio: { median: 2, min: 1, max: 3 },
  });
});
