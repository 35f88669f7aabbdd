/** Progress of work that is measured in bytes: megabytes, their rate and the time left. */
import { type LiveProgress, liveProgress, type LiveProgressOptions } from "./live_progress.ts";

const MEGABYTE = 1e6;
const TENTH = MEGABYTE / 10;

export interface ByteProgress {
  /** `done` of `total` bytes; what was done at the first call does not count for the rate. */
  update(done: number, total: number, detail: string): Promise<void>;
  finish(): Promise<void>;
}

export function byteProgress(label: string, options: LiveProgressOptions = {}): ByteProgress {
  const now = options.now ?? (() => performance.now());
  const progress: LiveProgress = liveProgress({ ...options, label });
  let first: { done: number; at: number } | undefined;
  return {
    async update(done, total, detail) {
      first ??= { done, at: now() };
      const seconds = (now() - first.at) / 1000;
      const rate = seconds > 0 ? (done - first.done) / seconds : 0;
      const steps = Math.max(1, Math.ceil(total / TENTH));
      await progress.update({
        detail: rate > 0 ? `${detail}, ${(rate / MEGABYTE).toFixed(1)} MB/s` : detail,
        unit: "MB",
        // The last step is the end, which rounding alone does not reach.
        step: (done >= total ? steps : Math.min(steps - 1, Math.floor(done / TENTH))) / 10,
        steps: steps / 10,
        etaSeconds: rate > 0 ? (total - done) / rate : NaN,
      });
    },
    finish: () => progress.finish(),
  };
}
