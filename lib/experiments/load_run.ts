/** A finished run as a model that can be used: its folder's configuration, weights and tokenizer. */

import { basename, dirname, join, resolve } from "node:path";
import type { EstimatedModel } from "../entropy/mod.ts";
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

/** Runs that a message names. */
const NAMED_RUNS = 5;

/**
 * Loads a finished run on text. The engine must have been started.
 *
 * @param run The run's folder, or its id: the name of a folder in `folders.runs`.
 * @throws UserError when there is no such run, it has not ended, or was trained on made sequences.
 */
export async function loadRun(run: string, folders: StoreFolders): Promise<LoadedRun> {
  const { folder, config } = await findRun(run, folders);
  const { data } = config.spec;
  const tokenizer = await readRunTokenizer(folder);
  const place = { runs: dirname(folder) };
  const name = basename(folder);
  if (!await hasWeights(place, name)) {
    throw new UserError(
      `${folder}: expected a run that has ended, found no weights in it; run the command that ` +
        "started it again, which goes on where it stopped",
    );
  }
  if (tokenizer === null) {
    const isText = typeof data === "object" && data !== null && "corpus" in data;
    throw new UserError(
      isText
        ? `${folder}: expected tokenizer.json beside the weights, found none; copy it from where ` +
          "the run was trained"
        : `${folder}: expected a run on text, found one on made sequences, which has no tokenizer; ` +
          "choose another run",
    );
  }
  return {
    model: {
      config: config.spec.training.model,
      params: await loadWeights(place, { id: name, spec: config.spec }),
      padId: data.layout === "padded" ? tokenizer.padId : null,
    },
    tokenizer,
    config,
  };
}

async function findRun(
  run: string,
  folders: StoreFolders,
): Promise<{ folder: string; config: RunConfig }> {
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
  const others = there.length > named.length ? ` and ${there.length - named.length} others` : "";
  throw new UserError(
    `${run}: expected the folder or the id of a run, found none; ` +
      (named.length === 0
        ? "train one with deno task train"
        : `there are ${named.join(", ")}${others} in ${folders.runs}`),
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
