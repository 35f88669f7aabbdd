/** Runs of notebook 06 that were never trained, with the loss curves that a test gives them. */

import { entropyTrainingSpecs } from "../../lib/experiments/entropy_training_arms.ts";
import { ENTROPY_TRAINING_PRESETS } from "../../lib/experiments/entropy_training_presets.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import type { RunRecord } from "../../lib/experiments/run_store.ts";
import { mean } from "../../lib/measure/mod.ts";
import { withSourceEntropy } from "./_made_estimates.ts";
import { makeResults } from "./_made_results.ts";

/** Training and held-out loss of one evaluation, nats per token. */
export type MadePoint = readonly [trainNats: number, heldOutNats: number];

/** What is made up of a run. */
export type MadeTraining = Readonly<{
  /** At even distances up to the end; without training loss where a run does not evaluate it. */
  points: readonly MadePoint[];
  /** Mean of what its losses are compared with, of runs that have a teacher. */
  meanValue?: number;
}>;

/** The place of a seed among the seeds counts from 0. */
export type MadeRun = (family: string, arm: string, place: number) => MadeTraining;

/** What runs on sources of known entropy record beside; no table may read the entropy. */
export const SURPRISAL: Readonly<Record<string, number>> = {
  "known source": 1.5,
  "known source, all data": 1.5,
  "corrupted copy": 1.25,
};

export function trainedResults(specs: readonly RunSpec[], made: MadeRun): RunResult[] {
  const seeds = [...new Set(specs.map(({ training }) => training.seed))];
  return makeResults(specs, () => NaN).flatMap((result) => {
    const { spec } = result.config;
    const place = seeds.indexOf(spec.training.seed);
    const records = recordsOf(spec, made(spec.family, spec.arm, place));
    const known = "known" in spec.data ? SURPRISAL[spec.family] : undefined;
    const trained = [{ ...result, records }];
    return known === undefined
      ? trained
      : withSourceEntropy(trained, () => ({ entropyNats: NaN, surprisalNats: known }));
  });
}

function recordsOf({ data, training, teacher }: RunSpec, made: MadeTraining): RunRecord[] {
  const { points, meanValue } = made;
  const { batchSize, evaluateTrain, schedule: { steps } } = training;
  const records = points.flatMap(([trainNats, lossNats], i): RunRecord[] => {
    const step = steps * (i + 1) / points.length;
    const at = { step, tokens: step * batchSize * data.contextLength };
    const speed = { gradientNorm: 1, learningRate: 1, tokensPerSecond: 1 };
    return [
      // What training descends on is another loss.
      { type: "train", ...at, lossNats: 99, ...speed },
      {
        type: "evaluation",
        ...at,
        lossNats,
        scoredTokens: 1000,
        ...(evaluateTrain && { trainLossNats: trainNats }),
      },
    ];
  });
  return [
    ...records,
    ...teacher === undefined || meanValue === undefined
      ? []
      : [{ type: "measurement", what: "token values", meanValue } as const],
    { type: "end", step: steps, tokens: NaN, reason: "finished" },
  ];
}

/** Notebook 06 with three seeds and runs of 100 steps on small data. */
const { text, known, copy, ...others } = ENTROPY_TRAINING_PRESETS.small;
const STEPS = 100;
export const EARLY_STEPS = 60;
export const PRESET = {
  ...others,
  seeds: [2, 3, 4],
  text: {
    ...text,
    small: { ...text.small, steps: STEPS },
    subsetSteps: 40,
    earlySteps: EARLY_STEPS,
    halfSteps: 30,
  },
  known: { ...known, small: { ...known.small, steps: STEPS } },
  copy: { ...copy, small: { ...copy.small, steps: STEPS } },
};
export const SPECS = entropyTrainingSpecs(PRESET);

/** The same with one seed alone. */
export function firstSeed(results: readonly RunResult[]): RunResult[] {
  return results.filter(({ config }) => config.spec.training.seed === PRESET.seeds[0]);
}

/** Student's t of 0.975 by degrees of freedom. */
const STUDENT: Readonly<Record<number, number>> = { 2: 4.302652729749464, 4: 2.776445105197798 };

/** Half of the 95 % interval of a mean over three or five seeds. */
export function halfWidth(values: readonly number[]): number {
  const center = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  const { length } = values;
  return STUDENT[length - 1]! * Math.sqrt(squares / (length - 1) / length);
}

/** A mean of differences as tables write it: `+0.241 ± 0.058`, of one seed `+0.241`. */
export function signedMean(values: readonly number[]): string {
  const center = mean(values);
  const bounded = values.length > 1 ? ` ± ${halfWidth(values).toFixed(3)}` : "";
  return `${center < 0 ? "−" : "+"}${Math.abs(center).toFixed(3)}${bounded}`;
}
