/** `deno task eval`: the losses of a checkpoint on given token ids. */
import { dirname, join } from "node:path";
import { BACKENDS, disposeTree, initEngine, namedLeaves } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { readRunConfig } from "../experiments/mod.ts";
import {
  checkModelConfig,
  initModel,
  type Model,
  type ModelConfig,
  needsValues,
  PAPER_MODELS,
  sampleLength,
  stacksOf,
} from "../models/mod.ts";
import { createRandom } from "../random.ts";
import type { WindowIds } from "../text/mod.ts";
import {
  compileEvaluator,
  importReference,
  namesOf,
  PARAMETER_NAMES,
  type ParameterNames,
  parseSafetensors,
  restoreTree,
  type StoredTensor,
  windowLosses,
} from "../train/mod.ts";
import { type CommandSpec, nearest, parseCommand, runCommand, UsageError } from "./_args.ts";
import { exists } from "./_files.ts";

const spec = {
  name: "deno task eval",
  summary: "Evaluates a checkpoint: the mean loss and the loss of every token of given ids.",
  options: {
    weights: {
      type: "string",
      placeholder: "FILE",
      description: "the weights, a safetensors file",
    },
    names: {
      type: "choice",
      choices: PARAMETER_NAMES,
      default: "own",
      description: "whose parameter names they have: this library's or the paper's code's",
    },
    model: {
      type: "string",
      placeholder: "CONFIG.json|NAME",
      description: "architecture and sizes (default: the run's whose folder the weights lie in)",
    },
    ids: {
      type: "string",
      placeholder: "IDS.json",
      description: "an array of arrays of token ids, each as long as the model's context",
    },
    padId: {
      type: "integer",
      min: 0,
      description: "the id of pads: not scored, and hidden from transformers (default: no pads)",
    },
    backend: { type: "choice", choices: BACKENDS, description: "force a backend" },
    json: { type: "boolean", description: "print JSON with the loss of every token" },
  },
  examples: [
    {
      command: "deno task eval --weights runs/ID/model.safetensors --ids IDS.json",
      does: "a run of `deno task train`",
    },
    {
      command:
        "deno task eval --weights F.safetensors --names reference --model CONFIG.json --ids IDS.json --json",
      does: "a checkpoint of the paper's code",
    },
    {
      command:
        "deno task eval --weights F.safetensors --names reference --model eem-t --ids IDS.json",
      does: "a checkpoint of a model of the paper, by its name",
    },
  ],
  notes: [
    "Prints { lossNats, scoredTokens, tokenLossNats }: nats a token, the mean over scored tokens. A row",
    "of tokenLossNats has a loss for each of tokens 1 … N−1, of an autoencoder 0 … N−1; null for pads.",
    "CONFIG.json is described in README.md, the names of the paper's code in lib/train/reference_names.ts.",
    "NAME is one of the paper's models in lib/models/paper_models.ts, where no such file is.",
  ],
} as const satisfies CommandSpec;

/** Shown where a name is none of the paper's models. */
const EXAMPLE_NAMES = ["clm-transformer-512", "ae-mixer-1024", "eem-t", "eem-m-embedding"] as const;

/** Rows evaluated at once. */
const BATCH_SIZE = 8;

/** Rows of which text output shows the loss. */
const SHOWN_ROWS = 10;

export type CheckpointLosses = Readonly<{
  /** Nats, the mean over the scored tokens. */
  lossNats: number;
  scoredTokens: number;
  /** Nats of each row's targets, null where not scored. */
  tokenLossNats: readonly (readonly (number | null)[])[];
}>;

async function main(argv: readonly string[]): Promise<void> {
  const { options } = parseCommand(spec, argv);
  const weightsPath = given(options.weights, "--weights");
  const idsPath = given(options.ids, "--ids");
  const config = options.model === undefined
    ? await runModelConfig(weightsPath)
    : await chosenModelConfig(options.model);
  refuseValueModel(config);
  const padId = checkPadId(options.padId ?? null, config);
  const rows = checkIds(await readJson(idsPath), idsPath, config);
  const { tensors } = parseSafetensors(await readBytes(weightsPath), weightsPath);

  await initEngine({ backend: options.backend });
  const params = loadModel(config, tensors, options.names, weightsPath);
  const losses = await checkpointLosses(config, params, rows, padId);
  console.log(options.json ? JSON.stringify(losses) : formatLosses(losses));
}

function given(value: string | undefined, option: string): string {
  if (value !== undefined) return value;
  throw new UsageError(`${option} is missing: it names a file (see ${spec.name} --help)`);
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new UserError(`${path}: expected a file that can be read: ${(error as Error).message}`);
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = new TextDecoder().decode(await readBytes(path));
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = (error as Error).message.replaceAll(/\s+/g, " ");
    throw new UserError(`${path}: expected JSON: ${reason}`);
  }
}

/**
 * The configuration in a file, or that of a model of the paper where there is no such file.
 *
 * @throws UserError when it is neither, and when the file holds none.
 */
export async function chosenModelConfig(pathOrName: string): Promise<ModelConfig> {
  if (exists(pathOrName)) return checkModelConfig(await readJson(pathOrName), pathOrName);
  const names = Object.keys(PAPER_MODELS);
  if (names.includes(pathOrName)) return PAPER_MODELS[pathOrName]!.config;
  const close = nearest(pathOrName, names);
  const guess = close === undefined ? "" : `did you mean ${close}? `;
  throw new UserError(
    `--model ${pathOrName}: expected a configuration file or the name of a model of the paper, ` +
      `found neither; ${guess}some names: ${EXAMPLE_NAMES.join(", ")} (lib/models/paper_models.ts)`,
  );
}

/** The model of the run in whose folder the weights lie. */
async function runModelConfig(weightsPath: string): Promise<ModelConfig> {
  const folder = dirname(weightsPath);
  const run = await readRunConfig(folder);
  if (run !== null) return run.spec.training.model;
  throw new UsageError(
    `--model is missing, and ${weightsPath} lies in no run's folder: there is no ${
      join(folder, "config.json")
    } (see ${spec.name} --help)`,
  );
}

/** @throws UserError for models whose losses need more than token ids. */
export function refuseValueModel(config: ModelConfig): void {
  if (!needsValues(config)) return;
  throw new UserError(
    `expected a model that predicts tokens, found a ${config.kind} one, which learned a number of ` +
      "every token from another model: ids alone give it no loss",
  );
}

/** @throws UserError when the model has no such id. */
export function checkPadId(padId: number | null, config: ModelConfig): number | null {
  const { vocabSize } = stacksOf(config)[0]!;
  if (padId === null || padId < vocabSize) return padId;
  throw new UserError(`--pad-id: expected an id from 0 to ${vocabSize - 1}, found ${padId}`);
}

/**
 * Token ids as samples of the model.
 *
 * @throws UserError naming the first row or id that does not fit the model.
 */
export function checkIds(value: unknown, source: string, config: ModelConfig): WindowIds {
  const contextLength = sampleLength(config);
  const { vocabSize } = stacksOf(config)[0]!;
  const refuse = (where: string, expected: string, found: string) =>
    new UserError(`${source}${where}: expected ${expected}, found ${found}`);
  if (!Array.isArray(value) || value.length === 0) {
    const found = Array.isArray(value) ? "an empty array" : JSON.stringify(value).slice(0, 60);
    throw refuse("", "an array of arrays of token ids", found);
  }
  value.forEach((row: unknown, r) => {
    if (!Array.isArray(row) || row.length !== contextLength) {
      const found = Array.isArray(row) ? `${row.length} of them` : JSON.stringify(row).slice(0, 60);
      throw refuse(`[${r}]`, `${contextLength} token ids, the model's context`, found);
    }
    row.forEach((id: unknown, t) => {
      if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize) return;
      throw refuse(`[${r}][${t}]`, `an id from 0 to ${vocabSize - 1}`, JSON.stringify(id));
    });
  });
  return { contextLength, count: value.length, ids: Int32Array.from(value.flat()) };
}

/**
 * The model of a checkpoint.
 *
 * @throws UserError when the tensors are not those of the configuration.
 */
export function loadModel(
  config: ModelConfig,
  stored: ReadonlyMap<string, StoredTensor>,
  names: ParameterNames,
  fileName: string,
): Model {
  const example = initModel(config, createRandom(0));
  try {
    let tensors = stored;
    if (names === "reference") {
      const imported = importReference(config, example, stored, fileName);
      tensors = imported.tensors;
      if (imported.unused.length > 0) console.error(`not used: ${imported.unused.join(", ")}`);
    }
    const params = restoreTree(example, tensors, fileName);
    const known = new Set(namedLeaves(example).map(({ name }) => name));
    const other = [...tensors.keys()].find((name) => !known.has(name));
    if (other === undefined) return params;
    disposeTree(params);
    throw new UserError(
      `${fileName}: expected the tensors of the configured model, found also ${other}; does the model's configuration fit?`,
    );
  } catch (error) {
    const found = namesOf(stored);
    if (!(error instanceof UserError) || found === null || found === names) throw error;
    throw new UserError(`${error.message} (the names in it ask for --names ${found})`);
  } finally {
    disposeTree(example);
  }
}

/**
 * The losses of rows of token ids.
 *
 * @throws UserError when no token is scored or a loss is not a number.
 */
export async function checkpointLosses(
  config: ModelConfig,
  params: Model,
  rows: WindowIds,
  padId: number | null,
): Promise<CheckpointLosses> {
  const evaluator = compileEvaluator(config, { padId }, "graph");
  const tokenLossNats: (number | null)[][] = [];
  const batchSize = Math.min(BATCH_SIZE, rows.count);
  for await (const losses of windowLosses(evaluator, params, rows, batchSize)) {
    tokenLossNats.push(losses);
  }
  evaluator.dispose();
  const { lossNats, scoredTokens } = meanOf(tokenLossNats.flat());
  if (scoredTokens === 0) {
    throw new UserError("expected tokens to be scored, found nothing but pads; check --pad-id");
  }
  if (!Number.isFinite(lossNats)) {
    throw new UserError(`expected a finite loss, found ${lossNats}; are the weights damaged?`);
  }
  return { lossNats, scoredTokens, tokenLossNats };
}

function meanOf(losses: readonly (number | null)[]): { lossNats: number; scoredTokens: number } {
  const scored = losses.filter((loss) => loss !== null);
  const totalNats = scored.reduce((total, loss) => total + loss, 0);
  return { lossNats: totalNats / scored.length, scoredTokens: scored.length };
}

function formatLosses({ lossNats, scoredTokens, tokenLossNats }: CheckpointLosses): string {
  const line = (what: string, nats: number, tokens: number) =>
    `${what}: ${
      tokens === 0 ? "no loss" : `${nats.toFixed(4)} nats/token`
    }, ${tokens} tokens scored`;
  const rows = tokenLossNats.slice(0, SHOWN_ROWS).map((row, index) => {
    const mean = meanOf(row);
    return line(`row ${index}`, mean.lossNats, mean.scoredTokens);
  });
  const hidden = tokenLossNats.length - rows.length;
  if (hidden > 0) rows.push(`(${hidden} rows more; --json prints the loss of every token)`);
  return [...rows, line("all", lossNats, scoredTokens)].join("\n");
}

if (import.meta.main) await runCommand(main);
