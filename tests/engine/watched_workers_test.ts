/**
 * A worker that waits for others which have stopped answering, where TensorFlow does not end the
 * wait: its operation and its coordination service are played here.
 */

import assert from "node:assert/strict";
import type { Coordination } from "../../lib/engine/_coordination.ts";
import type { TensorFlowBackend } from "../../lib/engine/_tensorflow.ts";
import { initEngine, type Tensor, tensor, Workers, WorkersError } from "../../lib/engine/mod.ts";

await initEngine({ log: () => {} });

const ADDRESSES = ["a:1", "b:2", "c:3"];
const HEARTBEAT_SECONDS = 0.8;
const never = new Promise<never>(() => {});

/** A worker beside others that answer or not, and the sum that they wait for; what it tells them. */
function playedWorker(
  index: number,
  answers: (other: number) => boolean,
  sum: Promise<Tensor[]>,
): { workers: Workers; told: string[] } {
  const told: string[] = [];
  const coordination: Pick<Coordination, "answers" | "put" | "report"> = {
    put: () => Promise.resolve(),
    answers: (name) => Promise.resolve(answers(Number(name.split(":").at(-1)))),
    report: (text) => {
      told.push(text);
      return never; // worker 0 does not hear it
    },
  };
  const native = {
    binding: { TF_ATTR_STRING: 0, TF_ATTR_FLOAT: 1, TF_ATTR_INT: 2, executeWaiting: () => sum },
    getInputTensorIds: () => [],
    createOutputTensor: (output: unknown) => output,
  };
  const workers = new Workers(
    { addresses: ADDRESSES, index },
    native as unknown as TensorFlowBackend,
    coordination as unknown as Coordination,
    HEARTBEAT_SECONDS,
  );
  return { workers, told };
}

/** Many times as long as it takes: a worker that never leaves fails the test, and does not hang it. */
const AT_MOST_MS = 60_000;

async function lossOf(work: Promise<unknown>): Promise<WorkersError> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, AT_MOST_MS);
  try {
    await Promise.race([work, late.promise]);
  } catch (error) {
    assert.ok(error instanceof WorkersError, `${error}`);
    return error;
  } finally {
    clearTimeout(timer);
  }
  assert.fail("nobody was missed");
}

const losses = [
  { name: "worker 0 and with it all", index: 1, silent: [0, 2], named: "worker 0 (a:1) does" },
  { name: "another worker", index: 0, silent: [2], named: "worker 2 (c:3) does" },
  { name: "all others", index: 0, silent: [1, 2], named: "worker 1 (b:2), worker 2 (c:3) do" },
];

Deno.test("a worker leaves when others stop answering, whatever it waits for", async () => {
  await Promise.all(losses.map(async ({ name, index, silent, named }) => {
    const { workers, told } = playedWorker(index, (other) => !silent.includes(other), never);
    const given = tensor([1]);
    const work = name === "all others" ? workers.exchange("text") : workers.allReduceSum([given]);
    const { reason, message } = await lossOf(work);
    given.dispose();
    assert.equal(reason, "lost", name);
    assert.equal(message, `${named} not answer`);
    assert.deepEqual(told, [`<worker lost> ${named} not answer`]);
  }));
});

Deno.test("a worker stays with others that answer now and then, for as long as it takes", async () => {
  let asked = 0;
  const arrived = Promise.withResolvers<Tensor[]>();
  const given = tensor([1]);
  const { workers, told } = playedWorker(0, (other) => {
    if (other !== 1) return true;
    if (++asked === 20) arrived.resolve([given]);
    return asked % 3 === 0;
  }, arrived.promise);
  assert.deepEqual(await workers.allReduceSum([given]), [given]);
  assert.deepEqual(told, []);
  const askedInAll = asked;
  await new Promise((resolve) => setTimeout(resolve, 500 * HEARTBEAT_SECONDS));
  assert.equal(asked, askedInAll, "nobody is asked once the sum is there");
  given.dispose();
});
