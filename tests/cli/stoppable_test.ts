import assert from "node:assert/strict";
import { StoppedError, UserError } from "../../lib/errors.ts";
import { stoppable } from "../../lib/cli/_stoppable.ts";

/** What is logged and given, or thrown, by work that ends in this way behind a SIGTERM. */
async function afterSignal(end: (signal: AbortSignal) => never): Promise<[number, string[]]> {
  const logged: string[] = [];
  const code = await stoppable(async (signal) => {
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    const waiting = setInterval(() => {}, 1000); // listening to signals alone keeps no process
    Deno.kill(Deno.pid, "SIGTERM");
    await aborted;
    clearInterval(waiting);
    end(signal);
  }, (line) => logged.push(line));
  return [code, logged];
}

Deno.test({
  name: "stoppable() tells work that stopped from work that failed while it was to stop",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    assert.deepEqual(
      await afterSignal((signal) => {
        throw signal.reason;
      }),
      [130, ["stopped: the same command goes on from here"]],
    );
    assert.deepEqual(
      await afterSignal(() => {
        throw new StoppedError("stopped after step 7");
      }),
      [130, ["stopped after step 7"]],
    );
    for (const failure of [new UserError("the disk is full"), new Error("a bug")]) {
      await assert.rejects(
        afterSignal(() => {
          throw failure;
        }),
        failure,
      );
    }
  },
});
