/**
 * One of the workers of a small run, or the only process: `_worker_run.ts FOLDER STEPS`. Worker 0
 * prints `step N` for every record. Workers miss each other soon here, so that faults take seconds.
 */

import { join } from "node:path";
import { runCommand } from "../../lib/cli/_args.ts";
import { clusterFromEnvironment, initEngine, joinWorkers } from "../../lib/engine/mod.ts";
import { runAll, withInterrupt } from "../../lib/experiments/mod.ts";
import { tinySpec } from "../experiments/_tiny.ts";
import { HEARTBEAT_SECONDS } from "./_faults.ts";

await runCommand(async ([folder, steps]) => {
  const log = () => {};
  const cluster = clusterFromEnvironment();
  const timeouts = { startSeconds: 30, heartbeatSeconds: HEARTBEAT_SECONDS };
  const workers = cluster === null ? undefined : await joinWorkers(cluster, { timeouts, log });
  if (workers === undefined) await initEngine({ backend: "tensorflow", log });
  const { training, ...spec } = tinySpec(folder!, "eem", {
    batchSize: 12, // for two workers and for three
    logEvery: 5,
    evaluateEvery: 100,
  });
  const schedule = { ...training.schedule, steps: Number(steps) };
  await withInterrupt((signal) =>
    runAll([{ ...spec, training: { ...training, schedule } }], {
      folders: { runs: join(folder!, "runs"), published: join(folder!, "published") },
      cacheFolder: join(folder!, "cache", `${cluster?.index ?? 0}`),
      checkpointSeconds: 0.2,
      signal,
      cluster: workers,
      onProgress: ({ record }) => {
        if ("step" in record) console.log(`step ${record.step}`);
      },
    })
  );
});
