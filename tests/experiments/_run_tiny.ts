/**
 * Trains one tiny run as `deno task train` does, for tests that interrupt it from outside:
 * `_run_tiny.ts <folder with corpus.jsonl> <steps> <seconds between checkpoints>`. Says `step N` for
 * every record.
 */

import { join } from "node:path";
import { runCommand } from "../../lib/cli/_args.ts";
import { initEngine } from "../../lib/engine/mod.ts";
import { runAll, withInterrupt } from "../../lib/experiments/mod.ts";
import { tinySpec } from "./_tiny.ts";

if (import.meta.main) {
  await runCommand(async ([folder, steps, checkpointSeconds]) => {
    await initEngine({ log: () => {} });
    const schedule = { peakRate: 0.01, warmupSteps: 2, steps: Number(steps) };
    const spec = tinySpec(folder!, "clm", { schedule, logEvery: 5, evaluateEvery: 50 });
    const [run] = await withInterrupt((signal) =>
      runAll([spec], {
        folders: { runs: join(folder!, "runs"), published: join(folder!, "published") },
        cacheFolder: join(folder!, "cache"),
        signal,
        checkpointSeconds: Number(checkpointSeconds),
        onProgress: ({ stepsDone }) => console.log(`step ${stepsDone}`),
      })
    );
    console.log(`finished ${run!.config.id}`);
  });
}
