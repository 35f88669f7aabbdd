/** The options of `deno task train` that say what training descends on (paper §5). */
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { ESTIMATORS } from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import {
  type DataSpec,
  type ExactValueName,
  findTrainedRun,
  prepareData,
  type PrepareDataOptions,
  runId,
  type RunSpec,
  type StoreFolders,
  type Teacher,
  type ValueTransform,
  withText,
} from "../experiments/mod.ts";
import {
  type LossOptions,
  needsEstimates,
  type Objective,
  OBJECTIVE_FORMS,
  PAPER_SCALE,
} from "../train/mod.ts";
import { type CommandSpec, type OptionValues, refuseIdleOptions, UsageError } from "./_args.ts";

export const COMMAND = "deno task train";

const EXACT_VALUES = [
  "entropy",
  "surprisal",
  "corruption",
] as const satisfies readonly ExactValueName[];

const TRANSFORMS = ["shuffled", "mean", "min-max"] as const satisfies readonly ValueTransform[];

/** The two-window form takes two runs and rates one token a window. */
const TEACHER_ESTIMATORS = ESTIMATORS.filter((name) => name !== "two-window");

export const LOSS_OPTIONS = {
  objective: {
    type: "choice",
    choices: OBJECTIVE_FORMS,
    placeholder: "FORM",
    default: "plain",
    description: "loss form of a causal model, see below",
  },
  entropies: {
    type: "string",
    placeholder: "RUN|VALUE",
    description:
      "what a loss form compares with: estimates by a run (its folder or its id in runs/), or a " +
      `source's exact ${EXACT_VALUES.join(", ")}`,
  },
  estimator: {
    type: "choice",
    choices: TEACHER_ESTIMATORS,
    placeholder: "NAME",
    default: "loss",
    description: "how the run estimates, by the names of deno task entropy",
  },
  transform: {
    type: "strings",
    choices: TRANSFORMS,
    placeholder: "NAME,…",
    description:
      "what is done with the estimates, in turn: shuffled in each window, replaced by their mean, " +
      "put on a scale from 0 to 1 in each window (min-max)",
  },
  scale: { type: "number", above: 0, default: PAPER_SCALE, description: "factor of absolute" },
  threshold: { type: "number", description: "of below, nats: tokens from there on do not count" },
  smoothing: {
    type: "number",
    above: 0,
    below: 1,
    default: 0.1,
    description: "of label-smoothing: the share that all tokens have in common",
  },
  attentionDropout: {
    type: "number",
    min: 0,
    below: 1,
    default: 0,
    description: "share of attention weights that a step drops (causal transformer)",
  },
  l1: { type: "number", min: 0, default: 0, description: "factor of the penalty Σ|w|" },
  l2: { type: "number", min: 0, default: 0, description: "factor of the penalty Σw²/2" },
} as const satisfies CommandSpec["options"];

/** What the loss forms are, for the help. */
export const LOSS_NOTES = [
  "Loss forms of a token with cross-entropy CE and estimate e: plain CE, weight (1 − e)·CE,",
  "excess-weight (CE − e)·CE, signed CE − e, absolute scale·|CE − e|, flooding |mean of CE − e|,",
  "one-sided max(CE, e), below CE·[e < threshold], above CE·[CE > e], which trains as one-sided",
  "does; label-smoothing compares with no estimate.",
  "Evaluations are of the plain CE, whatever a model is trained on.",
] as const;

export type LossOptionValues = OptionValues<typeof LOSS_OPTIONS>;

/** @throws UsageError naming an option that was given and would do nothing, or one that is missing. */
export function checkLossOptions(options: LossOptionValues, given: ReadonlySet<string>): void {
  const { objective, entropies, threshold, transform = [] } = options;
  const refuse = (message: string): never => {
    throw new UsageError(`${message} (see ${COMMAND} --help)`);
  };
  const form = `--objective ${objective}`;
  if (comparesWithEstimates(options) && entropies === undefined) {
    refuse(
      `${form} compares with an estimate of each token: add --entropies with the id of a run, or ` +
        `for a source of known entropy one of ${EXACT_VALUES.join(", ")}`,
    );
  }
  if (objective === "below" && threshold === undefined) {
    refuse(`${form} leaves out tokens from some entropy on: add --threshold with it, in nats`);
  }
  if (objective === "weight" && !transform.includes("min-max")) {
    refuse(`${form} takes estimates from 0 to 1: add --transform min-max`);
  }
  const mean = transform.indexOf("mean");
  if (mean >= 0 && mean < transform.length - 1) {
    refuse(`--transform ${transform.join(",")}: after mean all estimates are alike; name it last`);
  }
  const parsed = { options, given };
  refuseIdleOptions({ name: COMMAND }, parsed, {
    entropies: comparesWithEstimates,
    scale: () => objective === "absolute",
    threshold: () => objective === "below",
    smoothing: () => objective === "label-smoothing",
  }, form);
  refuseIdleOptions({ name: COMMAND }, parsed, {
    transform: () => entropies !== undefined,
    estimator: () => entropies !== undefined && !isExact(entropies),
  }, entropies === undefined ? form : `--entropies ${entropies}`);
}

function comparesWithEstimates({ objective: form }: LossOptionValues): boolean {
  return needsEstimates({ form } as Objective);
}

function isExact(entropies: string): entropies is ExactValueName {
  return (EXACT_VALUES as readonly string[]).includes(entropies);
}

/** What training descends on. The options are complete. */
export function lossOf(options: LossOptionValues): LossOptions {
  const { attentionDropout, l1, l2 } = options;
  const penalties = { ...(l1 > 0 && { l1 }), ...(l2 > 0 && { l2 }) };
  return {
    ...(options.objective !== "plain" && { objective: objectiveOf(options) }),
    ...(attentionDropout > 0 && { attentionDropout }),
    ...(l1 + l2 > 0 && { penalties }),
  };
}

function objectiveOf(
  { objective: form, scale, threshold, smoothing }: LossOptionValues,
): Objective {
  switch (form) {
    case "absolute":
      return { form, scale };
    case "below":
      return { form, threshold: threshold! };
    case "label-smoothing":
      return { form, share: smoothing };
    default:
      return { form };
  }
}

/**
 * What a run on `data` compares its losses with; nothing without `--entropies`.
 *
 * @throws UserError when the named run cannot rate these data, or the exact value is not known.
 */
export async function teacherOf(
  { entropies, estimator, transform = [] }: LossOptionValues,
  data: DataSpec,
  options: PrepareDataOptions & Readonly<{ folders: StoreFolders }>,
): Promise<Teacher | undefined> {
  if (entropies === undefined) return undefined;
  const transforms = transform.length === 0 ? {} : { transforms: transform };
  if (!isExact(entropies)) {
    return { run: await teacherRun(entropies, data, options), estimator, ...transforms };
  }
  const found = "known" in data ? data.known.kind : nameOf(data);
  if (!("known" in data) || (entropies === "corruption" && found !== "corrupted-copy")) {
    const source = entropies === "corruption" ? "a corrupted-copy source" : "a source";
    throw new UserError(
      `--entropies ${entropies}: expected --corpus to name a .json file that describes ${source}, ` +
        `found ${found}; give one, or the id of a run`,
    );
  }
  return { exact: entropies, ...transforms };
}

/**
 * A stored run, by the corpus path of `data`: the text is the same, but may have been moved, or
 * named from another folder.
 */
async function teacherRun(
  name: string,
  data: DataSpec,
  { folders, ...options }: PrepareDataOptions & Readonly<{ folders: StoreFolders }>,
): Promise<RunSpec> {
  const refuse = (expected: string, found: string, advice: string): never => {
    throw new UserError(`--entropies ${name}: expected ${expected}, found ${found}; ${advice}`);
  };
  const { folder, config: { id, spec } } = await findTrainedRun(name, folders);
  const place = join(folders.runs, id);
  if (!isSameFolder(folder, place)) refuse(`run ${id} to be in ${place}`, folder, "copy it there");
  const [wanted, found] = [settingsOf(data), settingsOf(spec.data)];
  const differing = Object.keys(wanted).filter((option) =>
    option in found && found[option] !== wanted[option]
  );
  if (differing.length > 0) {
    const list = (settings: Readonly<Record<string, string | number>>) =>
      differing.map((option) => `${option} ${settings[option]}`).join(" ");
    refuse(`a run with ${list(wanted)}`, list(found), "use the same for both");
  }
  const { corpusKey } = await prepareData(data, options);
  if (runId(spec, corpusKey) !== id) {
    refuse(
      `a run of this version of the code on this very text or source (${nameOf(data)})`,
      `another (${nameOf(spec.data)})`,
      "choose another run or train it anew",
    );
  }
  return withCorpusOf(data, spec);
}

/** Folders that links lead to are the same, those that are not there are not. */
function isSameFolder(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}

/** What two runs must have in common to read the same windows, by the options that say so. */
function settingsOf(data: DataSpec): Readonly<Record<string, string | number>> {
  const { contextLength, layout } = data;
  return {
    "--context": contextLength,
    "--layout": layout,
    ...("corpus" in data && { "--vocabulary": data.vocabSize, "--unit": data.unit }),
  };
}

function nameOf(data: DataSpec): string {
  if ("corpus" in data) return data.corpus;
  return "known" in data ? `${data.known.kind} source` : "made sequences";
}

/** The run, and those that it needed, on the path where their text now is. */
function withCorpusOf(data: DataSpec, spec: RunSpec): RunSpec {
  if (!("corpus" in data)) return spec;
  const { corpus, textField, limit } = data;
  return withText(spec, { corpus, ...(textField && { textField }), ...(limit && { limit }) });
}
