/**
 * Loss curves of tiny runs, as they are now: what `golden_loss_test.ts` compares with the files of
 * `tests/golden/loss`, and `tests/reference/loss_golden.ts` writes there.
 */

import type { Compiler } from "../../lib/engine/mod.ts";
import { measureEmbedding } from "../../lib/experiments/measurements.ts";
import type { BackboneConfig, ModelConfig } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import type { Windows } from "../../lib/text/mod.ts";
import {
  ADAMW_DEFAULTS,
  compileEvaluator,
  compileTrainStep,
  disposeSession,
  joinModel,
  startSession,
  train,
  type TrainingData,
} from "../../lib/train/mod.ts";

const STEPS = 30;
const BATCH = 8;
const LENGTH = 12;
const VOCABULARY = 32;
const PAD = 1;

/** What a golden file says of one model. All losses in nats per token. */
export interface GoldenLosses {
  readonly note: string;
  /** The `TRAINING_VERSION` that gave these numbers. */
  readonly trainingVersion: number;
  /** Of each step, before its update. */
  readonly trainLosses: readonly number[];
  /** Held out, every tenth step. */
  readonly heldOutLosses: readonly number[];
  /** Held out at the end: embedding at 4 and at 8 bits, and a neighbour's; none without one. */
  readonly measuredLosses: readonly number[];
}

export type LossCurves = Omit<GoldenLosses, "note" | "trainingVersion">;

function mixer(width: number, contextLength: number): BackboneConfig {
  return { architecture: "mixer", vocabSize: VOCABULARY, contextLength, width, layerCount: 1 };
}

function transformer(width: number, contextLength: number): BackboneConfig {
  const shared = { vocabSize: VOCABULARY, contextLength, width, layerCount: 1 };
  return { architecture: "transformer", headCount: 2, ...shared };
}

function augmented(backbone: typeof mixer): ModelConfig {
  const [encoder, decoder] = [backbone(8, LENGTH), backbone(16, LENGTH + 1)];
  return { kind: "augmented", memory: "embedding", encoder, decoder, embeddingSize: 4 };
}

/** The models by file name; the transformer EEM's windows are left-padded, the others' packed. */
export const GOLDEN_LOSS_MODELS: Readonly<
  Record<string, Readonly<{ model: ModelConfig; layout: Windows["layout"] }>>
> = {
  mixer_clm: { model: { kind: "causal", backbone: mixer(16, LENGTH) }, layout: "packed" },
  transformer_clm: {
    model: { kind: "causal", backbone: transformer(16, LENGTH) },
    layout: "packed",
  },
  mixer_eem: { model: augmented(mixer), layout: "packed" },
  transformer_eem: { model: augmented(transformer), layout: "padded" },
};

/** Windows of a seeded stream in which a token often decides the next one. */
function streamWindows(name: string, count: number, layout: Windows["layout"]): Windows {
  const random = createRandom(11).stream(name);
  const drawn = () => PAD + 1 + random.bits() % (VOCABULARY - PAD - 1);
  const ids = new Int32Array(count * LENGTH);
  const realTokens = new Int32Array(count);
  let previous = drawn();
  for (let row = 0; row < count; row++) {
    realTokens[row] = layout === "packed" ? LENGTH : 1 + random.bits() % LENGTH;
    for (let at = 0; at < LENGTH; at++) {
      const isPad = at < LENGTH - realTokens[row]!;
      if (!isPad) previous = random.uniform() < 0.7 ? PAD + 1 + (7 * previous) % 30 : drawn();
      ids[row * LENGTH + at] = isPad ? PAD : previous;
    }
  }
  return { contextLength: LENGTH, count, ids, realTokens, byteCounts: realTokens, layout };
}

/** Trains one model on the running backend; `compiler` is the training step's. */
export async function computeLossCurves(name: string, compiler: Compiler): Promise<LossCurves> {
  const { model, layout } = GOLDEN_LOSS_MODELS[name]!;
  const data: TrainingData = {
    train: streamWindows("train", 60, layout),
    heldOut: streamWindows("held out", 20, layout),
    padId: layout === "padded" ? PAD : null,
  };
  const config = {
    model,
    optimizer: ADAMW_DEFAULTS,
    schedule: { peakRate: 5e-3, warmupSteps: 4, steps: STEPS },
    batchSize: BATCH,
    seed: 1,
    logEvery: 1,
    evaluateEvery: 10,
  };
  const { padId } = data;
  const step = compileTrainStep(model, { padId }, ADAMW_DEFAULTS, compiler);
  const evaluator = compileEvaluator(model, { padId }, "graph");
  const session = startSession(config);
  const programs = { step, evaluator, dispose: () => {} };
  const trainLosses: number[] = [], heldOutLosses: number[] = [];
  for await (const record of train(config, data, session, programs)) {
    if (record.type === "train") trainLosses.push(record.lossNats);
    if (record.type === "evaluation") heldOutLosses.push(record.lossNats);
  }
  const params = joinModel(session.state.params, session.frozen);
  const measured = await measureEmbedding(model, params, data, {
    batchSize: BATCH,
    quantizedBits: [4, 8],
  });
  disposeSession(session);
  step.dispose();
  evaluator.dispose();
  return { trainLosses, heldOutLosses, measuredLosses: measured.map((one) => one.lossNats) };
}

const FOLDER = new URL("../golden/loss/", import.meta.url);

export function goldenLossFile(name: string): URL {
  return new URL(`${name}.json`, FOLDER);
}

const CURVES = ["trainLosses", "heldOutLosses", "measuredLosses"] as const;

/**
 * The first number that differs by more than `tolerance`, relative, and the largest difference; in
 * words, or null where none does.
 */
export function describeChange(
  found: LossCurves,
  golden: LossCurves,
  tolerance: number,
): string | null {
  let first: string | null = null;
  let largest = 0;
  for (const curve of CURVES) {
    if (found[curve].length !== golden[curve].length) {
      return `${curve}: ${golden[curve].length} numbers before, ${found[curve].length} now`;
    }
    golden[curve].forEach((expected, index) => {
      const value = found[curve][index]!;
      const relative = Math.abs(value - expected) / Math.abs(expected);
      largest = Math.max(largest, relative);
      if (relative <= tolerance) return; // false for NaN, which is a change
      first ??= `${curve}[${index}] was ${expected} and is ${value}`;
    });
  }
  return first === null ? null : `${first}; largest relative change ${largest.toExponential(1)}`;
}
