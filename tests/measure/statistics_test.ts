import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import {
  bootstrapInterval,
  linearRegression,
  mean,
  meanInterval,
  pairedDifference,
  spearmanCorrelation,
  standardDeviation,
  studentQuantile,
} from "../../lib/measure/statistics.ts";

function closeTo(actual: number, expected: number, relative: number): void {
  assert.ok(
    Math.abs(actual - expected) <= relative * Math.max(1e-300, Math.abs(expected)),
    `expected ${expected} within ${relative} relative, found ${actual}`,
  );
}

// Student's sleep data (1908): extra hours of sleep of ten patients under two drugs.
const sleepFirst = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2];
const sleepSecond = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];

// NIST StRD, "Norris": y, x.
// deno-fmt-ignore
const norris = [
  [0.1, 0.2], [338.8, 337.4], [118.1, 118.2], [888.0, 884.6], [9.2, 10.1], [228.1, 226.5],
  [668.5, 666.3], [998.5, 996.3], [449.1, 448.6], [778.9, 777.0], [559.2, 558.2], [0.3, 0.4],
  [0.1, 0.6], [778.1, 775.5], [668.8, 666.9], [339.3, 338.0], [448.9, 447.5], [10.8, 11.6],
  [557.7, 556.0], [228.3, 228.1], [998.0, 995.8], [888.8, 887.6], [119.6, 120.2], [0.3, 0.3],
  [0.6, 0.3], [557.6, 556.8], [339.3, 339.1], [888.0, 887.2], [998.5, 999.0], [778.9, 779.0],
  [10.2, 11.1], [117.6, 118.3], [228.9, 229.2], [668.4, 669.1], [449.2, 448.9], [0.2, 0.5],
] as const;

Deno.test("mean() and standardDeviation() agree with hand-worked values", () => {
  assert.equal(mean([3]), 3);
  assert.equal(mean(Float32Array.of(1, 2, 6)), 3);
  closeTo(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9]), Math.sqrt(32 / 7), 1e-15);
});

Deno.test("standardDeviation() keeps its digits under a large offset", () => {
  closeTo(standardDeviation([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]), Math.sqrt(30), 1e-14);
});

Deno.test("studentQuantile() equals the closed forms for 1 and 2 degrees of freedom", () => {
  for (const probability of [0.005, 0.3, 0.6, 0.9, 0.975, 0.9995]) {
    const centered = 2 * probability - 1;
    closeTo(studentQuantile(probability, 1), Math.tan(Math.PI * (probability - 0.5)), 1e-12);
    closeTo(
      studentQuantile(probability, 2),
      centered * Math.sqrt(2 / (4 * probability * (1 - probability))),
      1e-12,
    );
  }
});

Deno.test("studentQuantile() equals SciPy's t.ppf", () => {
  // scipy 1.17.1: stats.t.ppf(probability, degreesOfFreedom)
  const table = [
    [0.975, 3, 3.1824463052837078],
    [0.975, 4, 2.7764451051977934],
    [0.975, 9, 2.262157162798205],
    [0.975, 30, 2.0422724563012378],
    [0.995, 4, 4.604094871349992],
    [0.95, 2, 2.9199855803537242],
    [0.75, 7, 0.7111417780817866],
    [0.025, 4, -2.7764451051977943],
    [0.975, 2.5, 3.5746548420036817],
    [0.975, 100000, 1.9599877075346095],
  ] as const;
  for (const [probability, degreesOfFreedom, expected] of table) {
    closeTo(studentQuantile(probability, degreesOfFreedom), expected, 1e-9);
  }
});

Deno.test("meanInterval() of two values reaches t(0.975, 1) half-ranges", () => {
  const { mean: center, interval, count } = meanInterval([1, 3]);
  assert.equal(center, 2);
  assert.equal(count, 2);
  assert.equal(interval.level, 0.95);
  closeTo(interval.high - center, 12.706204736174694, 1e-12);
  closeTo(center - interval.low, 12.706204736174694, 1e-12);
});

Deno.test("meanInterval() widens with its level", () => {
  const wide = meanInterval(sleepFirst, 0.99).interval;
  const narrow = meanInterval(sleepFirst, 0.9).interval;
  assert.ok(wide.low < narrow.low && narrow.high < wide.high);
  closeTo(
    (wide.high - wide.low) / (narrow.high - narrow.low),
    studentQuantile(0.995, 9) / studentQuantile(0.95, 9),
    1e-12,
  );
});

Deno.test("pairedDifference() reproduces the paired t test of Student's sleep data", () => {
  const difference = pairedDifference(sleepFirst, sleepSecond);
  closeTo(difference.mean, -1.58, 1e-12);
  // R: t.test(extra ~ group, paired = TRUE)
  closeTo(difference.interval.low, -2.4598858, 1e-7);
  closeTo(difference.interval.high, -0.7001142, 1e-7);
  const unpairedReach = meanInterval(sleepFirst).interval.high - mean(sleepFirst);
  assert.ok(difference.interval.high - difference.mean < unpairedReach, "pairing removes noise");
});

Deno.test("linearRegression() agrees with NIST's certified values for Norris", () => {
  const fit = linearRegression(norris.map(([, x]) => x), norris.map(([y]) => y));
  assert.equal(fit.count, 36);
  closeTo(fit.slope, 1.00211681802045, 1e-12);
  closeTo(fit.intercept, -0.262323073774029, 1e-10);
  closeTo(fit.rSquared, 0.999993745883712, 1e-12);
  closeTo(fit.residualStandardError, 0.884796396144373, 1e-10);
  const reach = studentQuantile(0.975, 34);
  closeTo(fit.slopeInterval.high - fit.slope, reach * 0.429796848199937e-3, 1e-9);
  closeTo(fit.interceptInterval.high - fit.intercept, reach * 0.232818234301152, 1e-9);
});

Deno.test("linearRegression() agrees with SciPy's linregress at 90 %", () => {
  const fit = linearRegression(
    [1, 2, 2, 3, 5, 8, 8, 8, 13],
    [2.5, 1, 3, 3, 7, 6, 9, 8, 8],
    0.9,
  );
  closeTo(fit.slope, 0.622799295774648, 1e-12);
  closeTo(fit.rSquared, 0.8450739150016099 ** 2, 1e-12);
  closeTo(fit.slopeInterval.low, 0.34064531452708807, 1e-9);
  closeTo(fit.slopeInterval.high, 0.904953277022208, 1e-9);
  closeTo(fit.interceptInterval.low, -0.07262658822052392, 1e-8);
  closeTo(fit.interceptInterval.high, 3.708189968502213, 1e-9);
});

Deno.test("spearmanCorrelation() ranks ties as SciPy's spearmanr", () => {
  const x = [1, 2, 2, 3, 5, 8, 8, 8, 13];
  closeTo(spearmanCorrelation(x, [2.5, 1, 3, 3, 7, 6, 9, 8, 8]), 0.8627324588218471, 1e-12);
});

Deno.test("spearmanCorrelation() sees order only", () => {
  const x = [0.3, -2, 5, 11, 4];
  closeTo(spearmanCorrelation(x, x.map((value) => Math.exp(value))), 1, 1e-12);
  closeTo(spearmanCorrelation(x, x.map((value) => -(value ** 3))), -1, 1e-12);
});

Deno.test("bootstrapInterval() has the exact quantiles of a two-sample mean", () => {
  // The mean of two draws from {0, 1} is 0, 0.5 or 1 with probability 1/4, 1/2, 1/4.
  const options = { seed: 7, resamples: 1000 };
  const wide = bootstrapInterval([0, 1], mean, { ...options, level: 0.9 });
  assert.deepEqual([wide.low, wide.high], [0, 1]);
  const narrow = bootstrapInterval([0, 1], mean, { ...options, level: 0.3 });
  assert.deepEqual([narrow.low, narrow.high], [0.5, 0.5]);
});

Deno.test("bootstrapInterval() interpolates between resamples", () => {
  let call = 0;
  const counting = () => call++;
  const interval = bootstrapInterval([0, 1], counting, { seed: 0, resamples: 100, level: 0.9 });
  closeTo(interval.low, 0.05 * 99, 1e-12);
  closeTo(interval.high, 0.95 * 99, 1e-12);
});

Deno.test("bootstrapInterval() approaches the normal interval of a mean", () => {
  const samples = Array.from({ length: 400 }, (_, i) => (i * 7919) % 400);
  const interval = bootstrapInterval(samples, mean, { seed: 1 });
  const reach = 1.959964 * standardDeviation(samples) / Math.sqrt(samples.length);
  closeTo(mean(samples) - interval.low, reach, 0.05);
  closeTo(interval.high - mean(samples), reach, 0.05);
});

Deno.test("bootstrapInterval() depends on its seed and nothing else", () => {
  const at = (seed: number) => bootstrapInterval(sleepFirst, mean, { seed, resamples: 200 });
  assert.deepEqual(at(3), at(3));
  assert.notDeepEqual(at(3), at(4));
});

Deno.test("bootstrapInterval() resamples whole samples, such as pairs", () => {
  const pairs = norris.map(([y, x]) => ({ x, y }));
  const slope = (resample: readonly { x: number; y: number }[]) =>
    linearRegression(resample.map(({ x }) => x), resample.map(({ y }) => y)).slope;
  const interval = bootstrapInterval(pairs, slope, { seed: 5, resamples: 200 });
  // Were x and y drawn apart, the slopes would scatter around 0.
  assert.ok(interval.low > 1 && interval.high < 1.005, JSON.stringify(interval));
});

Deno.test("statistics leave their input as it is", () => {
  const x = Object.freeze([3, 1, 2, 5]);
  const y = Object.freeze([1, 1, 4, 2]);
  spearmanCorrelation(x, y);
  linearRegression(x, y);
  bootstrapInterval(x, mean, { seed: 0, resamples: 100 });
  assert.deepEqual(x, [3, 1, 2, 5]);
});

Deno.test("statistics refuse nonsense with one clear line", () => {
  const twice = [1, 2];
  const refused: [string, () => unknown, RegExp][] = [
    ["mean of nothing", () => mean([]), /at least 1 values, found 0/],
    ["mean with NaN", () => mean([1, NaN]), /value 1 is NaN/],
    ["mean with infinity", () => mean([Infinity]), /value 0 is Infinity/],
    ["deviation of one", () => standardDeviation([1]), /at least 2 values, found 1/],
    ["interval of one seed", () => meanInterval([1]), /at least 2 values, found 1.*seeds/],
    ["level in percent", () => meanInterval(twice, 95), /between 0 and 1, found 95/],
    ["level 0", () => meanInterval(twice, 0), /between 0 and 1, found 0/],
    ["unequal pairs", () => pairedDifference(twice, [1, 2, 3]), /2 and 3 values/],
    ["one pair", () => pairedDifference([1], [2]), /at least 2 values/],
    ["probability 1", () => studentQuantile(1, 3), /probability.*found 1/],
    ["no freedom", () => studentQuantile(0.9, 0), /degrees of freedom.*0/],
    ["a line through two points", () => linearRegression(twice, twice), /at least 3 values/],
    ["constant x", () => linearRegression([0.1, 0.1, 0.1], [1, 2, 3]), /every x is 0\.1/],
    ["constant y", () => linearRegression([1, 2, 3], [0.1, 0.1, 0.1]), /every y is 0\.1/],
    ["constant y ranks", () => spearmanCorrelation([1, 2, 3], [4, 4, 4]), /every y is 4/],
    ["constant x ranks", () => spearmanCorrelation([4, 4], [1, 2]), /every x is 4/],
    ["bootstrap level", () => bootstrapInterval(twice, mean, { seed: 0, level: 95 }), /found 95/],
    ["NaN rank", () => spearmanCorrelation([1, NaN], twice), /value 1 is NaN/],
    ["one sample", () => bootstrapInterval([1], mean, { seed: 0 }), /samples.*found 1/],
    ["fractional seed", () => bootstrapInterval(twice, mean, { seed: 0.5 }), /seed.*0\.5/],
    [
      "few resamples",
      () => bootstrapInterval(twice, mean, { seed: 0, resamples: 10 }),
      /resamples.*100.*found 10/,
    ],
    ["NaN statistic", () => bootstrapInterval(twice, () => NaN, { seed: 0 }), /statistic.*NaN/],
  ];
  for (const [what, call, message] of refused) {
    assert.throws(call, (error: Error) => {
      assert.ok(error instanceof UserError, what);
      assert.match(error.message, message, what);
      assert.ok(!error.message.includes("\n"), what);
      return true;
    }, what);
  }
});
