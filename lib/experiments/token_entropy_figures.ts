/** Notebook 04's tables and the rows of its figures. */

import type { EstimatorName, WindowEstimates, WordPart } from "../entropy/mod.ts";
import type { BarRow, CurveRow, PointRow } from "../figures/mod.ts";
import { linearRegression, mean } from "../measure/mod.ts";
import { valueOverSeeds } from "./arm_summary.ts";
import { prepareData, type PrepareDataOptions } from "./data.ts";
import type { TokenEntropyPreset } from "./entropy_presets.ts";
import { type EstimateSet, ofSeed, setsOf, tokenPairs } from "./estimate_sets.ts";
import { onProjectText, projectData } from "./notebook.ts";
import { tokenArm } from "./token_entropy_arms.ts";
import {
  positionMeans,
  type SeedRegression,
  squaredErrors,
  wordPartMeans,
} from "./token_entropy_summary.ts";
import { fullWindows } from "./token_estimates.ts";

/** The tokens whose estimates runs have recorded, window by window. */
export async function estimatedTexts(
  { data, windows }: Pick<TokenEntropyPreset, "data" | "windows">,
  options: PrepareDataOptions = projectData(),
): Promise<string[][]> {
  const { tokenizer, training } = await prepareData(onProjectText(data), options);
  const { ids, contextLength } = fullWindows(training.heldOut, windows);
  return Array.from({ length: windows }, (_, row) =>
    Array.from(
      ids.subarray(row * contextLength, (row + 1) * contextLength),
      (id) => tokenizer.tokenText(id),
    ));
}

/** A window's tokens with one set's estimates, for `highlightTokens`. */
export function highlighted(
  texts: readonly (readonly string[])[],
  values: WindowEstimates,
  window: number,
): { text: string; estimate: number | null; position: number }[] {
  return texts[window]!.map((text, position) => ({
    text,
    position,
    estimate: values[window]![position]!,
  }));
}

/**
 * Slope, intercept and R² beside the paper's. Intervals are Student's over seeds, and of R², which
 * has bounds, a bootstrap's over windows.
 */
export function regressionTable(
  regressions: Readonly<Record<string, SeedRegression>>,
): Record<string, string | number>[] {
  return Object.entries(regressions).map(([name, regression]) => {
    const { spec, slopes, intercepts, rSquared, windowInterval } = regression;
    return {
      "y, x": name,
      slope: withInterval(slopes),
      "slope, paper": spec.paper?.slope ?? "",
      intercept: withInterval(intercepts),
      "intercept, paper": spec.paper?.intercept ?? "",
      "R², seed by seed": rSquared.map((value) => value.toFixed(3)).join(", "),
      "R² over windows, first seed": `${windowInterval.low.toFixed(3)} to ${
        windowInterval.high.toFixed(3)
      }`,
      "R², paper": spec.paper?.rSquared ?? "",
    };
  });
}

function withInterval(values: readonly number[]): string {
  const { value, interval } = valueOverSeeds(values);
  const ends = interval && ` (${interval[0].toFixed(3)} to ${interval[1].toFixed(3)})`;
  return `${value.toFixed(3)}${ends ?? ""}`;
}

/** The tokens of a regression's first seed, and its line. */
export function regressionPoints(
  arm: string,
  { pairs, slopes, intercepts, rSquared }: SeedRegression,
) {
  const rows: PointRow[] = pairs.map(({ x, y }) => ({ arm, x, y }));
  const fit = { arm, slope: slopes[0]!, intercept: intercepts[0]!, rSquared: rSquared[0]! };
  return { rows, fit };
}

/** Mean estimates by place in the window, a curve an arm, seed by seed. */
export function positionCurves(
  sets: readonly EstimateSet[],
  curves: readonly Readonly<{ label: string; arm: string; estimator: EstimatorName }>[],
): CurveRow[] {
  return curves.flatMap(({ label, arm, estimator }) =>
    setsOf(sets, arm, estimator).flatMap((set) =>
      positionMeans(set).map(({ position, mean }) => ({
        arm: label,
        seed: set.seed,
        x: position,
        y: mean,
      }))
    )
  );
}

/** Mean estimates of tokens that begin a word, go on with one, or are neither. */
export function wordPartBars(
  sets: readonly EstimateSet[],
  texts: readonly (readonly string[])[],
  bars: readonly Readonly<{ label: string; arm: string; estimator: EstimatorName }>[],
): BarRow[] {
  return bars.flatMap(({ label, arm, estimator }) => {
    const bySeed = setsOf(sets, arm, estimator).map((set) => wordPartMeans(set.values, texts));
    // Seeds rate the same tokens: a part that is absent is so for all.
    const parts = Object.keys(bySeed[0]!) as WordPart[];
    return parts.map((part) => ({
      group: WORD_PART_LABELS[part],
      arm: label,
      ...valueOverSeeds(bySeed.map((means) => means[part]!)),
    }));
  });
}

/** What tables and figures call the parts. */
export const WORD_PART_LABELS = {
  first: "begins a word",
  later: "goes on with a word",
  other: "neither",
} as const satisfies Record<WordPart, string>;

/** How well second-order models say what the small causal model's loss would be. */
export function secondOrderTable(
  sets: readonly EstimateSet[],
): Record<string, string | number>[] {
  const losses = setsOf(sets, tokenArm.small, "loss");
  return [false, true].map((shift) => {
    const arm = tokenArm.secondOrder(shift);
    const own = setsOf(sets, arm, "second-order");
    const rSquared = own.map((set) => {
      const pairs = tokenPairs(ofSeed(losses, set.seed).values, set.values);
      return linearRegression(pairs.map(({ x }) => x), pairs.map(({ y }) => y)).rSquared;
    });
    return {
      model: arm,
      "mean squared error, nats²": withInterval(squaredErrors(own, losses)),
      "variance of the loss, nats²": mean(losses.map(({ values }) => variance(values))),
      "R², seed by seed": rSquared.map((value) => value.toFixed(3)).join(", "),
    };
  });
}

function variance(values: WindowEstimates): number {
  const known = values.flat().filter((value) => value !== null);
  const center = mean(known);
  return mean(known.map((value) => (value - center) ** 2));
}
