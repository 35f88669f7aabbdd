import assert from "node:assert/strict";
import { withInterrupt } from "../../lib/experiments/interrupt.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinyCorpus } from "./_tiny.ts";
import { readTinyRun, runTiny } from "./_tiny_process.ts";

const MODULE = new URL("../../lib/experiments/interrupt.ts", import.meta.url).href;

Deno.test("withInterrupt() gives the action's value or error, and a signal that is not aborted", async () => {
  assert.equal(await withInterrupt((signal) => Promise.resolve(!signal.aborted && 5)), 5);
  await assert.rejects(withInterrupt(() => Promise.reject(new Error("its own"))), /its own/);
});

Deno.test({
  name: "withInterrupt() says that work was stopped, where it has nothing to say itself",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const code = `
      import { withInterrupt } from ${JSON.stringify(MODULE)};
      try {
        await withInterrupt(async (signal) => {
          setTimeout(() => Deno.kill(Deno.pid, "SIGINT"));
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          signal.throwIfAborted();
        });
      } catch (error) {
        console.log(error.constructor.name, error.message);
      }`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", code],
      stderr: "null",
    }).output();
    assert.equal(
      new TextDecoder().decode(stdout),
      "StoppedError stopped: the same command goes on from here\n",
    );
  },
});

/** Runs an action that notes its abort and does not end for ten seconds; sends it signals. */
async function signalStubborn(signals: readonly Deno.Signal[]) {
  const code = `
    import { withInterrupt } from ${JSON.stringify(MODULE)};
    await withInterrupt(async (signal) => {
      signal.addEventListener("abort", () => console.log("aborted"));
      console.log("ready");
      await new Promise((resolve) => setTimeout(resolve, 10_000));
    });`;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", code],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let output = "";
  const waiting = [...signals];
  const start = performance.now();
  for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
    output += chunk;
    const next = waiting.shift();
    if (next !== undefined) process.kill(next);
    else process.kill("SIGKILL");
  }
  const { signal } = await process.status;
  return { output, signal, seconds: (performance.now() - start) / 1000 };
}

const onWindows = Deno.build.os === "windows";

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test({
    name: `withInterrupt() aborts at the first ${signal} and lets the second end the process`,
    ignore: onWindows,
    fn: async () => {
      const found = await signalStubborn([signal, signal]);
      assert.equal(found.output, "ready\naborted\n");
      assert.equal(found.signal, signal);
      assert.ok(found.seconds < 8, "it did not wait for the action");
    },
  });
}

Deno.test({
  name: "a run that gets SIGINT leaves a checkpoint and one line, and goes on bit by bit",
  ignore: onWindows,
  fn: () =>
    withFiles(tinyCorpus(), (interrupted) =>
      withFiles(tinyCorpus(), async (whole) => {
        const run = { steps: 300, checkpointSeconds: 3600 };
        let sent = false;
        const stopped = await runTiny({ ...run, folder: interrupted }, {
          onOutput: (output, process) => {
            if (sent || !output.includes("step 20\n")) return;
            sent = true;
            process.kill("SIGINT");
          },
        });
        assert.equal(stopped.signal, null, "it ended by itself");
        assert.notEqual(stopped.code, 0);
        const { errors } = stopped;
        const [, step] = errors.match(
          /stopped mixer clm, seed 3 after step (\d+); run the same again to go on from .*checkpoint\.safetensors\n$/,
        ) ?? assert.fail(errors);
        assert.equal(errors.trim().split("\n").length, 1, `one line: ${errors}`);
        assert.doesNotMatch(errors, /\n\s+at /);
        assert.ok(Number(step) >= 20 && Number(step) < run.steps);

        const left = await readTinyRun(interrupted);
        assert.deepEqual(left.names, [
          "checkpoint.safetensors",
          "config.json",
          "lock",
          "records.jsonl",
        ]);
        assert.ok(left.records.every((record) => record.step <= Number(step)));

        const resumed = await runTiny({ ...run, folder: interrupted });
        assert.equal(resumed.code, 0, resumed.errors);
        const firstStep = Number(resumed.output.match(/^step (\d+)/)![1]);
        assert.ok(firstStep >= Number(step), "it went on, and did not begin anew");

        assert.equal((await runTiny({ ...run, folder: whole })).code, 0);
        const [a, b] = [await readTinyRun(interrupted), await readTinyRun(whole)];
        assert.deepEqual(a.names, [
          "config.json",
          "lock",
          "model.safetensors",
          "records.jsonl",
          "tokenizer.json",
        ]);
        assert.deepEqual(a.names, b.names);
        assert.deepEqual(a.records, b.records);
        assert.deepEqual(a.weights, b.weights);
      })),
});
