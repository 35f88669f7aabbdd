import assert from "node:assert/strict";
import {
  type EstimateSet,
  estimateSets,
  setsOf,
  tokenPairs,
} from "../../lib/experiments/estimate_sets.ts";
import type { RunRecord } from "../../lib/experiments/run_store.ts";
import { makeRun, STEPS } from "./_made_runs.ts";

/** A run with these records beside its losses. */
function runWith(arm: string, seed: number, records: readonly RunRecord[], family = "transformer") {
  const run = makeRun({ family, arm, seed, losses: [3, 2] });
  return { ...run, records: [...run.records, ...records] };
}

const estimates = (estimator: "loss" | "pad-shift", values: readonly (number | null)[][]) =>
  ({ type: "measurement", what: "token estimates", estimator, values }) as const;

const LOSSES = [[null, 1, 2], [null, 3, 4]];
const ENTROPIES = [[null, 5, 6]];

Deno.test("estimateSets() are all recorded estimates, run by run", () => {
  const results = [
    runWith("an arm", 7, [estimates("loss", LOSSES), estimates("pad-shift", ENTROPIES)]),
    runWith("nothing", 7, [{
      type: "measurement",
      what: "foreign embedding",
      lossNats: 9,
    }]),
    runWith("an arm", 8, [estimates("loss", ENTROPIES)], "mixer"),
  ];
  const { data } = results[0]!.config.spec;
  const common = { family: "transformer", arm: "an arm", seed: 7, steps: STEPS, data };
  assert.deepEqual(estimateSets(results), [
    { ...common, estimator: "loss", values: LOSSES },
    { ...common, estimator: "pad-shift", values: ENTROPIES },
    { ...common, family: "mixer", seed: 8, estimator: "loss", values: ENTROPIES },
  ]);
});

Deno.test("setsOf() are those of an arm and an estimator, and of a family if one is named", () => {
  const sets = estimateSets([
    runWith("a", 7, [estimates("loss", LOSSES), estimates("pad-shift", LOSSES)]),
    runWith("b", 7, [estimates("loss", LOSSES)]),
    runWith("a", 8, [estimates("loss", LOSSES)]),
    runWith("a", 7, [estimates("loss", LOSSES)], "mixer"),
  ]);
  const found = (...wanted: [arm: string, estimator: EstimateSet["estimator"], family?: string]) =>
    setsOf(sets, ...wanted).map((set) => sets.indexOf(set));
  assert.deepEqual(found("a", "loss"), [0, 3, 4]);
  assert.deepEqual(found("a", "loss", "transformer"), [0, 3]);
  assert.deepEqual(found("a", "loss", "mixer"), [4]);
  assert.deepEqual(found("a", "pad-shift"), [1]);
  const refuses = (...wanted: Parameters<typeof found>) =>
    assert.throws(
      () => found(...wanted),
      new RangeError(`no estimates of ${wanted[1]} by arm "${wanted[0]}"`),
    );
  refuses("b", "pad-shift");
  refuses("c", "loss");
  refuses("b", "loss", "mixer");
});

Deno.test("tokenPairs() are the tokens of which both have an estimate, from a position on", () => {
  const x = [[null, 1, 0, 3], [null, 5, 6, 7]];
  const y = [[10, null, 12, 13], [20, 21, 22, null]];
  const all = [
    { window: 0, position: 2, x: 0, y: 12 },
    { window: 0, position: 3, x: 3, y: 13 },
    { window: 1, position: 1, x: 5, y: 21 },
    { window: 1, position: 2, x: 6, y: 22 },
  ];
  assert.deepEqual(tokenPairs(x, y), all);
  assert.deepEqual(tokenPairs(x, y, 2), [all[0], all[1], all[3]]);
  assert.deepEqual(tokenPairs(x, y, 4), []);
});

Deno.test("tokenPairs() of windows that only one has are none", () => {
  const x = [[1, 2], [3, 4]];
  const expected = [
    { window: 0, position: 0, x: 1, y: 5 },
    { window: 0, position: 1, x: 2, y: 6 },
  ];
  assert.deepEqual(tokenPairs(x, [[5, 6]]), expected);
  assert.deepEqual(tokenPairs([[1, 2]], [[5, 6], [7, 8]]), expected);
  assert.deepEqual(tokenPairs([[1, 2]], [[5]]), expected.slice(0, 1));
});
