/** Notebook 04's numbers: estimates of token entropy against each other, seed by seed. */

import {
  type EstimatorName,
  minMaxNormalize,
  summarizeByPosition,
  summarizeByWordPart,
  type WindowEstimates,
  type WordPart,
} from "../entropy/mod.ts";
import { bootstrapInterval, type Interval, linearRegression, mean } from "../measure/mod.ts";
import { type EstimateSet, ofSeed, setsOf, type TokenPair, tokenPairs } from "./estimate_sets.ts";
import type { TokenEntropyPreset } from "./entropy_presets.ts";
import { ATTRIBUTIONS, tokenArm } from "./token_entropy_arms.ts";

/** One side of a regression: which model's estimates, and whether they are scaled to [0, 1]. */
export type Side = Readonly<{
  label: string;
  arm: string;
  estimator: EstimatorName;
  /** Per window, as the paper does with L1 and gradient × input (paper §4.4). */
  isNormalized?: boolean;
}>;

/** A regression of the paper's §4.7, y on x over tokens. */
export type RegressionSpec = Readonly<{
  y: Side;
  x: Side;
  /** Only the second half of a window counts, as in the paper's comparisons with pad-shift. */
  isSecondHalf: boolean;
  paper: Readonly<{ slope: number; intercept: number; rSquared: number }> | null;
}>;

/** The regressions of paper §4.7 by name, and one of the causal model's entropy on its loss. */
export function regressionSpecs({ embeddingSizes }: TokenEntropyPreset) {
  const [base, large, largest] = embeddingSizes;
  const l1 = (label: string, numbers: number): Side => ({
    label,
    arm: tokenArm.augmented(numbers),
    estimator: ATTRIBUTIONS[0],
    isNormalized: true,
  });
  const attribution = l1("L1", base);
  const cosine: Side = {
    label: "cosine",
    arm: tokenArm.augmented(base),
    estimator: "occlusion-cosine",
  };
  const padShift: Side = {
    label: "pad-shift",
    arm: tokenArm.augmented(base),
    estimator: "pad-shift",
  };
  const small: Side = { label: "small CLM loss", arm: tokenArm.small, estimator: "loss" };
  const largeLoss: Side = { label: "large CLM loss", arm: tokenArm.large, estimator: "loss" };
  const row = (
    y: Side,
    x: Side,
    paper: readonly [slope: number, intercept: number, rSquared: number] | null,
    isSecondHalf = false,
  ): RegressionSpec => ({
    y,
    x,
    isSecondHalf,
    paper: paper && { slope: paper[0], intercept: paper[1], rSquared: paper[2] },
  });
  return {
    "L1, cosine": row(attribution, cosine, [0.9566, 0.1431, 0.4195]),
    "L1, small CLM": row(attribution, small, [0.0063, 0.3894, 0.0107]),
    "large embedding's L1, small CLM": row(
      l1("large embedding's L1", large),
      small,
      [0.0172, 0.4152, 0.0688],
    ),
    "large embedding's L1, L1": row(
      l1("large embedding's L1", large),
      attribution,
      [0.2308, 0.3691, 0.0424],
    ),
    "largest embedding's L1, L1": row(
      l1("largest embedding's L1", largest),
      attribution,
      [0.2680, 0.3629, 0.0574],
    ),
    "pad-shift, small CLM": row(padShift, small, [1.4685, -1.1879, 0.3285], true),
    "pad-shift, large CLM": row(padShift, largeLoss, [1.0540, 0.1097, 0.1424], true),
    "small CLM, large CLM": row(small, largeLoss, [0.7334, 0.8398, 0.4922]),
  } as const satisfies Readonly<Record<string, RegressionSpec>>;
}

export type RegressionName = keyof ReturnType<typeof regressionSpecs>;

/** Least squares over tokens, one fit a seed. */
export type SeedRegression = Readonly<{
  spec: RegressionSpec;
  slopes: readonly number[];
  intercepts: readonly number[];
  rSquared: readonly number[];
  /** Of R² over windows, of the first seed: how much the sample of text decides. */
  windowInterval: Interval;
  /** Tokens of the first seed. */
  pairs: readonly TokenPair[];
}>;

/** The tokens of a regression, seed by seed. */
export function regressionPairs(
  sets: readonly EstimateSet[],
  { y, x, isSecondHalf }: RegressionSpec,
): TokenPair[][] {
  const ys = setsOf(sets, y.arm, y.estimator);
  const xs = setsOf(sets, x.arm, x.estimator);
  return ys.map((set) => {
    const other = ofSeed(xs, set.seed);
    const from = isSecondHalf ? set.values[0]!.length / 2 : 0;
    return tokenPairs(valuesOf(other, x), valuesOf(set, y), from);
  });
}

function valuesOf({ values }: EstimateSet, { isNormalized = false }: Side): WindowEstimates {
  return isNormalized ? minMaxNormalize(values) : values;
}

/** R² over the second half of the windows, seed by seed, whatever the regression's own tokens are. */
export function secondHalfRSquared(
  sets: readonly EstimateSet[],
  spec: RegressionSpec,
): number[] {
  return regressionPairs(sets, { ...spec, isSecondHalf: true }).map((pairs) => fit(pairs).rSquared);
}

export function regressions(
  sets: readonly EstimateSet[],
  preset: TokenEntropyPreset,
): Record<RegressionName, SeedRegression> {
  const entries = Object.entries(regressionSpecs(preset)).map(([name, spec]) => {
    const seeds = regressionPairs(sets, spec);
    const fits = seeds.map(fit);
    const byWindow = [...Map.groupBy(seeds[0]!, ({ window }) => window).values()];
    const regression: SeedRegression = {
      spec,
      slopes: fits.map(({ slope }) => slope),
      intercepts: fits.map(({ intercept }) => intercept),
      rSquared: fits.map(({ rSquared }) => rSquared),
      windowInterval: bootstrapInterval(byWindow, (windows) => fit(windows.flat()).rSquared, {
        seed: 1,
        resamples: 500,
      }),
      pairs: seeds[0]!,
    };
    return [name, regression];
  });
  return Object.fromEntries(entries);
}

function fit(pairs: readonly TokenPair[]) {
  return linearRegression(pairs.map(({ x }) => x), pairs.map(({ y }) => y));
}

/** Mean estimates at every position of windows, from those that have one. */
export function positionMeans({ values }: EstimateSet) {
  return summarizeByPosition(
    values.map((row) => row.map((estimate, position) => ({ estimate, position }))),
  );
}

/** Mean squared error of one estimate of the same tokens as another, seed by seed, nats². */
export function squaredErrors(
  sets: readonly EstimateSet[],
  references: readonly EstimateSet[],
): number[] {
  return sets.map(({ seed, values }) =>
    mean(tokenPairs(values, ofSeed(references, seed).values).map(({ x, y }) => (x - y) ** 2))
  );
}

/** Mean estimates by part of a word, over windows with the given texts; absent where there are none. */
export function wordPartMeans(
  values: WindowEstimates,
  texts: readonly (readonly string[])[],
): Partial<Record<WordPart, number>> {
  const records = values.map((row, window) =>
    row.map((estimate, t) => ({ estimate, text: texts[window]![t]! }))
  );
  return Object.fromEntries(summarizeByWordPart(records).map(({ part, mean }) => [part, mean]));
}

/** How much higher the mean is where a word begins than where it goes on, seed by seed. */
export function wordPartGaps(
  sets: readonly EstimateSet[],
  texts: readonly (readonly string[])[],
): number[] {
  return sets.map(({ values }) => {
    const { first, later } = wordPartMeans(values, texts);
    if (first === undefined || later === undefined) {
      throw new RangeError("expected tokens that begin words, and some that go on with them");
    }
    return first - later;
  });
}
