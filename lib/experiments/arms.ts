/** Arms and seeds as run specifications. */

import type { ModelConfig } from "../models/mod.ts";
import { ADAMW_DEFAULTS, type LossOptions } from "../train/mod.ts";
import type { DataSpec } from "./data.ts";
import type { RunSpec, Teacher } from "./run_spec.ts";

/** How every run of an experiment is trained. */
export type TrainingSizes = Readonly<{
  batchSize: number;
  steps: number;
  warmupSteps: number;
  logEvery: number;
  evaluateEvery: number;
  /** See `TrainingConfig`. */
  evaluateTrain?: boolean;
  seeds: readonly number[];
}>;

export type Arm = Readonly<{
  family: string;
  arm: string;
  model: ModelConfig;
  data: DataSpec;
  peakRate: number;
  /** None by default. */
  quantizedBits?: readonly number[];
  /** Gives the run of a seed whose encoder this arm takes over. */
  frozenEncoder?: (seed: number) => RunSpec;
  /** Gives the numbers per token that the run of a seed is trained on. */
  teacher?: (seed: number) => Teacher;
  /** How what it descends on differs from the plain loss. */
  loss?: LossOptions;
  /** What is rounded once a run has ended. */
  rounding?: RunSpec["rounding"];
  /** What files are made once a run has ended. */
  compression?: RunSpec["compression"];
  /** What is estimated with the run of a seed. */
  estimates?: (seed: number) => NonNullable<RunSpec["estimates"]>;
}>;

/** One specification a seed: next to each other, so that the seeds share compiled functions. */
export function seedSpecs(
  { family, arm, model, data, peakRate, quantizedBits = [], loss = {}, ...needed }: Arm,
  { batchSize, steps, warmupSteps, logEvery, evaluateEvery, evaluateTrain, seeds }: TrainingSizes,
): RunSpec[] {
  return seeds.map((seed) => ({
    arm,
    family,
    data,
    quantizedBits,
    training: {
      model,
      optimizer: ADAMW_DEFAULTS,
      schedule: { peakRate, warmupSteps, steps },
      batchSize,
      seed,
      logEvery,
      evaluateEvery,
      ...(evaluateTrain && { evaluateTrain }),
      ...loss,
    },
    ...(needed.frozenEncoder && { frozenEncoder: needed.frozenEncoder(seed) }),
    ...(needed.teacher && { teacher: needed.teacher(seed) }),
    ...(needed.rounding && { rounding: needed.rounding }),
    ...(needed.compression && { compression: needed.compression }),
    ...(needed.estimates && { estimates: needed.estimates(seed) }),
  }));
}

/** The same sizes with a share of the steps, for backends on which a step takes longer. */
export function scaleSteps<Sizes extends TrainingSizes>(sizes: Sizes, share: number): Sizes {
  if (share === 1) return sizes;
  const steps = Math.max(12, Math.round(sizes.steps * share));
  return {
    ...sizes,
    steps,
    warmupSteps: Math.max(1, Math.round(steps / 10)),
    logEvery: 2,
    evaluateEvery: Math.ceil(steps / 3),
  };
}
