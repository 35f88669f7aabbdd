import assert from "node:assert/strict";
import {
  type Cluster,
  clusterFromEnvironment,
  formatTfConfig,
  parseTfConfig,
} from "../../lib/engine/mod.ts";
import { expandNodes } from "../../lib/engine/_slurm.ts";
import { UserError } from "../../lib/errors.ts";

const config = (cluster: unknown, task: unknown = { type: "worker", index: 0 }) =>
  JSON.stringify({ cluster, task });

Deno.test("TF_CONFIG names the workers, a chief first", () => {
  const cluster: Cluster = { addresses: ["a:1", "b.example:65535"], index: 1 };
  assert.deepEqual(parseTfConfig(formatTfConfig(cluster)), cluster);
  const withChief = { chief: ["c:7"], worker: ["a:1", "b:2"] };
  const addresses = ["c:7", "a:1", "b:2"];
  assert.deepEqual(parseTfConfig(config(withChief)), { addresses, index: 1 });
  const chief = { type: "chief", index: 0 };
  assert.deepEqual(parseTfConfig(config(withChief, chief)), { addresses, index: 0 });
});

Deno.test("a process without TF_CONFIG, or with one worker in it, is one of its own", () => {
  assert.equal(clusterFromEnvironment({}), null);
  assert.equal(clusterFromEnvironment({ TF_CONFIG: "" }), null);
  assert.equal(clusterFromEnvironment({ TF_CONFIG: config({ worker: ["a:1"] }) }), null);
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  ["{", /^TF_CONFIG: expected JSON, found "\{"; correct it, or unset it/],
  ["[]", /expected \{"cluster": .*\}, found \[\]/],
  [config({}), /expected a worker in its cluster, found none/],
  [config({ worker: "a:1" }), /expected a list of addresses for worker, found "a:1"/],
  [config({ worker: ["a:1", "b"] }), /expected addresses host:port for worker, found "b"/],
  [config({ worker: ["a:1", "b:0"] }), /expected addresses host:port for worker, found "b:0"/],
  [config({ worker: ["a:1", "a:1"] }), /an address of its own for each worker, found a:1 twice/],
  [config({ worker: ["a:1"], ps: ["b:1"] }), /jobs chief, master, worker .* found ps/],
  [config({ worker: ["a:1", "b:1"] }, null), /expected a task, .* found none/],
  [
    config({ worker: ["a:1", "b:1"] }, { type: "worker", index: 2 }),
    /expected a task of its cluster, worker 0 … 1, found \{"type":"worker","index":2\}/,
  ],
  [
    config({ worker: ["a:1", "b:1"] }, { type: "evaluator", index: 0 }),
    /worker 0 … 1, found \{"type":"evaluator"/,
  ],
];

for (const [text, expected] of WRONG) {
  Deno.test(`a wrong TF_CONFIG is refused: ${text}`, () => {
    assert.throws(() => parseTfConfig(text), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, expected);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  });
}

const STEP = {
  SLURM_JOB_ID: "12",
  SLURM_STEP_ID: "0",
  SLURM_STEP_NUM_TASKS: "5",
  SLURM_STEP_NODELIST: "gpu[08-09],login1",
  SLURM_STEP_TASKS_PER_NODE: "2(x2),1",
  SLURM_PROCID: "3",
};

Deno.test("tasks of a Slurm step are workers, node by node", () => {
  const port = 20_000 + 97 * 12;
  assert.deepEqual(clusterFromEnvironment(STEP), {
    addresses: [
      `gpu08:${port}`,
      `gpu08:${port + 1}`,
      `gpu09:${port}`,
      `gpu09:${port + 1}`,
      `login1:${port}`,
    ],
    index: 3,
  });
  assert.equal(
    clusterFromEnvironment({
      ...STEP,
      SLURM_STEP_NUM_TASKS: "1",
      SLURM_STEP_NODELIST: "gpu08",
      SLURM_STEP_TASKS_PER_NODE: "1",
      SLURM_PROCID: "0",
    }),
    null,
    "a task of a sweep",
  );
  assert.equal(clusterFromEnvironment({ SLURM_JOB_ID: "12", SLURM_NTASKS: "5" }), null);
  const own = { TF_CONFIG: config({ worker: ["a:1", "b:1"] }) };
  assert.deepEqual(clusterFromEnvironment({ ...STEP, ...own })?.addresses, ["a:1", "b:1"]);
  assert.throws(
    () => clusterFromEnvironment({ ...STEP, SLURM_STEP_TASKS_PER_NODE: "2,1" }),
    /Slurm: expected task 3 to be one of 5 on gpu\[08-09\],login1, 2,1 a node, found 3 on 3 nodes/,
  );
});

Deno.test("Slurm's lists of nodes are spelled out", () => {
  assert.deepEqual(expandNodes("a"), ["a"]);
  assert.deepEqual(expandNodes("a,b-2"), ["a", "b-2"]);
  assert.deepEqual(expandNodes("n[1-3,07],m[9-10].x"), ["n1", "n2", "n3", "n07", "m9.x", "m10.x"]);
});
