/** Models, windows and compiled functions of training runs that take a moment. */

import { namedLeaves, type Tree } from "../../lib/engine/mod.ts";
import {
  type Backbone,
  type BackboneConfig,
  initBackbone,
  type ModelConfig,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import type { Windows } from "../../lib/text/mod.ts";
import {
  ADAMW_DEFAULTS,
  compilePrograms,
  type Programs,
  type Session,
  startSession,
  train,
  type TrainingConfig,
  type TrainingData,
  type TrainingRecord,
} from "../../lib/train/mod.ts";

export const LENGTH = 6;
export const BATCH = 3;
const VOCABULARY = 13;

/** Where compiled functions are tested: XLA would only cost seconds. */
export const BACKENDS = { only: ["tensorflow graph", "wasm"] };

function mixer(width: number, contextLength: number): BackboneConfig {
  return { architecture: "mixer", vocabSize: VOCABULARY, contextLength, width, layerCount: 1 };
}

/** A causal model. */
export const CONFIG: TrainingConfig = {
  model: { kind: "causal", backbone: mixer(8, LENGTH) },
  optimizer: ADAMW_DEFAULTS,
  schedule: { peakRate: 0.01, warmupSteps: 2, steps: 11 },
  batchSize: BATCH,
  seed: 9,
  logEvery: 3,
  evaluateEvery: 4,
};

const ENCODER = mixer(4, LENGTH);
const EEM: ModelConfig = {
  kind: "augmented",
  memory: "embedding",
  encoder: ENCODER,
  decoder: mixer(8, LENGTH + 1),
  embeddingSize: 2,
};
const AUTOENCODER: ModelConfig = {
  kind: "autoencoder",
  encoder: ENCODER,
  decoder: mixer(8, LENGTH),
  expansion: "unroll",
};

/** Learns a number of every token. */
export const SECOND_ORDER: TrainingConfig = {
  ...CONFIG,
  model: { kind: "second-order", backbone: mixer(8, LENGTH), shift: false },
};

/** Models with an encoder of the form of {@linkcode trainedEncoder}. */
export const WITH_ENCODER: Readonly<Record<string, TrainingConfig>> = {
  EEM: { ...CONFIG, model: EEM },
  autoencoder: { ...CONFIG, model: AUTOENCODER },
};

/** An encoder that stands for a trained one: no model starts with it. */
export function trainedEncoder(): Backbone {
  return initBackbone(ENCODER, createRandom(123), { outerEmbedding: true });
}

export function windows(name: string, count: number, padded = false): Windows {
  const random = createRandom(2).stream(name);
  const ids = Int32Array.from({ length: count * LENGTH }, () => 2 + random.bits() % 11);
  const realTokens = new Int32Array(count).fill(LENGTH);
  for (let row = 0; padded && row < count; row++) {
    const pads = row % (LENGTH - 1);
    ids.fill(1, row * LENGTH, row * LENGTH + pads);
    realTokens[row]! -= pads;
  }
  const layout = padded ? "padded" : "packed";
  return { contextLength: LENGTH, count, ids, realTokens, byteCounts: realTokens, layout };
}

/** Seven batches an epoch, so that eleven steps go into the second one. */
export const DATA: TrainingData<Windows> = {
  train: windows("train", 7 * BATCH + 1),
  heldOut: windows("held out", 8),
  padId: null,
};

/** The real compiled functions, with TensorFlow's kernels. */
export function compile(
  config: Omit<Parameters<typeof compilePrograms>[0], "schedule"> = CONFIG,
  padId: number | null = null,
): Programs {
  return compilePrograms({ ...config, schedule: CONFIG.schedule }, { padId });
}

/** The windows with made-up values, which follow from the ids. */
export function withValues(windows: Windows): Windows {
  const values = Float32Array.from(
    windows.ids,
    (id, at) => 2 + Math.sin(id) + Math.cos(windows.ids[at - 1] ?? 0),
  );
  return { ...windows, values };
}

/** The same windows with values. */
export const VALUED_DATA: TrainingData<Windows> = {
  train: withValues(DATA.train),
  heldOut: withValues(DATA.heldOut),
  padId: null,
};

/** A causal transformer whose steps drop many attention weights. */
export const WITH_DROPOUT: TrainingConfig = {
  ...CONFIG,
  model: {
    kind: "causal",
    backbone: {
      architecture: "transformer",
      vocabSize: VOCABULARY,
      contextLength: LENGTH,
      width: 8,
      layerCount: 2,
      headCount: 2,
    },
  },
  attentionDropout: 0.4,
};

/** A causal model that is trained towards a number of every token, and evaluated on both sides. */
export const WITH_OBJECTIVE: TrainingConfig = {
  ...CONFIG,
  objective: { form: "absolute", scale: 2.5 },
  penalties: { l1: 1e-4, l2: 1e-3 },
  evaluateTrain: true,
};

/** An EEM with noise on its embedding. */
export const WITH_NOISE = {
  ...CONFIG,
  model: EEM,
  qat: { method: "noise", at: "embedding", width: 0.5 },
} as const satisfies TrainingConfig;

/** Noise on the outputs of all modules, beside dropped attention weights. */
export const WITH_NOISE_AND_DROPOUT = {
  ...WITH_DROPOUT,
  qat: { method: "noise", at: "outputs", width: 0.1, oneSided: true },
} as const satisfies TrainingConfig;

/** An EEM whose weights are rounded in training. */
export const WITH_ROUNDING = {
  ...CONFIG,
  model: EEM,
  qat: { method: "fake-quantization", at: "weights", quantization: { format: "int4" } },
} as const satisfies TrainingConfig;

/** Values where a loss form compares with them, and nowhere else. */
export const COMPARED_DATA: TrainingData = { ...DATA, train: VALUED_DATA.train };

/** Models of one stack as they are, and those with an encoder with a frozen one. */
export const SESSIONS: readonly Readonly<{
  name: string;
  config: TrainingConfig;
  data: TrainingData;
  start: () => Session;
}>[] = [
  { name: "a causal model", config: CONFIG, data: DATA, start: () => startSession(CONFIG) },
  {
    name: "a second-order model",
    config: SECOND_ORDER,
    data: VALUED_DATA,
    start: () => startSession(SECOND_ORDER),
  },
  {
    name: "a causal transformer with attention dropout",
    config: WITH_DROPOUT,
    data: DATA,
    start: () => startSession(WITH_DROPOUT),
  },
  {
    name: "a causal transformer with noise and dropout",
    config: WITH_NOISE_AND_DROPOUT,
    data: DATA,
    start: () => startSession(WITH_NOISE_AND_DROPOUT),
  },
  {
    name: "an EEM with noise behind a frozen encoder",
    config: WITH_NOISE,
    data: DATA,
    start: () => startSession(WITH_NOISE, trainedEncoder()),
  },
  {
    name: "a causal model with a loss form",
    config: WITH_OBJECTIVE,
    data: COMPARED_DATA,
    start: () => startSession(WITH_OBJECTIVE),
  },
  ...Object.entries(WITH_ENCODER).map(([name, config]) => ({
    name: `an ${name} with a frozen encoder`,
    config,
    data: DATA,
    start: () => startSession(config, trainedEncoder()),
  })),
];

export function timeless(record: TrainingRecord): unknown {
  return { ...record, tokensPerSecond: undefined };
}

export async function runToEnd(
  session: Session,
  programs: Programs,
  config = CONFIG,
  data: TrainingData = DATA,
): Promise<TrainingRecord[]> {
  const records: TrainingRecord[] = [];
  for await (const record of train(config, data, session, programs)) records.push(record);
  return records;
}

/** The values of a tree by name, as they are now. */
export function valuesOf(tree: Tree): Map<string, number[]> {
  return new Map(namedLeaves(tree).map(({ name, tensor }) => [name, [...tensor.dataSync()]]));
}
