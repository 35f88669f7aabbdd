/** What compressing and decompressing have in common on a terminal. */
import { UserError } from "../errors.ts";
import { type CodecPhase, withInterrupt } from "../experiments/mod.ts";
import { type LiveProgress, liveProgress } from "../figures/mod.ts";
import { Interrupted } from "./_process.ts";

/** Ctrl-C ends the work before anything is written, with an exit code of 130. */
export async function untilInterrupted<T>(
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return await withInterrupt((signal) =>
    action(signal).catch((error) => {
      if (!signal.aborted || error !== signal.reason) throw error;
      throw new Interrupted("interrupted: nothing was written");
    })
  );
}

/** Puts a file's name in front of what a user can act on. */
export async function naming<T>(name: string, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${name}: ${error.message}`, { cause: error });
  }
}

/**
 * Tokens done, their rate and the time left, of one phase after another. The rate is that since the
 * first report of a phase, before which models are compiled.
 */
export function phaseProgress(detail?: string) {
  type Phase = { name: CodecPhase; display: LiveProgress; start: number; before: number };
  let phase: Phase | null = null;
  const finish = async () => await phase?.display.finish();
  return {
    async update(
      { phase: name, done, total }: { phase: CodecPhase; done: number; total: number },
    ): Promise<void> {
      if (phase?.name !== name) {
        await finish();
        const start = performance.now();
        phase = { name, display: liveProgress({ label: name }), start, before: done };
      }
      const rate = 1000 * (done - phase.before) / (performance.now() - phase.start);
      await phase.display.update({
        ...(detail !== undefined && { detail }),
        unit: "token",
        step: done,
        steps: total,
        ...(rate > 0 && { tokensPerSecond: rate }),
        etaSeconds: (total - done) / rate,
      });
    },
    finish,
  };
}
