import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { checkDataParallel } from "../../lib/train/mod.ts";
import { runWorkers } from "../_workers.ts";
import { BATCH, CASES } from "./_parallel_cases.ts";
import { compareWorkers, parallelWorker } from "./_parallel_comparison.ts";

Deno.test("two workers have the losses of one process", async () => {
  await compareWorkers(2, CASES);
});

Deno.test("workers whose parameters differ stop at once and say who", async () => {
  const ended = await runWorkers(parallelWorker, 2, []);
  for (const { code, stdout, stderr } of ended) {
    assert.equal(code, 0, stderr);
    assert.match(
      JSON.parse(stdout),
      /^worker 1 \(127\.0\.0\.1:\d+\) has other parameters than worker 0 after step 1: its processor/,
    );
  }
});

Deno.test("what depends on a whole batch is refused", () => {
  const check = (changes: Partial<Parameters<typeof checkDataParallel>[0]>, count = 2) =>
    checkDataParallel({ batchSize: BATCH, ...changes }, count);
  const refuses = (call: () => void, expected: RegExp) =>
    assert.throws(call, (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, expected);
      return true;
    });
  check({});
  check({ objective: { form: "one-sided" }, penalties: { l1: 1 } });
  check({ qat: { method: "noise", at: "weights", width: 1 } });
  refuses(() => check({}, 3), /expected a batch that 3 workers can share equally, found 8 windows/);
  refuses(() => check({ objective: { form: "flooding" } }), /found the loss form flooding/);
  refuses(() => check({ attentionDropout: 0.1 }), /found attention dropout/);
  refuses(
    () => check({ qat: { method: "noise", at: "embedding", width: 1 } }),
    /found noise at embedding, which depends on a whole batch; train it in one process/,
  );
});
