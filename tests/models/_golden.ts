/** The golden values of tests/reference/models_golden.py, as configurations and trees of ours. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { namedLeaves, type Tensor, tensor, valueAndGradient } from "../../lib/engine/mod.ts";
import {
  type BackboneConfig,
  initModel,
  type Model,
  type ModelConfig,
} from "../../lib/models/mod.ts";
import { tokenLosses } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { adamw, ADAMW_DEFAULTS, type TrainState } from "../../lib/train/adamw.ts";
import { parseSafetensors } from "../../lib/train/safetensors.ts";
import { compileTrainStep, meanLoss, type TrainStep } from "../../lib/train/step.ts";
import { restoreTree } from "../../lib/train/weights.ts";
import type { Mode } from "../_backends.ts";

export const GOLDEN_NAMES = [
  "mixer_clm",
  "llama_clm",
  "mixer_eem",
  "mixer_eem_equal_widths",
  "llama_eem",
  "llama_eem_equal_widths",
] as const;

export type GoldenName = (typeof GOLDEN_NAMES)[number];

/** A configuration as the Python script writes it. */
export type ReferenceConfig = {
  vocabSize: number;
  contextLength: number;
  layerCount: number;
  padId?: number;
  family: "mixer" | "llama";
  augmented: boolean;
  modelDim: number;
  encoderDim?: number;
  embeddingDim?: number;
  headCount?: number;
};

export type Golden = Readonly<{
  config: ModelConfig;
  padId: number;
  training: Readonly<{
    learningRate: number;
    steps: number;
    warmupSteps: number;
    curveSteps: number;
    curveWarmupSteps: number;
    negligibleGradient: number;
  }>;
  /** Names and shapes of the parameters. */
  parameters: Readonly<Record<string, readonly number[]>>;
  /** The stored numbers under a name of the script's header. */
  numbers(name: string): Float32Array | Int32Array;
  shape(name: string): readonly number[];
  /** The starting weights; the caller frees them. */
  weights(): Model;
  /** Batch `index` of the five, int32 `[B, N]`. */
  batch(index: number): Tensor;
}>;

/** Our configuration of a model of the script. */
export function configOf(reference: ReferenceConfig): ModelConfig {
  const { vocabSize, contextLength, layerCount, family, headCount } = reference;
  const backbone = (width: number, length: number): BackboneConfig => {
    const sizes = { vocabSize, contextLength: length, width, layerCount };
    return family === "mixer"
      ? { architecture: "mixer", ...sizes }
      : { architecture: "transformer", ...sizes, headCount: headCount! };
  };
  if (!reference.augmented) {
    return { kind: "causal", backbone: backbone(reference.modelDim, contextLength) };
  }
  return {
    kind: "augmented",
    memory: "embedding",
    encoder: backbone(reference.encoderDim!, contextLength),
    decoder: backbone(reference.modelDim, contextLength + 1),
    embeddingSize: reference.embeddingDim!,
  };
}

export function loadGolden(name: GoldenName): Golden {
  const file = (extension: string) =>
    new URL(`../golden/models/${name}.${extension}`, import.meta.url);
  const { config: reference, training, parameters } = JSON.parse(
    readFileSync(file("json"), "utf8"),
  ) as { config: ReferenceConfig } & Pick<Golden, "training" | "parameters">;
  const { tensors } = parseSafetensors(readFileSync(file("safetensors")), `${name}.safetensors`);
  const stored = (key: string) => {
    const found = tensors.get(key);
    assert.ok(found !== undefined, `${name}.safetensors has no ${key}`);
    return found;
  };
  const config = configOf(reference);
  const weights = new Map(Object.keys(parameters).map((key) => [key, stored(`weights/${key}`)]));
  return {
    config,
    padId: reference.padId!,
    training,
    parameters,
    numbers: (key) => stored(key).data,
    shape: (key) => stored(key).shape,
    weights: () => restoreTree(initModel(config, createRandom(0)), weights, name),
    batch: (index) => {
      const { shape: [, rows, length], data } = stored("batches");
      const size = rows! * length!;
      return tensor(data.slice(index * size, (index + 1) * size), [rows!, length!], "int32");
    },
  };
}

/** The training step as `mode` runs it. */
export function trainStepOf(
  mode: Mode,
  { config, padId }: Pick<Golden, "config" | "padId">,
): TrainStep {
  if (mode.name !== "tensorflow eager") {
    const compiler = mode.name === "tensorflow xla" ? "xla" : "graph";
    return compileTrainStep(config, { padId }, ADAMW_DEFAULTS, compiler);
  }
  return mode.compile((state: TrainState<Model>, scalars: Tensor, idsBN: Tensor) => {
    const { value, gradient } = valueAndGradient(
      (params) => meanLoss(tokenLosses(config, params, idsBN, { padId })),
      state.params,
    );
    return { loss: value, ...adamw(state, gradient, scalars) };
  });
}

/** The names of a tree's tensors with their shapes. */
export function shapesOf(params: Model): Record<string, number[]> {
  return Object.fromEntries(namedLeaves(params).map(({ name, tensor }) => [name, tensor.shape]));
}
