/** What must hold of the runs that any notebook plans. */

import assert from "node:assert/strict";
import { checkEstimator } from "../../lib/entropy/mod.ts";
import type { TrainingSizes } from "../../lib/experiments/arms.ts";
import { latentData, sourceData } from "../../lib/experiments/data.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import { checkEncoder, encoderConfig } from "../../lib/experiments/weights.ts";
import { checkModelSizes, needsValues, sampleLength, stacksOf } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { latentSequences } from "../../lib/text/mod.ts";
import { ADAMW_DEFAULTS, checkSchedule } from "../../lib/train/mod.ts";

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

/** The run can be trained: sizes fit each other, the data, and the runs that it needs. */
export function assertTrainable(spec: RunSpec): void {
  const { arm, data, training, frozenEncoder, teacher, estimates } = spec;
  const { model, schedule } = training;
  checkModelSizes(model);
  checkSchedule(schedule);
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
  assert.equal(teacher !== undefined, needsValues(model), arm);
  if (teacher !== undefined) {
    assert.deepEqual(teacher.run.data, data, arm);
    checkEstimator(teacher.estimator, teacher.run.training.model, { padId });
  }
  const shorter = estimates?.shorter;
  if (shorter !== undefined) assertTrainable(shorter);
  for (const name of estimates?.of ?? []) {
    checkEstimator(name, model, { padId, shorter: shorter?.training.model });
  }
}
