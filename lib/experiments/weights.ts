/** The trained model of a stored run. */

import { isDeepStrictEqual } from "node:util";
import { disposeTree } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { readFileIfPresent } from "../files.ts";
import {
  type Backbone,
  type BackboneConfig,
  type CausalModel,
  initModel,
  type Model,
  type ModelConfig,
} from "../models/mod.ts";
import { createRandom } from "../random.ts";
import { parseSafetensors, restoreTree } from "../train/mod.ts";
import { type RunConfig, type StoreFolders, weightsPath } from "./run_store.ts";
import { hashWeights } from "./weights_hash.ts";

/**
 * Loads a finished run's parameters; dispose them with `disposeTree`.
 *
 * @throws UserError when there are none, as for published runs, or when the file does not fit.
 */
export async function loadWeights(
  folders: Pick<StoreFolders, "runs">,
  { id, spec }: Pick<RunConfig, "id" | "spec">,
): Promise<Model> {
  const path = weightsPath(folders, id);
  const bytes = await readWeights(path);
  const example = initModel(spec.training.model, createRandom(0));
  try {
    return restoreTree(example, parseSafetensors(bytes, path).tensors, path);
  } finally {
    disposeTree(example);
  }
}

/**
 * SHA-256 (hexadecimal) of a finished run's weights: a run that was trained anew, elsewhere, may
 * have others under the same id.
 *
 * @throws UserError when there are none.
 */
export async function weightsHash(
  folders: Pick<StoreFolders, "runs">,
  { id }: Pick<RunConfig, "id">,
): Promise<string> {
  return hashWeights(await readWeights(weightsPath(folders, id)));
}

async function readWeights(path: string): Promise<Uint8Array> {
  const bytes = await readFileIfPresent(path);
  if (bytes !== null) return bytes;
  throw new UserError(
    `${path}: expected the weights of a finished run, found none; published runs have records only: train it anew with --fresh`,
  );
}

function ownEncoder(model: ModelConfig): BackboneConfig | null {
  if (model.kind === "causal" || model.kind === "second-order") return null;
  return model.kind === "augmented" && model.memory === "zeros" ? null : model.encoder;
}

/**
 * The encoder that a model can take over from another run.
 *
 * @throws UserError for a model without one.
 */
export function encoderConfig(model: ModelConfig): BackboneConfig {
  const encoder = ownEncoder(model);
  if (encoder === null) {
    throw new UserError("frozenEncoder: expected a model with an encoder, found none");
  }
  return encoder;
}

/**
 * Checks what {@linkcode loadEncoder} would find, before it is trained.
 *
 * @param name Stands in the message.
 * @throws UserError when training `model` does not give the encoder that `expected` describes.
 */
export function checkEncoder(name: string, model: ModelConfig, expected: BackboneConfig): void {
  const found = model.kind === "causal" ? model.backbone : ownEncoder(model);
  if (isDeepStrictEqual(found, expected)) return;
  throw new UserError(
    `${name}: expected an encoder of ${JSON.stringify(expected)}, found ${
      found === null ? "a model without one" : JSON.stringify(found)
    }`,
  );
}

/**
 * The trained encoder of a finished run: of an autoencoder or an augmented decoder, or a causal
 * model's stack and embedding. Dispose it with `disposeTree`.
 *
 * @throws UserError when it is not the encoder that `expected` describes.
 */
export async function loadEncoder(
  folders: StoreFolders,
  run: Pick<RunConfig, "id" | "spec">,
  expected: BackboneConfig,
): Promise<Backbone> {
  checkEncoder(run.id, run.spec.training.model, expected);
  const model = await loadWeights(folders, run);
  if ("encoder" in model) {
    const { encoder, ...rest } = model;
    disposeTree(rest);
    return encoder;
  }
  const { head, ...backbone } = model as CausalModel;
  disposeTree(head);
  return backbone;
}
