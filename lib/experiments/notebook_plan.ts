/** What a notebook will train, and how long that takes on this machine. */

import { engineStatus } from "../engine/mod.ts";
import { type BackboneConfig, multiplyAdds, sampleLength, stacksOf } from "../models/mod.ts";
import { createRandom } from "../random.ts";
import type { Windows } from "../text/mod.ts";
import { compilePrograms, disposeSession, startSession, train } from "../train/mod.ts";
import { autoencoderSpecs } from "./autoencoder_arms.ts";
import { baselineSpecs } from "./baseline_arms.ts";
import { compressionSpecs } from "./compression_arms.ts";
import { COMPRESSION_PRESETS } from "./compression_presets.ts";
import { KNOWN_ENTROPY_PRESETS, TOKEN_ENTROPY_PRESETS } from "./entropy_presets.ts";
import { entropyTrainingSpecs } from "./entropy_training_arms.ts";
import { ENTROPY_TRAINING_PRESETS } from "./entropy_training_presets.ts";
import { handoverSpecs } from "./handover_arms.ts";
import { knownEntropySpecs } from "./known_entropy_arms.ts";
import {
  AUTOENCODER_PRESETS,
  BASELINE_PRESETS,
  HANDOVER_PRESETS,
  type PresetName,
} from "./presets.ts";
import { quantizationSpecs } from "./quantization_arms.ts";
import { QUANTIZATION_PRESETS } from "./quantization_presets.ts";
import type { RunSpec } from "./run_spec.ts";
import { tokenEntropySpecs } from "./token_entropy_arms.ts";

type Architecture = BackboneConfig["architecture"];

/** By the number that a notebook's name begins with. */
const SPECS: Readonly<Record<string, (preset: PresetName) => RunSpec[]>> = {
  "01": (preset) => baselineSpecs(BASELINE_PRESETS[preset]),
  "02": (preset) => autoencoderSpecs(AUTOENCODER_PRESETS[preset]),
  "03": (preset) => handoverSpecs(HANDOVER_PRESETS[preset]),
  "04": (preset) => tokenEntropySpecs(TOKEN_ENTROPY_PRESETS[preset]),
  "05": (preset) => knownEntropySpecs(KNOWN_ENTROPY_PRESETS[preset]),
  "06": (preset) => entropyTrainingSpecs(ENTROPY_TRAINING_PRESETS[preset]),
  "07": (preset) => quantizationSpecs(QUANTIZATION_PRESETS[preset]),
  "08": (preset) => compressionSpecs(COMPRESSION_PRESETS[preset]),
};

/** The runs of a notebook; none for one that compares none, as the tour or 09. */
export function notebookSpecs(notebook: string, preset: PresetName): RunSpec[] {
  return SPECS[notebook.slice(0, 2)]?.(preset) ?? [];
}

/** The architecture that decides a run's speed: its decoder's. */
export function architectureOf({ training: { model } }: RunSpec): Architecture {
  return stacksOf(model).at(-1)!.architecture;
}

/** Positions that a run trains on, pads included. */
export function trainedTokens({ training: { model, schedule, batchSize } }: RunSpec): number {
  return schedule.steps * batchSize * sampleLength(model);
}

/** Multiply-adds of a run's forward passes, to which its time is in proportion. */
export function trainedMultiplyAdds({ training }: RunSpec): number {
  return training.schedule.steps * training.batchSize * multiplyAdds(training.model);
}

/** The speed of an architecture, measured on one of its models. */
export type MeasuredSpeed = Readonly<{
  architecture: Architecture;
  preset: PresetName;
  arm: string;
  tokensPerSecond: number;
  /** Of forward passes, in training. */
  multiplyAddsPerSecond: number;
}>;

/** Steps that are measured, after as many that compile. */
const MEASURED_STEPS = 5;

/**
 * Measures each architecture of a preset's runs by a few steps on random tokens: on a GPU of a model
 * of the preset itself, else of the same arm at preset quick, which a processor can do in seconds.
 * The engine must have been started.
 */
export async function measureSpeeds(
  notebooks: readonly string[],
  preset: PresetName,
): Promise<MeasuredSpeed[]> {
  const isGpu = engineStatus()?.device.startsWith("GPU") ?? false;
  const measured = isGpu ? preset : "quick";
  const wanted = new Set(
    notebooks.flatMap((name) => notebookSpecs(name, preset)).map(architectureOf),
  );
  const specs = notebooks.flatMap((name) => notebookSpecs(name, measured));
  const speeds: MeasuredSpeed[] = [];
  for (const architecture of wanted) {
    const spec = specs.find((one) => architectureOf(one) === architecture && !one.frozenEncoder);
    if (spec === undefined) continue;
    const tokensPerSecond = await measureSpeed(spec);
    const { model } = spec.training;
    speeds.push({
      architecture,
      preset: measured,
      arm: spec.arm,
      tokensPerSecond,
      multiplyAddsPerSecond: tokensPerSecond * multiplyAdds(model) / sampleLength(model),
    });
  }
  return speeds;
}

async function measureSpeed({ training: { objective: _, ...training } }: RunSpec): Promise<number> {
  const { model, batchSize } = training;
  const contextLength = sampleLength(model);
  const { vocabSize } = stacksOf(model)[0]!;
  const random = createRandom(1).stream("tokens");
  const windows: Windows = {
    contextLength,
    count: batchSize,
    ids: Int32Array.from(
      { length: batchSize * contextLength },
      () => Math.floor(vocabSize * random.uniform()),
    ),
    realTokens: new Int32Array(batchSize).fill(contextLength),
    byteCounts: new Int32Array(batchSize).fill(contextLength),
    layout: "packed",
  };
  const config = { ...training, logEvery: MEASURED_STEPS, evaluateEvery: Infinity };
  const programs = compilePrograms(config, { padId: null });
  const session = startSession(config);
  try {
    const data = { train: windows, heldOut: windows, padId: null };
    const speeds: number[] = [];
    for await (const record of train(config, data, session, programs)) {
      if (record.type === "train") speeds.push(record.tokensPerSecond);
      if (speeds.length === 2) break; // the first steps compile
    }
    return speeds.at(-1)!;
  } finally {
    disposeSession(session);
    programs.dispose();
  }
}
