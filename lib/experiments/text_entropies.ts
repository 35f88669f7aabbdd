/** Trained runs as readers of one's own text: an estimate of every token, as records or a table. */

import { type ColumnTable, table } from "arquero";
import { disposeTree } from "../engine/mod.ts";
import {
  type EstimatedModel,
  estimateText,
  type EstimatorName,
  isInNats,
  type ModelOutline,
  type TextOptions,
  textWindows,
  type TokenEstimate,
  withShorter,
} from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import { liveProgress } from "../figures/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { findRun, type FoundRun, loadFoundRun } from "./load_run.ts";
import { PROJECT_FOLDERS } from "./notebook.ts";
import type { RunConfig, StoreFolders } from "./run_store.ts";

export type TextEntropyOptions =
  & Pick<TextOptions, "batchSize">
  & Readonly<{
    /** A run by folder or id; of several, an ensemble, it is their mean with its standard error. */
    run: string | readonly string[];
    /** By default {@linkcode defaultEstimator}'s; `two-window` with shorter runs. */
    estimator?: EstimatorName | undefined;
    /** The runs of N − 1 tokens of `two-window`, one for each run. */
    shorter?: string | readonly string[] | undefined;
    /** Where runs are looked for by id; the project's by default. */
    folders?: StoreFolders;
  }>;

export type TextEntropies = Readonly<{
  estimator: EstimatorName;
  /** Of the estimates; attributions have none. */
  unit: "nats" | null;
  runs: readonly RunConfig[];
  records: readonly TokenEstimate[];
}>;

/** What is to be estimated by which runs, checked as far as it can be without weights. */
export type TextPlan = Readonly<{
  text: string;
  estimator: EstimatorName;
  runs: readonly FoundRun[];
  shorter: readonly FoundRun[];
}>;

/**
 * How uncertain each token of a text is, as runs see it. What takes longer than a second shows its
 * progress. The engine must have been started.
 *
 * @throws UserError as {@linkcode planText} does, and for weights that give no finite numbers.
 */
export async function textEntropies(
  text: string,
  options: TextEntropyOptions,
): Promise<TextEntropies> {
  return await estimatePlan(await planText(text, options), options);
}

/**
 * What {@linkcode textEntropies} does before it needs the engine.
 *
 * @throws UserError when a run cannot be used (`findRun`), runs have different tokenizers, the
 *   estimator does not apply to a model, or the text is too short.
 */
export async function planText(
  text: string,
  { run, estimator: asked, shorter = [], folders = PROJECT_FOLDERS }: TextEntropyOptions,
): Promise<TextPlan> {
  const find = async (names: string | readonly string[]) => {
    const found: FoundRun[] = [];
    for (const name of [names].flat()) found.push(await findRun(name, folders));
    return found;
  };
  const plan = { runs: await find(run), shorter: await find(shorter) };
  const tokenizer = commonTokenizer([...plan.runs, ...plan.shorter]);
  const estimator = asked ??
    (plan.shorter.length > 0 ? "two-window" : commonEstimator(plan.runs));
  const { length } = tokenizer.encode(text);
  for (const { model, shorter } of withShorter(estimator, plan.runs, plan.shorter)) {
    textWindows(estimator, model.model, tokenizer, length, shorter?.model);
  }
  return { text, estimator, ...plan };
}

/** Carries out what {@linkcode planText} has checked. The engine must have been started. */
export async function estimatePlan(
  { text, estimator, runs, shorter }: TextPlan,
  { batchSize }: Pick<TextEntropyOptions, "batchSize"> = {},
): Promise<TextEntropies> {
  const loaded: EstimatedModel[] = [];
  const progress = progressOfWindows();
  try {
    for (const run of [...runs, ...shorter]) loaded.push((await loadFoundRun(run)).model);
    const models = loaded.slice(0, runs.length);
    const pairs = loaded.slice(runs.length);
    const records = await estimateText(estimator, models, runs[0]!.tokenizer, text, {
      batchSize,
      shorter: pairs.length === 0 ? undefined : pairs,
      onProgress: progress.update,
    });
    checkFinite(records);
    const unit = runs.every((run) => givesNats(estimator, run)) ? "nats" : null;
    return { estimator, unit, runs: runs.map(({ config }) => config), records };
  } finally {
    for (const { params } of loaded) disposeTree(params);
    await progress.finish();
  }
}

/**
 * The same as a table: `position`, `text`, `id`, then `nats`, `bits` and `standardErrorBits`, or for
 * attributions `estimate` and `standardError`.
 */
export async function entropyTable(
  text: string,
  options: TextEntropyOptions,
): Promise<ColumnTable> {
  return estimateTable(await textEntropies(text, options));
}

/**
 * The text that each token completes: joined, they are the whole text. A character that is cut into
 * several tokens stands at the last of them.
 */
function completedTexts(records: readonly TokenEstimate[]): string[] {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return records.map(({ text, bytes }) =>
    bytes === undefined ? text : decoder.decode(bytes, { stream: true })
  );
}

/** Records of a text as the table that {@linkcode entropyTable} describes. */
export function estimateTable(
  { records, unit }: Pick<TextEntropies, "records" | "unit">,
): ColumnTable {
  const bits = (nats: number | null) => nats === null ? null : nats / Math.LN2;
  const column = <Value>(of: (record: TokenEstimate) => Value) => records.map(of);
  return table({
    position: column(({ position }) => position),
    text: completedTexts(records),
    id: column(({ id }) => id),
    ...(unit === "nats"
      ? {
        nats: column(({ estimate }) => estimate),
        bits: column(({ estimate }) => bits(estimate)),
        standardErrorBits: column(({ standardError }) => bits(standardError)),
      }
      : {
        estimate: column(({ estimate }) => estimate),
        standardError: column(({ standardError }) => standardError),
      }),
  });
}

/**
 * What tells most of a model's uncertainty in nats: the loss of a causal one, the pad-shift entropy
 * of an augmented one trained on left-padded samples (paper §4.3), what a second-order one learned.
 *
 * @throws UserError where that is nothing, or no estimator but attributions applies.
 */
export function defaultEstimator({ config, padId }: ModelOutline): EstimatorName {
  switch (config.kind) {
    case "causal":
      return "loss";
    case "second-order":
      return "second-order";
    case "autoencoder":
      throw new UserError(
        "expected a model that predicts next tokens, found an autoencoder; choose another run",
      );
    case "augmented":
      if (config.memory === "zeros") return "loss";
      if (padId !== null) return "pad-shift";
      throw new UserError(
        "expected an augmented model trained on left-padded samples, whose entropies pad-shift " +
          "gives, found one trained on packed ones; train it with the padded layout, or name an " +
          "estimator: two-window with a shorter model, loss (without the embedding's bits), or " +
          "occlusion-l1 (an attribution)",
      );
  }
}

function commonEstimator(runs: readonly FoundRun[]): EstimatorName {
  const names = runs.map(({ model, config: { id } }) => {
    try {
      return defaultEstimator(model);
    } catch (error) {
      if (error instanceof UserError) throw new UserError(`${id}: ${error.message}`);
      throw error;
    }
  });
  const other = names.findIndex((name) => name !== names[0]);
  if (other < 0) return names[0]!;
  throw new UserError(
    `expected runs that are estimated alike, found ${runs[0]!.config.id} by ${names[0]} and ` +
      `${runs[other]!.config.id} by ${names[other]}; name an estimator that applies to all`,
  );
}

function commonTokenizer(runs: readonly FoundRun[]): Tokenizer {
  const first = runs[0];
  if (first === undefined) throw new UserError("expected a run or several, found none");
  const other = runs.find(({ tokenizer }) => tokenizer.hash !== first.tokenizer.hash);
  if (other === undefined) return first.tokenizer;
  throw new UserError(
    `${other.config.id}: expected the tokenizer of ${first.config.id}, found another; choose runs ` +
      "on the same corpus and vocabulary",
  );
}

/** A second-order model gives what its teacher gave. */
function givesNats(estimator: EstimatorName, { config }: FoundRun): boolean {
  const { teacher } = config.spec;
  if (estimator !== "second-order" || teacher === undefined) return isInNats(estimator);
  return "exact" in teacher || isInNats(teacher.estimator);
}

function checkFinite(records: readonly TokenEstimate[]): void {
  const bad = records.find(({ estimate }) => estimate !== null && !Number.isFinite(estimate));
  if (bad === undefined) return;
  throw new UserError(
    `expected finite estimates, found ${bad.estimate} for token ${bad.position}; are the weights ` +
      "damaged?",
  );
}

/** Nothing in the first second, nor when all is done at once: short texts have nothing to show. */
function progressOfWindows() {
  const progress = liveProgress({ label: "estimating" });
  const start = performance.now();
  let isShown = false;
  const update = async (done: number, total: number) => {
    const seconds = (performance.now() - start) / 1000;
    if (!isShown && (seconds < 1 || done === total)) return;
    isShown = true;
    const etaSeconds = (total - done) * seconds / done;
    await progress.update({ unit: "window", step: done, steps: total, etaSeconds });
  };
  return { update, finish: progress.finish };
}
