/** The rows of notebook 06's figures. */

import type { CurveRow, PointRow } from "../figures/mod.ts";
import { mean } from "../measure/mod.ts";
import { trainingFamily } from "./entropy_training_arms.ts";
import { gapPoints, smallDataArms, trainedArm } from "./entropy_training_summary.ts";
import { exactSurprisal } from "./known_entropy_summary.ts";
import type { RunResult } from "./run.ts";

/** Held-out and training loss against epochs, a panel each. */
export function overfittingCurves(
  results: readonly RunResult[],
  family: string,
  names: readonly string[],
): CurveRow[] {
  const arms = names.map((name) => trainedArm(results, family, name));
  return (["held-out loss", "training loss"] as const).flatMap((facet) =>
    arms.flatMap((arm) =>
      arm.runs.flatMap((run, at) => {
        const { facts, spec: { training: { batchSize } } } = run.config;
        return gapPoints(run).map(({ step, heldOutNats, trainNats }) => ({
          arm: arm.arm,
          facet,
          seed: arm.seeds[at]!,
          x: step * batchSize / facts.trainWindows,
          y: facet === "held-out loss" ? heldOutNats : trainNats,
        }));
      })
    )
  );
}

/** Every checkpoint of every arm on the known source: its training loss and its gap (paper §8). */
export function gapFigureRows(results: readonly RunResult[]): PointRow[] {
  return smallDataArms(results, trainingFamily.known).flatMap((arm) =>
    arm.runs.flatMap((run, at) =>
      gapPoints(run).map(({ step, trainNats, heldOutNats }) => ({
        arm: arm.arm,
        x: trainNats,
        y: heldOutNats - trainNats,
        label: `seed ${arm.seeds[at]}, step ${step}`,
      }))
    )
  );
}

/**
 * Where a model's gap can be least (paper §8): no held-out loss is below the surprisal H of the
 * held-out tokens, but by chance, so that the gap is at least H − training loss.
 */
export function gapBound(results: readonly RunResult[]) {
  const arms = smallDataArms(results, trainingFamily.known);
  const entropyNats = mean(arms.flatMap(({ runs }) => runs.map(exactSurprisal)));
  return { label: "gap = H − training loss", slope: -1, intercept: entropyNats };
}
