/**
 * One of two workers of a small run: `_faulty_worker.ts FOLDER RATE [FAULT]`. With a fault, a worker
 * gets other sums than the other in one step, as from a memory that fails, and has other parameters
 * from then on:
 *
 *   wrong    worker 1, step 12: sums that are wrong by a little
 *   stop     the same, and the wish to stop at that moment
 *   nan      worker 1, step 12: sums that are no numbers
 *   record   worker 0, step 15, of which there is a record: sums that are wrong by a little
 */

import { join } from "node:path";
import { runCommand } from "../../lib/cli/_args.ts";
import { clusterFromEnvironment, joinWorkers, type Tensor, tensor } from "../../lib/engine/mod.ts";
import { runAll } from "../../lib/experiments/mod.ts";
import { tinySpec } from "./_tiny.ts";

await runCommand(async ([folder, rate, fault]) => {
  const workers = await joinWorkers(clusterFromEnvironment()!, { log: () => {} });
  const controller = new AbortController();
  const [faulty, faultyStep] = fault === "record" ? [0, 15] : [1, 12];
  if (fault !== undefined && workers.index === faulty) {
    const sound = workers.allReduceSum.bind(workers);
    let step = 0;
    workers.allReduceSum = async (tensors) => {
      const sums = await sound(tensors);
      const areGradients = sums[0]!.size > 1000; // not fingerprints alone
      if (!areGradients || ++step !== faultyStep) return sums;
      if (fault === "stop") controller.abort();
      return sums.map((sum) => changed(sum, fault === "nan" ? NaN : 1));
    };
  }
  const { training, ...spec } = tinySpec(folder!, "clm", {
    schedule: { peakRate: Number(rate), warmupSteps: 2, steps: 40 },
    logEvery: 5,
    evaluateEvery: 40,
  });
  await runAll([{ ...spec, training }], {
    folders: { runs: join(folder!, "runs"), published: join(folder!, "published") },
    cacheFolder: join(folder!, "cache", `${workers.index}`),
    checkpointSeconds: 0, // with every record
    signal: controller.signal,
    cluster: workers,
  });
});

/** A number of the first parameter's gradient with something added. */
function changed(sum: Tensor, by: number): Tensor {
  const values = sum.dataSync().slice();
  values[3]! += by;
  sum.dispose();
  return tensor(values, sum.shape);
}
