import assert from "node:assert/strict";
import { type EstimateSet, estimateSets } from "../../lib/experiments/estimate_sets.ts";
import {
  type AccuracyRow,
  accuracyRows,
  exactEntropy,
  exactOf,
  exactSurprisal,
  isSized,
  longestTrained,
  surprisalErrors,
} from "../../lib/experiments/known_entropy_summary.ts";
import { accuracy } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { exactValues, PRESET, SPECS } from "./_known.ts";
import {
  madeAccuracies,
  type MadeEstimate,
  withEstimates,
  withSourceEntropy,
} from "./_made_estimates.ts";
import { makeResults } from "./_made_results.ts";
import { assertNear } from "./_made_runs.ts";
import { tinyLatentSpec } from "./_tiny.ts";

const resultsOf = (made: MadeEstimate) => withEstimates(makeResults(SPECS, () => NaN), made);
const placeOf = (seed: number) => PRESET.seeds.indexOf(seed);

/** A number of its own for every token and estimate. */
const random: MadeEstimate = ({ family, arm, estimator, seed, window, position }) =>
  createRandom(seed).stream([family, arm, estimator, window, position].join()).uniform();

/** Fails unless the row has the accuracy of `values` where there are any. */
function assertAccuracy(
  row: AccuracyRow,
  values: readonly (readonly (number | null)[])[],
  data: EstimateSet["data"],
): void {
  const exact = exactValues(data);
  const places = values.flatMap((window, w) =>
    window.flatMap((value, t) => value === null ? [] : [{ w, t, value }])
  );
  const at = (truth: "entropy" | "surprisal") => places.map(({ w, t }) => exact[truth][w]![t]!);
  const expected = accuracy(places.map(({ value }) => value), at(row.truth));
  const what = `${row.source}, ${row.arm}, ${row.estimator}, seed ${row.seed}, ${row.truth}`;
  for (const field of ["bias", "rmse", "count"] as const) {
    assertNear(row[field], expected[field], `${what}: ${field}`);
  }
  const control = accuracy(at("surprisal"), at("entropy")).rankCorrelation;
  for (
    const [found, rank] of [
      [row.rankCorrelation, expected.rankCorrelation],
      [row.surprisalCorrelation, control],
    ] as const
  ) {
    if (rank === null) assert.equal(found, null, what);
    else assertNear(found!, rank, `${what}: rank correlation`);
  }
}

Deno.test("accuracyRows() are of every estimate of every seed, and of the mean over seeds", async () => {
  const results = resultsOf(random);
  const rows = await accuracyRows(results);
  const sets = estimateSets(results);
  const groups = Map.groupBy(sets, ({ family, arm, estimator }) => [family, arm, estimator].join());
  // Against both exact values.
  assert.equal(rows.length, 2 * (sets.length + groups.size));
  for (const group of groups.values()) {
    const { family, arm, estimator, steps, data, values } = group[0]!;
    const of = (seed: number | null) => {
      const found = rows.filter((row) =>
        row.source === family && row.arm === arm && row.estimator === estimator && row.seed === seed
      );
      assert.deepEqual(found.map(({ truth }) => truth), ["entropy", "surprisal"]);
      for (const row of found) assert.equal(row.steps, steps);
      return found;
    };
    for (const set of group) {
      for (const row of of(set.seed)) assertAccuracy(row, set.values, data);
    }
    const means = values.map((window, w) =>
      window.map((value, t) =>
        value && group.reduce((sum, one) => sum + one.values[w]![t]!, 0) / group.length
      )
    );
    for (const row of of(null)) assertAccuracy(row, means, data);
    const { windows, pairWindows, contextLength } = PRESET;
    const tokens = estimator === "two-window" ? pairWindows : windows * (contextLength - 1);
    for (const { count } of of(null)) assert.equal(count, tokens);
  }
});

Deno.test("accuracyRows() of entropies that are too high by as much have that bias, and no other error", async () => {
  const biases = [0.1, 0.2, 0.6];
  const rows = await accuracyRows(resultsOf(({ data, seed, window, position, estimator }) => {
    const truth = estimator === "loss" ? "surprisal" : "entropy";
    return exactValues(data)[truth][window]![position]! + biases[placeOf(seed)]!;
  }));
  for (const { source, estimator, truth, seed, bias, rmse, rankCorrelation } of rows) {
    if (truth !== (estimator === "loss" ? "surprisal" : "entropy")) continue;
    const expected = seed === null ? 0.3 : biases[placeOf(seed)]!;
    assertNear(bias, expected, "bias");
    assertNear(rmse, expected, "RMSE");
    // All tokens of the coin are equally uncertain, but not equally surprising.
    assert.equal(rankCorrelation, source === "coin" && estimator !== "loss" ? null : 1);
  }
});

Deno.test("accuracyRows() have no ensemble of one, and name what tables show", async () => {
  const [seed] = PRESET.seeds;
  const single = resultsOf(random).filter(({ config }) => config.spec.training.seed === seed);
  const rows = await accuracyRows(single);
  assert.deepEqual(new Set(rows.map((row) => row.seed)), new Set([seed]));
  const labels = new Map(rows.map(({ estimator, label }) => [estimator, label]));
  assert.equal(labels.get("predictive-entropy"), "CLM, predictive entropy");
  assert.equal(labels.get("two-window"), "EEMs, two windows");
  assert.equal(new Set(labels.values()).size, labels.size);
});

Deno.test("surprisalErrors() are those of exact surprisal as an estimate of the entropy", async () => {
  const errors = await surprisalErrors(resultsOf(random));
  assert.deepEqual(Object.keys(errors), ["coin", "chain"]);
  for (const [source, found] of Object.entries(errors)) {
    const { data } = SPECS.find(({ family, arm }) => family === source && arm.startsWith("CLM"))!;
    const { entropy, surprisal } = exactValues(data);
    const scored = (rows: number[][]) => rows.slice(0, 4).flatMap((row) => row.slice(1));
    const expected = accuracy(scored(surprisal), scored(entropy));
    assertNear(found.rmse, expected.rmse, `${source}, RMSE`);
    assertNear(found.bias, expected.bias, `${source}, bias`);
    assert.equal(found.rankCorrelation === null, source === "coin");
    assert.equal(found.count, 20);
  }
});

Deno.test("exactOf() gives the exact values of the windows that a run's estimates are of", async () => {
  const results = resultsOf(random);
  const exact = await exactOf(results);
  for (const set of estimateSets(results)) {
    const expected = exactValues(set.data);
    for (const truth of ["entropy", "surprisal"] as const) {
      const found = exact(set)[truth];
      assert.equal(found.length, set.values.length);
      found.forEach((row, w) =>
        row.forEach((value, t) => t > 0 && assertNear(value!, expected[truth][w]![t]!, truth))
      );
    }
  }
  const unknown = { ...tinyLatentSpec(), estimates: { windows: 2, of: ["loss"] } } as const;
  await assert.rejects(
    exactOf(withEstimates(makeResults([unknown], () => NaN), () => 0)),
    new RangeError("only sources of known entropy have exact values"),
  );
});

Deno.test("longestTrained() are single models' entropies and losses after the longest training", () => {
  const rows = madeAccuracies(SPECS, () => ({}));
  for (const truth of ["entropy", "surprisal"] as const) {
    const found = longestTrained(rows, truth);
    const expected = rows.filter((row) =>
      row.truth === truth && row.steps === 20 && row.seed !== null &&
      !/occlusion|gradient/.test(row.estimator)
    );
    assert.deepEqual(found, expected);
    assert.ok(found.length > 0);
  }
});

Deno.test("isSized() are the arms that only the embedding's size is varied in", () => {
  const arms = [...new Set(SPECS.map(({ arm }) => arm))];
  assert.deepEqual(arms.filter((arm) => isSized({ arm }, PRESET)), ["EEM, 1 numbers"]);
});

Deno.test("exactEntropy() and exactSurprisal() are what a run has recorded of its source", () => {
  const [run] = makeResults(SPECS.slice(0, 1), () => NaN);
  const [known] = withSourceEntropy([run!], () => ({ entropyNats: 1.5, surprisalNats: 1.25 }));
  assert.deepEqual([exactEntropy(known!), exactSurprisal(known!)], [1.5, 1.25]);
  for (const read of [exactEntropy, exactSurprisal]) {
    assert.throws(
      () => read(run!),
      new RangeError(`${run!.config.id}: expected a run on a source of known entropy`),
    );
  }
});
