/** A finished run as a model that can be used: its folder's configuration, weights and tokenizer. */

import { basename, dirname, join, resolve } from "node:path";
import type { EstimatedModel, ModelOutline } from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import {
  hasWeights,
  readPublishedRun,
  readRunConfig,
  readRunTokenizer,
  type RunConfig,
  runsWithWeights,
  type StoreFolders,
} from "./run_store.ts";
import { loadWeights } from "./weights.ts";

export type LoadedRun = Readonly<{
  /** Dispose its `params` with `disposeTree`. */
  model: EstimatedModel;
  tokenizer: Tokenizer;
  config: RunConfig;
}>;

/** A finished run, its weights not yet read. */
export type FoundRun = Readonly<{
  folder: string;
  model: ModelOutline;
  tokenizer: Tokenizer;
  config: RunConfig;
}>;

/** Runs that a message names. */
const NAMED_RUNS = 5;

/**
 * Loads a finished run on text. The engine must have been started.
 *
 * @param run The run's folder, or its id: the name of a folder in `folders.runs`.
 * @throws UserError as {@linkcode findRun} does, and when the weights are not those of the model.
 */
export async function loadRun(run: string, folders: StoreFolders): Promise<LoadedRun> {
  return await loadFoundRun(await findRun(run, folders));
}

/** Reads the weights of a run. The engine must have been started. */
export async function loadFoundRun(
  { folder, model, tokenizer, config }: FoundRun,
): Promise<LoadedRun> {
  const run = { id: basename(folder), spec: config.spec };
  const params = await loadWeights({ runs: dirname(folder) }, run);
  return { model: { ...model, params }, tokenizer, config };
}

/**
 * Finds what {@linkcode loadRun} loads; needs no engine.
 *
 * @throws UserError as {@linkcode findTrainedRun} does, and for a run on made sequences.
 */
export async function findRun(run: string, folders: StoreFolders): Promise<FoundRun> {
  const { folder, config } = await findTrainedRun(run, folders);
  const { data, training } = config.spec;
  const tokenizer = await readRunTokenizer(folder);
  if (tokenizer === null) {
    throw new UserError(
      "corpus" in data
        ? `${folder}: expected tokenizer.json beside the weights, found none; copy it from where ` +
          "the run was trained"
        : `${folder}: expected a run on text, found one on made sequences, which has no tokenizer; ` +
          "choose another run",
    );
  }
  const padId = data.layout === "padded" ? tokenizer.padId : null;
  return { folder, model: { config: training.model, padId }, tokenizer, config };
}

/**
 * Finds a run that has ended, on text or on made sequences.
 *
 * @throws UserError when there is no such run, or it has not ended.
 */
export async function findTrainedRun(
  run: string,
  folders: StoreFolders,
): Promise<Pick<FoundRun, "folder" | "config">> {
  const { folder, config } = await findConfig(run, folders);
  const { data } = config.spec;
  if (typeof data !== "object" || data === null) {
    throw new UserError(
      `${join(folder, "config.json")}: expected spec.data, the data of the run, found none; copy ` +
        "the file anew from where the run was trained",
    );
  }
  if (!await hasWeights({ runs: dirname(folder) }, basename(folder))) {
    throw new UserError(
      `${folder}: expected a run that has ended, found no weights in it; run the command that ` +
        "started it again, which goes on where it stopped",
    );
  }
  return { folder, config };
}

async function findConfig(
  run: string,
  folders: StoreFolders,
): Promise<Pick<FoundRun, "folder" | "config">> {
  for (const folder of [resolve(run), join(folders.runs, run)]) {
    const config = await readRunConfig(folder);
    if (config !== null) return { folder, config };
  }
  if (await readPublishedRun(folders, run) !== null) {
    throw new UserError(
      `${run}: expected a run with weights, found a published one, which has records alone; train ` +
        "it anew",
    );
  }
  const there = byLikeness(await runsWithWeights(folders), basename(run));
  const named = there.slice(0, NAMED_RUNS);
  const more = there.length > named.length ? ` and ${there.length - named.length} more` : "";
  throw new UserError(
    `${run}: expected the folder or the id of a run, found none; ` +
      (named.length === 0
        ? "train one with deno task train"
        : `there are ${named.join(", ")}${more} in ${folders.runs}`),
  );
}

/** Names that begin as the given one does come first. */
function byLikeness(names: readonly string[], name: string): string[] {
  const shared = (other: string) => {
    let length = 0;
    while (length < name.length && other[length] === name[length]) length++;
    return length;
  };
  return names.toSorted((a, b) => shared(b) - shared(a));
}
