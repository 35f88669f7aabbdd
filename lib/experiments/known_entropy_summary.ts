/** Notebook 05's numbers: every estimator against the exact values of its source. */

import {
  ensembleEstimates,
  type EstimatorName,
  isInNats,
  type WindowEstimates,
} from "../entropy/mod.ts";
import { type Accuracy, accuracy } from "../measure/mod.ts";
import { type DataSpec, prepareData } from "./data.ts";
import type { KnownEntropyPreset } from "./entropy_presets.ts";
import { type EstimateSet, estimateSets, tokenPairs } from "./estimate_sets.ts";
import { knownArm } from "./known_entropy_arms.ts";
import { PROJECT_FOLDERS } from "./notebook.ts";
import type { RunResult } from "./run.ts";
import { fullWindows } from "./token_estimates.ts";

/** Estimators as tables and figures name them, the best known first. */
export const ESTIMATOR_LABELS: Readonly<Partial<Record<EstimatorName, string>>> = {
  "predictive-entropy": "CLM, predictive entropy",
  "loss": "CLM, loss",
  "second-order": "2EEM of the CLM's loss",
  "pad-shift": "EEM, pad-shift",
  "two-window": "EEMs, two windows",
  "occlusion-l1": "EEM, occlusion L1",
  "occlusion-cosine": "EEM, occlusion cosine",
  "gradient-input": "EEM, gradient × input",
};

/** What the exact value is: of the token's distribution, or of the token that came. */
export type Truth = "entropy" | "surprisal";

/** One estimator of one trained model, or of the ensemble of all seeds (`seed: null`). */
export type AccuracyRow =
  & Accuracy
  & Readonly<{
    source: string;
    arm: string;
    estimator: EstimatorName;
    label: string;
    steps: number;
    seed: number | null;
    truth: Truth;
    /** Of exact surprisal with exact entropy, over the same tokens; null where one is constant. */
    surprisalCorrelation: number | null;
  }>;

/** Accuracies of all recorded estimates against both exact values. */
export async function accuracyRows(results: readonly RunResult[]): Promise<AccuracyRow[]> {
  const exact = await exactOf(results);
  const sets = estimateSets(results);
  const groups = Map.groupBy(sets, ({ family, arm, estimator }) => `${family}|${arm}|${estimator}`);
  return [...groups.values()].flatMap((group) => {
    const first = group[0]!;
    const rows = (values: WindowEstimates, seed: number | null) =>
      (["entropy", "surprisal"] as const).map((truth) =>
        accuracyRow(first, values, exact(first), seed, truth)
      );
    const { mean } = ensembleEstimates(group.map(({ values }) => values));
    return [
      ...group.flatMap(({ values, seed }) => rows(values, seed)),
      ...(group.length > 1 ? rows(mean, null) : []),
    ];
  });
}

function accuracyRow(
  { family, arm, estimator, steps }: EstimateSet,
  values: WindowEstimates,
  exact: ExactEstimates,
  seed: number | null,
  truth: Truth,
): AccuracyRow {
  const pairs = tokenPairs(values, exact[truth]);
  const exactAt = (of: Truth) => pairs.map(({ window, position }) => exact[of][window]![position]!);
  return {
    source: family,
    arm,
    estimator,
    label: ESTIMATOR_LABELS[estimator] ?? estimator,
    steps,
    seed,
    truth,
    surprisalCorrelation: accuracy(exactAt("surprisal"), exactAt("entropy")).rankCorrelation,
    ...accuracy(pairs.map(({ x }) => x), pairs.map(({ y }) => y)),
  };
}

/** Source by source. */
export type SurprisalErrors = Readonly<Record<string, Accuracy>>;

/**
 * The error of the exact surprisal as an estimate of the entropy, source by source: what is left for
 * an estimator that says how unlikely the token was, not how uncertain it was.
 */
export async function surprisalErrors(results: readonly RunResult[]): Promise<SurprisalErrors> {
  const exact = await exactOf(results);
  const sets = estimateSets(results).filter(({ estimator }) => estimator === "loss");
  return Object.fromEntries(sets.map((set) => {
    const { entropy, surprisal } = exact(set);
    const pairs = tokenPairs(surprisal, entropy, 1);
    return [set.family, accuracy(pairs.map(({ x }) => x), pairs.map(({ y }) => y))];
  }));
}

/** Exact values of windows' tokens, nats. */
export type ExactEstimates = Readonly<Record<Truth, WindowEstimates>>;

/** The exact values of the first held-out windows without padding. */
async function exactEstimates(data: DataSpec, count: number): Promise<ExactEstimates> {
  const { training, exact } = await prepareData(data, { cacheFolder: PROJECT_FOLDERS.cache });
  if (exact === null) throw new RangeError("only sources of known entropy have exact values");
  const { ids, contextLength } = fullWindows(training.heldOut, count);
  const values = Array.from(
    { length: count },
    (_, row) => exact(ids.subarray(row * contextLength, (row + 1) * contextLength)),
  );
  return {
    entropy: values.map(({ entropyNats }) => [...entropyNats]),
    surprisal: values.map(({ surprisalNats }) => [...surprisalNats]),
  };
}

/** The exact values of the windows that each run's estimates are of; sources are drawn once. */
export async function exactOf(
  results: readonly RunResult[],
): Promise<(set: Pick<EstimateSet, "data" | "values">) => ExactEstimates> {
  const known = new Map<string, ExactEstimates>();
  const keyOf = (data: unknown, count: number) => JSON.stringify([data, count]);
  for (const { data, values } of estimateSets(results)) {
    const key = keyOf(data, values.length);
    if (!known.has(key)) known.set(key, await exactEstimates(data, values.length));
  }
  return ({ data, values }) => known.get(keyOf(data, values.length))!;
}

/** Rows of single models after the longest training, attributions left out. */
export function longestTrained(rows: readonly AccuracyRow[], truth: Truth): AccuracyRow[] {
  const longest = rows.reduce((most, { steps }) => Math.max(most, steps), 0);
  return rows.filter((row) =>
    row.seed !== null && row.truth === truth && row.steps === longest && isInNats(row.estimator)
  );
}

/** Arms that differ in the embedding's size do not count beside those that do not. */
export function isSized({ arm }: Pick<AccuracyRow, "arm">, preset: KnownEntropyPreset): boolean {
  return preset.shortfall.embeddingSizes.some((numbers) => arm === knownArm.sized(numbers));
}

/** Mean exact entropy of the tokens that a run's loss is of, nats. */
export function exactEntropy(run: RunResult): number {
  return sourceRecord(run).entropyNats;
}

/** Mean exact surprisal of the tokens that a run's loss is of, nats. */
export function exactSurprisal(run: RunResult): number {
  return sourceRecord(run).surprisalNats;
}

function sourceRecord({ records, config }: RunResult) {
  const found = records.find((record) => "surprisalNats" in record);
  if (found === undefined) {
    throw new RangeError(`${config.id}: expected a run on a source of known entropy`);
  }
  return found;
}
