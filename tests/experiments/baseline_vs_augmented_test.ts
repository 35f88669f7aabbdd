import assert from "node:assert/strict";
import {
  type ArmSummary,
  armTable,
  baselineClaims,
  baselineSpecs,
  CLM,
  eemArm,
  embeddingTable,
  finalLosses,
  findArm,
  foreignLosses,
  fullWindowLosses,
  leadsAndPrices,
  lossCurves,
  paddedTable,
  paidLosses,
  PRICED_BITS,
  priceNats,
  REFERENCE_START,
  roundedLosses,
  summarizeArms,
  WIDE_CLM,
  ZEROS,
} from "../../lib/experiments/baseline_vs_augmented.ts";
import { type ClaimRow, validateClaims } from "../../lib/experiments/claims.ts";
import { BASELINE_PRESETS, PRESETS, scaleSteps } from "../../lib/experiments/presets.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import { runId, type RunSpec } from "../../lib/experiments/run_spec.ts";
import type { RunRecord } from "../../lib/experiments/run_store.ts";
import type { Verdict } from "../../lib/measure/mod.ts";
import { embeddingSize, type ModelConfig, parameterCount } from "../../lib/models/mod.ts";
import { ADAMW_DEFAULTS } from "../../lib/train/mod.ts";
import { tinySpec } from "./_tiny.ts";

const EEM = eemArm(64);
const SEEDS = [42, 43, 44];
const STEPS = 100;
const TOKENS_PER_STEP = 65_536;

type Layout = "packed" | "padded";

/** What a made-up run measured. Losses in nats per token. */
interface Made {
  readonly family?: string;
  readonly arm: string;
  readonly seed?: number;
  readonly layout?: Layout;
  /** At the middle of the run and at its end. */
  readonly losses: readonly [middle: number, end: number];
  /** Numbers in the embedding; 0 for models without one. */
  readonly numbers?: number;
  /** By bits. */
  readonly rounded?: Readonly<Record<number, number>>;
  readonly foreign?: number;
  readonly full?: number;
  readonly meanRealTokens?: number;
}

/** A run as the store gives it: of the paper's context length, with the losses given. */
function makeRun(made: Made): RunResult {
  const { family = "transformer", arm, seed = 42, layout = "packed", losses, numbers = 0 } = made;
  const records: RunRecord[] = [];
  for (const [step, lossNats] of [[STEPS / 2, losses[0]], [STEPS, losses[1]]] as const) {
    const tokens = step * TOKENS_PER_STEP;
    records.push({
      type: "train",
      step,
      tokens,
      lossNats: 99,
      gradientNorm: 1,
      learningRate: 1,
      tokensPerSecond: 1,
    });
    records.push({ type: "evaluation", step, tokens, lossNats, scoredTokens: 1000 });
  }
  if (made.full !== undefined) {
    records.push({ type: "measurement", what: "full windows", lossNats: made.full, windows: 5 });
  }
  for (const [bits, lossNats] of Object.entries(made.rounded ?? {})) {
    const what = "quantized embedding";
    records.push({ type: "measurement", what, bits: Number(bits), lossNats });
  }
  if (made.foreign !== undefined) {
    records.push({ type: "measurement", what: "foreign embedding", lossNats: made.foreign });
  }
  const tokens = STEPS * TOKENS_PER_STEP;
  records.push({ type: "end", step: STEPS, tokens, reason: "finished" });
  const spec: RunSpec = {
    arm,
    family,
    data: {
      corpus: "sotu",
      vocabSize: 8000,
      unit: "document",
      layout,
      contextLength: 1024,
      heldOutWindows: 64,
    },
    quantizedBits: PRICED_BITS,
    training: {
      model: tinySpec("", "clm").training.model,
      optimizer: ADAMW_DEFAULTS,
      schedule: { peakRate: 1, warmupSteps: 1, steps: STEPS },
      batchSize: 64,
      seed,
      logEvery: 50,
      evaluateEvery: 50,
    },
  };
  const facts = {
    parameterCount: 1000 + numbers,
    embeddingSize: numbers,
    bytesPerToken: 3.92,
    meanRealTokens: made.meanRealTokens ?? 1024,
    trainWindows: 9,
    heldOutWindows: 64,
  };
  const config = { id: `${family} ${arm} ${seed}`, spec, facts, backend: "cpu", git: "abc" };
  return { config, records, source: "stored" };
}

function assertNear(found: number, expected: number, what: string, tolerance = 1e-9): void {
  assert.ok(Math.abs(found - expected) < tolerance, `${what}: ${found}, not ${expected}`);
}

/** The paper's transformer EEM at the end of its training (paper §3.3, all samples, 500k steps). */
const PAPER_EEM: Made = {
  arm: EEM,
  losses: [2.379, 2.1566],
  numbers: 64,
  rounded: { 4: 2.1566, 8: 2.1566 },
  meanRealTokens: 688,
};
const PAPER_CLM: Made = { arm: CLM, losses: [2.5801, 2.515], meanRealTokens: 688 };

function oneArm(made: Made): ArmSummary {
  return summarizeArms([makeRun(made)])[0]!;
}

Deno.test("priceNats() is that of the paper's worked numbers", () => {
  const eem = oneArm(PAPER_EEM);
  assertNear(priceNats(eem, 4), 0.1733, "4 bits", 5e-5);
  assertNear(priceNats(eem, 8), 0.3466, "8 bits", 5e-5);
  assertNear(priceNats(eem, 16), 0.6931, "16 bits", 5e-5);
  assertNear(priceNats(eem, 4, "real tokens"), 64 * 4 * Math.LN2 / 688, "over real tokens");
  assert.equal(priceNats(oneArm(PAPER_CLM), 4), 0);
  assert.equal(priceNats(oneArm(PAPER_CLM), 4, "real tokens"), 0);
});

Deno.test("paidLosses() gives the paper's margins over the causal model", () => {
  const eem = oneArm(PAPER_EEM);
  const [clm] = finalLosses(oneArm(PAPER_CLM));
  const margin = (bits: number, over?: "context" | "real tokens") =>
    clm! - paidLosses(eem, bits, over)[0]!;
  assertNear(margin(4), 0.185, "4 bits over N", 5e-4);
  assertNear(margin(8), 0.012, "8 bits over N", 5e-4);
  assertNear(margin(4, "real tokens"), 0.101, "4 bits over real tokens", 6e-4);
  assertNear(margin(8, "real tokens"), -0.157, "8 bits over real tokens", 6e-4);
});

Deno.test("paidLosses() pays for the rounded loss, arms without an embedding pay nothing", () => {
  const eem = oneArm({ ...PAPER_EEM, rounded: { 4: 2.5, 8: 2.2 } });
  assert.deepEqual(roundedLosses(eem, 4), [2.5]);
  assert.deepEqual(roundedLosses(eem, 8), [2.2]);
  assertNear(paidLosses(eem, 4)[0]!, 2.5 + 64 * 4 * Math.LN2 / 1024, "4 bits");
  assertNear(paidLosses(eem, 8)[0]!, 2.2 + 64 * 8 * Math.LN2 / 1024, "8 bits");
  assert.deepEqual(paidLosses(oneArm(PAPER_CLM), 8), [2.515]);
  assert.deepEqual(roundedLosses(oneArm(PAPER_CLM), 8), [2.515]);
});

Deno.test("roundedLosses() refuses an embedding that was not evaluated at these bits", () => {
  assert.throws(() => roundedLosses(oneArm(PAPER_EEM), 5), /5 bits/);
  const { rounded: _, ...unrounded } = PAPER_EEM;
  assert.throws(() => paidLosses(oneArm(unrounded), 4), /4 bits/);
});

Deno.test("summarizeArms() groups by family, layout and arm, in order, seeds in order", () => {
  const made: Made[] = [
    { ...PAPER_CLM, seed: 5 },
    { ...PAPER_CLM, layout: "padded" },
    { ...PAPER_CLM, family: "mixer" },
    { ...PAPER_EEM },
    { ...PAPER_CLM, seed: 3, losses: [9, 8] },
  ];
  const arms = summarizeArms(made.map(makeRun));
  assert.deepEqual(
    arms.map(({ family, layout, arm, seeds }) => [family, layout, arm, seeds]),
    [
      ["transformer", "packed", CLM, [5, 3]],
      ["transformer", "padded", CLM, [42]],
      ["mixer", "packed", CLM, [42]],
      ["transformer", "packed", EEM, [42]],
    ],
  );
  assert.deepEqual(finalLosses(arms[0]!), [2.515, 8]);
  assert.equal(findArm(arms, "transformer", CLM, "padded"), arms[1]);
  assert.equal(findArm(arms, "mixer", CLM), arms[2]);
  assert.throws(
    () => findArm(arms, "mixer", ZEROS),
    /no arm "EEM, slot of zeros" of mixer, packed/,
  );
});

Deno.test("foreignLosses() and fullWindowLosses() are what was measured", () => {
  assert.deepEqual(foreignLosses(oneArm({ ...PAPER_EEM, foreign: 4 })), [4]);
  assert.deepEqual(foreignLosses(oneArm(PAPER_CLM)), []);
  assert.deepEqual(fullWindowLosses(oneArm({ ...PAPER_EEM, layout: "padded", full: 2.3 })), [2.3]);
  assert.deepEqual(fullWindowLosses(oneArm(PAPER_EEM)), [2.1566]);
});

Deno.test("lossCurves() has every evaluation of the layout, with the price if it is asked for", () => {
  const arms = summarizeArms([
    makeRun(PAPER_CLM),
    makeRun({ ...PAPER_EEM, seed: 7 }),
    makeRun({ ...PAPER_EEM, layout: "padded", losses: [7, 6] }),
  ]);
  const million = TOKENS_PER_STEP * STEPS / 1e6;
  assert.deepEqual(lossCurves(arms), [
    { arm: CLM, facet: "transformer", seed: 42, x: million / 2, y: 2.5801 },
    { arm: CLM, facet: "transformer", seed: 42, x: million, y: 2.515 },
    { arm: EEM, facet: "transformer", seed: 7, x: million / 2, y: 2.379 },
    { arm: EEM, facet: "transformer", seed: 7, x: million, y: 2.1566 },
  ]);
  const price = 64 * 8 * Math.LN2 / 1024;
  const paid = lossCurves(arms, { paidBits: 8 }).map((row) => row.y);
  [2.5801, 2.515, 2.379 + price, 2.1566 + price].forEach((expected, i) =>
    assertNear(paid[i]!, expected, `point ${i}`)
  );
  assert.deepEqual(lossCurves(arms, { layout: "padded" }).map((row) => row.y), [7, 6]);
});

Deno.test("leadsAndPrices() sets the rounded lead, unpaid, against the price", () => {
  const clmLosses = [3, 3.2, 3.1], eemLosses = [2.5, 2.8, 2.6];
  const runs = SEEDS.flatMap((seed, i) => [
    makeRun({ arm: CLM, seed, losses: [4, clmLosses[i]!] }),
    makeRun({ arm: ZEROS, seed, losses: [4, clmLosses[i]! + 0.1] }),
    makeRun({
      ...PAPER_EEM,
      seed,
      losses: [4, eemLosses[i]!],
      rounded: { 4: eemLosses[i]! + 0.2, 8: eemLosses[i]! },
    }),
    makeRun({ arm: CLM, layout: "padded", seed, losses: [1, 1] }),
    makeRun({ ...PAPER_EEM, layout: "padded", seed }),
  ]);
  const rows = leadsAndPrices(summarizeArms(runs));
  assert.deepEqual(rows.map((row) => [row.arm, row.family, row.label]), [
    [ZEROS, "transformer", ZEROS],
    [EEM, "transformer", `${EEM}, 4 bits`],
    [EEM, "transformer", `${EEM}, 8 bits`],
  ]);
  const [zeros, four, eight] = rows;
  assertNear(zeros!.leadNats, -0.1, "zeros");
  assert.equal(zeros!.priceNats, 0);
  assertNear(four!.leadNats, (0.3 + 0.2 + 0.3) / 3, "4 bits");
  assertNear(eight!.leadNats, (0.5 + 0.4 + 0.5) / 3, "8 bits");
  assertNear(four!.priceNats, 64 * 4 * Math.LN2 / 1024, "price at 4 bits");
  assertNear(eight!.priceNats, 64 * 8 * Math.LN2 / 1024, "price at 8 bits");
  // Student's t for two degrees of freedom is 4.30265; the leads' deviation is 0.1 / √3.
  const halfWidth = 4.30265 * (0.1 / Math.sqrt(3)) / Math.sqrt(3);
  assertNear(four!.high - four!.leadNats, halfWidth, "upper end", 1e-5);
  assertNear(four!.leadNats - four!.low, halfWidth, "lower end", 1e-5);

  const single = leadsAndPrices(summarizeArms([makeRun(PAPER_CLM), makeRun(PAPER_EEM)]))[0]!;
  assert.deepEqual([single.low, single.high], [single.leadNats, single.leadNats]);
});

/** Losses of every arm of the notebook for one seed; `shift` moves each by its own share. */
function allArms(seed: number, shift = 0): RunResult[] {
  const runs: RunResult[] = [];
  for (const [family, base] of [["mixer", 4], ["transformer", 3]] as const) {
    const isMixer = family === "mixer";
    const common = { family, seed };
    runs.push(
      makeRun({ ...common, arm: CLM, losses: [base + 1, base] }),
      makeRun({ ...common, arm: WIDE_CLM, losses: [base + 1, base - 0.05] }),
      makeRun({ ...common, arm: ZEROS, losses: [base + 1, base + 0.01] }),
      makeRun({
        ...common,
        arm: EEM,
        numbers: 64,
        // A lead of 0.2 (0.1) at the middle and of 0.6 (0.5) at the end.
        losses: isMixer ? [base + 0.8, base - 0.6 + shift] : [base + 0.9, base - 0.5 + shift],
        rounded: { 2: base, 3: base - 0.1, 4: base - 0.3 + shift, 8: base - 0.45 + shift },
        foreign: base + 0.7 + 2 * shift,
      }),
    );
  }
  return runs;
}

function paddedArms(seed: number, shift = 0): RunResult[] {
  const common = { seed, layout: "padded", meanRealTokens: 512 } as const;
  return [
    makeRun({ ...common, arm: CLM, losses: [4, 3.5] }),
    makeRun({
      ...common,
      arm: EEM,
      numbers: 64,
      losses: [4, 2.7 + shift],
      rounded: { 4: 2.8 + shift, 8: 2.7 + shift },
      foreign: 9,
      full: 2.9 + 2 * shift,
    }),
  ];
}

const CONTEXT = { preset: "small", backend: "cpu", git: "abc" };
const PRICE4 = 64 * 4 * Math.LN2 / 1024;
const PRICE8 = 2 * PRICE4;

/** What every claim should find: the paper's number, and ours for the losses above. */
const EXPECTED: readonly (readonly [title: RegExp, paper: ClaimRow["paper"], ours: number])[] = [
  [/^E13 mixer: raw loss of the EEM, 64 numbers.* below/, "positive", 0.6],
  [/^E14 mixer: that lead grows/, "positive", 0.6 - 0.2],
  [/^E13 mixer: EEM, 64 numbers.* ahead .*4 bits/, "positive", 0.3 - PRICE4],
  [/^E15 mixer: .*8 bits/, null, 0.45 - PRICE8],
  [/^E13 control mixer: the lead needs the embedding/, null, 0.61],
  [/^E13 control mixer: the embedding is the sequence's own/, null, 0.7 + 0.6],
  [/^E13 control mixer: the EEM, paid at 4 bits, beats a CLM/, null, 0.25 - PRICE4],
  [/^E13 transformer: raw loss of the EEM, 64 numbers.* below/, 0.201, 0.5],
  [/^E14 transformer: that lead grows/, 0.157, 0.5 - 0.1],
  [/^E13 transformer: EEM, 64 numbers.* ahead .*4 bits/, 0.185, 0.3 - PRICE4],
  [/^E15 transformer: .*8 bits/, 0.012, 0.45 - PRICE8],
  [/^E13 control transformer: the lead needs the embedding/, null, 0.51],
  [/^E13 control transformer: the embedding is the sequence's own/, null, 0.7 + 0.5],
  [/^E13 control transformer: the EEM, paid at 4 bits, beats a CLM/, null, 0.25 - PRICE4],
  [/^E14 the lead of the mixer EEM is larger than the transformer's/, "positive", 0.1],
  [/^E17 padded samples: .* 4 bits is ahead, paid over the context/, 0.185, 0.7 - PRICE4],
  [/^E17 padded samples: .* 4 bits is ahead, paid over real tokens/, 0.101, 0.7 - 2 * PRICE4],
  [/^E17 the raw lead is larger on padded than on packed/, 0.094, 0.8 - 0.5],
  [/^E17 padded training: loss over full windows is higher/, 0.14, 0.2],
];

function titleOf({ experiment, claim }: ClaimRow): string {
  return `${experiment} ${claim}`;
}

Deno.test("baselineClaims() takes every difference the way the claim says it", () => {
  const rows = baselineClaims([...allArms(42), ...paddedArms(42)], CONTEXT);
  assert.equal(rows.length, EXPECTED.length);
  rows.forEach((row, i) => {
    const [title, paper, ours] = EXPECTED[i]!;
    assert.match(titleOf(row), title);
    assert.equal(row.paper, paper, titleOf(row));
    assertNear(row.ours!, ours, titleOf(row));
    // One seed has no interval, and without one a claim is a trend at most.
    assert.equal(row.interval, null);
    assert.equal(row.verdict, ours > 0 ? "trend only" : "not reproduced", titleOf(row));
    assert.deepEqual(row.seeds, [42]);
    assert.deepEqual([row.preset, row.backend, row.git], ["small", "cpu", "abc"]);
  });
  validateClaims(rows, "rows");
  assert.equal(baselineClaims(allArms(42), CONTEXT).length, 15, "no padded arms, no E17");
});

Deno.test("baselineClaims() judges by the interval over seeds", () => {
  const seedsOf = (shifts: readonly number[]) =>
    baselineClaims(
      SEEDS.flatMap((seed, i) => [...allArms(seed, shifts[i]), ...paddedArms(seed, shifts[i])]),
      CONTEXT,
    );
  const verdictOf = (rows: readonly ClaimRow[], title: RegExp): Verdict => {
    const row = rows.find((row) => title.test(titleOf(row)));
    return row?.verdict ?? assert.fail(`no claim ${title}`);
  };
  // Seeds that differ little: what is ahead is so beyond the interval, and what is behind as well.
  const clear = seedsOf([-0.001, 0, 0.001]);
  EXPECTED.forEach(([title, , ours], i) => {
    const { verdict, interval, seeds } = clear[i]!;
    assert.equal(verdict, ours > 0 ? "reproduced" : "not reproduced", `${title}`);
    assert.ok(interval![0] <= ours + 1e-9 && ours - 1e-9 <= interval![1], `${title}`);
    assert.deepEqual(seeds, SEEDS);
  });
  const [low, high] = clear[0]!.interval!;
  assertNear((high - low) / 2, 4.30265 * 0.001 / Math.sqrt(3), "half width", 1e-7);

  // The means of before, but seeds that disagree.
  const noisy = seedsOf([-0.5, 0, 0.5]);
  assert.equal(verdictOf(noisy, /E13 mixer: raw loss/), "trend only");
  assert.equal(verdictOf(noisy, /E17 the raw lead is larger/), "reproduced", "shifts cancel in it");
  // The EEM behind in all ways.
  const behind = seedsOf([1, 1.001, 0.999]);
  for (const title of [/E13 mixer: raw/, /E13 mixer: EEM, 64.*4 bits/, /E15 mixer/]) {
    assert.equal(verdictOf(behind, title), "not reproduced", `${title}`);
  }
});

Deno.test("baselineClaims() pays for every embedding size at 4 bits, the rest is of the first", () => {
  const single = allArms(42).filter((run) => run.config.facts.embeddingSize > 0).map((run) =>
    makeRun({
      family: run.config.spec.family,
      arm: eemArm(1),
      losses: [9, 9],
      numbers: 1,
      rounded: { 4: 2.9, 8: 8 },
      foreign: 9,
    })
  );
  const rows = baselineClaims([...allArms(42), ...single], CONTEXT);
  const added = rows.filter((row) => row.claim.includes("1 number,"));
  assert.deepEqual(added.map((row) => row.paper), ["positive", "positive"]);
  const price = 4 * Math.LN2 / 1024;
  assertNear(added[0]!.ours!, 4 - 2.9 - price, "mixer");
  assertNear(added[1]!.ours!, 3 - 2.9 - price, "transformer");
  assert.deepEqual(
    rows.filter((row) => !added.includes(row)),
    baselineClaims(allArms(42), CONTEXT),
  );
});

Deno.test("the tables have a row per arm, and what it cost", () => {
  const runs = SEEDS.slice(0, 2).flatMap((seed) => [...allArms(seed), ...paddedArms(seed)]);
  const arms = summarizeArms(runs);
  const table = armTable(arms);
  assert.equal(table.length, 10);
  const row = table.find((row) => row.family === "mixer" && row.arm === EEM)!;
  assertNear(row["loss (nats)"] as number, 3.4, "loss");
  assertNear(row["paid, 4 bits"] as number, 3.7 + PRICE4, "paid");
  assertNear(row["BPB, raw"] as number, 3.4 / Math.LN2 / 3.92, "bits per byte");
  assertNear(row["BPB, paid 8 bits"] as number, (3.55 + PRICE8) / Math.LN2 / 3.92, "paid BPB");
  assert.equal(row["± 95 %"], "0.000");
  assert.equal(armTable(summarizeArms(allArms(1)))[0]!["± 95 %"], "");

  const embeddings = embeddingTable(arms);
  assert.deepEqual(embeddings.map((row) => row.family), ["mixer", "transformer"]);
  assertNear(embeddings[0]!["2 bits: loss by rounding"] as number, 0.6, "2 bits");
  assertNear(embeddings[0]!["3 bits: loss by rounding"] as number, 0.5, "3 bits");
  assertNear(embeddings[0]!["4 bits: loss by rounding"] as number, 0.3, "4 bits");
  assertNear(embeddings[0]!["8 bits: loss by rounding"] as number, 0.15, "8 bits");
  assertNear(embeddings[0]!["a neighbour's: loss"] as number, 1.3, "foreign");

  const padded = paddedTable(arms);
  assert.deepEqual(padded.map((row) => row.arm), [CLM, EEM]);
  assertNear(padded[1]!["paid 8 bits, over real tokens"] as number, 2.7 + 2 * PRICE8, "real");
  assertNear(padded[1]!["loss, full windows"] as number, 2.9, "full");
  assert.deepEqual(paddedTable([]), [{ arm: "this preset trains no padded arms" }]);
});

/** The width that an arm's decoder or causal stack has. */
function widthOf(model: ModelConfig): number {
  return model.kind === "causal" ? model.backbone.width : model.decoder.width;
}

for (const name of PRESETS) {
  const preset = BASELINE_PRESETS[name];
  const specs = baselineSpecs(preset);

  Deno.test(`baselineSpecs() of ${name}: every arm, every seed, no run twice`, () => {
    const sizes = preset.embeddingSizes;
    const arms = [CLM, WIDE_CLM, ZEROS, ...sizes.map(eemArm)];
    const found = (family: string, layout: string) =>
      specs.filter((spec) => spec.family === family && spec.data.layout === layout)
        .map((spec) => [spec.arm, spec.training.seed]);
    const expected = (names: readonly string[]) =>
      names.flatMap((arm) => preset.seeds.map((seed) => [arm, seed]));
    assert.deepEqual(found("mixer", "packed"), expected(arms));
    assert.deepEqual(found("transformer", "packed"), expected([...arms, REFERENCE_START]));
    const padded = preset.padded === null ? [] : [CLM, eemArm(sizes[0]!)];
    assert.deepEqual(found("transformer", "padded"), expected(padded));
    assert.deepEqual(found("mixer", "padded"), []);
    assert.equal(new Set(specs.map((spec) => runId(spec, "key"))).size, specs.length);
  });

  Deno.test(`baselineSpecs() of ${name}: arms differ by their model alone`, () => {
    for (const { family, data, quantizedBits, training } of specs) {
      const { model, seed, schedule: { peakRate, ...schedule }, ...rest } = training;
      assert.equal(data, data.layout === "packed" ? preset.packed : preset.padded);
      assert.ok(preset.seeds.includes(seed));
      assert.deepEqual(schedule, { warmupSteps: preset.warmupSteps, steps: preset.steps });
      assert.equal(peakRate, preset.families[family as "mixer" | "transformer"].peakRate);
      assert.deepEqual(rest, {
        optimizer: ADAMW_DEFAULTS,
        batchSize: preset.batchSize,
        logEvery: preset.logEvery,
        evaluateEvery: preset.evaluateEvery,
      });
      assert.deepEqual(quantizedBits, [2, 3, 4, 8]);
      assert.equal((model.kind === "causal" ? model.backbone : model.decoder).architecture, family);
    }
  });

  Deno.test(`baselineSpecs() of ${name}: the controls are what their names say`, () => {
    for (const family of ["mixer", "transformer"] as const) {
      const model = (arm: string) =>
        specs.find((spec) => spec.family === family && spec.arm === arm)!.training.model;
      const eem = model(eemArm(preset.embeddingSizes[0]!));
      const [clm, wide, zeros] = [model(CLM), model(WIDE_CLM), model(ZEROS)];
      assert.ok(eem.kind === "augmented" && zeros.kind === "augmented" && clm.kind === "causal");
      assert.deepEqual(zeros.decoder, eem.decoder);
      assert.equal(zeros.memory, "zeros");
      assert.equal(embeddingSize(zeros), 0);
      for (const size of preset.embeddingSizes) {
        assert.equal(embeddingSize(model(eemArm(size))), size);
      }
      // Arms start alike, but for the one that starts as the reference does.
      assert.equal(eem.outerInitialization, "causal");
      assert.equal(zeros.outerInitialization, "causal");
      if (family === "transformer") {
        assert.deepEqual(model(REFERENCE_START), { ...eem, outerInitialization: "pytorch" });
      }
      // The decoder is the causal model with one more slot.
      const contextLength = clm.backbone.contextLength + 1;
      assert.deepEqual(eem.decoder, { ...clm.backbone, contextLength });

      assert.ok(wide.kind === "causal");
      const { width, ...others } = wide.backbone;
      assert.deepEqual({ ...others, width: widthOf(clm) }, clm.backbone);
      const target = parameterCount(eem);
      const distance = (width: number) =>
        Math.abs(
          parameterCount({ ...wide, backbone: { ...wide.backbone, width } }) - target,
        );
      const unit = 2 * preset.families[family].headCount;
      assert.equal(width % unit, 0, "every head keeps an even width");
      for (let other = unit; other < 2 * width; other += unit) {
        assert.ok(distance(width) <= distance(other), `${other} is nearer than ${width}`);
      }
    }
  });
}

Deno.test("scaleSteps() shortens a preset and keeps its parts in proportion", () => {
  const { quick } = BASELINE_PRESETS;
  assert.equal(scaleSteps(quick, 1), quick);
  const half = scaleSteps(quick, 0.5);
  assert.equal(half.steps, quick.steps / 2);
  assert.ok(half.warmupSteps >= 1 && half.warmupSteps < half.steps / 5);
  const least = scaleSteps(quick, 1e-6);
  assert.equal(least.steps, 12);
  assert.ok(least.warmupSteps < least.steps && least.evaluateEvery < least.steps);
  assert.deepEqual(least.seeds, quick.seeds);
});
