/**
 * Notebook 05's claims: what the paper says of its estimates (§4.1 to §4.4), tested against exact
 * values. The paper compared estimates with other models' losses alone, so it has no numbers to put
 * beside these.
 */

import type { EstimatorName } from "../entropy/mod.ts";
import { mean } from "../measure/mod.ts";
import { findArm, minus, paidLosses, summarizeArms } from "./arm_summary.ts";
import { type ClaimContext, claimRow, type ClaimText } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import type { KnownEntropyPreset } from "./entropy_presets.ts";
import { knownArm, PAID_BITS } from "./known_entropy_arms.ts";
import { type AccuracyRow, exactSurprisal, isSized, type Truth } from "./known_entropy_summary.ts";
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
  const { seeds, trainingSteps, sources } = preset;
  const longest = trainingSteps.at(-1)!;
  const row = (text: Omit<ClaimText, "paper">, differences: readonly number[]) =>
    claimRow({ paper: null, ...text }, differences, seeds, context);
  const bySeed = (
    estimator: EstimatorName,
    value: (row: AccuracyRow) => number | null,
    truth: Truth = "entropy",
  ) =>
    seeds.map((seed) => {
      const rows = accuracies.filter((one) =>
        one.estimator === estimator && one.seed === seed && one.steps === longest &&
        one.truth === truth && !isSized(one, preset)
      );
      return mean(rows.map(value).filter((found) => found !== null));
    });
  // Whatever follows the token that came has some correlation with its entropy: to estimate it is to
  // have more than exact surprisal has.
  const overSurprisal = (experiment: string, claim: string, estimator: EstimatorName) =>
    row(
      {
        experiment,
        claim,
        metric: "rank correlation with exact entropy, estimate − exact surprisal",
        unit: "rank corr.",
      },
      bySeed(estimator, ({ rankCorrelation, surprisalCorrelation: control }) =>
        rankCorrelation === null || control === null ? null : rankCorrelation - control),
    );
  const arms = summarizeArms(results);
  const excess = Object.keys(sources).map((source) => {
    const arm = findArm(arms, source, knownArm.after(knownArm.pair, longest));
    return minus(paidLosses(arm, PAID_BITS), arm.runs.map(exactSurprisal));
  });
  return [
    overSurprisal(
      "§4.3",
      "pad-shift estimates follow a token's entropy, not only how unlikely it was",
      "pad-shift",
    ),
    overSurprisal(
      "§4.2",
      "two-window estimates follow a token's entropy, not only how unlikely it was",
      "two-window",
    ),
    row({
      experiment: "§4.3",
      claim: "pad-shift estimates lie below the surprisal by what the embedding tells",
      metric: "mean estimate − exact surprisal of the same tokens",
      unit: "nats",
      direction: "negative",
    }, bySeed("pad-shift", ({ bias }) => bias, "surprisal")),
    row({
      experiment: "§4.1",
      claim: "an EEM's loss with its embedding rounded and paid for bounds the entropy from above",
      metric: `loss + price at ${PAID_BITS} bits a number − exact surprisal of the same tokens`,
      unit: "nats/token",
    }, seeds.map((_, at) => mean(excess.map((values) => values[at]!)))),
    row(
      {
        experiment: "§4.4",
        claim: "occlusion (L1) does not follow a token's entropy, in either direction",
        metric: "size of the rank correlation with exact entropy",
        unit: "rank corr.",
        direction: "none",
        margin: NO_CORRELATION,
      },
      bySeed("occlusion-l1", ({ rankCorrelation }) => rankCorrelation && Math.abs(rankCorrelation)),
    ),
  ];
}
