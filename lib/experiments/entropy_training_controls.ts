/** Notebook 06's controls: what the gain of |CE − e| is made of. They are no claims of the paper's. */

import { differenceOf } from "./arm_summary.ts";
import { trainingArm, trainingFamily } from "./entropy_training_arms.ts";
import type { EntropyTrainingPreset } from "./entropy_training_presets.ts";
import {
  type Outcome,
  outcomes,
  type Row,
  signed,
  trainedArm,
} from "./entropy_training_summary.ts";
import type { CurveRow } from "../figures/mod.ts";
import type { RunResult } from "./run.ts";

/**
 * One line a question about the text: held-out losses of two arms, the first less the second, so
 * that + favours the second. With plain training as the first one it is always plain training that
 * is stopped in time.
 */
export function controlTable(results: readonly RunResult[]): Row[] {
  const of = (name: string, value: keyof Outcome) =>
    outcomes(trainedArm(results, trainingFamily.text, name), value);
  const row = (question: string, first: string, second: string, isStopped = false): Row => ({
    question,
    difference: `${isStopped ? "stopped " : ""}${first} − ${second}`,
    "at the end": signed(
      differenceOf(of(first, isStopped ? "leastNats" : "finalNats"), of(second, "finalNats")),
    ),
    "both stopped in time": signed(
      differenceOf(of(first, "leastNats"), of(second, "leastNats")),
    ),
  });
  const a = trainingArm;
  const without = (question: string, name: string) => row(question, name, a.entropy);
  const gain = (question: string, name: string) => row(question, a.plain, name, true);
  return [
    gain("what does the paper's arm gain?", a.entropy),
    gain("… with dropout?", a.entropyDropout),
    gain("a teacher that never read these documents?", a.rest),
    gain("… its uncertainty, not its loss?", a.restPredictive),
    gain("a teacher that read nothing else?", a.subset),
    gain("… its uncertainty?", a.subsetPredictive),
    gain("… two that each rate what they have not read?", a.crossFitted),
    gain("one e for all tokens?", a.constant),
    gain("flooding of the batch's mean?", a.flooding),
    gain("a schedule that ends early?", a.early),
    gain("label smoothing?", a.smoothing),
    gain("an L1 penalty?", a.l1),
    gain("an L2 penalty?", a.l2),
    without("does it matter which token has which e?", a.shuffled),
    without("… and to be pushed back up to e?", a.oneSided),
    without("… and the factor 2.5?", a.unscaled),
    without("… and that teacher and model start alike?", a.otherSeed),
    without("… and to know the loss, not the uncertainty?", a.predictive),
  ];
}

/**
 * What |CE − e| with exact entropies gains over plain training stopped in time, nats per token,
 * against the number of sequences that are read.
 */
export function amountCurves(
  results: readonly RunResult[],
  { amounts }: EntropyTrainingPreset,
): CurveRow[] {
  return amounts.trainWindows.flatMap((sequences) => {
    const arm = (name: string) => trainedArm(results, trainingFamily.amount(sequences), name);
    const plain = arm(trainingArm.plain);
    const stopped = outcomes(plain, "leastNats");
    return [trainingArm.exactEntropy, trainingArm.constant].flatMap((name) =>
      ([["at the end", "finalNats"], ["both stopped in time", "leastNats"]] as const).flatMap(
        ([facet, value]) =>
          outcomes(arm(name), value).map((nats, at) => ({
            arm: name,
            facet,
            seed: plain.seeds[at]!,
            x: sequences,
            y: stopped[at]! - nats,
          })),
      )
    );
  });
}
