/**
 * Means, intervals and regressions for runs (a few seeds) and for tokens (many thousands). Plain
 * float64 on the host; no function changes its input.
 */
import studentTQuantile from "@stdlib/stats-base-dists-t-quantile";
import { UserError } from "../errors.ts";
import { createRandom } from "../random.ts";
import {
  requireCount,
  requireFinite,
  requireLevel,
  requirePairs,
  requirePositive,
  requireValues,
} from "./_checks.ts";

const DEFAULT_LEVEL = 0.95;
const DEFAULT_RESAMPLES = 2000;

/** A two-sided interval that covers the true value with probability `level` (0.95 = 95 %). */
export interface Interval {
  readonly low: number;
  readonly high: number;
  readonly level: number;
}

/** A mean over `count` values and Student's interval for it. */
export interface MeanEstimate {
  readonly mean: number;
  readonly standardDeviation: number;
  readonly interval: Interval;
  readonly count: number;
}

/** A straight line y = slope · x + intercept by ordinary least squares. */
export interface LinearRegression {
  readonly slope: number;
  readonly intercept: number;
  /** Share of y's variance that the line explains. */
  readonly rSquared: number;
  readonly slopeInterval: Interval;
  readonly interceptInterval: Interval;
  /** √(Σ residual² / (count − 2)), in units of y. */
  readonly residualStandardError: number;
  readonly count: number;
}

/** Arithmetic mean. @throws {UserError} without values, or when one is not finite. */
export function mean(values: ArrayLike<number>): number {
  requireValues("a mean", values, 1);
  return meanOf(values);
}

/** Sample standard deviation (divisor n − 1). @throws {UserError} with fewer than 2 values. */
export function standardDeviation(values: ArrayLike<number>): number {
  requireValues("a standard deviation", values, 2);
  return Math.sqrt(sumOfProducts(values, values) / (values.length - 1));
}

/**
 * Quantile of Student's t distribution.
 *
 * @param probability strictly between 0 and 1.
 * @param degreesOfFreedom above 0.
 */
export function studentQuantile(probability: number, degreesOfFreedom: number): number {
  if (!(probability > 0 && probability < 1)) {
    throw new UserError(`a probability must lie between 0 and 1, found ${probability}`);
  }
  requirePositive("degrees of freedom", degreesOfFreedom);
  return studentTQuantile(probability, degreesOfFreedom);
}

/**
 * Mean of independent values (one per seed) and Student's interval for it.
 *
 * @throws {UserError} with fewer than 2 values: one run has no interval.
 */
export function meanInterval(
  values: ArrayLike<number>,
  level: number = DEFAULT_LEVEL,
): MeanEstimate {
  requireValues("an interval for a mean", values, 2);
  const count = values.length;
  const center = meanOf(values);
  const deviation = standardDeviation(values);
  return {
    mean: center,
    standardDeviation: deviation,
    interval: studentInterval(center, deviation / Math.sqrt(count), count - 1, level),
    count,
  };
}

/**
 * Mean of a[i] − b[i] and Student's interval for it. Pairs share what is not under test (seed, data
 * order), so its noise cancels: give both sides in the same order of seeds.
 *
 * @throws {UserError} with fewer than 2 pairs or unequal lengths.
 */
export function pairedDifference(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  level: number = DEFAULT_LEVEL,
): MeanEstimate {
  requirePairs("a paired difference", a, b, 2);
  return meanInterval(Array.from(a, (value, i) => value - b[i]!), level);
}

/**
 * Ordinary least squares of y on x with Student's intervals (paper §4.7 reports slope, intercept and
 * R² of one estimator's tokens against another's).
 *
 * The intervals assume independent residuals; tokens of one document are not, so over tokens they
 * are too narrow: resample documents with {@linkcode bootstrapInterval} where the interval matters.
 *
 * @throws {UserError} with fewer than 3 pairs, or when x or y is constant.
 */
export function linearRegression(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  level: number = DEFAULT_LEVEL,
): LinearRegression {
  requirePairs("a linear regression", x, y, 3);
  const count = x.length;
  requireSpread("a linear regression", "x", x);
  requireSpread("a linear regression", "y", y);
  const xx = sumOfProducts(x, x);
  const yy = sumOfProducts(y, y);
  const xy = sumOfProducts(x, y);
  const xMean = meanOf(x);
  const slope = xy / xx;
  const intercept = meanOf(y) - slope * xMean;
  let residualSum = 0;
  for (let i = 0; i < count; i++) residualSum += (y[i]! - intercept - slope * x[i]!) ** 2;
  const degreesOfFreedom = count - 2;
  const residualStandardError = Math.sqrt(residualSum / degreesOfFreedom);
  const slopeError = residualStandardError / Math.sqrt(xx);
  const interceptError = residualStandardError * Math.sqrt(1 / count + xMean ** 2 / xx);
  return {
    slope,
    intercept,
    rSquared: 1 - residualSum / yy,
    slopeInterval: studentInterval(slope, slopeError, degreesOfFreedom, level),
    interceptInterval: studentInterval(intercept, interceptError, degreesOfFreedom, level),
    residualStandardError,
    count,
  };
}

/**
 * Spearman's rank correlation: Pearson's correlation of the ranks, ties sharing their mean rank.
 *
 * @throws {UserError} with fewer than 2 pairs, or when one side is constant.
 */
export function spearmanCorrelation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  requirePairs("a rank correlation", x, y, 2);
  requireSpread("a rank correlation", "x", x);
  requireSpread("a rank correlation", "y", y);
  const xRanks = ranks(x);
  const yRanks = ranks(y);
  const xx = sumOfProducts(xRanks, xRanks);
  const yy = sumOfProducts(yRanks, yRanks);
  return sumOfProducts(xRanks, yRanks) / Math.sqrt(xx * yy);
}

/**
 * Percentile bootstrap interval of `statistic` over `samples`. A sample is whatever is independent:
 * a number, a pair, or all tokens of one document.
 *
 * @param options `seed` whole number; `resamples` default 2000; `level` default 0.95.
 * @throws {UserError} with fewer than 2 samples, or when the statistic is not finite on a resample.
 */
export function bootstrapInterval<Sample>(
  samples: readonly Sample[],
  statistic: (resample: readonly Sample[]) => number,
  options: { readonly seed: number; readonly resamples?: number; readonly level?: number },
): Interval {
  const { seed, resamples = DEFAULT_RESAMPLES, level = DEFAULT_LEVEL } = options;
  requireCount("the number of samples of a bootstrap", samples.length, 2);
  requireCount("the seed of a bootstrap", seed, 0);
  requireCount("the number of resamples of a bootstrap", resamples, 100);
  requireLevel(level);
  const random = createRandom(seed).stream("bootstrap");
  const values = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    const resample = samples.map(() => samples[Math.floor(random.uniform() * samples.length)]!);
    values[r] = requireFinite("the statistic of a resample", statistic(resample));
  }
  values.sort();
  const tail = (1 - level) / 2;
  return { low: sortedQuantile(values, tail), high: sortedQuantile(values, 1 - tail), level };
}

function meanOf(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total / values.length;
}

/** Σ (x − mean x)(y − mean y), in two passes: the one-pass form cancels when the mean is large. */
function sumOfProducts(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const xMean = meanOf(x);
  const yMean = meanOf(y);
  let total = 0;
  for (let i = 0; i < x.length; i++) total += (x[i]! - xMean) * (y[i]! - yMean);
  return total;
}

/** Compares the values themselves: Σ (x − mean)² of equal values can round to more than 0. */
function requireSpread(what: string, side: string, values: ArrayLike<number>): void {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return;
  throw new UserError(
    `${what}: every ${side} is ${values[0]}, expected at least two different values`,
  );
}

function studentInterval(
  center: number,
  standardError: number,
  degreesOfFreedom: number,
  level: number,
): Interval {
  requireLevel(level);
  const reach = studentQuantile((1 + level) / 2, degreesOfFreedom) * standardError;
  return { low: center - reach, high: center + reach, level };
}

function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i);
  order.sort((a, b) => values[a]! - values[b]!);
  const result = new Float64Array(values.length);
  for (let start = 0, end = 0; start < order.length; start = end) {
    const value = values[order[start]!];
    while (end < order.length && values[order[end]!] === value) end++;
    const shared = (start + end + 1) / 2;
    for (let i = start; i < end; i++) result[order[i]!] = shared;
  }
  return result;
}

/** Quantile by linear interpolation between order statistics (type 7, NumPy's default). */
function sortedQuantile(sorted: Float64Array, probability: number): number {
  const place = probability * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (place - below) * (high - low);
}
