/**
 * Notebook 05's claims: what the paper says of its estimates, tested against exact values. The paper
 * compared estimates with other models' losses alone, so it has no numbers to put beside these.
 */

import type { EstimatorName } from "../entropy/mod.ts";
import { mean } from "../measure/mod.ts";
import { findArm, minus, paidLosses, summarizeArms } from "./arm_summary.ts";
import { type ClaimContext, claimRow, type ClaimText } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import type { KnownEntropyPreset } from "./entropy_presets.ts";
import { knownArm, PAID_BITS } from "./known_entropy_arms.ts";
import type { AccuracyRow, Truth } from "./known_entropy_summary.ts";
import type { RunResult } from "./run.ts";

/** A rank correlation below this is none to speak of. */
const NO_CORRELATION = 0.1;

/** Means over the sources, seed by seed, judged by rule (lib/measure/verdict.ts). */
export function knownEntropyClaims(
  results: readonly RunResult[],
  accuracies: readonly AccuracyRow[],
  preset: KnownEntropyPreset,
  context: ClaimContext,
): ClaimRow[] {
  const { seeds, trainingSteps } = preset;
  const longest = trainingSteps.at(-1)!;
  const row = (text: ClaimText, differences: readonly number[]) =>
    claimRow({ unit: "nats", ...text }, differences, seeds, context);
  const bySeed = (
    estimator: EstimatorName,
    value: (row: AccuracyRow) => number | null,
    { steps = longest, truth = "entropy" }: { steps?: number; truth?: Truth } = {},
  ) =>
    seeds.map((seed) => {
      const rows = accuracies.filter((one) =>
        one.estimator === estimator && one.seed === seed && one.steps === steps &&
        one.truth === truth && !isSized(one, preset)
      );
      return mean(rows.map(value).filter((found) => found !== null));
    });
  const rank = (one: AccuracyRow) => one.rankCorrelation;
  const rmse = (one: AccuracyRow) => one.rmse;
  const bias = (one: AccuracyRow) => one.bias;
  const correlation = (experiment: string, claim: string, estimator: EstimatorName) =>
    row({
      experiment,
      claim,
      metric: "rank correlation with the exact entropy",
      unit: "",
      paper: null,
    }, bySeed(estimator, rank));
  const ensembleGain = (estimator: EstimatorName) => {
    const ensembles = accuracies.filter((one) =>
      one.estimator === estimator && one.seed === null && one.steps === longest &&
      one.truth === "entropy" && !isSized(one, preset)
    );
    return minus(bySeed(estimator, rmse), seeds.map(() => mean(ensembles.map(rmse))));
  };
  const arms = summarizeArms(results);
  const excess = Object.keys(preset.sources).map((source) => {
    const arm = findArm(arms, source, knownArm.after(knownArm.pair, longest));
    return minus(paidLosses(arm, PAID_BITS), arm.runs.map(exactSurprisal));
  });
  const priced = seeds.map((_, at) => mean(excess.map((values) => values[at]!)));
  const growth = trainingSteps.length > 1
    ? minus(bySeed("pad-shift", rmse, { steps: trainingSteps[0]! }), bySeed("pad-shift", rmse))
    : null;
  return [
    correlation(
      "§4.3",
      "differences of summed losses (pad-shift) estimate token entropies",
      "pad-shift",
    ),
    row({
      experiment: "§4.3",
      claim: "the mean of pad-shift estimates lies below the entropy",
      metric: "mean estimate − mean exact entropy",
      paper: null,
      direction: "negative",
    }, bySeed("pad-shift", bias)),
    row({
      experiment: "§4.1",
      claim:
        `with its ${PAID_BITS}-bit numbers paid for, an EEM's loss bounds the entropy from above`,
      metric: "rounded loss + price − exact surprisal of the same tokens",
      unit: "nats/token",
      paper: null,
    }, priced),
    correlation(
      "§4.2",
      "two models of neighbouring windows estimate token entropies",
      "two-window",
    ),
    row({
      experiment: "§4.5",
      claim: "a causal model's predictive entropy is nearer to the truth than pad-shift",
      metric: "RMSE of pad-shift − RMSE of predictive entropy",
      paper: null,
    }, minus(bySeed("pad-shift", rmse), bySeed("predictive-entropy", rmse))),
    row({
      experiment: "§4.4",
      claim: "occlusion does not follow the entropy",
      metric: "rank correlation of L1 with the exact entropy",
      unit: "",
      paper: null,
      direction: "none",
      margin: NO_CORRELATION,
    }, bySeed("occlusion-l1", rank)),
    row({
      experiment: "§4.6",
      claim: "a second-order model of the causal loss estimates the entropy better than the loss",
      metric: "RMSE of the loss − RMSE of the second-order model",
      paper: null,
    }, minus(bySeed("loss", rmse), bySeed("second-order", rmse))),
    ...(seeds.length < 2 ? [] : [row({
      experiment: "§4.3",
      claim: "an ensemble of pad-shift estimates beats its members",
      metric: "RMSE of members − RMSE of their mean",
      paper: null,
    }, ensembleGain("pad-shift"))]),
    ...(growth === null ? [] : [row({
      experiment: "§4.3",
      claim: "pad-shift estimates get better with training",
      metric: `RMSE after ${trainingSteps[0]} steps − after ${longest}`,
      paper: null,
    }, growth)]),
  ];
}

/** Arms that differ in the embedding's size do not count beside those that do not. */
export function isSized({ arm }: Pick<AccuracyRow, "arm">, preset: KnownEntropyPreset): boolean {
  return preset.shortfall.embeddingSizes.some((numbers) => arm === knownArm.sized(numbers));
}

/** Mean exact surprisal of the tokens that a run's loss is of. */
export function exactSurprisal({ records }: RunResult): number {
  const exact = records.find((record) =>
    record.type === "measurement" && record.what === "source entropy"
  );
  if (exact === undefined || !("surprisalNats" in exact)) {
    throw new RangeError("expected a run on a source of known entropy");
  }
  return exact.surprisalNats;
}
