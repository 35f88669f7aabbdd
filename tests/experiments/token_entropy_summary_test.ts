import assert from "node:assert/strict";
import type { EstimatorName, WindowEstimates } from "../../lib/entropy/mod.ts";
import {
  TOKEN_ENTROPY_PRESETS,
  type TokenEntropyPreset,
} from "../../lib/experiments/entropy_presets.ts";
import { type EstimateSet, estimateSets } from "../../lib/experiments/estimate_sets.ts";
import { tokenEntropySpecs } from "../../lib/experiments/token_entropy_arms.ts";
import {
  positionMeans,
  type RegressionName,
  regressions,
  secondHalfRSquared,
  squaredErrors,
  wordPartGaps,
  wordPartMeans,
} from "../../lib/experiments/token_entropy_summary.ts";
import { bootstrapInterval } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { type MadeEstimate, withEstimates } from "./_made_estimates.ts";
import { makeResults } from "./_made_results.ts";
import { assertNear } from "./_made_runs.ts";

const { small } = TOKEN_ENTROPY_PRESETS;
const PRESET: TokenEntropyPreset = {
  ...small,
  data: { ...small.data, contextLength: 8 },
  windows: 6,
  embeddingSizes: [3, 5, 9],
};

function setsOfWorld(made: MadeEstimate, preset = PRESET): EstimateSet[] {
  return estimateSets(withEstimates(makeResults(tokenEntropySpecs(preset), () => NaN), made));
}

/** A number of its own for every token and estimate, −5 to 5. */
const random: MadeEstimate = ({ arm, estimator, seed, window, position }) =>
  10 * createRandom(seed).stream([arm, estimator, window, position].join()).uniform() - 5;

type Side = readonly [arm: string, estimator: EstimatorName, isNormalized?: "normalized"];
type Paper = readonly [slope: number, intercept: number, rSquared: number];

const L1: Side = ["EEM, 3 numbers", "occlusion-l1", "normalized"];
const LARGE_L1: Side = ["EEM, 5 numbers", "occlusion-l1", "normalized"];
const LARGEST_L1: Side = ["EEM, 9 numbers", "occlusion-l1", "normalized"];
const COSINE: Side = ["EEM, 3 numbers", "occlusion-cosine"];
const PAD_SHIFT: Side = ["EEM, 3 numbers", "pad-shift"];
const SMALL: Side = ["small CLM", "loss"];
const LARGE: Side = ["large CLM", "loss"];

/** Paper §4.7; pad-shift estimates are compared on the second half of a sample. */
const PAPER: Readonly<Record<RegressionName, readonly [y: Side, x: Side, Paper, from: number]>> = {
  "L1, cosine": [L1, COSINE, [0.9566, 0.1431, 0.4195], 0],
  "L1, small CLM": [L1, SMALL, [0.0063, 0.3894, 0.0107], 0],
  "large embedding's L1, small CLM": [LARGE_L1, SMALL, [0.0172, 0.4152, 0.0688], 0],
  "large embedding's L1, L1": [LARGE_L1, L1, [0.2308, 0.3691, 0.0424], 0],
  "largest embedding's L1, L1": [LARGEST_L1, L1, [0.268, 0.3629, 0.0574], 0],
  "pad-shift, small CLM": [PAD_SHIFT, SMALL, [1.4685, -1.1879, 0.3285], 4],
  "pad-shift, large CLM": [PAD_SHIFT, LARGE, [1.054, 0.1097, 0.1424], 4],
  "small CLM, large CLM": [SMALL, LARGE, [0.7334, 0.8398, 0.4922], 0],
};

/** One side's estimates by a run, `[window][position]`, from a position on; the first has none. */
function sideOf([arm, estimator, normalized]: Side, seed: number, from: number): number[][] {
  return Array.from({ length: PRESET.windows }, (_, window) => {
    const row = [1, 2, 3, 4, 5, 6, 7].map((position) =>
      random({
        family: "transformer",
        arm,
        estimator,
        seed,
        data: PRESET.data,
        window,
        position,
      })
    );
    const [least, most] = [Math.min(...row), Math.max(...row)];
    const scaled = normalized ? row.map((one) => (one - least) / (most - least)) : row;
    return scaled.slice(Math.max(0, from - 1));
  });
}

/** Least squares by the normal equations. */
function fit(x: readonly number[], y: readonly number[]) {
  const n = x.length;
  const sum = (values: readonly number[]) => values.reduce((total, one) => total + one, 0);
  const products = (a: readonly number[], b: readonly number[]) =>
    n * sum(a.map((one, i) => one * b[i]!)) - sum(a) * sum(b);
  const slope = products(x, y) / products(x, x);
  return {
    slope,
    intercept: (sum(y) - slope * sum(x)) / n,
    rSquared: products(x, y) ** 2 / (products(x, x) * products(y, y)),
  };
}

Deno.test("regressions() are the paper's, each of the estimates that it is about, seed by seed", () => {
  const found = regressions(setsOfWorld(random), PRESET);
  assert.deepEqual(Object.keys(found), Object.keys(PAPER));
  for (const [name, [y, x, [slope, intercept, rSquared], from]] of Object.entries(PAPER)) {
    const regression = found[name as RegressionName];
    assert.deepEqual(regression.spec.paper, { slope, intercept, rSquared }, name);
    PRESET.seeds.forEach((seed, at) => {
      const xs = sideOf(x, seed, from).flat(), ys = sideOf(y, seed, from).flat();
      const expected = fit(xs, ys);
      assertNear(regression.slopes[at]!, expected.slope, `${name}, slope`);
      assertNear(regression.intercepts[at]!, expected.intercept, `${name}, intercept`);
      assertNear(regression.rSquared[at]!, expected.rSquared, `${name}, R²`);
      if (at > 0) return;
      const first = Math.max(1, from);
      assert.deepEqual(
        regression.pairs.map(({ window, position }) => [window, position]),
        xs.map((_, i) => [Math.floor(i / (8 - first)), first + i % (8 - first)]),
      );
      regression.pairs.forEach((pair, i) => {
        assertNear(pair.x, xs[i]!, name);
        assertNear(pair.y, ys[i]!, name);
      });
    });
    for (const values of [regression.slopes, regression.intercepts, regression.rSquared]) {
      assert.equal(values.length, PRESET.seeds.length);
    }
  }
});

Deno.test("regressions() of y = 2x + 1 are 2, 1 and an R² of 1, whichever windows are drawn", () => {
  const made: MadeEstimate = (token) =>
    token.estimator === "pad-shift"
      ? 2 * random({ ...token, arm: "small CLM", estimator: "loss" }) + 1
      : random(token);
  const { "pad-shift, small CLM": exact, "pad-shift, large CLM": other } = regressions(
    setsOfWorld(made),
    PRESET,
  );
  for (const at of [0, 1, 2]) {
    assertNear(exact.slopes[at]!, 2, "slope");
    assertNear(exact.intercepts[at]!, 1, "intercept");
    assertNear(exact.rSquared[at]!, 1, "R²");
  }
  assertNear(exact.windowInterval.low, 1, "low");
  assertNear(exact.windowInterval.high, 1, "high");
  const { low, high } = other.windowInterval;
  assert.ok(low < other.rSquared[0]! && other.rSquared[0]! < high && high - low > 0.05);
  assert.ok(other.rSquared[0]! < 0.5);
});

Deno.test("regressions() draw whole windows for the interval of R²", () => {
  const { "pad-shift, large CLM": regression } = regressions(setsOfWorld(random), PRESET);
  const [y, x, , from] = PAPER["pad-shift, large CLM"];
  const [xs, ys] = [x, y].map((side) => sideOf(side, PRESET.seeds[0]!, from));
  const { low, high } = bootstrapInterval(
    [...xs!.keys()],
    (windows) => {
      const of = (rows: readonly number[][]) => windows.flatMap((window) => rows[window]!);
      return fit(of(xs!), of(ys!)).rSquared;
    },
    { seed: 1, resamples: 500 },
  );
  assertNear(regression.windowInterval.low, low, "low");
  assertNear(regression.windowInterval.high, high, "high");
});

Deno.test("secondHalfRSquared() is over the second half of every window, for any regression", () => {
  const sets = setsOfWorld(random);
  const fits = regressions(sets, PRESET);
  for (const name of ["L1, small CLM", "pad-shift, small CLM"] as const) {
    const [y, x] = PAPER[name];
    const found = secondHalfRSquared(sets, fits[name].spec);
    assert.equal(found.length, PRESET.seeds.length);
    PRESET.seeds.forEach((seed, at) => {
      const { rSquared } = fit(sideOf(x, seed, 4).flat(), sideOf(y, seed, 4).flat());
      assertNear(found[at]!, rSquared, name);
    });
  }
});

Deno.test("regressions() name the arm, estimator or seed that is missing", () => {
  const sets = setsOfWorld(random);
  const without = (isMissing: (set: EstimateSet) => boolean) => () =>
    regressions(sets.filter((set) => !isMissing(set)), PRESET);
  assert.throws(
    without(({ arm }) => arm === "large CLM"),
    new RangeError('no estimates of loss by arm "large CLM"'),
  );
  assert.throws(
    without(({ estimator }) => estimator === "occlusion-cosine"),
    new RangeError('no estimates of occlusion-cosine by arm "EEM, 3 numbers"'),
  );
  assert.throws(
    without(({ arm, seed }) => arm === "small CLM" && seed === PRESET.seeds[1]),
    new RangeError(`no estimates of loss by arm "small CLM" with seed ${PRESET.seeds[1]}`),
  );
});

/** Sets of one arm with the given values, a seed each, from 1. */
function setsWith(...values: readonly WindowEstimates[]): EstimateSet[] {
  const [set] = setsOfWorld(random);
  return values.map((values, at) => ({ ...set!, seed: at + 1, values }));
}

Deno.test("positionMeans() are means over the windows that have an estimate there", () => {
  const [first, second] = setsWith(
    [[null, 1, 4], [null, 3, null]],
    [[0, null, 7], [null, null, 2]],
  );
  const means = (set: EstimateSet) =>
    positionMeans(set).map(({ position, mean }) => [position, mean]);
  assert.deepEqual(means(first!), [[1, 2], [2, 4]]);
  assert.deepEqual(means(second!), [[0, 0], [2, 4.5]]);
});

Deno.test("squaredErrors() are means over tokens, against the estimates of the same seed", () => {
  const sets = setsWith([[null, 1, 2], [null, 3, 4]], [[null, 0, 0], [null, 0, null]]);
  const references = setsWith([[null, 1, 1], [null, 5, 4]], [[3, 1, 2], [null, 4, 9]]);
  // 0, 1, 4, 0 and 1, 4, 16.
  assert.deepEqual(squaredErrors(sets, references), [1.25, 7]);
  assert.deepEqual(squaredErrors(sets, references.toReversed()), [1.25, 7]);
  assert.throws(
    () => squaredErrors(sets, references.slice(0, 1)),
    new RangeError('no estimates of loss by arm "small CLM" with seed 2'),
  );
});

const TEXTS = [[" the", " s", "tate", ".", "of"], ["ment", " 1", "'s", " un", "ion"]];

Deno.test("wordPartMeans() tell tokens that begin a word from those that go on with one", () => {
  // The first of a window begins a word, whatever was cut off before it.
  const values = [[100, 1, 2, 3, 4], [200, 10, 20, 30, 40]];
  assert.deepEqual(wordPartMeans(values, TEXTS), {
    first: (100 + 1 + 4 + 200 + 20 + 30) / 6,
    later: (2 + 40) / 2,
    other: (3 + 10) / 2,
  });
  const withGaps = [[null, null, 2, 3, 4], [null, 10, 20, 30, null]];
  assert.deepEqual(wordPartMeans(withGaps, TEXTS), { first: 18, later: 2, other: 6.5 });
});

Deno.test("wordPartGaps() are how much higher the beginnings of words are, seed by seed", () => {
  const sets = setsWith(
    [[null, 1, 2, 3, 4], [null, 10, 20, 30, 40]],
    [[null, 8, 1, 9, 8], [null, 9, 8, 8, 1]],
  );
  assert.deepEqual(wordPartGaps(sets, TEXTS), [(1 + 4 + 20 + 30) / 4 - 21, 7]);
});
