import assert from "node:assert/strict";
import { claimRow, type ClaimText, closeMargin } from "../../lib/experiments/claim_row.ts";
import { validateClaims } from "../../lib/experiments/claims.ts";
import { assertNear, CONTEXT, SEEDS } from "./_made_runs.ts";

const TEXT: ClaimText = { experiment: "E2", claim: "mixer below transformer", paper: "lower" };

Deno.test("claimRow() says what was measured where, and by how much over how many seeds", () => {
  // Mean 2, deviation 1; Student's t of two degrees of freedom is 4.30265.
  const row = claimRow(TEXT, [1, 2, 3], SEEDS, CONTEXT);
  const { ours, interval, ...others } = row;
  assert.deepEqual(others, {
    ...TEXT,
    metric: "difference of held-out loss",
    unit: "nats/token",
    seeds: SEEDS,
    verdict: "trend only",
    ...CONTEXT,
  });
  assert.equal(ours, 2);
  assertNear(interval![0], 2 - 4.30265 / Math.sqrt(3), "lower end", 1e-5);
  assertNear(interval![1], 2 + 4.30265 / Math.sqrt(3), "upper end", 1e-5);
  validateClaims([row], "row");
});

Deno.test("claimRow() of one seed has no interval", () => {
  const row = claimRow(TEXT, [0.5], [7], CONTEXT);
  assert.deepEqual([row.ours, row.interval, row.seeds], [0.5, null, [7]]);
  assert.equal(row.verdict, "trend only");
});

Deno.test("claimRow() takes metric, unit and a number of the paper's from the text", () => {
  const text = { ...TEXT, metric: "gradient norm", unit: "", paper: 0.107 };
  const { metric, unit, paper } = claimRow(text, [1], [7], CONTEXT);
  assert.deepEqual({ metric, unit, paper }, { metric: "gradient norm", unit: "", paper: 0.107 });
  assert.equal(claimRow({ ...TEXT, paper: null }, [1], [7], CONTEXT).paper, null);
});

Deno.test("claimRow() judges by the paper's sign, its margin, and whether it can be compared", () => {
  const verdictOf = (text: Partial<ClaimText>, differences: readonly number[]) =>
    claimRow({ ...TEXT, ...text }, differences, SEEDS, CONTEXT).verdict;
  const [above, below] = [[0.1, 0.101, 0.102], [-0.1, -0.101, -0.102]];
  assert.equal(verdictOf({}, above), "reproduced");
  assert.equal(verdictOf({}, below), "not reproduced");
  assert.equal(verdictOf({ direction: "negative" }, below), "reproduced");
  assert.equal(verdictOf({ direction: "negative" }, above), "not reproduced");
  assert.equal(verdictOf({ margin: 0.2 }, below), "reproduced");
  assert.equal(verdictOf({ direction: "negative", margin: 0.2 }, above), "reproduced");
  assert.equal(verdictOf({ direction: "none", margin: 0.2 }, below), "reproduced");
  assert.equal(verdictOf({ direction: "none", margin: 0.05 }, above), "not reproduced");
  assert.equal(verdictOf({ comparable: false }, above), "not comparable");
});

Deno.test("closeMargin() is a share of the mean loss, two hundredths by default", () => {
  assertNear(closeMargin([[1, 2, 3], [5, 6, 7]]), 0.02 * 4, "by default");
  assertNear(closeMargin([[1, 2, 3]], 0.1), 0.2, "a tenth");
});
