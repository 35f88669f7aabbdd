/** Workers that something happens to. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { formatTfConfig } from "../../lib/engine/mod.ts";
import { testPermissions } from "../../lib/cli/test.ts";

export const HEARTBEAT_SECONDS = 3;
const SCRIPT = fileURLToPath(new URL("_worker_run.ts", import.meta.url));

export type Worker = Readonly<{
  process: Deno.ChildProcess;
  /** Its exit code, or null where a signal ended it; and the milliseconds until then. */
  ended: Promise<{ code: number | null; stderr: string; endedAt: number }>;
}>;

/** Starts one of the workers, behind the words of `prefix` (`ip netns exec NAME`). */
export function startWorker(
  folder: string,
  steps: number,
  addresses: readonly string[],
  index: number,
  { prefix = [], onStep = () => {} }: {
    prefix?: readonly string[];
    onStep?: (step: number) => void;
  } = {},
): Worker {
  const permissions = testPermissions.filter((name) => !name.startsWith("--allow-net"));
  const [command, ...args] = [
    ...prefix,
    Deno.execPath(),
    "run",
    "--no-check",
    ...permissions,
    SCRIPT,
    folder,
    `${steps}`,
  ];
  const process = new Deno.Command(command!, {
    args,
    env: {
      NO_COLOR: "1",
      TF_NUM_INTRAOP_THREADS: "1",
      ...(addresses.length > 1 && { TF_CONFIG: formatTfConfig({ addresses, index }) }),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reading = (async () => {
    for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
      const steps = text.match(/(?<=^step )\d+$/gm);
      if (steps !== null) onStep(Number(steps.at(-1)));
    }
  })();
  const errors = new Response(process.stderr).text();
  const ended = (async () => {
    const { code, signal } = await process.status;
    const endedAt = performance.now();
    await reading;
    return { code: signal === null ? code : null, stderr: await errors, endedAt };
  })();
  return { process, ended };
}

/** What workers that lost `lost` say, each in one line, and that they say it in time. */
export async function checkSurvivors(
  workers: readonly Worker[],
  lost: number,
  addresses: readonly string[],
  { since, withinSeconds }: { since: number; withinSeconds: number },
): Promise<number> {
  let longest = 0;
  for (const [index, worker] of workers.entries()) {
    if (index === lost) continue;
    const { code, stderr, endedAt } = await worker.ended;
    assert.equal(code, 1, `worker ${index}: ${stderr}`);
    assert.match(stderr, /^error: .*\n$/, "one line");
    assert.ok(
      stderr.startsWith(`error: worker ${lost} (${addresses[lost]}) does not answer; `),
      `worker ${index} of ${workers.length}, without worker ${lost}: ${stderr}`,
    );
    assert.match(
      stderr,
      index === 0 ? /the checkpoint of step \d+ is / : /worker 0 had|worker 0 has/,
    );
    longest = Math.max(longest, endedAt - since);
  }
  assert.ok(longest < 1000 * withinSeconds, `${longest} ms`);
  return longest / 1000;
}
