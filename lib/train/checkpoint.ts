/** A session as one safetensors file: parameters, optimizer moments, position in the data. */

import { UserError } from "../errors.ts";
import type { Backbone } from "../models/mod.ts";
import { disposeSession, type Session, startSession, type TrainingConfig } from "./loop.ts";
import { joinModel } from "./step.ts";
import { formatSafetensors, parseSafetensors } from "./safetensors.ts";
import { restoreTree, storeTree } from "./weights.ts";

type Progress = Omit<Session, "state" | "frozen">;

/** The bytes of a checkpoint, from which {@linkcode parseCheckpoint} continues bit by bit. */
export async function formatCheckpoint(session: Session): Promise<Uint8Array<ArrayBuffer>> {
  const { state, frozen: _, ...progress } = session;
  return formatSafetensors({
    tensors: await storeTree(state),
    metadata: { format: "pt", progress: JSON.stringify(progress satisfies Progress) },
  });
}

/**
 * The session of a checkpoint.
 *
 * @throws UserError when the file is damaged or belongs to another configuration.
 */
export function parseCheckpoint(
  bytes: Uint8Array,
  config: TrainingConfig,
  fileName: string,
  frozenEncoder?: Backbone,
): Session {
  const { tensors, metadata } = parseSafetensors(bytes, fileName);
  if (metadata.progress === undefined) {
    throw new UserError(`${fileName}: expected a checkpoint, found weights without progress`);
  }
  let progress: Progress;
  try {
    progress = JSON.parse(metadata.progress);
  } catch {
    throw new UserError(`${fileName}: expected the progress of a run as JSON, found damaged text`);
  }
  const example = startSession(config, frozenEncoder);
  try {
    const state = restoreTree(example.state, tensors, fileName);
    return { ...progress, state, frozen: example.frozen };
  } finally {
    disposeSession(example);
  }
}

/** The bytes of a model's weights alone, frozen ones included. */
export async function formatWeights(session: Session): Promise<Uint8Array<ArrayBuffer>> {
  return formatSafetensors({
    tensors: await storeTree(joinModel(session.state.params, session.frozen)),
    metadata: { format: "pt" },
  });
}
