/**
 * Workers that are killed, stopped or cut off at random moments: the others end in time and say who
 * it was, and all of them, started again, come to the losses of a run to which nothing happened.
 */

import assert from "node:assert/strict";
import { freeAddresses } from "../../lib/cli/_local_workers.ts";
import { lostWithinSeconds } from "../../lib/engine/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { tinyCorpus } from "../experiments/_tiny.ts";
import { readTinyRun } from "../experiments/_tiny_process.ts";
import { withFiles } from "../text/_temporary.ts";
import { checkSurvivors, HEARTBEAT_SECONDS, startWorker, type Worker } from "./_faults.ts";
import { withTwoNetworks } from "./_networks.ts";

const FAULTS = Number(Deno.env.get("KYL_TEST_FAULTS") ?? 20);
/** More than all starts together come to. */
const STEPS = 800;

type Fault = Readonly<{
  addresses: () => string[];
  /** The words before a worker's command. */
  prefix?: (index: number) => string[];
  strike: (lost: Worker) => Promise<void> | void;
  /** Undoes it, once the others have ended. */
  clear: (lost: Worker) => Promise<void> | void;
}>;

async function endToEnd(folder: string, { addresses, prefix }: Fault): Promise<void> {
  const all = addresses();
  const workers = all.map((_, index) =>
    startWorker(folder, STEPS, all, index, { prefix: prefix?.(index) ?? [] })
  );
  for (const { ended } of workers) {
    const { code, stderr } = await ended;
    assert.equal(code, 0, stderr);
  }
}

/** Starts all workers and gives them a moment after worker 0's first record. */
async function startForAWhile(
  folder: string,
  { prefix }: Fault,
  addresses: readonly string[],
  milliseconds: number,
): Promise<{ workers: Worker[]; reached: () => number }> {
  let reached = 0;
  const first = Promise.withResolvers<void>();
  const workers = addresses.map((_, index) =>
    startWorker(folder, STEPS, addresses, index, {
      prefix: prefix?.(index) ?? [],
      onStep: (step) => {
        reached = step;
        first.resolve();
      },
    })
  );
  for (const { ended } of workers) ended.then(({ stderr }) => first.reject(new Error(stderr)));
  await first.promise;
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  return { workers, reached: () => reached };
}

async function survive(name: string, fault: Fault): Promise<void> {
  await withFiles(tinyCorpus(), (struck) =>
    withFiles(tinyCorpus(), async (whole) => {
      const random = createRandom(3).stream(name);
      const withinSeconds = lostWithinSeconds(HEARTBEAT_SECONDS);
      const reached: number[] = [];
      let longest = 0;
      for (let number = 0; number < FAULTS; number++) {
        const addresses = fault.addresses();
        const lost = Math.floor(random.uniform() * addresses.length);
        const delay = 400 * random.uniform();
        const started = await startForAWhile(struck, fault, addresses, delay);
        const { workers } = started;
        const since = performance.now();
        await fault.strike(workers[lost]!);
        const limit = { since, withinSeconds };
        longest = Math.max(longest, await checkSurvivors(workers, lost, addresses, limit));
        await fault.clear(workers[lost]!);
        const last = await workers[lost]!.ended;
        assert.notEqual(last.code, 0, "a worker that was lost does not go on alone");
        reached.push(started.reached());
      }
      console.log(
        `${name}: at steps ${reached.join(", ")}; the others ended within ${
          longest.toFixed(1)
        } s ` +
          `(${withinSeconds} s allowed)`,
      );
      assert.ok(reached.at(-1)! > reached[0]!);

      await endToEnd(struck, fault);
      await endToEnd(whole, fault);
      const [found, wanted] = [await readTinyRun(struck), await readTinyRun(whole)];
      assert.deepEqual(found.records, wanted.records);
      assert.deepEqual(found.weights, wanted.weights);
      assert.deepEqual(found.names, wanted.names, "nothing half-written is left");
    }));
}

Deno.test(`a worker that is killed, ${FAULTS} times`, () =>
  survive("killed", {
    addresses: () => freeAddresses(3),
    strike: ({ process }) => process.kill("SIGKILL"),
    clear: () => {},
  }));

Deno.test(`a worker that stops answering and wakes up when all is over, ${FAULTS} times`, () =>
  survive("stopped", {
    addresses: () => freeAddresses(3),
    strike: ({ process }) => process.kill("SIGSTOP"),
    clear: ({ process }) => process.kill("SIGCONT"),
  }));

const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;

Deno.test({
  name: `a worker whose network is cut, ${FAULTS} times`,
  ignore: !isRoot, // only root makes networks
  fn: () =>
    withTwoNetworks(async ({ namespaces, hosts, setLink }) => {
      await survive("cut off", {
        addresses: () => freeAddresses(2).map((at, i) => `${hosts[i]}:${at.split(":")[1]}`),
        prefix: (index) => ["ip", "netns", "exec", namespaces[index]!],
        strike: () => setLink("down"),
        clear: () => setLink("up"),
      });
    }),
});
