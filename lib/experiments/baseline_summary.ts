/** Notebook 01's runs summarized: losses by arm and seed, prices, rows for figures and tables. */

import type { CurveRow, LeadRow } from "../figures/mod.ts";
import {
  bitsPerByte,
  embeddingLossNats,
  mean,
  type MeanEstimate,
  meanInterval,
  overContext,
  overRealTokens,
  pairedDifference,
} from "../measure/mod.ts";
import { CLM, PRICED_BITS, REFERENCE_START, ROUNDED_BITS } from "./baseline_arms.ts";
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

/** Held-out loss of every run at its end, nats per token, seed by seed. */
export function finalLosses({ runs }: ArmSummary): number[] {
  return runs.map((run) => evaluations(run).at(-1)!.lossNats);
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

/**
 * Loss over held-out windows without padding; the plain loss for packed layouts.
 *
 * @throws RangeError when no window of a padded run was full.
 */
export function fullWindowLosses(arm: ArmSummary): number[] {
  if (arm.layout === "packed") return finalLosses(arm);
  return arm.runs.map((run) => {
    const full = run.records.find((record) =>
      record.type === "measurement" && record.what === "full windows"
    );
    if (full === undefined || !("lossNats" in full)) {
      throw new RangeError(`no evaluation of ${run.config.id} over full windows`);
    }
    return full.lossNats;
  });
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

/** The lead over the CLM, rounded but not paid for, against the price (paper §9 E13). */
export function leadsAndPrices(arms: readonly ArmSummary[]): LeadRow[] {
  const shown = arms.filter(({ arm, layout }) =>
    layout === "packed" && arm !== CLM && arm !== REFERENCE_START
  );
  return shown.flatMap((arm) => {
    const clm = finalLosses(findArm(arms, arm.family, CLM));
    return (hasEmbedding(arm) ? PRICED_BITS : [4]).map((bits) => {
      const lead = differenceOf(clm, roundedLosses(arm, bits));
      return {
        arm: arm.arm,
        family: arm.family,
        label: hasEmbedding(arm) ? `${bits} bits` : arm.arm,
        priceNats: priceNats(arm, bits),
        leadNats: lead.mean,
        low: lead.low,
        high: lead.high,
      };
    });
  });
}

export type Difference = { mean: number; low: number; high: number };

/** Mean of a − b over seeds with Student's 95 % interval; the value alone for one seed. */
export function differenceOf(a: readonly number[], b: readonly number[]): Difference {
  if (a.length === 1) return { mean: a[0]! - b[0]!, low: a[0]! - b[0]!, high: a[0]! - b[0]! };
  return flatten(pairedDifference(a, b));
}

function flatten({ mean, interval }: MeanEstimate): Difference {
  return { mean, low: interval.low, high: interval.high };
}

/** One line per arm for a table: sizes, losses, bits per byte. */
export function armTable(arms: readonly ArmSummary[]): Record<string, string | number>[] {
  return arms.map((arm) => {
    const { facts } = arm.runs[0]!.config;
    const bpb = (lossNats: number) => bitsPerByte(lossNats, facts.bytesPerToken);
    const loss = mean(finalLosses(arm));
    const spread = arm.seeds.length > 1 ? flatten(meanInterval(finalLosses(arm))) : null;
    return {
      family: arm.family,
      layout: arm.layout,
      arm: arm.arm,
      parameters: facts.parameterCount,
      "loss (nats)": loss,
      "± 95 %": spread === null ? "" : ((spread.high - spread.low) / 2).toFixed(3),
      "paid, 4 bits": mean(paidLosses(arm, 4)),
      "paid, 8 bits": mean(paidLosses(arm, 8)),
      "BPB, raw": bpb(loss),
      "BPB, paid 4 bits": bpb(mean(paidLosses(arm, 4))),
      "BPB, paid 8 bits": bpb(mean(paidLosses(arm, 8))),
    };
  });
}

/** One line per packed EEM: its loss with its own embedding, with a rounded and a foreign one. */
export function embeddingTable(arms: readonly ArmSummary[]): Record<string, string | number>[] {
  return arms.filter((arm) => arm.layout === "packed" && hasEmbedding(arm)).map((arm) => {
    const own = mean(finalLosses(arm));
    const rounded = ROUNDED_BITS.map((bits) =>
      [`${bits} bits`, mean(roundedLosses(arm, bits)) - own] as const
    );
    return {
      family: arm.family,
      arm: arm.arm,
      "own embedding": own,
      ...Object.fromEntries(rounded.map(([name, cost]) => [`${name}: loss by rounding`, cost])),
      "a neighbour's: loss": mean(foreignLosses(arm)) - own,
    };
  });
}

/** The padded arms: losses over all and over full windows, and both ways of paying (paper §3.3). */
export function paddedTable(arms: readonly ArmSummary[]): Record<string, string | number>[] {
  const rows = arms.filter((arm) => arm.layout === "padded").map((arm) => ({
    arm: arm.arm,
    "real tokens a window": arm.runs[0]!.config.facts.meanRealTokens,
    "loss, all": mean(finalLosses(arm)),
    "loss, full windows": mean(fullWindowLosses(arm)),
    "paid 4 bits, over N": mean(paidLosses(arm, 4)),
    "paid 4 bits, over real tokens": mean(paidLosses(arm, 4, "real tokens")),
    "paid 8 bits, over N": mean(paidLosses(arm, 8)),
    "paid 8 bits, over real tokens": mean(paidLosses(arm, 8, "real tokens")),
  }));
  return rows.length > 0 ? rows : [{ arm: "this preset trains no padded arms" }];
}

function hasEmbedding(arm: ArmSummary): boolean {
  return arm.runs[0]!.config.facts.embeddingSize > 0;
}

/** Whether any held-out window of the arm has pads. */
export function hasPadding({ runs }: ArmSummary): boolean {
  const { spec, facts } = runs[0]!.config;
  return facts.meanRealTokens < spec.data.contextLength;
}

/** CLM − EEM in held-out loss at a share of the run, seed by seed, at the nearest evaluation. */
export function leadAt(clm: ArmSummary, eem: ArmSummary, share: number): number[] {
  const at = (run: RunResult) => {
    const all = evaluations(run);
    const target = share * run.config.spec.training.schedule.steps;
    return all.reduce((nearest, one) =>
      Math.abs(one.step - target) < Math.abs(nearest.step - target) ? one : nearest
    ).lossNats;
  };
  return clm.runs.map((run, seed) => at(run) - at(eem.runs[seed]!));
}
