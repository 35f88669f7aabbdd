/** A session as one safetensors file: parameters, optimizer moments, position in the data. */

import { UserError } from "../errors.ts";
import { disposeSession, type Session, startSession, type TrainingConfig } from "./loop.ts";
import { formatSafetensors, parseSafetensors } from "./safetensors.ts";
import { restoreTree, storeTree } from "./weights.ts";

type Progress = Omit<Session, "state">;

/** The bytes of a checkpoint, from which {@linkcode parseCheckpoint} continues bit by bit. */
export async function formatCheckpoint(session: Session): Promise<Uint8Array<ArrayBuffer>> {
  const { state, ...progress } = session;
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
  const example = startSession(config);
  try {
    return { ...progress, state: restoreTree(example.state, tensors, fileName) };
  } finally {
    disposeSession(example);
  }
}

/** The bytes of a model's weights alone. */
export async function formatWeights(session: Session): Promise<Uint8Array<ArrayBuffer>> {
  return formatSafetensors({
    tensors: await storeTree(session.state.params),
    metadata: { format: "pt" },
  });
}
