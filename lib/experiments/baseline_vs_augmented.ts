/**
 * Notebook 01: causal models (CLM) against encoder-augmented ones (EEM) on the same text, steps
 * and seeds (paper §9 E13–E15, E17), with the controls that a lead must survive:
 *
 * - the EEM's decoder and slot without an encoder, the slot fed with zeros;
 * - a CLM widened to the EEM's number of parameters;
 * - one initialization for all arms of a family: the reference starts the embedding and head of a
 *   transformer EEM otherwise than a causal transformer's, which at short training is worth more
 *   than the embedding; one arm shows it;
 * - the embedding rounded to the bits it is priced at;
 * - the embedding of another sequence.
 */

import type { CurveRow, LeadRow } from "../figures/mod.ts";
import {
  bitsPerByte,
  embeddingLossNats,
  judgeClaim,
  mean,
  type MeanEstimate,
  meanInterval,
  overContext,
  overRealTokens,
  pairedDifference,
} from "../measure/mod.ts";
import { type BackboneConfig, type ModelConfig, parameterCount } from "../models/mod.ts";
import { ADAMW_DEFAULTS } from "../train/mod.ts";
import type { ClaimRow } from "./claims.ts";
import type { DataSpec } from "./data.ts";
import type { BaselinePreset, FamilySizes } from "./presets.ts";
import type { RunResult } from "./run.ts";
import type { RunSpec } from "./run_spec.ts";

export type Family = "mixer" | "transformer";

/** Bits a number at which embeddings are priced (paper §3.2). */
export const PRICED_BITS = [4, 8] as const;
/** Bits a number to which embeddings are rounded at evaluation. */
const ROUNDED_BITS = [2, 3, ...PRICED_BITS] as const;

export const CLM = "CLM";
export const WIDE_CLM = "CLM, EEM's parameters";
export const ZEROS = "EEM, slot of zeros";
/** The transformer EEM as the reference starts it; the other arms start like the CLM. */
export const REFERENCE_START = "EEM, reference's initialization";
export const eemArm = (embeddingSize: number) =>
  `EEM, ${embeddingSize} ${embeddingSize === 1 ? "number" : "numbers"}`;

/** All runs of the notebook, arm by arm so that seeds of an arm share compiled functions. */
export function baselineSpecs(preset: BaselinePreset): RunSpec[] {
  const { packed, padded, families, embeddingSizes } = preset;
  const specs: RunSpec[] = [];
  for (const family of ["mixer", "transformer"] as const) {
    const arms = familyArms(family, families[family], packed, embeddingSizes);
    for (const [arm, model] of arms) specs.push(...seedSpecs(preset, family, arm, model, packed));
    if (padded !== null && family === "transformer") {
      const chosen = familyArms(family, families[family], padded, embeddingSizes.slice(0, 1));
      for (
        const [arm, model] of chosen.filter(([arm]) =>
          arm === CLM || arm === eemArm(embeddingSizes[0]!)
        )
      ) {
        specs.push(...seedSpecs(preset, family, arm, model, padded));
      }
    }
  }
  return specs;
}

function seedSpecs(
  preset: BaselinePreset,
  family: Family,
  arm: string,
  model: ModelConfig,
  data: DataSpec,
): RunSpec[] {
  const { batchSize, steps, warmupSteps, logEvery, evaluateEvery, seeds } = preset;
  const schedule = { peakRate: preset.families[family].peakRate, warmupSteps, steps };
  return seeds.map((seed) => ({
    arm,
    family,
    data,
    quantizedBits: ROUNDED_BITS,
    training: {
      model,
      optimizer: ADAMW_DEFAULTS,
      schedule,
      batchSize,
      seed,
      logEvery,
      evaluateEvery,
    },
  }));
}

function familyArms(
  family: Family,
  sizes: FamilySizes,
  { vocabSize, contextLength }: DataSpec,
  embeddingSizes: readonly number[],
): [arm: string, model: ModelConfig][] {
  const { layerCount, headCount } = sizes;
  const backbone = (width: number, length: number): BackboneConfig => {
    const shared = { vocabSize, contextLength: length, width, layerCount };
    return family === "mixer"
      ? { architecture: "mixer", ...shared }
      : { architecture: "transformer", ...shared, headCount };
  };
  const encoder = backbone(sizes.encoderWidth, contextLength);
  const decoder = backbone(sizes.width, contextLength + 1);
  const shared = { kind: "augmented", decoder, outerInitialization: "causal" } as const;
  const augmented = embeddingSizes.map((embeddingSize): [string, ModelConfig] => [
    eemArm(embeddingSize),
    { ...shared, memory: "embedding", encoder, embeddingSize },
  ]);
  const reference: [string, ModelConfig][] = family === "mixer" ? [] : [[
    REFERENCE_START,
    { ...augmented[0]![1], outerInitialization: "pytorch" } as ModelConfig,
  ]];
  const target = parameterCount(augmented[0]![1]);
  const causal = (width: number): ModelConfig => ({
    kind: "causal",
    backbone: backbone(width, contextLength),
  });
  return [
    [CLM, causal(sizes.width)],
    [WIDE_CLM, causal(widthFor(target, (width) => parameterCount(causal(width)), 2 * headCount))],
    [ZEROS, { ...shared, memory: "zeros" }],
    ...augmented,
    ...reference,
  ];
}

/** The multiple of `unit` whose count is nearest to `target`; counts grow with the width. */
function widthFor(target: number, count: (width: number) => number, unit: number): number {
  let width = unit;
  while (count(width + unit) <= target) width += unit;
  return target - count(width) < count(width + unit) - target ? width : width + unit;
}

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

/** Loss over held-out windows without padding; the plain loss for packed layouts. */
export function fullWindowLosses(arm: ArmSummary): number[] {
  return arm.runs.map((run, seed) => {
    const full = run.records.find((record) =>
      record.type === "measurement" && record.what === "full windows"
    );
    return full !== undefined && "lossNats" in full ? full.lossNats : finalLosses(arm)[seed]!;
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
  return arms.filter(({ arm, layout }) => arm !== CLM && layout === "packed").flatMap((arm) => {
    const clm = finalLosses(findArm(arms, arm.family, CLM));
    return (hasEmbedding(arm) ? PRICED_BITS : [4]).map((bits) => {
      const lead = differenceOf(clm, roundedLosses(arm, bits));
      return {
        arm: arm.arm,
        family: arm.family,
        label: hasEmbedding(arm) ? `${arm.arm}, ${bits} bits` : arm.arm,
        priceNats: priceNats(arm, bits),
        leadNats: lead.mean,
        low: lead.low,
        high: lead.high,
      };
    });
  });
}

type Difference = { mean: number; low: number; high: number };

/** Mean of a − b over seeds with Student's 95 % interval; the value alone for one seed. */
function differenceOf(a: readonly number[], b: readonly number[]): Difference {
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

/** Where the claims were measured. */
export type ClaimContext = Readonly<{ preset: string; backend: string; git: string }>;

/** Every claim of the paper that the notebook tests, judged by rule (lib/measure/verdict.ts). */
export function baselineClaims(results: readonly RunResult[], context: ClaimContext): ClaimRow[] {
  const arms = summarizeArms(results);
  const sizes = [...new Set(results.map((run) => run.config.facts.embeddingSize))]
    .filter((size) => size > 0); // in the preset's order: the first is the paper's ratio
  const eem = eemArm(sizes[0]!);
  const seeds = arms[0]!.seeds;
  const claim = (
    row: Pick<ClaimRow, "experiment" | "claim" | "paper">,
    differences: readonly number[],
    paperDirection: "positive" | "negative" = "positive",
  ): ClaimRow => {
    const difference = differenceOf(differences, differences.map(() => 0));
    const interval = differences.length > 1 ? [difference.low, difference.high] as const : null;
    const evidence = { paperDirection, comparable: true, mean: difference.mean };
    return {
      ...row,
      metric: "difference of held-out loss",
      unit: "nats/token",
      ours: difference.mean,
      interval,
      seeds,
      verdict: judgeClaim({ ...evidence, interval: interval && difference }),
      ...context,
    };
  };
  const minus = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value - b[i]!);
  const rows: ClaimRow[] = [];
  for (const family of ["mixer", "transformer"] as const) {
    const of = (arm: string) => findArm(arms, family, arm);
    const clm = finalLosses(of(CLM));
    const isTransformer = family === "transformer";
    rows.push(
      claim({
        experiment: "E13",
        claim: `${family}: raw loss of the ${eem}, is below the CLM's`,
        paper: isTransformer ? 0.201 : "positive",
      }, minus(clm, finalLosses(of(eem)))),
      claim({
        experiment: "E14",
        claim: `${family}: that lead grows from the middle of training to its end`,
        paper: isTransformer ? 0.157 : "positive",
      }, minus(leadAt(of(CLM), of(eem), 1), leadAt(of(CLM), of(eem), 0.5))),
      ...sizes.map((size) =>
        claim({
          experiment: "E13",
          claim: `${family}: ${eemArm(size)}, is ahead with them rounded to 4 bits and paid for`,
          paper: isTransformer && size === sizes[0] ? 0.185 : "positive",
        }, minus(clm, paidLosses(of(eemArm(size)), 4)))
      ),
      claim({
        experiment: "E15",
        claim: `${family}: ${eem}, is ahead at 8 bits`,
        paper: isTransformer ? 0.012 : null,
      }, minus(clm, paidLosses(of(eem), 8))),
      claim({
        experiment: "E13 control",
        claim: `${family}: the lead needs the embedding, not only its slot`,
        paper: null,
      }, minus(finalLosses(of(ZEROS)), finalLosses(of(eem)))),
      claim({
        experiment: "E13 control",
        claim: `${family}: the embedding is the sequence's own, a neighbour's is worse`,
        paper: null,
      }, minus(foreignLosses(of(eem)), finalLosses(of(eem)))),
      claim({
        experiment: "E13 control",
        claim: `${family}: the EEM, paid at 4 bits, beats a CLM of its parameter count`,
        paper: null,
      }, minus(finalLosses(of(WIDE_CLM)), paidLosses(of(eem), 4))),
    );
  }
  rows.push(
    claim(
      {
        experiment: "E14",
        claim: "the lead of the mixer EEM is larger than the transformer's",
        paper: "positive",
      },
      minus(
        leadAt(findArm(arms, "mixer", CLM), findArm(arms, "mixer", eem), 1),
        leadAt(findArm(arms, "transformer", CLM), findArm(arms, "transformer", eem), 1),
      ),
    ),
  );
  if (arms.some((arm) => arm.layout === "padded")) {
    const clm = findArm(arms, "transformer", CLM, "padded");
    const augmented = findArm(arms, "transformer", eem, "padded");
    const packedLead = leadAt(
      findArm(arms, "transformer", CLM),
      findArm(arms, "transformer", eem),
      1,
    );
    rows.push(
      claim({
        experiment: "E17",
        claim: "padded samples: the EEM at 4 bits is ahead, paid over the context (pads included)",
        paper: 0.185,
      }, minus(finalLosses(clm), paidLosses(augmented, 4))),
      claim({
        experiment: "E17",
        claim: "padded samples: the EEM at 4 bits is ahead, paid over real tokens",
        paper: 0.101,
      }, minus(finalLosses(clm), paidLosses(augmented, 4, "real tokens"))),
      claim({
        experiment: "E17",
        claim: "the raw lead is larger on padded than on packed samples",
        paper: 0.094,
      }, minus(minus(finalLosses(clm), finalLosses(augmented)), packedLead)),
      claim({
        experiment: "E17",
        claim: "padded training: loss over full windows is higher than over all, for the EEM",
        paper: 0.14,
      }, minus(fullWindowLosses(augmented), finalLosses(augmented))),
    );
  }
  return rows;
}

/** CLM − EEM in held-out loss at a share of the run, seed by seed, at the nearest evaluation. */
function leadAt(clm: ArmSummary, eem: ArmSummary, share: number): number[] {
  const at = (run: RunResult) => {
    const all = evaluations(run);
    const target = share * run.config.spec.training.schedule.steps;
    return all.reduce((nearest, one) =>
      Math.abs(one.step - target) < Math.abs(nearest.step - target) ? one : nearest
    ).lossNats;
  };
  return clm.runs.map((run, seed) => at(run) - at(eem.runs[seed]!));
}
