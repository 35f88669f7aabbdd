import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { checkSchedule, learningRate } from "../../lib/train/schedule.ts";

Deno.test("learningRate() follows Hugging Face's get_linear_schedule_with_warmup", () => {
  // lr_lambda of transformers' optimization.py for 4 warm-up and 10 training steps, times 2.
  const expected = [0, 0.5, 1, 1.5, 2, 10 / 6, 8 / 6, 1, 4 / 6, 2 / 6, 0, 0];
  const schedule = { peakRate: 2, warmupSteps: 4, steps: 10 };
  expected.forEach((rate, step) =>
    assert.ok(Math.abs(learningRate(schedule, step) - rate) < 1e-15, `step ${step}`)
  );
});

Deno.test("learningRate() starts at the peak without a warm-up", () => {
  const schedule = { peakRate: 3e-4, warmupSteps: 0, steps: 4 };
  assert.deepEqual([0, 1, 2, 3, 4].map((step) => learningRate(schedule, step) / 3e-4), [
    1,
    0.75,
    0.5,
    0.25,
    0,
  ]);
});

Deno.test("learningRate() of the paper's run peaks after 500 steps and ends at 0", () => {
  const schedule = { peakRate: 5e-4, warmupSteps: 500, steps: 200_000 };
  assert.equal(learningRate(schedule, 0), 0);
  assert.equal(learningRate(schedule, 250), 2.5e-4);
  assert.equal(learningRate(schedule, 500), 5e-4);
  assert.ok(learningRate(schedule, 499) < 5e-4 && learningRate(schedule, 501) < 5e-4);
  assert.equal(learningRate(schedule, 100_250), 2.5e-4);
  assert.equal(learningRate(schedule, 200_000), 0);
});

const schedule = { peakRate: 1e-3, warmupSteps: 2, steps: 5 };

Deno.test("checkSchedule() accepts what can be followed", () => {
  checkSchedule(schedule);
  checkSchedule({ ...schedule, warmupSteps: 0, steps: 1 });
});

for (
  const [changes, message] of [
    [{ steps: 0 }, /^steps: expected a positive integer, found 0$/],
    [{ steps: 2.5 }, /^steps: expected a positive integer, found 2\.5$/],
    [{ warmupSteps: 5 }, /^warmupSteps: expected an integer from 0 to 4 .* found 5$/],
    [{ warmupSteps: -1 }, /^warmupSteps: .* found -1$/],
    [{ peakRate: 0 }, /^learningRate: expected a positive number, found 0$/],
    [{ peakRate: NaN }, /^learningRate: .* found NaN$/],
    [{ peakRate: Infinity }, /^learningRate: .* found Infinity$/],
  ] as const
) {
  Deno.test(`checkSchedule() refuses ${Object.entries(changes)[0]!.join(" ")}`, () => {
    assert.throws(
      () => checkSchedule({ ...schedule, ...changes }),
      (error: Error) => error instanceof UserError && message.test(error.message),
    );
  });
}
