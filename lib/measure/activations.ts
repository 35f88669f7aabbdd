/**
 * How the outputs of a model's modules are spread: what a number format has to hold (paper §6.1).
 *
 * Legend: N tokens a window, S slots, B batch, C channels.
 */

import { disposeTree, expandDims, jit, stack, type Tensor, tile } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import type { Hooks } from "../layers/mod.ts";
import { type Model, type ModelConfig, tokenLosses } from "../models/mod.ts";
import { LLM_INT8_THRESHOLD } from "../qat/mod.ts";
import { batchesInOrder, type WindowIds } from "../text/mod.ts";
import { type Batch, batchTensors } from "../train/mod.ts";
import { requireCount } from "./_checks.ts";
import { requireBatches, requireModules } from "./_model_checks.ts";
import type { QuantizedModel } from "./sensitivity.ts";

/** Of all numbers that come out of a module. Moments are those of the numbers, divisor `count`. */
export type ActivationStatistics = Readonly<{
  module: string;
  /** Numbers, all channels of all vectors. */
  count: number;
  mean: number;
  deviation: number;
  low: number;
  high: number;
  /** 0 of a normal distribution; NaN where all numbers are equal. */
  excessKurtosis: number;
  /** The share of numbers that LLM.int8 calls outliers, |x| ≥ 6. */
  outlierShare: number;
  /**
   * Numbers in bins of equal width from `low` to `high`, `high` in the last one; if the two are
   * equal, from 0.5 below to 0.5 above.
   */
  histogram: Readonly<{ edges: readonly number[]; counts: readonly number[] }>;
  /**
   * Whether anything drifts: the same of equal runs of windows, in the text's order; NaN where all
   * is left out.
   */
  trend: readonly Readonly<{ mean: number; deviation: number }>[];
}>;

export type ActivationOptions = Readonly<{
  /** Windows at a time; results depend on it by rounding alone. */
  batchSize: number;
  /** Of the histogram; 128 by default. */
  bins?: number;
  /** Runs of windows, 10 by default, or as many as there are windows. */
  parts?: number;
}>;

/**
 * Statistics of the outputs of some modules over all windows, in the order of the parameter tree.
 *
 * Outputs at pads are left out. Of a decoder with a memory slot, that slot is one more; of modules
 * that give one vector a window, such as `down`, every window's counts; a head is said to be at the
 * token that it reads, and has one slot less than there are tokens.
 *
 * @throws UserError for modules that the model has not, windows that do not fit it, sizes that cannot
 *   be, activations that are not finite, and modules that put out nothing but pads.
 */
export async function activationStatistics(
  model: QuantizedModel,
  windows: WindowIds,
  modules: readonly string[] | "all",
  { batchSize, bins = 128, parts = Math.min(10, windows.count) }: ActivationOptions,
): Promise<ActivationStatistics[]> {
  const { config, params, padId } = model;
  requireBatches(config, windows, batchSize);
  requireCount("bins of a histogram", bins, 1);
  requireCount("runs of windows", parts, 1);
  if (parts > windows.count) {
    throw new UserError(`expected at most ${windows.count} runs, one a window, found ${parts}`);
  }
  const names = requireModules(params, modules);
  const outputsOf = compileOutputs(config, padId, names);
  const forEachVector = vectorsOf(model, windows, outputsOf, { batchSize, parts });
  try {
    // Two passes: moments are about the mean and bins between the extremes, and nothing is kept.
    const ranges = await measureRanges(names, forEachVector, parts);
    const spreads = await measureSpreads(ranges, forEachVector, bins);
    return names.map((module, index) => {
      const { counts, means, ...range } = ranges[index]!;
      const { squares, fourthPowers, partSquares, histogram } = spreads[index]!;
      const variance = squares / range.count;
      return {
        module,
        ...range,
        deviation: Math.sqrt(variance),
        excessKurtosis: fourthPowers / range.count / variance ** 2 - 3,
        histogram,
        trend: Array.from(means, (mean, part) => ({
          mean,
          deviation: Math.sqrt(partSquares[part]! / counts[part]!),
        })),
      };
    });
  } finally {
    outputsOf.dispose();
  }
}

/** Sees a vector that module number `module` put out for a window of run number `part`. */
type Visit = (module: number, part: number, vector: Float32Array) => void;
type ForEachVector = (visit: Visit) => Promise<void>;

/** All vectors that modules put out for the windows, but for those at pads. */
function vectorsOf(
  { config, params, padId }: QuantizedModel,
  windows: WindowIds,
  outputsOf: (params: Model, batch: Batch) => Tensor[],
  { batchSize, parts }: Readonly<{ batchSize: number; parts: number }>,
): ForEachVector {
  const { contextLength, count } = windows;
  return async (visit) => {
    for (const { ids, start, rows, ...values } of batchesInOrder(windows, batchSize)) {
      const batch = batchTensors({ ids, ...values }, contextLength);
      const outputs = outputsOf(params, batch);
      const read = await Promise.all(outputs.map((output) => output.data()));
      disposeTree([batch, outputs]);
      for (const [module, { shape }] of outputs.entries()) {
        const numbers = read[module] as Float32Array;
        const width = shape.at(-1)!;
        const slots = shape.length === 3 ? shape[0]! : 1;
        const firstToken = shape.length === 3 ? tokenOfFirstSlot(config, slots, windows) : NO_TOKEN;
        for (let slot = 0; slot < slots; slot++) {
          for (let row = 0; row < rows; row++) {
            const token = firstToken + slot;
            if (token !== NO_TOKEN && ids[row * contextLength + token] === padId) continue;
            const begin = (slot * batchSize + row) * width;
            const part = Math.floor((start + row) * parts / count);
            visit(module, part, numbers.subarray(begin, begin + width));
          }
        }
      }
    }
  };
}

/** Where a memory stands, before token 0, and what belongs to a whole window. */
const NO_TOKEN = -1;

/** The token that the first of a module's slots is at. */
function tokenOfFirstSlot(
  config: ModelConfig,
  slots: number,
  { contextLength }: WindowIds,
): number {
  if (slots > contextLength) return NO_TOKEN;
  const isLater = config.kind === "second-order" && !config.shift && slots < contextLength;
  return isLater ? 1 : 0;
}

/** The outputs of modules for a batch: `[S, B, C]`, or `[B, C]` for those without slots. */
function compileOutputs(config: ModelConfig, padId: number | null, names: readonly string[]) {
  return jit("activations", (params: Model, { idsBN, ...values }: Batch): Tensor[] => {
    const seen = new Map<string, Tensor[]>(names.map((name) => [name, []]));
    const hookOf = (name: string) => (y: Tensor) => {
      seen.get(name)!.push(y);
      return y;
    };
    const hooks: Hooks = Object.fromEntries(
      names.map((name) => [name, { output: hookOf(name) }]),
    );
    tokenLosses(config, params, idsBN, { padId, ...values, hooks });
    const batchSize = idsBN.shape[0]!;
    return [...seen].map(([name, outputs]) => {
      // A recurrent layer puts out one slot at a time, a table of positions all for all windows.
      if (outputs.length > 1) return stack(outputs);
      const [output] = outputs as [Tensor];
      const isPositions = /(^|\.)positions$/.test(name);
      return isPositions ? tile(expandDims(output, 1), [1, batchSize, 1]) : output;
    });
  }, { compiler: "graph" });
}

/** What the first pass finds of a module. */
type Range = Readonly<{
  count: number;
  mean: number;
  low: number;
  high: number;
  outlierShare: number;
  /** By part. */
  counts: Float64Array;
  means: Float64Array;
}>;

async function measureRanges(
  names: readonly string[],
  forEachVector: ForEachVector,
  parts: number,
): Promise<Range[]> {
  const found = names.map(() => ({
    low: Infinity,
    high: -Infinity,
    outliers: 0,
    counts: new Float64Array(parts),
    totals: new Float64Array(parts),
  }));
  await forEachVector((module, part, vector) => {
    const range = found[module]!;
    let total = 0;
    for (const x of vector) {
      total += x;
      if (x < range.low) range.low = x;
      if (x > range.high) range.high = x;
      if (Math.abs(x) >= LLM_INT8_THRESHOLD) range.outliers++;
    }
    range.counts[part]! += vector.length;
    range.totals[part]! += total;
  });
  return found.map(({ low, high, outliers, counts, totals }, module) => {
    const refuse = (expected: string, found: string): never => {
      throw new UserError(`module ${names[module]}: expected ${expected}, found ${found}`);
    };
    const count = addUp(counts);
    if (count === 0) refuse("activations at tokens", "them at pads alone");
    const mean = addUp(totals) / count;
    if (!Number.isFinite(mean)) refuse("finite activations", `a mean of ${mean}`);
    const means = totals.map((total, part) => total / counts[part]!);
    return { count, mean, low, high, outlierShare: outliers / count, counts, means };
  });
}

/** What the second pass finds: sums of powers of differences from means, and the histogram. */
type Spread = {
  squares: number;
  fourthPowers: number;
  /** Of differences from the part's own mean, by part. */
  partSquares: Float64Array;
  histogram: { edges: number[]; counts: number[] };
};

async function measureSpreads(
  ranges: readonly Range[],
  forEachVector: ForEachVector,
  bins: number,
): Promise<Spread[]> {
  const found = ranges.map(({ low, high, means }) => {
    const margin = low === high ? 0.5 : 0;
    const first = low - margin;
    const width = (high + margin - first) / bins;
    const edges = Array.from({ length: bins + 1 }, (_, edge) => first + edge * width);
    const counts = new Array<number>(bins).fill(0);
    return {
      first,
      width,
      squares: 0,
      fourthPowers: 0,
      partSquares: new Float64Array(means.length),
      histogram: { edges, counts },
    };
  });
  await forEachVector((module, part, vector) => {
    const spread = found[module]!;
    const { first, width, histogram: { counts } } = spread;
    const { mean, means } = ranges[module]!;
    let squares = 0, fourthPowers = 0, partSquares = 0;
    for (const x of vector) {
      const square = (x - mean) ** 2;
      squares += square;
      fourthPowers += square ** 2;
      partSquares += (x - means[part]!) ** 2;
      counts[Math.max(0, Math.min(Math.floor((x - first) / width), bins - 1))]!++;
    }
    spread.squares += squares;
    spread.fourthPowers += fourthPowers;
    spread.partSquares[part]! += partSquares;
  });
  return found;
}

function addUp(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
