/** Runs whose losses must not depend on the number of workers. */

import { type BackboneConfig, backboneConfig, type ModelConfig } from "../../lib/models/mod.ts";
import {
  ADAMW_DEFAULTS,
  compilePrograms,
  disposeSession,
  type Session,
  startSession,
  train,
  type TrainingConfig,
  type TrainingData,
  type TrainingRecord,
} from "../../lib/train/mod.ts";
import type { Workers } from "../../lib/engine/mod.ts";
import { LENGTH, windows, withValues } from "./_tiny_training.ts";

export const STEPS = 50;
/** Four workers have two windows each. */
export const BATCH = 8;

export type ParallelCase = Readonly<{ config: TrainingConfig; data: TrainingData }>;

const packed: TrainingData = {
  train: windows("train", 7 * BATCH + 1),
  heldOut: windows("held out", 21),
  padId: null,
};
/** Windows of one to six tokens, so that workers have different numbers of scored tokens. */
const padded: TrainingData = {
  train: windows("train", 7 * BATCH + 1, true),
  heldOut: windows("held out", 3, true), // fewer than there are workers
  padId: 1,
};

function backbone(family: "mixer" | "transformer", contextLength: number): BackboneConfig {
  const sizes = { vocabSize: 13, width: 8, contextLength, layerCount: 2, headCount: 2 };
  return backboneConfig(family, sizes);
}

function configOf(model: ModelConfig, changes: Partial<TrainingConfig> = {}): TrainingConfig {
  return {
    model,
    optimizer: ADAMW_DEFAULTS,
    schedule: { peakRate: 0.01, warmupSteps: 5, steps: STEPS },
    batchSize: BATCH,
    seed: 9,
    logEvery: 1,
    evaluateEvery: 20,
    ...changes,
  };
}

const clm = (family: "mixer" | "transformer"): ModelConfig => ({
  kind: "causal",
  backbone: backbone(family, LENGTH),
});
const eem = (family: "mixer" | "transformer"): ModelConfig => ({
  kind: "augmented",
  memory: "embedding",
  encoder: backbone(family, LENGTH),
  decoder: backbone(family, LENGTH + 1),
  embeddingSize: 2,
});

export const CASES: Readonly<Record<string, ParallelCase>> = {
  "mixer CLM": { config: configOf(clm("mixer")), data: packed },
  "mixer EEM, padded": { config: configOf(eem("mixer")), data: padded },
  "transformer CLM, padded": { config: configOf(clm("transformer")), data: padded },
  "transformer EEM": { config: configOf(eem("transformer")), data: packed },
  "mixer CLM towards estimates, with penalties": {
    config: configOf(clm("mixer"), {
      objective: { form: "absolute", scale: 2.5 },
      penalties: { l1: 1e-4, l2: 1e-3 },
      evaluateTrain: true,
    }),
    data: { ...padded, train: withValues(windows("train", 7 * BATCH + 1, true)) },
  },
};

/** The same runs so long that XLA compiles them; their first steps are compared. */
export const XLA_CASES: typeof CASES = Object.fromEntries(
  Object.entries(CASES).map(([name, { config, data }]) => {
    const schedule = { ...config.schedule, steps: 4 * STEPS };
    return [`${name}, compiled by XLA`, { config: { ...config, schedule }, data }];
  }),
);

/** The records of a case's first steps, by one process or by workers, from `session` or from the beginning. */
export async function recordsOf(
  { config, data }: ParallelCase,
  workers?: Workers,
  change: (session: Session) => void = () => {},
): Promise<TrainingRecord[]> {
  const programs = compilePrograms(config, { padId: data.padId }, workers);
  const session = startSession(config);
  change(session);
  const records: TrainingRecord[] = [];
  try {
    for await (const record of train(config, data, session, programs)) {
      if (session.step > STEPS) break;
      records.push(record);
    }
  } finally {
    programs.dispose();
    disposeSession(session);
  }
  return records;
}
