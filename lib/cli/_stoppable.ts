/** Commands that Ctrl-C stops where the same command can go on. */
import { StoppedError } from "../errors.ts";
import { withInterrupt } from "../experiments/interrupt.ts";
import { INTERRUPTED } from "./_process.ts";

/**
 * Runs until it is done (0) or stopped by Ctrl-C, which is no error (130) and logged in a line. What
 * fails meanwhile is an error all the same.
 */
export async function stoppable(
  run: (signal: AbortSignal) => Promise<void>,
  log: (line: string) => void = console.error,
): Promise<number> {
  try {
    await withInterrupt(run);
    return 0;
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    log(error.message);
    return INTERRUPTED;
  }
}
