/** The rows of notebook 07's figures. */

import type { BarRow, CurveRow, HeatMapCells } from "../figures/mod.ts";
import { mean, type Site } from "../measure/mod.ts";
import { finalLosses, minus, roundedLosses, valueOverSeeds } from "./arm_summary.ts";
import { quantizationArm } from "./quantization_arms.ts";
import {
  armsNamed,
  embeddingActivations,
  lossesUnder,
  moduleCosts,
  rounded,
  temperedLosses,
} from "./quantization_summary.ts";
import type { RunResult } from "./run.ts";

/** Held-out loss of each arm: unrounded, in a format, and there with a fitted temperature, nats. */
export function lossBars(
  results: readonly RunResult[],
  family: string,
  names: readonly string[],
  format: string,
): BarRow[] {
  return armsNamed(results, family, names).flatMap((arm) =>
    Object.entries({
      "not rounded": finalLosses(arm),
      [format]: lossesUnder(arm, rounded.embedding(format)),
      [`${format}, temperature fitted`]: temperedLosses(arm, format),
    }).map(([name, losses]) => ({ group: arm.arm, arm: name, ...valueOverSeeds(losses) }))
  );
}

/** Width of the noise as a share of the embedding's standard deviation, against the width. */
export function shareCurves(
  results: readonly RunResult[],
  family: string,
  widths: readonly number[],
): CurveRow[] {
  return widths.flatMap((width) => {
    const [arm] = armsNamed(results, family, [quantizationArm.noise(width)]);
    return embeddingActivations(arm!).map(({ deviation }, at) => ({
      arm: family,
      seed: arm!.seeds[at]!,
      x: width,
      y: width / deviation,
    }));
  });
}

/** Costs are drawn as powers of ten of a nat: those below this one are noise. */
const LEAST_NATS = 1e-4;

/**
 * The cost of rounding one module at a time, log10 of nats per token, mean over seeds: modules down,
 * arms across, outputs before weights; white where an arm has no such module.
 */
export function sensitivityCells(
  results: readonly RunResult[],
  family: string,
  names: readonly string[],
  { sites, format, most = Infinity }: Readonly<{
    sites: readonly Site[];
    format: string;
    /** Only so many modules, those that cost some arm the most. */
    most?: number;
  }>,
): HeatMapCells {
  const arms = armsNamed(results, family, names);
  const columns = sites.flatMap((site) =>
    arms.map((arm) => ({
      name: sites.length === 1 ? arm.arm : `${arm.arm}, ${site}`,
      costs: moduleCosts(arm, site, format),
    }))
  );
  const { costs: longest } = columns.reduce((one, other) =>
    other.costs.length > one.costs.length ? other : one
  );
  const all = longest.map(({ module }) => ({
    module,
    values: columns.map(({ costs }) => {
      const found = costs.find((one) => sameModule(one.module, module));
      return found === undefined ? null : Math.log10(Math.max(LEAST_NATS, mean(found.costs)));
    }),
  }));
  const greatest = (values: readonly (number | null)[]) =>
    Math.max(...values.filter((value) => value !== null));
  const drawn = all.toSorted((a, b) => greatest(b.values) - greatest(a.values)).slice(0, most);
  const rows = all.filter((row) => drawn.includes(row));
  return {
    rows: rows.map(({ module }) => module),
    columns: columns.map(({ name }) => name),
    values: rows.map(({ values }) => values),
  };
}

/** A causal model's modules are those of a decoder. */
function sameModule(module: string, other: string): boolean {
  return module === other || `decoder.${module}` === other;
}

/** Bars that neighbouring bins of the recorded histograms are put together to. */
const DRAWN_BINS = 32;

/** Density of the embedding's numbers, of the runs of one seed. */
export function activationCurves(
  results: readonly RunResult[],
  family: string,
  names: readonly string[],
  seed: number,
): CurveRow[] {
  return armsNamed(results, family, names).flatMap((arm) => {
    const { histogram: { edges, counts }, count } = embeddingActivations(arm)[
      arm.seeds.indexOf(seed)
    ]!;
    const merged = counts.length / DRAWN_BINS;
    return Array.from({ length: DRAWN_BINS }, (_, bin) => {
      const [low, high] = [edges[bin * merged]!, edges[(bin + 1) * merged]!];
      const found = counts.slice(bin * merged, (bin + 1) * merged)
        .reduce((sum, one) => sum + one, 0);
      const y = found / count / (high - low);
      return { arm: arm.arm, facet: family, seed, x: (low + high) / 2, y };
    });
  });
}

/** Mean and standard deviation of the embedding's numbers along the held-out text, a panel each. */
export function activationTrends(
  results: readonly RunResult[],
  family: string,
  names: readonly string[],
): CurveRow[] {
  return (["mean", "deviation"] as const).flatMap((facet) =>
    armsNamed(results, family, names).flatMap((arm) =>
      embeddingActivations(arm).flatMap(({ trend }, at) =>
        trend.map((part, x) => ({
          arm: arm.arm,
          facet: facet === "mean" ? "mean" : "standard deviation",
          seed: arm.seeds[at]!,
          x,
          y: part[facet],
        }))
      )
    )
  );
}

/**
 * Loss of the embedding rounded to fewer and fewer bits, less the loss unrounded, nats, for a
 * logarithmic axis.
 */
export function bitCurves(
  results: readonly RunResult[],
  family: string,
  names: readonly string[],
  bits: readonly number[],
): CurveRow[] {
  return armsNamed(results, family, names).flatMap((arm) =>
    bits.flatMap((count) =>
      minus(roundedLosses(arm, count), finalLosses(arm)).map((cost, at) => ({
        arm: arm.arm,
        facet: family,
        seed: arm.seeds[at]!,
        x: count,
        y: Math.max(LEAST_NATS, cost),
      }))
    )
  );
}
