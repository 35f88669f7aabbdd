/** What is said of a run that has not come to its end. */

import { StoppedError, UserError } from "../errors.ts";
import type { RunSpec } from "./run_spec.ts";

/** The error of a run that ended behind `step`, and where its last state is. */
export function interruption(
  { family, arm, training }: RunSpec,
  step: number,
  reason: "stopped" | "diverged",
  checkpointPath: string,
): UserError {
  const run = `${family} ${arm}, seed ${training.seed}`;
  if (reason === "stopped") {
    return new StoppedError(
      `stopped ${run} after step ${step}; run the same again to go on from ${checkpointPath}`,
    );
  }
  return new UserError(
    `${run} diverged at step ${step + 1}; the last good state is in ${checkpointPath}; ` +
      `lower the learning rate (${training.schedule.peakRate})`,
  );
}
