/** Jobs handed out to worker threads, one after another in order. */

import { StoppedError, UserError } from "../../errors.ts";
import type { Job, JobProgress } from "./job.ts";
import type { WorkerReply, WorkerStart } from "./tokenize_worker.ts";

export type PoolOptions = Readonly<{
  workers: number;
  signal: AbortSignal | undefined;
  log: ((line: string) => void) | undefined;
  onProgress: (progress: JobProgress) => void;
}>;

/**
 * Runs all jobs. The first failure, or the signal, ends all workers where they are: what they write
 * is written whole or not at all.
 *
 * @throws UserError of the worker that failed first; StoppedError when the signal stops it.
 */
export async function runInWorkers(
  start: WorkerStart,
  jobs: readonly Job[],
  { workers: wanted, signal, log, onProgress }: PoolOptions,
): Promise<void> {
  const waiting = [...jobs];
  const pool: Worker[] = [];
  const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
  const abort = () =>
    stop(new StoppedError("stopped tokenizing; run the same again to go on from there"));
  const work = (worker: Worker) =>
    new Promise<void>((resolve, reject) => {
      worker.onmessage = ({ data: reply }: MessageEvent<WorkerReply>) => {
        if (reply.kind === "log") return log?.(reply.line);
        if (reply.kind === "progress") return onProgress(reply);
        if (reply.kind === "failed") {
          return reject(reply.isUserError ? new UserError(reply.message) : Error(reply.message));
        }
        const job = waiting.shift();
        if (job === undefined) resolve();
        else worker.postMessage(job);
      };
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`a tokenizing thread ended: ${event.message}`));
      };
      worker.postMessage(start);
    });
  try {
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    for (let i = 0; i < Math.min(wanted, jobs.length); i++) {
      pool.push(new Worker(new URL("tokenize_worker.ts", import.meta.url), { type: "module" }));
    }
    await Promise.race([stopped, Promise.all(pool.map(work))]);
  } finally {
    signal?.removeEventListener("abort", abort);
    for (const worker of pool) worker.terminate();
    stopped.catch(() => {}); // nobody waits for it any longer
  }
}
