import assert from "node:assert/strict";
import { type Arm, scaleSteps, seedSpecs, type TrainingSizes } from "../../lib/experiments/arms.ts";
import { BASELINE_PRESETS } from "../../lib/experiments/presets.ts";
import { ADAMW_DEFAULTS } from "../../lib/train/mod.ts";
import { tinySpec } from "./_tiny.ts";

const { data, family, training: { model } } = tinySpec("", "eem");
const ARM: Arm = { arm: "an arm", family, model, data, peakRate: 0.25 };
const SIZES: TrainingSizes = {
  batchSize: 8,
  steps: 20,
  warmupSteps: 3,
  logEvery: 4,
  evaluateEvery: 5,
  seeds: [7, 5],
};

Deno.test("seedSpecs() are one specification a seed, which is all they differ by", () => {
  const expected = (seed: number) => ({
    arm: "an arm",
    family,
    data,
    quantizedBits: [],
    training: {
      model,
      optimizer: ADAMW_DEFAULTS,
      schedule: { peakRate: 0.25, warmupSteps: 3, steps: 20 },
      batchSize: 8,
      seed,
      logEvery: 4,
      evaluateEvery: 5,
    },
  });
  assert.deepEqual(seedSpecs(ARM, SIZES), [expected(7), expected(5)]);
});

Deno.test("seedSpecs() take the encoder of the run of their own seed", () => {
  const sources = [5, 7].map((seed) => tinySpec("", "ae", { seed }));
  const frozenEncoder = (wanted: number) =>
    sources.find(({ training }) => training.seed === wanted)!;
  const specs = seedSpecs({ ...ARM, quantizedBits: [4], frozenEncoder }, SIZES);
  assert.deepEqual(specs.map((spec) => spec.frozenEncoder), [sources[1], sources[0]]);
  assert.deepEqual(specs.map((spec) => spec.quantizedBits), [[4], [4]]);
});

Deno.test("seedSpecs() take the teacher and the estimates of their own seed", () => {
  const sources = new Map([5, 7].map((seed) => [seed, tinySpec("", "clm", { seed })]));
  const teacher = (seed: number) => ({ run: sources.get(seed)!, estimator: "loss" } as const);
  const estimates = (seed: number) =>
    ({ windows: 3, of: ["two-window"], shorter: sources.get(seed)! }) as const;
  const specs = seedSpecs({ ...ARM, teacher, estimates }, SIZES);
  assert.deepEqual(specs.map((spec) => spec.teacher), [teacher(7), teacher(5)]);
  assert.deepEqual(specs.map((spec) => spec.estimates), [estimates(7), estimates(5)]);
});

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
