import { UserError } from "../errors.ts";

/** Linear warm-up from 0, then linear decay to 0 at the last step (paper §7). */
export type Schedule = Readonly<{ peakRate: number; warmupSteps: number; steps: number }>;

/**
 * The learning rate of the update number `step`, counted from 0: `peakRate · min(step/warmup,
 * (steps − step)/(steps − warmup))`, the formula of Hugging Face's linear schedule.
 */
export function learningRate({ peakRate, warmupSteps, steps }: Schedule, step: number): number {
  if (step < warmupSteps) return peakRate * step / Math.max(1, warmupSteps);
  return peakRate * Math.max(0, steps - step) / Math.max(1, steps - warmupSteps);
}

/** @throws UserError when the schedule cannot be followed. */
export function checkSchedule({ peakRate, warmupSteps, steps }: Schedule): void {
  if (!Number.isInteger(steps) || steps < 1) {
    throw new UserError(`steps: expected a positive integer, found ${steps}`);
  }
  if (!Number.isInteger(warmupSteps) || warmupSteps < 0 || warmupSteps >= steps) {
    throw new UserError(
      `warmupSteps: expected an integer from 0 to ${
        steps - 1
      } (fewer than steps), found ${warmupSteps}`,
    );
  }
  if (!(peakRate > 0) || !Number.isFinite(peakRate)) {
    throw new UserError(`learningRate: expected a positive number, found ${peakRate}`);
  }
}
