import assert from "node:assert/strict";
import { byteProgress } from "../../lib/figures/byte_progress.ts";
import type { ProgressState } from "../../lib/figures/progress.ts";

/** What is shown of a series of updates, a second apart. */
async function shown(updates: readonly (readonly [done: number, total: number])[]) {
  const states: (ProgressState & { final: boolean })[] = [];
  let seconds = 0;
  const progress = byteProgress("fetching", {
    now: () => seconds * 1000,
    sink: { show: (state, final) => void states.push({ ...state, final }) },
  });
  for (const [done, total] of updates) {
    await progress.update(done, total, "a.parquet");
    seconds++;
  }
  await progress.finish();
  return states;
}

Deno.test("byteProgress() shows megabytes, the rate since the start and the time left", async () => {
  const states = await shown([[50e6, 100e6], [60e6, 100e6], [80.04e6, 100e6], [100e6, 100e6]]);
  assert.deepEqual(
    states.map((
      { detail, step, steps, etaSeconds, final },
    ) => [detail, step, steps, Math.round(10 * etaSeconds) / 10, final]),
    [
      ["a.parquet", 50, 100, NaN, false],
      ["a.parquet, 10.0 MB/s", 60, 100, 4, false],
      ["a.parquet, 15.0 MB/s", 80, 100, 1.3, false],
      ["a.parquet, 16.7 MB/s", 100, 100, 0, true],
    ],
  );
});

Deno.test("byteProgress() is at the end only when all is done", async () => {
  const almost = await shown([[0, 28_500_350_000], [28_500_349_999, 28_500_350_000]]);
  assert.deepEqual([almost.at(-1)!.step, almost.at(-1)!.steps], [28500.3, 28500.4]);
  const small = await shown([[0, 10], [9, 10], [10, 10]]);
  assert.deepEqual(small.map(({ step, steps }) => [step, steps]), [[0, 0.1], [0, 0.1], [0.1, 0.1]]);
  assert.deepEqual((await shown([[0, 0]])).map(({ step, steps }) => [step, steps]), [[0.1, 0.1]]);
});
