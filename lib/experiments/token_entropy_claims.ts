/** Notebook 04's claims (paper §4.4 to §4.7, §9 E20–E22). */

import { linearRegression } from "../measure/mod.ts";
import { minus } from "./arm_summary.ts";
import { type ClaimContext, claimRow, type ClaimText } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import type { TokenEntropyPreset } from "./entropy_presets.ts";
import { type EstimateSet, estimateSets, setsOf } from "./estimate_sets.ts";
import type { RunResult } from "./run.ts";
import { ATTRIBUTIONS, tokenArm } from "./token_entropy_arms.ts";
import {
  positionMeans,
  type RegressionName,
  regressions,
  secondHalfRSquared,
  type SeedRegression,
  squaredErrors,
  wordPartGaps,
} from "./token_entropy_summary.ts";

/** An R² below this is none to speak of. */
const NO_FIT = 0.1;

/**
 * Every claim of the paper that the notebook tests, judged by rule (lib/measure/verdict.ts).
 *
 * @param texts The texts of the estimated windows' tokens.
 */
export function tokenEntropyClaims(
  results: readonly RunResult[],
  preset: TokenEntropyPreset,
  texts: readonly (readonly string[])[],
  context: ClaimContext,
): ClaimRow[] {
  const sets = estimateSets(results);
  const fits = regressions(sets, preset);
  const [base] = preset.embeddingSizes;
  const small = setsOf(sets, tokenArm.small, "loss");
  const attribution = setsOf(sets, tokenArm.augmented(base), ATTRIBUTIONS[0]);
  const row = (text: ClaimText, differences: readonly number[]) =>
    claimRow(text, differences, preset.seeds, context);
  const rSquared = (
    experiment: string,
    claim: string,
    [more, less]: readonly [RegressionName, RegressionName],
  ) => {
    const [first, second] = [fits[more], fits[less]];
    const paper = first.spec.paper!.rSquared - second.spec.paper!.rSquared;
    const isHalf = first.spec.isSecondHalf || second.spec.isSecondHalf;
    const of = (one: SeedRegression) => isHalf ? secondHalfRSquared(sets, one.spec) : one.rSquared;
    const metric = `R² of ${more} − R² of ${less}${isHalf ? ", second halves" : ""}`;
    return row({ experiment, claim, metric, unit: "R²", paper }, minus(of(first), of(second)));
  };
  const none = (experiment: string, claim: string, name: RegressionName) => {
    const { spec, rSquared } = fits[name];
    const paper = spec.paper!.rSquared;
    const text = { experiment, claim, metric: `R² of ${name}`, unit: "R²", paper } as const;
    return row({ ...text, direction: "none", margin: NO_FIT }, rSquared);
  };
  const squared = (shift: boolean) =>
    squaredErrors(setsOf(sets, tokenArm.secondOrder(shift), "second-order"), small);
  return [
    rSquared("E20", "L1 follows cosine, not the causal loss", ["L1, cosine", "L1, small CLM"]),
    none("E20", "L1 does not follow the causal loss", "L1, small CLM"),
    none(
      "E20",
      "a large embedding's L1 has little in common with a small one's",
      "large embedding's L1, L1",
    ),
    none(
      "E20",
      "the largest embedding's L1 has little in common with a small one's",
      "largest embedding's L1, L1",
    ),
    row({
      experiment: "E20",
      claim: "attributions decrease along the window",
      metric: "slope of mean L1 over positions, per position",
      unit: "of the mean a position",
      paper: "decreases (80 samples)",
      direction: "negative",
    }, relativeSlopes(attribution)),
    row({
      experiment: "E20",
      claim: "the causal loss hardly changes along the window",
      metric: "slope of mean loss over positions, per position",
      unit: "of the mean a position",
      paper: "little trend",
      direction: "none",
      margin: LITTLE_TREND / preset.data.contextLength,
    }, relativeSlopes(small)),
    row({
      experiment: "E20",
      claim: "a word's first token is less certain than its later ones",
      metric: "mean loss of first − later tokens of words, small CLM",
      paper: "first above later",
    }, wordPartGaps(small, texts)),
    row({
      experiment: "E20",
      claim: "by pad-shift, too, a word's first token is less certain than its later ones",
      metric: "mean estimate of first − later tokens of words, pad-shift",
      paper: "first above later",
    }, wordPartGaps(setsOf(sets, tokenArm.augmented(base), "pad-shift"), texts)),
    rSquared("E21", "two causal models agree better than pad-shift and one", [
      "small CLM, large CLM",
      "pad-shift, small CLM",
    ]),
    rSquared("E21", "pad-shift is nearer to the small causal model than to the large one", [
      "pad-shift, small CLM",
      "pad-shift, large CLM",
    ]),
    rSquared("E21", "pad-shift follows losses, attributions do not", [
      "pad-shift, large CLM",
      "L1, small CLM",
    ]),
    row({
      experiment: "E22",
      claim: "a second-order model that has read the token errs less",
      metric: "mean squared error, shift − no shift",
      unit: "nats²",
      paper: "no shift below shift",
    }, minus(squared(true), squared(false))),
  ];
}

/** A change over the whole window by this share of the mean is little. */
const LITTLE_TREND = 0.2;

/** The slope of the mean estimate over positions, as a share of the mean, seed by seed. */
function relativeSlopes(sets: readonly EstimateSet[]): number[] {
  return sets.map((set) => {
    const points = positionMeans(set);
    const values = points.map(({ mean }) => mean);
    const { slope } = linearRegression(points.map(({ position }) => position), values);
    return slope * values.length / values.reduce((sum, value) => sum + value, 0);
  });
}
