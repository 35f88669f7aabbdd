/** Notebook 06's numbers: what training and held-out loss come to, arm by arm (paper §5.2, §8). */

import { bitsPerByte, mean } from "../measure/mod.ts";
import {
  type ArmSummary,
  type Difference,
  differenceOf,
  finalLosses,
  minus,
  summarizeArms,
  withHalfWidth,
} from "./arm_summary.ts";
import { trainingArm, trainingFamily } from "./entropy_training_arms.ts";
import { exactSurprisal } from "./known_entropy_summary.ts";
import type { RunResult } from "./run.ts";

/** Training and held-out loss at one evaluation, plain cross-entropy, nats per token. */
export type GapPoint = Readonly<{ step: number; trainNats: number; heldOutNats: number }>;

/** The evaluations of a run that evaluated both sides. */
export function gapPoints(run: RunResult): GapPoint[] {
  return run.records.flatMap((record) =>
    record.type === "evaluation" && record.trainLossNats !== undefined
      ? [{ step: record.step, trainNats: record.trainLossNats, heldOutNats: record.lossNats }]
      : []
  );
}

/** What a run comes to, nats per token. */
export type Outcome = Readonly<{
  /** The least held-out loss of all evaluations, and its step. */
  leastNats: number;
  leastStep: number;
  /** The gap there. */
  leastGapNats: number;
  /** At the end. */
  finalNats: number;
  trainNats: number;
  gapNats: number;
}>;

/** @throws RangeError for a run that did not evaluate its training windows. */
export function outcomeOf(run: RunResult): Outcome {
  const points = gapPoints(run);
  const last = points.at(-1);
  if (last === undefined) {
    throw new RangeError(`${run.config.id}: expected evaluations of training windows too`);
  }
  const least = points.reduce((best, one) => one.heldOutNats < best.heldOutNats ? one : best);
  return {
    leastNats: least.heldOutNats,
    leastStep: least.step,
    leastGapNats: least.heldOutNats - least.trainNats,
    finalNats: last.heldOutNats,
    trainNats: last.trainNats,
    gapNats: last.heldOutNats - last.trainNats,
  };
}

/** The arms of one family, in the order of the runs. */
export function armsOf(results: readonly RunResult[], family: string): ArmSummary[] {
  return summarizeArms(results).filter((arm) => arm.family === family);
}

/** The arms of a family that were trained on a small part of the data, evaluated on both sides. */
export function smallDataArms(results: readonly RunResult[], family: string): ArmSummary[] {
  return armsOf(results, family).filter(({ arm, runs }) =>
    arm !== trainingArm.subsetTeacher && gapPoints(runs[0]!).length > 0
  );
}

/** An arm of a family, or an error that names it. */
export function trainedArm(
  results: readonly RunResult[],
  family: string,
  arm: string,
): ArmSummary {
  const found = armsOf(results, family).find((one) => one.arm === arm);
  if (found === undefined) throw new RangeError(`no arm "${arm}" of ${family}`);
  return found;
}

/**
 * Held-out losses at the step that is best for the mean of the other seeds, so that none is chosen
 * on itself; of a single seed at its own.
 */
export function stoppedByOthers({ runs }: ArmSummary): number[] {
  const curves = runs.map((run) => gapPoints(run).map(({ heldOutNats }) => heldOutNats));
  return curves.map((own) => {
    const others = curves.length === 1 ? curves : curves.filter((curve) => curve !== own);
    const means = own.map((_, at) => mean(others.map((curve) => curve[at]!)));
    return own[means.indexOf(Math.min(...means))]!;
  });
}

/** A number of every run of an arm, seed by seed. */
export function outcomes(arm: ArmSummary, of: keyof Outcome): number[] {
  return arm.runs.map((run) => outcomeOf(run)[of]);
}

/**
 * The gap of a run where its training loss first comes down to `trainNats`, between evaluations on
 * a straight line; null where it never does, or has before the first evaluation.
 */
export function gapAtTrainLoss(run: RunResult, trainNats: number): number | null {
  const points = gapPoints(run);
  const after = points.findIndex((point) => point.trainNats <= trainNats);
  if (after < 1) return null;
  const [a, b] = [points[after - 1]!, points[after]!];
  const share = (a.trainNats - trainNats) / (a.trainNats - b.trainNats);
  return a.heldOutNats + share * (b.heldOutNats - a.heldOutNats) - trainNats;
}

/**
 * Gap of an arm at its end less that of plain training at the same training loss, seed by seed; null
 * where plain training never came so low.
 */
export function gapDifferences(arm: ArmSummary, plain: ArmSummary): number[] | null {
  const differences = arm.runs.map((run, at) => {
    const { trainNats, gapNats } = outcomeOf(run);
    const gap = gapAtTrainLoss(plain.runs[at]!, trainNats);
    return gap === null ? null : gapNats - gap;
  });
  return differences.every((difference) => difference !== null) ? differences : null;
}

/** The mean of the numbers that a run's losses were compared with, seed by seed; none for plain. */
export function meanValues(arm: ArmSummary): number[] {
  return arm.runs.flatMap((run) =>
    run.records.flatMap((record) =>
      record.type === "measurement" && record.what === "token values" ? [record.meanValue] : []
    )
  );
}

function meanValueOf(arm: ArmSummary): number | null {
  const values = meanValues(arm);
  return values.length === 0 ? null : mean(values);
}

/** A line of a table. */
export type Row = Record<string, string | number | null>;

/**
 * One line an arm: losses and gap, and what it gains over plain training that stops where held-out
 * loss is least.
 */
export function outcomeTable(results: readonly RunResult[], family: string): Row[] {
  const plain = trainedArm(results, family, trainingArm.plain);
  const stopped = outcomes(plain, "leastNats");
  return smallDataArms(results, family).map((arm) => {
    const gain = differenceOf(stopped, outcomes(arm, "finalNats"));
    const equalLoss = gapDifferences(arm, plain);
    return {
      arm: arm.arm,
      "mean e": meanValueOf(arm),
      "train, end": mean(outcomes(arm, "trainNats")),
      "held-out, least": withHalfWidth(outcomes(arm, "leastNats")),
      "at step": Math.round(mean(outcomes(arm, "leastStep"))),
      "held-out, end": withHalfWidth(outcomes(arm, "finalNats")),
      "gap, end": mean(outcomes(arm, "gapNats")),
      "gap − plain's at equal train loss": arm.arm === trainingArm.plain || equalLoss === null
        ? null
        : mean(equalLoss),
      "end against stopped plain": signed(gain),
    };
  });
}

/** What arms gain over plain training stopped at its least held-out loss: bars with intervals. */
export function gainBars(results: readonly RunResult[], family: string) {
  const stopped = outcomes(trainedArm(results, family, trainingArm.plain), "leastNats");
  const bar = (group: string, losses: number[], arm: string) => {
    const { mean: value, low, high } = differenceOf(stopped, losses);
    return {
      group,
      arm,
      value,
      ...(losses.length > 1 ? { interval: [low, high] as const } : {}),
    };
  };
  return smallDataArms(results, family)
    .filter(({ arm }) => arm !== trainingArm.plain)
    .flatMap((arm) => [
      bar(arm.arm, outcomes(arm, "leastNats"), "stopped at its least held-out loss"),
      bar(arm.arm, outcomes(arm, "finalNats"), "at the end"),
    ]);
}

/** One line an arm of E23: compression of held-out text with and without weights. */
export function weightTable(results: readonly RunResult[]): Row[] {
  const family = trainingFamily.full;
  const plain = finalLosses(trainedArm(results, family, trainingArm.plain));
  return [trainingArm.plain, trainingArm.weighted, trainingArm.weightedShuffled].map((name) => {
    const arm = trainedArm(results, family, name);
    const losses = finalLosses(arm);
    const { bytesPerToken } = arm.runs[0]!.config.facts;
    return {
      arm: name,
      "mean e": meanValueOf(arm),
      "held-out loss (nats/token)": withHalfWidth(losses),
      "bits per byte": mean(losses.map((loss) => bitsPerByte(loss, bytesPerToken))),
      "loss − plain's": name === trainingArm.plain ? "" : signed(differenceOf(losses, plain)),
    };
  });
}

/** What arms on a source lose to the truth: held-out loss less exact surprisal, nats per token. */
export function excessTable(results: readonly RunResult[], family: string): Row[] {
  return armsOf(results, family).map((arm) => {
    const truths = arm.runs.map(exactSurprisal);
    const isSmall = gapPoints(arm.runs[0]!).length > 0;
    const final = minus(finalLosses(arm), truths);
    return {
      arm: arm.arm,
      "mean e": meanValueOf(arm),
      ...(isSmall
        ? {
          "train, end": mean(outcomes(arm, "trainNats")),
          "excess, least": withHalfWidth(minus(outcomes(arm, "leastNats"), truths)),
          "at step": Math.round(mean(outcomes(arm, "leastStep"))),
        }
        : {}),
      "excess, end": withHalfWidth(final),
    };
  });
}

/** A difference with its sign, and half the width of its interval where there is one. */
export function signed({ mean, low, high }: Difference): string {
  const value = `${mean < 0 ? "−" : "+"}${Math.abs(mean).toFixed(3)}`;
  return low === high ? value : `${value} ± ${half(low, high)}`;
}

function half(low: number, high: number): string {
  return ((high - low) / 2).toFixed(3);
}
