/** Ctrl-C and the notebook's stop button as an AbortSignal. */

import { StoppedError } from "../errors.ts";

/**
 * Runs `action` with a signal that aborts at the first SIGINT or SIGTERM, so that it can stop at a
 * safe point. A second one ends the process, as it would without this.
 *
 * @throws StoppedError in the place of the signal's reason: what stopped had no more to say.
 */
export async function withInterrupt<T>(action: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  const onSignal = () => {
    removeListeners();
    controller.abort();
  };
  const removeListeners = () => {
    for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
  };
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  try {
    return await action(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted || error !== controller.signal.reason) throw error;
    throw new StoppedError("stopped: the same command goes on from here");
  } finally {
    removeListeners();
  }
}
