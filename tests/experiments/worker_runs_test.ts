import assert from "node:assert/strict";
import { join } from "node:path";
import { runWorkers } from "../_workers.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus } from "./_tiny.ts";
import { readTinyRun } from "./_tiny_process.ts";

const worker = new URL("./_faulty_worker.ts", import.meta.url);
const RATE = "0.01";

async function train(folder: string): Promise<Awaited<ReturnType<typeof readTinyRun>>> {
  for (const { code, stderr } of await runWorkers(worker, 2, [folder, RATE])) {
    assert.equal(code, 0, stderr);
  }
  return await readTinyRun(folder);
}

Deno.test("no checkpoint holds gradients of a worker that came to have other parameters", () =>
  withFiles(tinyCorpus(), async (wholeFolder) => {
    const whole = await train(wholeFolder);
    // Records are of steps 5, 10, 15 ..., a worker is wrong from step 12 or 15 on.
    const steps = { wrong: "15", stop: "14", nan: "1[12]", record: "15" };
    for (const [fault, step] of Object.entries(steps)) {
      await withFiles(tinyCorpus(), async (folder) => {
        for (const { code, stderr } of await runWorkers(worker, 2, [folder, RATE, fault])) {
          assert.equal(code, 1, stderr);
          const said =
            `^error: worker 1 \\(.*\\) has other parameters than worker 0 after step ${step}:`;
          assert.match(stderr, new RegExp(said), fault);
        }
        const { names, records } = await readTinyRun(folder);
        assert.ok(names.includes("checkpoint.safetensors"), fault);
        assert.deepEqual(records, whole.records.slice(0, 2), fault);
        assert.deepEqual(await train(folder), whole, `${fault}: sound workers go on from it`);
      });
    }
  }));

Deno.test("workers whose loss diverges all say so", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const ended = await runWorkers(worker, 2, [folder, "1e30"]);
    for (const [index, { code, stderr }] of ended.entries()) {
      assert.equal(code, 1, stderr);
      const where = index === 0 ? join(folder, "runs") : "worker 0's checkpoint";
      assert.match(stderr, /^error: mixer clm, seed 3 diverged at step [2-9]; the last good state/);
      assert.ok(stderr.includes(`is in ${where}`), stderr);
    }
  }));
