/** Runs of an experiment arm by arm: losses over seeds, curves, differences, prices. */

import type { CurveRow } from "../figures/mod.ts";
import {
  embeddingLossNats,
  mean,
  type MeanEstimate,
  meanInterval,
  overContext,
  overRealTokens,
  pairedDifference,
} from "../measure/mod.ts";
import type { RunResult } from "./run.ts";

/** One arm of one family and layout over its seeds. */
export type ArmSummary = Readonly<{
  family: string;
  layout: string;
  arm: string;
  seeds: readonly number[];
  runs: readonly RunResult[];
}>;

export function summarizeArms(results: readonly RunResult[]): ArmSummary[] {
  const arms = new Map<string, RunResult[]>();
  for (const run of results) {
    const { family, arm, data } = run.config.spec;
    const key = JSON.stringify([family, data.layout, arm]);
    arms.set(key, [...arms.get(key) ?? [], run]);
  }
  return [...arms.values()].map((runs) => {
    const { family, arm, data } = runs[0]!.config.spec;
    const seeds = runs.map((run) => run.config.spec.training.seed);
    return { family, layout: data.layout, arm, seeds, runs };
  });
}

/** The arm of a family, or an error that names it. */
export function findArm(
  arms: readonly ArmSummary[],
  family: string,
  arm: string,
  layout = "packed",
): ArmSummary {
  const found = arms.find((one) =>
    one.family === family && one.arm === arm && one.layout === layout
  );
  if (found === undefined) throw new RangeError(`no arm "${arm}" of ${family}, ${layout}`);
  return found;
}

/** The arm of a name that only one family has, or an error that names it. */
export function namedArm(arms: readonly ArmSummary[], name: string): ArmSummary {
  const [found, ...others] = arms.filter(({ arm }) => arm === name);
  if (found === undefined) throw new RangeError(`no arm "${name}"`);
  if (others.length > 0) throw new RangeError(`several arms "${name}"`);
  return found;
}

/** Held-out loss of every run at its end, nats per token, seed by seed. */
export function finalLosses({ runs }: ArmSummary): number[] {
  return runs.map((run) => evaluations(run).at(-1)!.lossNats);
}

/** Held-out loss at the evaluation nearest to a share of the run, seed by seed. */
export function lossesAt({ runs }: ArmSummary, share: number): number[] {
  return runs.map((run) => {
    const target = share * run.config.spec.training.schedule.steps;
    return evaluations(run).reduce((nearest, one) =>
      Math.abs(one.step - target) < Math.abs(nearest.step - target) ? one : nearest
    ).lossNats;
  });
}

function evaluations(run: RunResult) {
  return run.records.filter((record) => record.type === "evaluation");
}

/**
 * Held-out loss with the embedding rounded to `bits`; without an embedding the plain loss.
 *
 * @throws RangeError when a run's embedding was not evaluated at these bits.
 */
export function roundedLosses(arm: ArmSummary, bits: number): number[] {
  if (!hasEmbedding(arm)) return finalLosses(arm);
  return arm.runs.map((run) => {
    const rounded = run.records.find((record) =>
      record.type === "measurement" && record.what === "quantized embedding" && record.bits === bits
    );
    if (rounded === undefined || !("lossNats" in rounded)) {
      throw new RangeError(`no evaluation of ${run.config.id} at ${bits} bits`);
    }
    return rounded.lossNats;
  });
}

/** Held-out loss when every sequence gets its neighbour's embedding; empty without an embedding. */
export function foreignLosses(arm: ArmSummary): number[] {
  return arm.runs.flatMap((run) =>
    run.records.flatMap((record) =>
      record.type === "measurement" && record.what === "foreign embedding" ? [record.lossNats] : []
    )
  );
}

export type AmortizedOver = "context" | "real tokens";

/** What the embedding costs, nats per token (paper §3.1); 0 without an embedding. */
export function priceNats(arm: ArmSummary, bits: number, over: AmortizedOver = "context"): number {
  const { spec, facts } = arm.runs[0]!.config;
  if (facts.embeddingSize === 0) return 0;
  const amortization = over === "context"
    ? overContext(spec.data.contextLength)
    : overRealTokens([facts.meanRealTokens]);
  return embeddingLossNats({
    parameterCount: facts.embeddingSize,
    bitsPerParameter: bits,
    amortization,
  });
}

/** The loss with the embedding rounded and paid for, seed by seed. */
export function paidLosses(arm: ArmSummary, bits: number, over?: AmortizedOver): number[] {
  const price = priceNats(arm, bits, over);
  return roundedLosses(arm, bits).map((loss) => loss + price);
}

/**
 * Held-out loss against tokens trained on. With `paidBits` the price of the embedding is added; the
 * loss itself is that of the unrounded embedding, since rounding is measured at the end only.
 */
export function lossCurves(
  arms: readonly ArmSummary[],
  { layout = "packed", paidBits }: { layout?: string; paidBits?: number } = {},
): CurveRow[] {
  return arms.filter((arm) => arm.layout === layout).flatMap((arm) => {
    const price = paidBits === undefined ? 0 : priceNats(arm, paidBits);
    return arm.runs.flatMap((run, index) =>
      evaluations(run).map((record) => ({
        arm: arm.arm,
        facet: arm.family,
        seed: arm.seeds[index]!,
        x: record.tokens / 1e6,
        y: record.lossNats + price,
      }))
    );
  });
}

/** Arms of a figure's panel by name, or under a shorter label where the panel says the rest. */
export type ArmGroup = readonly string[] | Readonly<Record<string, string>>;

/** The loss curves of named arms, a panel a group. */
export function groupCurves(
  arms: readonly ArmSummary[],
  groups: Readonly<Record<string, ArmGroup>>,
): CurveRow[] {
  return Object.entries(groups).flatMap(([facet, group]) => {
    const labelled = Array.isArray(group)
      ? group.map((name) => [name, name] as const)
      : Object.entries(group);
    return labelled.flatMap(([arm, name]) =>
      lossCurves([namedArm(arms, name)]).map((row) => ({ ...row, arm, facet }))
    );
  });
}

/** One line an arm: parameters, and held-out loss with its interval over seeds. */
export function lossTable(arms: readonly ArmSummary[]): Record<string, string | number>[] {
  return arms.map((arm) => {
    const losses = finalLosses(arm);
    const interval = losses.length > 1 ? flatten(meanInterval(losses)) : null;
    return {
      arm: arm.arm,
      parameters: arm.runs[0]!.config.facts.parameterCount,
      "loss (nats)": mean(losses),
      "± 95 %": interval === null ? "" : ((interval.high - interval.low) / 2).toFixed(3),
    };
  });
}

export type Difference = { mean: number; low: number; high: number };

/** Mean of a − b over seeds with Student's 95 % interval; the value alone for one seed. */
export function differenceOf(a: readonly number[], b: readonly number[]): Difference {
  if (a.length === 1) return { mean: a[0]! - b[0]!, low: a[0]! - b[0]!, high: a[0]! - b[0]! };
  return flatten(pairedDifference(a, b));
}

/** a − b, seed by seed. */
export function minus(a: readonly number[], b: readonly number[]): number[] {
  if (a.length !== b.length) throw new RangeError("arms have different numbers of seeds");
  return a.map((value, index) => value - b[index]!);
}

/** An estimate's mean and the ends of its interval. */
export function flatten({ mean, interval }: MeanEstimate): Difference {
  return { mean, low: interval.low, high: interval.high };
}

/** A mean over seeds, and half the width of its interval where there are several. */
export function withHalfWidth(values: readonly number[], digits = 3): string {
  if (values.length === 1) return values[0]!.toFixed(digits);
  const { mean, low, high } = flatten(meanInterval(values));
  return `${mean.toFixed(digits)} ± ${((high - low) / 2).toFixed(digits)}`;
}

/** Whether a decoder of the arm is handed numbers. */
export function hasEmbedding(arm: ArmSummary): boolean {
  return arm.runs[0]!.config.facts.embeddingSize > 0;
}

/** A mean over seeds, and Student's interval where there is more than one. */
export function valueOverSeeds(
  values: readonly number[],
): Readonly<{ value: number; interval?: readonly [low: number, high: number] }> {
  if (values.length === 1) return { value: values[0]! };
  const { mean, interval } = meanInterval(values);
  return { value: mean, interval: [interval.low, interval.high] };
}
