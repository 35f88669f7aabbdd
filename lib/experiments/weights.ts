/** The trained model of a stored run. */

import { disposeTree } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { readFileIfPresent } from "../files.ts";
import { initModel, type Model } from "../models/mod.ts";
import { createRandom } from "../random.ts";
import { parseSafetensors, restoreTree } from "../train/mod.ts";
import { type RunConfig, type StoreFolders, weightsPath } from "./run_store.ts";

/**
 * Loads a finished run's parameters; dispose them with `disposeTree`.
 *
 * @throws UserError when there are none, as for published runs, or when the file does not fit.
 */
export async function loadWeights(folders: StoreFolders, { id, spec }: RunConfig): Promise<Model> {
  const path = weightsPath(folders, id);
  const bytes = await readFileIfPresent(path);
  if (bytes === null) {
    throw new UserError(
      `${path}: expected the weights of a finished run, found none; published runs have records only: train it anew with --fresh`,
    );
  }
  const example = initModel(spec.training.model, createRandom(0));
  try {
    return restoreTree(example, parseSafetensors(bytes, path).tensors, path);
  } finally {
    disposeTree(example);
  }
}
