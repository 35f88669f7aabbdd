/**
 * What a trained model loses when some of its modules are rounded to a number format: the layer
 * sweep of post-training quantization (paper §6.1). Numbers are rounded and go on as float32, which
 * tells what rounding costs, not how fast it is.
 */

import { disposeTree, mapTree, namedLeaves, type Tensor, tidy } from "../engine/mod.ts";
import type { EstimatedModel } from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import { type Hooks, isMixing, isTable, type TensorHook } from "../layers/mod.ts";
import type { Model } from "../models/mod.ts";
import { fakeQuantize, parseQuantization, type Quantization } from "../qat/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import { compileEvaluator, evaluate } from "../train/mod.ts";
import { requireBatches, requireModules } from "./_model_checks.ts";

export const SITES = ["output", "input", "weight", "product"] as const;

/**
 * What is rounded: the activations that come out of a module (bias included), its weight (without
 * the bias), the activations that go in, or both factors of its product, input and weight. Tables of
 * embeddings have neither input nor product. Masked mixing has no product here: its sums go over
 * tokens, and a scale for each vector that goes in could not be taken out of them.
 *
 * A format with row scaling has a scale for each vector along the last axis. In a product it is
 * vector-wise, as LLM.int8 is (Dettmers et al. 2022): one scale for each vector that goes in and one
 * for each output of a linear layer, whose weight is `[in, out]`. Outliers belong to the input alone;
 * the weight's factors of them are rounded like all others, as in bitsandbytes.
 */
export type Site = (typeof SITES)[number];

/** What is rounded, where and to which format. */
export type Condition = Readonly<{
  /** By their names in the parameter tree, rounded together; "all" are those that have the site. */
  modules: readonly string[] | "all";
  site: Site;
  /** A name that `parseQuantization` reads, e.g. "e4m3fn". */
  quantization: string;
}>;

export type QuantizedLoss =
  & Condition
  & Readonly<{
    /** Mean over the scored tokens, nats (second-order models: nats²); NaN or ∞ as it comes. */
    lossNats: number;
    scoredTokens: number;
  }>;

/** What is measured. `padId` is null for models of packed text. */
export type QuantizedModel = EstimatedModel;

export type QuantizedLossOptions = Readonly<{
  /**
   * Windows at a time. Where numbers of a batch share something, a scale or what is an outlier, the
   * rounding of activations hangs on it: tensor and channel scaling, outliers, nf4/tensor.
   */
  batchSize: number;
  /** Aborting it ends the sequence before the next condition. */
  signal?: AbortSignal | undefined;
}>;

/**
 * The loss under each condition in turn, over all windows. Every condition with activations has a
 * compiled function of its own: tracing costs about as much as 200 windows of a small transformer,
 * and one function that can round any module does the arithmetic of all of them.
 *
 * @throws UserError before anything is computed, for a module, site or format that is not there, a
 *   table's input or product, and windows that do not fit the model.
 */
export function quantizedLosses(
  model: QuantizedModel,
  windows: WindowIds,
  conditions: readonly Condition[],
  { batchSize, signal }: QuantizedLossOptions,
): AsyncGenerator<QuantizedLoss, void, void> {
  const { config, params } = model;
  requireBatches(config, windows, batchSize);
  const planned = conditions.map((condition) => planRounding(params, condition));
  return measureAll(model, windows, planned, batchSize, signal);
}

export type SweepOptions = Readonly<{
  /** A name that `parseQuantization` reads. */
  quantization: string;
  /** Output and weight by default. */
  sites?: readonly Site[];
  /** All by default. */
  modules?: readonly string[] | "all";
}>;

/**
 * A layer sweep: one condition for each module, in the order of the parameter tree, and each site
 * that it has.
 *
 * @throws UserError for a module, site or format that is not there, and when no module has a site.
 */
export function sensitivityConditions(
  params: Model,
  { quantization, sites = ["output", "weight"], modules = "all" }: SweepOptions,
): Condition[] {
  parseQuantization(quantization);
  const names = requireModules(params, modules);
  for (const site of sites) {
    checkSite(site);
    if (names.some((name) => hasSite(name, site))) continue;
    throw new UserError(
      `site ${site}: expected a module that has one, found ${names.join(", ")}`,
    );
  }
  return names.flatMap((name) =>
    sites.filter((site) => hasSite(name, site))
      .map((site) => ({ modules: [name], site, quantization }))
  );
}

function checkSite(site: string): void {
  if ((SITES as readonly string[]).includes(site)) return;
  throw new UserError(`site: expected one of ${SITES.join(", ")}, found ${site}`);
}

function hasSite(moduleName: string, site: Site): boolean {
  if (site === "product" && isMixing(moduleName)) return false;
  return site === "output" || site === "weight" || !isTable(moduleName);
}

/** A condition, and what it does to activations and, as tensors, to weights, by module. */
type Rounding = Readonly<{
  condition: Condition;
  hooks: Hooks;
  weights: ReadonlyMap<string, TensorHook>;
}>;

function planRounding(params: Model, condition: Condition): Rounding {
  const { modules, site } = condition;
  checkSite(site);
  const quantization = parseQuantization(condition.quantization);
  const names = requireModules(params, modules).filter((name) => {
    if (hasSite(name, site)) return true;
    if (modules === "all") return false;
    throw new UserError(
      isTable(name)
        ? `module ${name}: expected site output or weight, found ${site}; it is a table, which reads ids`
        : `module ${name}: expected site output, input or weight, found ${site}; it mixes tokens`,
    );
  });
  const round = fakeQuantize(quantization);
  const roundWeight = site === "product" ? fakeQuantize(ofWeight(quantization)) : round;
  const each = <Value>(value: Value) => names.map((name) => [name, value] as const);
  const activations = site === "output" ? { output: round } : { input: round };
  return {
    condition,
    hooks: Object.fromEntries(site === "weight" ? [] : each(activations)),
    weights: new Map(site === "weight" || site === "product" ? each(roundWeight) : []),
  };
}

/** How the weight of a product is rounded whose input is rounded like this. */
function ofWeight({ outlierThreshold: _, ...quantization }: Quantization): Quantization {
  const isVectorWise = quantization.format.startsWith("int") && quantization.scaling === "row";
  return isVectorWise ? { ...quantization, scaling: "channel" } : quantization;
}

async function* measureAll(
  { config, params, padId }: QuantizedModel,
  windows: WindowIds,
  planned: readonly Rounding[],
  batchSize: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<QuantizedLoss, void, void> {
  const compile = (hooks: Hooks) => compileEvaluator(config, { padId, hooks }, "graph");
  const plain = compile({});
  const lossOf = async ({ hooks, weights }: Rounding) => {
    const hasHooks = Object.keys(hooks).length > 0;
    const evaluator = hasHooks ? compile(hooks) : plain;
    const rounded = roundWeights(params, weights);
    try {
      const replaced = mapTree(params, (leaf, name) => rounded[name] ?? leaf);
      return await evaluate(evaluator, replaced, windows, batchSize);
    } finally {
      disposeTree(rounded);
      if (hasHooks) evaluator.dispose();
    }
  };
  try {
    for (const rounding of planned) {
      // Reading tensors may take no turn of the event loop, and without one nothing can abort.
      if (signal !== undefined) await new Promise((resolve) => setTimeout(resolve, 0));
      if (signal?.aborted) return;
      const { lossNats, scoredTokens } = await lossOf(rounding);
      yield { ...rounding.condition, lossNats, scoredTokens };
    }
  } finally {
    plain.dispose();
  }
}

/** The rounded weights of modules, by their leaves' names in the tree. */
function roundWeights(
  params: Model,
  weights: ReadonlyMap<string, TensorHook>,
): Record<string, Tensor> {
  const leaves = new Map(namedLeaves(params).map(({ name, tensor }) => [name, tensor]));
  return Object.fromEntries(
    [...weights].map(([module, round]) => {
      const name = `${module}.weight`;
      return [name, tidy(() => round(leaves.get(name)!))];
    }),
  );
}
