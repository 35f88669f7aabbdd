/**
 * What notebook 07 compares: held-out losses with something rounded, less the loss of the same
 * weights unrounded, run by run.
 */

import {
  type Condition,
  embeddingLossNats,
  overContext,
  type QuantizedLoss,
  type Site,
} from "../measure/mod.ts";
import { parseQuantization, storedBits } from "../qat/mod.ts";
import {
  type ArmSummary,
  finalLosses,
  findArm,
  minus,
  roundedLosses,
  summarizeArms,
  withHalfWidth,
} from "./arm_summary.ts";
import { BOTTLENECK, quantizationArm } from "./quantization_arms.ts";
import type { RunResult } from "./run.ts";

/** A condition as its modules' names, e.g. `down` or `all`. */
type Rounded = Readonly<{ modules: string; site: Site; quantization: string }>;

/** Without LLM.int8's exception for outliers, which embeddings of few numbers fall under whole. */
const INT8 = "int8/row";

/** The conditions that the paper has tables of (§6.1). */
export const rounded = {
  /** The embedding, as a layer of identity between down and up would round it. */
  embedding: (quantization: string): Rounded => ({ modules: "down", site: "output", quantization }),
  int8Probe: { modules: "down", site: "output", quantization: INT8 },
  int8Up: { modules: "up", site: "product", quantization: INT8 },
  int8All: { modules: "all", site: "product", quantization: INT8 },
  all: (site: Site, quantization: string): Rounded => ({ modules: "all", site, quantization }),
} as const satisfies Record<string, Rounded | ((...names: never[]) => Rounded)>;

function modulesOf({ modules }: Pick<Condition, "modules">): string {
  return modules === "all" ? "all" : modules.join(", ");
}

function roundedRecords(run: RunResult): QuantizedLoss[] {
  return run.records.flatMap((record) =>
    record.type === "measurement" && record.what === "rounded modules" ? [record] : []
  );
}

/**
 * Held-out loss under a condition, nats, seed by seed.
 *
 * @throws RangeError when a run was not evaluated under it.
 */
export function lossesUnder({ runs }: ArmSummary, condition: Rounded): number[] {
  const { modules, site, quantization } = condition;
  return runs.map((run) => {
    const found = roundedRecords(run).find((record) =>
      modulesOf(record) === modules && record.site === site && record.quantization === quantization
    );
    if (found !== undefined) return found.lossNats;
    throw new RangeError(
      `no evaluation of ${run.config.id} with ${quantization} ${modules} ${site}`,
    );
  });
}

/**
 * Held-out loss with the embedding in a format, or not rounded, and the temperature of the logits
 * fitted on training samples, nats, seed by seed.
 *
 * @throws RangeError when a run was not evaluated like that.
 */
export function temperedLosses({ runs }: ArmSummary, quantization: string | null): number[] {
  return runs.map((run) => {
    const found = run.records.find((record) =>
      record.type === "measurement" && record.what === "tempered" &&
      record.quantization === quantization
    );
    if (found !== undefined && "lossNats" in found) return found.lossNats;
    throw new RangeError(
      `no evaluation of ${run.config.id} with ${quantization} and a temperature`,
    );
  });
}

/** What a condition costs, nats, seed by seed. */
export function costsOf(arm: ArmSummary, condition: Rounded): number[] {
  return minus(lossesUnder(arm, condition), finalLosses(arm));
}

/** Cost of rounding one module, nats, seed by seed. */
export type ModuleCosts = Readonly<{ module: string; site: Site; costs: number[] }>;

/** The modules of an arm that was swept, in the order of its parameter tree; else none. */
export function moduleCosts(arm: ArmSummary, site: Site, format: string): ModuleCosts[] {
  const [run] = arm.runs;
  const { conditions = [], sweep } = run!.config.spec.rounding ?? {};
  if (sweep?.quantization !== format || !sweep.sites.includes(site)) return [];
  // The sweep comes after the conditions, some of which are of the same modules.
  const names = roundedRecords(run!).slice(conditions.length)
    .filter((record) => record.site === site)
    .map(modulesOf);
  return names.map((module) => ({
    module,
    site,
    costs: costsOf(arm, { modules: module, site, quantization: format }),
  }));
}

/** Arms of a family by their names, in this order. */
export function armsNamed(
  results: readonly RunResult[],
  family: string,
  names: readonly string[],
): ArmSummary[] {
  const arms = summarizeArms(results);
  return names.map((name) => findArm(arms, family, name));
}

/** Whether a module stands on one of the two sides of the embedding. */
function isBottleneck(module: string): boolean {
  return (BOTTLENECK as readonly string[]).includes(module);
}

/** The cost of down or up, less the greatest of all modules but these two, seed by seed. */
export function bottleneckLead(
  arm: ArmSummary,
  module: (typeof BOTTLENECK)[number],
  site: Site,
  format: string,
): number[] {
  const all = moduleCosts(arm, site, format);
  const others = all.filter((one) => !isBottleneck(one.module));
  const greatest = arm.seeds.map((_, at) => Math.max(...others.map(({ costs }) => costs[at]!)));
  return minus(all.find((one) => one.module === module)!.costs, greatest);
}

/** The costs of all modules but down and up, one at a time, added up, seed by seed. */
export function otherCosts(arm: ArmSummary, site: Site, format: string): number[] {
  const others = moduleCosts(arm, site, format).filter(({ module }) => !isBottleneck(module));
  return arm.seeds.map((_, at) => others.reduce((sum, { costs }) => sum + costs[at]!, 0));
}

/** How the activations of `down`, the embedding, are spread, seed by seed. */
export function embeddingActivations({ runs }: ArmSummary) {
  return runs.map((run) => {
    const found = run.records.find((record) =>
      record.type === "measurement" && record.what === "activations" && record.module === "down"
    );
    if (found === undefined || !("histogram" in found)) {
      throw new RangeError(`no activations of down in ${run.config.id}`);
    }
    return found;
  });
}

/**
 * What rounding the embedding costs in the paper, nats over fp16 (§6.1, §6.2 after 200,000 steps).
 * `int8Up` is Int8 of `up`; both Int8 costs without noise are of a second evaluation set.
 */
export const PAPER_COSTS = {
  "no noise": { fp16: 0, bf16: 0.02, e4m3fn: 2.6, e5m2: 4.39, "llm.int8": 0.34, int8Up: 0.39 },
  noise: { fp16: 0, "llm.int8": 0.013, e4m3fn: 0.248, e5m2: 0.829 },
  "residual noise": { fp16: 0, "llm.int8": 0.0025, e4m3fn: 0.0484, e5m2: 0.1867 },
} as const satisfies Record<string, Record<string, number>>;

/** A line for every format of the embedding: what it costs in some arms, and in the paper, nats. */
export function formatTable(
  results: readonly RunResult[],
  family: string,
  names: readonly string[],
  formats: readonly string[],
): Record<string, string>[] {
  const arms = armsNamed(results, family, names);
  const line = (label: string, key: string, value: (arm: ArmSummary) => number[]) => ({
    data: family,
    embedding: label,
    ...Object.fromEntries(arms.map((arm) => [arm.arm, withHalfWidth(value(arm))])),
    ...Object.fromEntries(
      Object.entries(PAPER_COSTS).map(([name, costs]: [string, Record<string, number>]) => [
        `paper, ${name}`,
        costs[key] === undefined ? "" : `${costs[key]}`,
      ]),
    ),
  });
  return [
    line("not rounded: loss", "", finalLosses),
    ...formats.map((format) =>
      line(format, format, (arm) => costsOf(arm, rounded.embedding(format)))
    ),
    line("int8/row of up", "int8Up", (arm) => costsOf(arm, rounded.int8Up)),
  ];
}

/** The arms in full: loss, spread of the embedding, costs; nats. */
export function quantizationTable(
  results: readonly RunResult[],
  family: string,
  format: string,
): Record<string, string>[] {
  return summarizeArms(results).filter((arm) => arm.family === family).map((arm) => {
    const isCausal = arm.arm === quantizationArm.causal;
    const isTempered = arm.runs[0]!.config.spec.rounding?.tempered !== undefined;
    return {
      data: family,
      arm: arm.arm,
      loss: withHalfWidth(finalLosses(arm)),
      "deviation of z": isCausal
        ? ""
        : withHalfWidth(embeddingActivations(arm).map(({ deviation }) => deviation), 2),
      [`embedding in ${format}`]: isCausal
        ? ""
        : withHalfWidth(costsOf(arm, rounded.embedding(format))),
      [`loss in ${format}`]: isCausal
        ? ""
        : withHalfWidth(lossesUnder(arm, rounded.embedding(format))),
      ...isTempered && { "temperature fitted": withHalfWidth(temperedLosses(arm, format)) },
      [`all outputs in ${format}`]: withHalfWidth(costsOf(arm, rounded.all("output", format))),
      [`all weights in ${format}`]: withHalfWidth(costsOf(arm, rounded.all("weight", format))),
      "all in int8/row": withHalfWidth(costsOf(arm, rounded.int8All)),
    };
  });
}

/**
 * The embedding as bytes (lib/qat/storage.ts): bits of one, and the loss of some arms with the
 * embedding rounded and paid for over N tokens (paper §3.1), nats. Scales of channels are taken from
 * training samples and belong to the model.
 */
export function storageTable(
  results: readonly RunResult[],
  family: string,
  names: readonly string[],
  formats: readonly string[],
): Record<string, string | number>[] {
  const arms = armsNamed(results, family, names);
  const { facts: { embeddingSize }, spec: { data } } = arms[0]!.runs[0]!.config;
  return formats.map((format) => {
    const quantization = parseQuantization(format);
    const bits = storedBits(embeddingSize, quantization);
    const price = embeddingLossNats({
      parameterCount: embeddingSize,
      bitsPerParameter: bits / embeddingSize,
      amortization: overContext(data.contextLength),
    });
    const losses = (arm: ArmSummary) =>
      quantization.scaling === "channel"
        ? roundedLosses(arm, Number(quantization.format.slice("int".length)))
        : lossesUnder(arm, rounded.embedding(format));
    return {
      embedding: format,
      "bits stored": bits,
      "price (nats)": price.toFixed(3),
      ...Object.fromEntries(arms.flatMap((arm) => [
        [`${arm.arm}: loss`, withHalfWidth(losses(arm))],
        [`${arm.arm}: paid`, withHalfWidth(losses(arm).map((loss) => loss + price))],
      ])),
    };
  });
}
