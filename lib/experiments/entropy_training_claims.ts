/** Notebook 06's claims: what the paper says of training towards entropies (§5, §9 E23, E24). */

import { finalLosses, minus } from "./arm_summary.ts";
import { type ClaimContext, claimRow, type ClaimText, closeMargin } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import { trainingArm, trainingFamily } from "./entropy_training_arms.ts";
import type { EntropyTrainingPreset } from "./entropy_training_presets.ts";
import {
  gapDifferences,
  meanValues,
  type Outcome,
  outcomes,
  stoppedByOthers,
  trainedArm,
} from "./entropy_training_summary.ts";
import type { RunResult } from "./run.ts";

/** Of Wikitext, paper §5.3. */
const PAPER_BITS_PER_BYTE = { plain: 1.2887, weighted: 1.3025 };

/** Differences over seeds, judged by rule (lib/measure/verdict.ts). */
export function entropyTrainingClaims(
  results: readonly RunResult[],
  { seeds }: EntropyTrainingPreset,
  context: ClaimContext,
): ClaimRow[] {
  const row = (text: Omit<ClaimText, "paper">, differences: readonly number[]) =>
    claimRow({ paper: null, ...text }, differences, seeds, context);
  const arm = (name: string) => trainedArm(results, trainingFamily.text, name);
  const of = (name: string, value: keyof Outcome) => outcomes(arm(name), value);
  const { plain, entropy, dropout, entropyDropout } = trainingArm;
  const full = (name: string) => finalLosses(trainedArm(results, trainingFamily.full, name));
  const trainNats = of(entropy, "trainNats");
  const equalLoss = gapDifferences(arm(entropy), arm(plain));
  const lessThanPlain = (claim: string, metric: string, name: string, value: keyof Outcome) =>
    row({ experiment: "E24", claim, metric }, minus(of(plain, value), of(name, value)));
  return [
    row({
      experiment: "E24",
      claim: "plain training on few documents overfits: held-out loss rises again",
      metric: "held-out loss, end − at the step that is best for the other seeds",
    }, minus(of(plain, "finalNats"), stoppedByOthers(arm(plain)))),
    row({
      experiment: "E24",
      claim: "|CE − e| stops at the entropies: its training loss is their mean",
      metric: "training loss − mean e",
      direction: "none",
      margin: closeMargin([trainNats]),
    }, minus(trainNats, meanValues(arm(entropy)))),
    row({
      experiment: "E24",
      claim: "|CE − e| does not overfit: held-out loss at its end is about its least",
      metric: "held-out loss of |CE − e|, end − least",
      direction: "none",
      margin: closeMargin([of(entropy, "finalNats")]),
    }, minus(of(entropy, "finalNats"), of(entropy, "leastNats"))),
    row({
      experiment: "E24",
      claim: "|CE − e| generalizes better than plain training that stops in time",
      metric: "held-out loss, plain at its least − |CE − e| at the end",
    }, minus(of(plain, "leastNats"), of(entropy, "finalNats"))),
    lessThanPlain(
      "|CE − e| has the smaller gap at the end",
      "gap at the end, plain − |CE − e|",
      entropy,
      "gapNats",
    ),
    row({
      experiment: "E24",
      claim: "|CE − e| has the smaller gap than plain training that stops in time",
      metric: "gap, plain at its least held-out loss − |CE − e| at the end",
    }, minus(of(plain, "leastGapNats"), of(entropy, "gapNats"))),
    ...equalLoss === null ? [] : [
      row({
        experiment: "E24",
        claim: "|CE − e| has the smaller gap at equal training loss",
        metric: "gap at equal training loss, plain − |CE − e|",
      }, equalLoss.map((difference) => -difference)),
    ],
    lessThanPlain(
      "dropout helps plain training",
      "least held-out loss, plain − plain with dropout",
      dropout,
      "leastNats",
    ),
    row({
      experiment: "E24",
      claim: "dropout helps |CE − e|",
      metric: "least held-out loss, |CE − e| − |CE − e| with dropout",
    }, minus(of(entropy, "leastNats"), of(entropyDropout, "leastNats"))),
    claimRow(
      {
        experiment: "E23",
        claim: "weights 1 − e from L1 attributions compress slightly worse",
        metric: "bits per byte of held-out text, (weighted − plain)/plain",
        unit: "%",
        paper: 100 * (PAPER_BITS_PER_BYTE.weighted / PAPER_BITS_PER_BYTE.plain - 1),
      },
      minus(full(trainingArm.weighted), full(plain)).map((difference, at) =>
        100 * difference / full(plain)[at]!
      ),
      seeds,
      context,
    ),
  ];
}
