/** What one process and several workers print of the same runs, side by side. */

import assert from "node:assert/strict";
import { initEngine } from "../../lib/engine/mod.ts";
import type { TrainingRecord } from "../../lib/train/mod.ts";
import { runWorkers } from "../_workers.ts";
import { type ParallelCase, recordsOf } from "./_parallel_cases.ts";

export const parallelWorker = new URL("./_parallel_worker.ts", import.meta.url);

/** Relative; a worker's share of a sum is rounded before it is added to the others'. */
const TOLERANCE = 1e-5;

/** Trains the runs in this process and in `count` workers, and compares all their losses. */
export async function compareWorkers(
  count: number,
  cases: Readonly<Record<string, ParallelCase>>,
): Promise<void> {
  await initEngine({ backend: "tensorflow", log: () => {} });
  const ended = await runWorkers(parallelWorker, count, Object.keys(cases));
  const printed = ended.map(({ code, stdout, stderr }) => {
    assert.equal(code, 0, stderr);
    return stdout.trim().split("\n").map((line) => JSON.parse(line) as TrainingRecord[]);
  });
  for (const [place, [name, one]] of Object.entries(cases).entries()) {
    const expected = await recordsOf(one);
    const found = printed.map((records) => records[place]!.map(comparable));
    for (const records of found) assert.deepEqual(records, found[0], "all workers know the same");
    assert.equal(found[0]!.length, expected.length);
    let worst = 0;
    expected.map(comparable).forEach((wanted, at) => {
      const { losses, rest } = found[0]![at]!;
      assert.deepEqual(rest, wanted.rest);
      losses.forEach((loss, which) => {
        worst = Math.max(worst, Math.abs(loss / wanted.losses[which]! - 1));
      });
    });
    console.log(`${name}: ${count} workers' losses are within ${worst.toExponential(1)}`);
    assert.ok(worst <= TOLERANCE, `${name}: ${count} workers' losses differ by ${worst}`);
  }
}

/** A record's losses, and what must be equal: not how fast, nor what nearly cancels. */
function comparable(record: TrainingRecord): { losses: number[]; rest: object } {
  const losses = "lossNats" in record ? [record.lossNats] : [];
  if ("trainLossNats" in record) losses.push(record.trainLossNats!);
  const rest = Object.fromEntries(
    Object.entries(record).filter(([name]) =>
      !["lossNats", "trainLossNats", "gradientNorm", "tokensPerSecond"].includes(name)
    ),
  );
  return { losses, rest };
}
