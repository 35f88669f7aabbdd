import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { accuracy } from "../../lib/measure/accuracy.ts";

/** Errors 1, 1, 4, −2: their mean is 1, their squares 1, 1, 16, 4, about the mean 0, 0, 9, 9. */
const ESTIMATES = [1, 4, 6, 3];
const TRUTH = [0, 3, 2, 5];

Deno.test("accuracy() agrees with hand-worked values", () => {
  const { rankCorrelation, ...errors } = accuracy(ESTIMATES, TRUTH);
  assert.deepEqual(errors, {
    bias: 1,
    rmse: Math.sqrt(22 / 4),
    count: 4,
  });
  // Ranks 1, 3, 4, 2 and 1, 3, 2, 4: Σ d² = 8, and 1 − 6 · 8 / (4 · 15) = 0.2.
  assert.ok(Math.abs(rankCorrelation! - 0.2) < 1e-15);
});

Deno.test("accuracy() of estimates that are all too high by as much has no other error", () => {
  const shifted = accuracy(Float32Array.from(TRUTH, (value) => value + 0.5), TRUTH);
  assert.deepEqual(shifted, { bias: 0.5, rmse: 0.5, rankCorrelation: 1, count: 4 });
});

Deno.test("accuracy() has ranks for any order-preserving scale, and their opposite", () => {
  const ranks = (estimates: readonly number[]) => accuracy(estimates, TRUTH).rankCorrelation;
  assert.equal(ranks(TRUTH.map((value) => Math.exp(value))), 1);
  assert.equal(ranks(TRUTH.map((value) => -7 * value)), -1);
});

Deno.test("accuracy() has no rank correlation where one side is constant", () => {
  for (const [estimates, truth] of [[[2, 2, 2], [1, 2, 6]], [[1, 2, 6], [2, 2, 2]]] as const) {
    const found = accuracy(estimates, truth);
    assert.equal(found.rankCorrelation, null);
    assert.ok(Math.abs(found.rmse - Math.sqrt(17 / 3)) < 1e-15);
  }
});

Deno.test("accuracy() refuses what is no list of pairs", () => {
  for (
    const [estimates, truth, message] of [
      [[1, 2], [1, 2, 3], /^the accuracy of estimates: expected pairs, found 2 and 3 values; /],
      [[1], [1], /^the accuracy of estimates: expected at least 2 values, found 1; /],
      [[1, NaN], [1, 2], /^the accuracy of estimates: value 1 is NaN, expected finite numbers; /],
      [[1, 2], [Infinity, 2], /^the accuracy of estimates: value 0 is Infinity, /],
    ] as const
  ) {
    assert.throws(
      () => accuracy(estimates, truth),
      (error) => error instanceof UserError && message.test(error.message),
    );
  }
});
