import assert from "node:assert/strict";
import { namedLeaves, type Tensor, tensor } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  type BackboneConfig,
  embedTokens,
  hiddenStates,
  initBackbone,
  initModel,
  type ModelConfig,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";
import { LENGTH, mixer, tinyIds, transformer } from "./_tiny.ts";

const cpu = { only: ["cpu"] };

/** How a weight is drawn: a normal's deviation, a uniform's bound, or one value. */
type Draw = { normal: number } | { uniform: number } | { constant: number };

async function assertDrawn(tensor: Tensor, draw: Draw, name: string): Promise<void> {
  const values = await read(tensor);
  const count = values.length;
  if ("constant" in draw) {
    assert.ok(values.every((value) => value === draw.constant), `${name} is not constant`);
    return;
  }
  const deviation = "normal" in draw ? draw.normal : draw.uniform / Math.sqrt(3);
  const largest = Math.max(...values.map(Math.abs));
  if ("uniform" in draw) assert.ok(largest <= draw.uniform, `${name}: found ${largest}`);
  else if (count > 100) assert.ok(largest > 2 * deviation, `${name} is not normal`);
  const mean = values.reduce((total, value) => total + value, 0) / count;
  const square = values.reduce((total, value) => total + value * value, 0) / count;
  // Five standard errors; a normal's x² varies by 2σ⁴, a uniform's by less.
  assert.ok(Math.abs(mean) < 5 * deviation / Math.sqrt(count), `${name}: mean ${mean}`);
  const spread = Math.abs(square / deviation ** 2 - 1);
  assert.ok(spread < 5 * Math.sqrt(2 / count), `${name}: variance off by ${spread}`);
}

/** PyTorch's defaults and Hugging Face's Llama (paper §2.1, §2.3), by parameter name. */
function referenceDraw(name: string, shape: readonly number[], isLlama: boolean): Draw {
  if (/norm\w*\.weight$/i.test(name)) return { constant: 1 };
  if (/norm\w*\.bias$/i.test(name)) return { constant: 0 };
  const isOuter = /^(decoder\.(embedding|head)|down|up|projection)\b/.test(name);
  if (isLlama && !isOuter) return { normal: 0.02 };
  if (name.endsWith("embedding.weight")) return { normal: 1 };
  if (name.includes("mix.weight")) return { uniform: 1 / Math.sqrt(shape[1]!) };
  if (name.endsWith("weight")) return { uniform: 1 / Math.sqrt(shape[0]!) };
  return { uniform: 0 }; // biases: the fan-in is the weight's, see below
}

const wide = { vocabSize: 40, width: 32, layerCount: 2 };
const wideMixer = (contextLength: number): BackboneConfig => ({
  architecture: "mixer",
  contextLength,
  ...wide,
});
const wideTransformer = (contextLength: number): BackboneConfig => ({
  architecture: "transformer",
  contextLength,
  headCount: 2,
  ...wide,
});

for (const backbone of [wideMixer, wideTransformer]) {
  const isLlama = backbone === wideTransformer;
  const family = isLlama ? "transformer" : "mixer";
  const configs: Record<string, ModelConfig> = {
    CLM: { kind: "causal", backbone: backbone(24) },
    EEM: {
      kind: "augmented",
      memory: "embedding",
      encoder: backbone(24),
      decoder: { ...backbone(25), width: 48 },
      embeddingSize: 16,
    },
  };
  for (const [kind, config] of Object.entries(configs)) {
    onEveryBackend(`initModel() draws a ${family} ${kind} as the reference does`, async () => {
      const leaves = namedLeaves(initModel(config, createRandom(3)));
      const shapes = new Map(leaves.map(({ name, tensor }) => [name, tensor.shape]));
      const firsts = new Set<number>();
      for (const { name, tensor } of leaves) {
        let draw = referenceDraw(name, tensor.shape, isLlama);
        if ("uniform" in draw && name.endsWith("bias")) {
          const shape = shapes.get(name.replace(/bias$/, "weight"))!;
          draw = { uniform: 1 / Math.sqrt(name.includes("mix.") ? shape[1]! : shape[0]!) };
        }
        await assertDrawn(tensor, draw, name);
        if (!("constant" in draw)) firsts.add((await read(tensor))[0]!);
      }
      const drawn = leaves.filter(({ name }) => !/norm/i.test(name)).length;
      assert.equal(firsts.size, drawn, "every tensor must have draws of its own");
    }, cpu);
  }
}

onEveryBackend("initBackbone() refuses sizes that are no positive integers", () => {
  for (const field of ["vocabSize", "contextLength", "width", "layerCount"] as const) {
    for (const value of [0, 2.5, NaN]) {
      assert.throws(
        () => initBackbone({ ...mixer(LENGTH), [field]: value }, createRandom(1)),
        (error: Error) =>
          error instanceof UserError &&
          error.message === `${field}: expected a positive integer, found ${value}`,
      );
    }
  }
}, cpu);

onEveryBackend("initBackbone() refuses heads of odd or broken width", () => {
  for (const headCount of [3, 8]) {
    const config = { ...transformer(LENGTH), headCount } as BackboneConfig;
    assert.throws(
      () => initBackbone(config, createRandom(1)),
      (error: Error) =>
        error instanceof UserError && error.message.includes(`width 8 with ${headCount} heads`),
    );
  }
}, cpu);

onEveryBackend("hiddenStates() refuses parameters of the other architecture", () => {
  const pairs = [[mixer(LENGTH), transformer(LENGTH)], [transformer(LENGTH), mixer(LENGTH)]];
  for (const [config, other] of pairs) {
    const backbone = initBackbone(other!, createRandom(1));
    const x = embedTokens(backbone, tensor(tinyIds(), [LENGTH, 2], "int32"));
    assert.throws(
      () => hiddenStates(config!, backbone, x, null),
      (error: Error) =>
        error instanceof UserError && error.message.includes(`says ${config!.architecture}`),
    );
  }
}, cpu);

onEveryBackend("hiddenStates() of a mixer take pads for tokens", async () => {
  const backbone = initBackbone(mixer(LENGTH), createRandom(1));
  const x = embedTokens(backbone, tensor(tinyIds(), [LENGTH, 2], "int32"));
  const hidden = tensor(new Float32Array(2 * LENGTH), [2, LENGTH]);
  assert.deepEqual(
    await read(hiddenStates(mixer(LENGTH), backbone, x, hidden)),
    await read(hiddenStates(mixer(LENGTH), backbone, x, null)),
  );
}, cpu);
