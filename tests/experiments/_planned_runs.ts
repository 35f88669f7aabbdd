/** What must hold of the runs that any notebook plans. */

import assert from "node:assert/strict";
import { checkEstimator } from "../../lib/entropy/mod.ts";
import type { TrainingSizes } from "../../lib/experiments/arms.ts";
import { type DataSpec, latentData, sourceData } from "../../lib/experiments/data.ts";
import { type RunSpec, teacherRuns } from "../../lib/experiments/run_spec.ts";
import { checkEncoder, encoderConfig } from "../../lib/experiments/weights.ts";
import { checkModelSizes, sampleLength, stacksOf } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { latentSequences } from "../../lib/text/mod.ts";
import {
  ADAMW_DEFAULTS,
  checkLossOptions,
  checkSchedule,
  needsTokenValues,
} from "../../lib/train/mod.ts";

/** The model of every arm, by the arm's name. */
export function modelsOf(specs: readonly RunSpec[]) {
  return Object.fromEntries(specs.map(({ arm, training }) => [arm, training.model]));
}

/** Every arm once, all its seeds in a row, and trained as the sizes say. */
export function assertTrainedAlike(specs: readonly RunSpec[], sizes: TrainingSizes): void {
  const { seeds, batchSize, steps, warmupSteps, logEvery, evaluateEvery } = sizes;
  const arms = [...new Set(specs.map(({ arm }) => arm))];
  assert.deepEqual(
    specs.map(({ arm, training }) => [arm, training.seed]),
    arms.flatMap((arm) => seeds.map((seed) => [arm, seed])),
  );
  for (const { arm, training } of specs) {
    const { model: _, seed: __, schedule: { peakRate, ...schedule }, ...others } = training;
    assert.ok(peakRate > 0);
    assert.deepEqual(schedule, { steps, warmupSteps }, arm);
    const expected = { optimizer: ADAMW_DEFAULTS, batchSize, logEvery, evaluateEvery };
    assert.deepEqual(others, expected, arm);
  }
}

/** The models of an arm differ by nothing, so that its seeds can share compiled functions. */
export function assertSameModelForAllSeeds(specs: readonly RunSpec[]): void {
  const models = modelsOf(specs);
  for (const { arm, training } of specs) assert.deepEqual(training.model, models[arm], arm);
}

/** What is held out, and what training windows are taken from. */
export function withoutSubset(data: DataSpec): DataSpec {
  if ("source" in data) return data;
  const { trainWindows: _, trainHalf: __, trainWithout: ___, ...all } = data;
  return all;
}

/** The run can be trained: sizes fit each other, the data, and the runs that it needs. */
export function assertTrainable(spec: RunSpec): void {
  const { arm, data, training, frozenEncoder, teacher, estimates } = spec;
  const { model, schedule, batchSize } = training;
  checkModelSizes(model);
  checkSchedule(schedule);
  checkLossOptions(model, training);
  assert.equal(sampleLength(model), data.contextLength, arm);
  for (const { vocabSize } of stacksOf(model)) assert.equal(vocabSize, data.vocabSize, arm);
  if ("source" in data) {
    assert.deepEqual(data, latentData(data.source, data));
    latentSequences(data.source, 1, createRandom(1));
  }
  if (frozenEncoder !== undefined) {
    checkEncoder(arm, frozenEncoder.training.model, encoderConfig(model));
  }
  if ("known" in data) assert.deepEqual(data, sourceData(data.known, data));
  const padId = data.layout === "padded" ? 0 : null;
  if (!("source" in data) && data.trainWindows !== undefined) {
    assert.ok(batchSize <= data.trainWindows / (data.trainHalf === undefined ? 1 : 2), arm);
    assert.equal("trainWithout" in data, false, `${arm}: a subset, or all but a subset`);
  }
  assert.equal(teacher !== undefined, needsTokenValues(model, training), arm);
  if (teacher !== undefined && "exact" in teacher) assert.ok("known" in data, arm);
  else if (teacher !== undefined) {
    for (const run of teacherRuns(teacher)) {
      assertTrainable(run);
      assert.deepEqual(withoutSubset(run.data), withoutSubset(data), arm);
      checkEstimator(teacher.estimator, run.training.model, { padId });
    }
  }
  const shorter = estimates?.shorter;
  if (shorter !== undefined) assertTrainable(shorter);
  for (const name of estimates?.of ?? []) {
    checkEstimator(name, model, { padId, shorter: shorter?.training.model });
  }
}
