/** The golden values of tests/reference/models_golden.py, as trees of ours. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { namedLeaves, type Tensor, valueAndGradient } from "../../lib/engine/mod.ts";
import {
  checkModelConfig,
  initModel,
  meanLoss,
  type Model,
  type ModelConfig,
  needsValues,
  tokenLosses,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { adamw, ADAMW_DEFAULTS, type TrainState } from "../../lib/train/adamw.ts";
import { type Batch, batchTensors } from "../../lib/train/batch.ts";
import { parseSafetensors } from "../../lib/train/safetensors.ts";
import {
  compileTrainStep,
  type Frozen,
  joinModel,
  type Trainable,
  type TrainStep,
} from "../../lib/train/step.ts";
import { restoreTree } from "../../lib/train/weights.ts";
import type { Mode } from "../_backends.ts";

const folder = new URL("../golden/models/", import.meta.url);

export const GOLDEN_NAMES: readonly string[] = readdirSync(folder)
  .flatMap((file) => file.endsWith(".safetensors") ? [file.replace(".safetensors", "")] : [])
  .sort();

/** What a golden file says in words, its configuration apart. */
type GoldenHeader = Readonly<{
  padId: number;
  /** The parts that training leaves as they are. */
  frozen?: readonly ["encoder"];
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
}>;

export type Golden =
  & GoldenHeader
  & Readonly<{
    config: ModelConfig;
    /** The stored numbers under a name of the script's header. */
    numbers(name: string): Float32Array | Int32Array;
    shape(name: string): readonly number[];
    /** The starting weights; the caller frees them. */
    weights(): Model;
    /** The same as training takes them. */
    trainingWeights(): { trainable: Trainable; frozen: Frozen };
    /** Batch `index` of the five. */
    batch(index: number): Batch;
  }>;

export function loadGolden(name: string): Golden {
  const { model, ...header } = JSON.parse(
    readFileSync(new URL(`${name}.json`, folder), "utf8"),
  ) as GoldenHeader & { model: unknown };
  const config = checkModelConfig(model, `${name}.json`);
  const file = `${name}.safetensors`;
  const { tensors } = parseSafetensors(readFileSync(new URL(file, folder)), file);
  const stored = (key: string) => {
    const found = tensors.get(key);
    assert.ok(found !== undefined, `${file} has no ${key}`);
    return found;
  };
  const keys = Object.keys(header.parameters);
  const stores = new Map(keys.map((key) => [key, stored(`weights/${key}`)]));
  const weights = () => restoreTree(initModel(config, createRandom(0)), stores, name);
  return {
    ...header,
    config,
    numbers: (key) => stored(key).data,
    shape: (key) => stored(key).shape,
    weights,
    trainingWeights: () => {
      const model = weights();
      if (header.frozen === undefined || !("encoder" in model)) {
        return { trainable: model, frozen: {} };
      }
      const { encoder, ...trainable } = model;
      return { trainable, frozen: { encoder } };
    },
    batch: (index) => {
      const { shape: [, rows, length], data: ids } = stored("batches");
      const from = <A extends Int32Array | Float32Array>(all: A) =>
        all.slice(index * rows! * length!, (index + 1) * rows! * length!) as A;
      return batchTensors({
        ids: from(ids as Int32Array),
        ...(needsValues(config) ? { values: from(stored("values").data as Float32Array) } : {}),
      }, length!);
    },
  };
}

/** The training step as `mode` runs it. */
export function trainStepOf(
  mode: Mode,
  { config, padId }: { config: ModelConfig; padId: number | null },
): TrainStep {
  if (mode.name !== "tensorflow eager") {
    const compiler = mode.name === "tensorflow xla" ? "xla" : "graph";
    return compileTrainStep(config, { padId }, ADAMW_DEFAULTS, compiler);
  }
  return mode.compile(
    (state: TrainState<Trainable>, frozen: Frozen, scalars: Tensor, batch: Batch) => {
      const { idsBN, ...values } = batch;
      const options = { padId, ...values };
      const { value, gradient } = valueAndGradient(
        (params) => meanLoss(tokenLosses(config, joinModel(params, frozen), idsBN, options)),
        state.params,
      );
      return { loss: value, ...adamw(state, gradient, scalars) };
    },
  );
}

/** The names of a tree's tensors with their shapes. */
export function shapesOf(params: Model): Record<string, number[]> {
  return Object.fromEntries(namedLeaves(params).map(({ name, tensor }) => [name, tensor.shape]));
}
