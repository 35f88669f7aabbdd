/** Runs of notebook 07 that were never trained, with the numbers that a test gives them. */

import { quantizationSpecs } from "../../lib/experiments/quantization_arms.ts";
import {
  QUANTIZATION_PRESETS,
  type QuantizationPreset,
} from "../../lib/experiments/quantization_presets.ts";
import type { RoundingRecord } from "../../lib/experiments/rounding_records.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import type { Condition } from "../../lib/measure/mod.ts";
import { makeResults } from "./_made_results.ts";

/**
 * What a run measures: its loss at the end, `loss`; with the embedding rounded, `4 bits`; with
 * modules rounded, `down output e4m3fn` or `all product int8/row`, with a fitted temperature
 * `tempered e4m3fn` or `tempered null`, all nats per token. Of the
 * numbers that come out of down their `deviation` and `kurtosis`, and along the text `mean 0` and
 * `deviation 0`.
 */
export type Quantity = string;

/** A number that a run of an arm measures; the place of its seed among the seeds counts from 0. */
export type MadeNumber = (family: string, arm: string, quantity: Quantity, place: number) => number;

/** Modules in the order of the tree. */
export const MODULES = {
  augmented: ["encoder.embedding", "encoder.head", "down", "up", "decoder.embedding"],
  causal: ["embedding"],
} as const;

/** The parts of the held-out text. */
export const PARTS = 3;

/** Numbers in the bins of a run's histogram, from `low` to `high`. */
export function madeHistogram(place: number) {
  const [low, high] = [-1 - place, 3];
  const bins = 128;
  const edges = Array.from({ length: bins + 1 }, (_, i) => low + (high - low) * i / bins);
  return { edges, counts: edges.slice(1).map((_, i) => i ** 2 % 17 + i % 3 * place) };
}

/** Results family by family, in the order of `specs`. */
export function quantizedResults(specs: readonly RunSpec[], made: MadeNumber): RunResult[] {
  return [...Map.groupBy(specs, ({ family }) => family)].flatMap(([family, runs]) => {
    const seeds = [...new Set(runs.map(({ training }) => training.seed))];
    const results = makeResults(
      runs,
      (arm, quantity, place) => made(family, arm, quantity === "end" ? "loss" : quantity, place),
    );
    return results.map((result) => {
      const { spec } = result.config;
      const place = seeds.indexOf(spec.training.seed);
      const of = (quantity: Quantity) => made(family, spec.arm, quantity, place);
      const records = [...result.records];
      records.splice(-1, 0, ...roundingRecords(spec, of, place));
      return { ...result, records };
    });
  });
}

function roundingRecords(
  { training, rounding }: RunSpec,
  of: (quantity: Quantity) => number,
  place: number,
): RoundingRecord[] {
  const { conditions = [], sweep, tempered = [], activations = [] } = rounding ?? {};
  const modules = training.model.kind === "causal" ? MODULES.causal : MODULES.augmented;
  const swept = sweep === undefined
    ? []
    : modules.flatMap((module) =>
      sweep.sites.map((site): Condition => ({
        modules: [module],
        site,
        quantization: sweep.quantization,
      }))
    );
  const asTrained: RoundingRecord = { type: "measurement", what: "as trained", lossNats: NaN };
  return [
    ...training.qat === undefined ? [] : [asTrained],
    ...[...conditions, ...swept].map((condition): RoundingRecord => {
      const { modules, site, quantization } = condition;
      const names = modules === "all" ? modules : modules.join(", ");
      return {
        type: "measurement",
        what: "rounded modules",
        ...condition,
        lossNats: of(`${names} ${site} ${quantization}`),
        scoredTokens: 1000,
      };
    }),
    ...tempered.map((quantization): RoundingRecord => ({
      type: "measurement",
      what: "tempered",
      quantization,
      temperature: NaN,
      lossNats: of(`tempered ${quantization}`),
    })),
    ...activations.map((module): RoundingRecord => {
      const histogram = madeHistogram(place);
      return {
        type: "measurement",
        what: "activations",
        module,
        count: histogram.counts.reduce((sum, count) => sum + count),
        mean: NaN,
        deviation: of("deviation"),
        low: NaN,
        high: NaN,
        excessKurtosis: of("kurtosis"),
        outlierShare: NaN,
        histogram,
        trend: Array.from({ length: PARTS }, (_, part) => ({
          mean: of(`mean ${part}`),
          deviation: of(`deviation ${part}`),
        })),
      };
    }),
  ];
}

/** Notebook 07 with three seeds in each part. */
const { small } = QUANTIZATION_PRESETS;
export const PRESET: QuantizationPreset = {
  ...small,
  text: { ...small.text, seeds: [2, 3, 4] },
  known: { ...small.known, seeds: [5, 6, 7] },
};
export const SPECS = quantizationSpecs(PRESET);
export const [TEXT, KNOWN] = ["text", "known bits"] as const;
