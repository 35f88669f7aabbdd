import assert from "node:assert/strict";
import { namedLeaves, type Tensor, tensor } from "../../lib/engine/mod.ts";
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
import {
  augmented,
  autoencoder,
  BATCH,
  LENGTH,
  lstm,
  mixer,
  refusal,
  STACKS,
  tinyIds,
  transformer,
} from "./_tiny.ts";

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

/** The stack that the parameter `name` is part of or stands beside. */
function stackOf(config: ModelConfig, name: string): BackboneConfig {
  if ("backbone" in config) return config.backbone;
  return "encoder" in config && name.startsWith("encoder.") ? config.encoder : config.decoder;
}

/** PyTorch's defaults and Hugging Face's Llama (paper §2.1–2.5), by parameter name. */
function referenceDraw(
  config: ModelConfig,
  name: string,
  shapes: ReadonlyMap<string, readonly number[]>,
): Draw {
  if (/norm\w*\.weight$/i.test(name)) return { constant: 1 };
  if (/norm\w*\.bias$/i.test(name)) return { constant: 0 };
  const isOuter = /^(decoder\.(embedding|head)|bridge|down|up|unroll|projection)\b/.test(name) ||
    (config.kind === "autoencoder" && name === "encoder.embedding.weight") ||
    (config.kind === "second-order" && name.startsWith("head."));
  if (stackOf(config, name).architecture === "transformer" && !isOuter) return { normal: 0.02 };
  if (name.endsWith("embedding.weight")) return { normal: 1 };
  // A bias has its weight's fan-in: the rows, or of a convolution the columns.
  const shape = shapes.get(name.replace(/bias$/, "weight"))!;
  const isConvolution = /mix\.(weight|bias)$/.test(name);
  return { uniform: 1 / Math.sqrt(isConvolution ? shape.at(-1)! : shape[0]!) };
}

const wide = { vocabSize: 40, width: 32 };
const wideMixer = (length: number) => mixer(length + 20, wide);
const wideTransformer = (length: number) => transformer(length + 20, wide);
const wideLstm = (length: number) => lstm(length + 20, wide);
const headedMixer = (length: number) =>
  mixer(length + 20, { ...wide, kernelSize: 3, headCount: 2 });
const learnedTransformer = (length: number) =>
  transformer(length + 20, { ...wide, positions: "learned" });

const drawn: Record<string, ModelConfig> = {
  "mixer EEM": augmented(wideMixer, wideMixer),
  "transformer EEM": augmented(wideTransformer, wideTransformer),
  "mixed embedding-join EEM": augmented(wideMixer, wideTransformer, "embedding"),
  "mixed linear-join EEM": augmented(wideTransformer, headedMixer, "linear"),
  "mixer-to-transformer AE": autoencoder(headedMixer, learnedTransformer, "repeat"),
  "transformer-to-LSTM AE": autoencoder(wideTransformer, wideLstm, "unroll"),
};
for (
  const [name, stack] of Object.entries({
    "mixer CLM": wideMixer,
    "mixer CLM with kernels and heads": headedMixer,
    "transformer CLM": wideTransformer,
    "transformer CLM with learned positions": learnedTransformer,
    "LSTM CLM": wideLstm,
  })
) drawn[name] = { kind: "causal", backbone: stack(LENGTH) };

for (const [name, stack] of Object.entries({ "mixer 2EEM": wideMixer, "2EEM": wideTransformer })) {
  drawn[name] = { kind: "second-order", backbone: stack(LENGTH), shift: true };
}

for (const [name, config] of Object.entries(drawn)) {
  onEveryBackend(`initModel() draws a ${name} as the reference does`, async () => {
    const leaves = namedLeaves(initModel(config, createRandom(3)));
    const shapes = new Map(leaves.map(({ name, tensor }) => [name, tensor.shape]));
    const firsts = new Set<number>();
    for (const { name, tensor } of leaves) {
      const draw = referenceDraw(config, name, shapes);
      await assertDrawn(tensor, draw, name);
      if (!("constant" in draw)) firsts.add((await read(tensor))[0]!);
    }
    const drawn = leaves.filter(({ name }) => !/norm/i.test(name)).length;
    assert.equal(firsts.size, drawn, "every tensor must have draws of its own");
  }, cpu);
}

onEveryBackend("initBackbone() refuses sizes that are no positive integers", () => {
  const sizes: [BackboneConfig, string[]][] = [
    [lstm(LENGTH), ["vocabSize", "contextLength", "width", "layerCount"]],
    [mixer(LENGTH), ["kernelSize"]],
    [transformer(LENGTH), ["headCount"]],
  ];
  for (const [config, fields] of sizes) {
    for (const field of fields) {
      for (const value of [0, 2.5, NaN]) {
        const changed = { ...config, [field]: value };
        assert.equal(
          refusal(() => initBackbone(changed, createRandom(1))),
          `${field}: expected a positive integer, found ${value}`,
        );
      }
    }
  }
}, cpu);

onEveryBackend("initBackbone() refuses heads of odd or broken width", () => {
  const message = (config: BackboneConfig) => refusal(() => initBackbone(config, createRandom(1)));
  for (const headCount of [3, 8]) {
    const found = message(transformer(LENGTH, { headCount }));
    assert.ok(found.startsWith(`width 8 with ${headCount} heads`), found);
  }
  assert.match(message(mixer(LENGTH, { headCount: 3 })), /^width 8 with 3 mixing heads: /);
  assert.match(message(mixer(LENGTH, { headCount: -2 })), /^headCount: .*found -2/);
}, cpu);

onEveryBackend("hiddenStates() refuses parameters of another architecture", () => {
  for (const [architecture, stack] of Object.entries(STACKS)) {
    for (const other of Object.values(STACKS)) {
      if (other === stack) continue;
      const backbone = initBackbone(other(LENGTH), createRandom(1));
      const x = embedTokens(backbone, tensor(tinyIds(), [LENGTH, BATCH], "int32"));
      const found = refusal(() => hiddenStates(stack(LENGTH), backbone, x, null));
      assert.ok(found.startsWith(`the configuration says ${architecture}, but`), found);
    }
  }
}, cpu);

onEveryBackend("hiddenStates() of mixers and LSTMs take pads for tokens", async () => {
  for (const config of [mixer(LENGTH), mixer(LENGTH, { headCount: 2 }), lstm(LENGTH)]) {
    const backbone = initBackbone(config, createRandom(1));
    const x = embedTokens(backbone, tensor(tinyIds(), [LENGTH, BATCH], "int32"));
    const hidden = tensor(new Float32Array(BATCH * LENGTH), [BATCH, LENGTH]);
    assert.deepEqual(
      await read(hiddenStates(config, backbone, x, hidden)),
      await read(hiddenStates(config, backbone, x, null)),
    );
  }
}, cpu);
