/** Notebook 06's claims: what the paper says of training towards entropies (§5, §8, §9 E23, E24). */

import { differenceOf, finalLosses, minus } from "./arm_summary.ts";
import { type ClaimContext, claimRow, type ClaimText, closeMargin } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import { trainingArm, trainingFamily } from "./entropy_training_arms.ts";
import type { EntropyTrainingPreset } from "./entropy_training_presets.ts";
import {
  gapDifferences,
  meanValues,
  type Outcome,
  outcomes,
  trainedArm,
} from "./entropy_training_summary.ts";
import type { RunResult } from "./run.ts";

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
  const known = (name: string, value: keyof Outcome) =>
    outcomes(trainedArm(results, trainingFamily.known, name), value);
  const trainNats = of(entropy, "trainNats");
  const equalLoss = gapDifferences(arm(entropy), arm(plain));
  const lessThanPlain = (claim: string, metric: string, name: string, value: keyof Outcome) =>
    row({ experiment: "E24", claim, metric }, minus(of(plain, value), of(name, value)));
  return [
    row({
      experiment: "E24",
      claim: "plain training on few documents overfits: held-out loss rises again",
      metric: "held-out loss, end − least",
    }, minus(of(plain, "finalNats"), of(plain, "leastNats"))),
    row({
      experiment: "E24",
      claim: "|CE − e| stops at the entropies: its training loss is their mean",
      metric: "training loss − mean e",
      direction: "none",
      margin: closeMargin([trainNats]),
    }, minus(trainNats, meanValues(arm(entropy)))),
    lessThanPlain(
      "|CE − e| does not overfit: its held-out loss at the end is lower",
      "held-out loss at the end, plain − |CE − e|",
      entropy,
      "finalNats",
    ),
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
    row({
      experiment: "E23",
      claim: "weights 1 − e from L1 attributions compress slightly worse",
      metric: "held-out loss on all of the text, weighted − plain",
    }, minus(full(trainingArm.weighted), full(plain))),
    row({
      experiment: "§8",
      claim: "to approach the exact entropies generalizes better than to stop in time",
      metric: "held-out loss on a known source, plain at its least − |CE − e| at the end",
    }, minus(known(plain, "leastNats"), known(trainingArm.exactEntropy, "finalNats"))),
  ];
}

/**
 * What the gain is made of: |CE − e| with the paper's estimates against each arm that takes
 * something away from them. Controls are no claims of the paper's.
 */
export function controlTable(
  results: readonly RunResult[],
): Record<string, string | number | null>[] {
  const arm = (name: string) => trainedArm(results, trainingFamily.text, name);
  const final = (name: string) => outcomes(arm(name), "finalNats");
  const stopped = outcomes(arm(trainingArm.plain), "leastNats");
  const row = (question: string, name: string, a: readonly number[], b: readonly number[]) => {
    const { mean, low, high } = differenceOf(a, b);
    return {
      question,
      compared: name,
      "held-out loss, difference": mean,
      low: a.length > 1 ? low : null,
      high: a.length > 1 ? high : null,
    };
  };
  const against = (question: string, name: string) =>
    row(question, `${name} − ${trainingArm.entropy}`, final(name), final(trainingArm.entropy));
  const overStopped = (question: string, name: string) =>
    row(question, `stopped plain − ${name}`, stopped, final(name));
  const { subset, crossFitted, constant, shuffled, predictive, oneSided } = trainingArm;
  return [
    against("does it matter which token has which e?", shuffled),
    against("does one level for all tokens do as well?", constant),
    against("does the uncertainty alone do, without the token's own loss?", predictive),
    against("does it matter to be pushed back up to e?", oneSided),
    against("does it need what the teacher read beyond the subset?", crossFitted),
    overStopped("what is left with nothing but the subset, rated in-sample?", subset),
    overStopped("what is left with nothing but the subset, rated unseen?", crossFitted),
    overStopped("what does flooding at the mean do?", constant),
    overStopped("what do label smoothing,", trainingArm.smoothing),
    overStopped("an L1 penalty", trainingArm.l1),
    overStopped("and an L2 penalty do?", trainingArm.l2),
  ];
}
