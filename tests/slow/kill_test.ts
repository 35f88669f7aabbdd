/** A run killed without warning, again and again, is in the end the run that nobody killed. */

import assert from "node:assert/strict";
import { createRandom } from "../../lib/random.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus } from "../experiments/_tiny.ts";
import { readTinyRun, runTiny } from "../experiments/_tiny_process.ts";

const KILLS = 20;

Deno.test("a run killed 20 times at random moments equals an uninterrupted one", () =>
  withFiles(tinyCorpus(), (killed) =>
    withFiles(tinyCorpus(), async (whole) => {
      const run = { steps: 1500, checkpointSeconds: 0.02 };
      assert.equal((await runTiny({ ...run, folder: whole })).code, 0);
      const wanted = await readTinyRun(whole);

      const random = createRandom(1).stream("kills");
      const reached: number[] = [];
      for (let kill = 0; kill < KILLS; kill++) {
        // Some moments lie in the start of the process, others from its first record on.
        const fromStart = kill % 4 === 0;
        const delayMs = random.uniform() * (fromStart ? 1500 : 150);
        let timer: ReturnType<typeof setTimeout> | undefined;
        const killLater = (process: Deno.ChildProcess) => {
          timer ??= setTimeout(() => {
            try {
              process.kill("SIGKILL");
            } catch (error) {
              if (!(error instanceof TypeError)) throw error; // it has ended already
            }
          }, delayMs);
        };
        const { output } = await runTiny(
          { ...run, folder: killed },
          fromStart
            ? { onProcess: killLater }
            : { onOutput: (_output, process) => killLater(process) },
        );
        clearTimeout(timer);
        const steps = output.match(/^step \d+$/gm) ?? [];
        if (steps.length > 0) reached.push(Number(steps.at(-1)!.slice("step ".length)));
      }
      console.log(`killed after steps ${reached.join(", ")} of ${run.steps}`);
      assert.ok(reached.length > KILLS / 2);

      const last = await runTiny({ ...run, folder: killed });
      assert.equal(last.code, 0, last.errors);
      const found = await readTinyRun(killed);
      assert.deepEqual(found.records, wanted.records);
      assert.deepEqual(found.weights, wanted.weights);
      assert.deepEqual(found.names, wanted.names, "no file of a killed process is left");
    })));
