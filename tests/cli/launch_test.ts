import assert from "node:assert/strict";
import { join } from "node:path";
import { freeAddresses } from "../../lib/cli/_local_workers.ts";
import type { RunRecord } from "../../lib/experiments/mod.ts";
import { workerEnvironment } from "../_workers.ts";
import { interruptTask } from "./_task.ts";
import { TINY_OPTIONS, withOwnProject } from "./_own_project.ts";

const ONE_THREAD = { TF_NUM_INTRAOP_THREADS: "1" };

/** The losses of the only run in a folder, step by step. */
async function lossesIn(folder: string): Promise<number[]> {
  const [run, ...others] = [...Deno.readDirSync(join(folder, "runs"))];
  assert.deepEqual(others, []);
  const text = await Deno.readTextFile(join(folder, "runs", run!.name, "records.jsonl"));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line) as RunRecord)
    .flatMap((record) => "lossNats" in record ? [record.lossNats] : []);
}

Deno.test({
  name: "a run that two workers begin, and stop, is finished by one process with the same losses",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withOwnProject(async ({ folder, command, run }) => {
      const options = [...TINY_OPTIONS, "--model", "eem", "--steps", "150"];
      const whole = await run("train", [...options, "--fresh"], ONE_THREAD);
      assert.equal(whole.code, 0, whole.stderr);
      const expected = await lossesIn(folder);

      const begun = await interruptTask(
        command("launch", [...options, "--workers", "2", "--fresh"]),
        /step 10\//,
        "SIGTERM",
      );
      assert.equal(begun.code, 130, begun.stderr);
      assert.match(begun.stderr, /^workers: 127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+$/m);
      const stopped = begun.stderr.match(/^stopped mixer eem, seed 1 after step (\d+); run/m);
      assert.ok(Number(stopped?.[1]) > 0 && Number(stopped?.[1]) < 150, begun.stderr);
      assert.doesNotMatch(begun.stderr, /error|worker 1:|\n\s+at /);

      const finished = await run("train", options, ONE_THREAD);
      assert.equal(finished.code, 0, finished.stderr);
      assert.match(
        finished.stderr,
        /^.*runs.*: begun on .*, threads 1, workers 2; goes on with .*, threads 1, workers 1: the last/m,
      );
      const found = await lossesIn(folder);
      assert.equal(found.length, expected.length);
      found.forEach((loss, at) => assert.ok(Math.abs(loss / expected[at]! - 1) < 1e-5));
    }),
});

Deno.test("workers with other options are refused, saying which", () =>
  withOwnProject(async ({ run }) => {
    const addresses = freeAddresses(2);
    const ended = await Promise.all(addresses.map((_, index) =>
      run(
        "train",
        [...TINY_OPTIONS, "--steps", "20", "--seed", `${7 + index}`],
        workerEnvironment(addresses, index),
      )
    ));
    for (const { code, stdout, stderr } of ended) {
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.match(
        stderr,
        /^error: worker 1 \(127\.0\.0\.1:\d+\) has run 0: training\.seed 8, worker 0 has 7; start all workers with the same code, library and options$/m,
      );
    }
  }));

Deno.test("launch refuses a batch that its workers cannot share", () =>
  withOwnProject(async ({ run }) => {
    const { code, stderr } = await run("launch", [...TINY_OPTIONS, "--workers", "3"]);
    assert.equal(code, 1);
    assert.match(stderr, /^error: expected a batch that 3 workers can share equally, found 8 /);
  }));
