import assert from "node:assert/strict";
import { namedLeaves } from "../../lib/engine/mod.ts";
import {
  type BackboneConfig,
  causalLogits,
  type CausalModel,
  type CausalModelConfig,
  initModel,
  type MaskedMixerConfig,
  type TransformerConfig,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertCausal, assertDependence, type LogitsOf, logitsWith } from "./_causality.ts";
import { LENGTH, livelyModel, lstm, mixer, STACKS, transformer, WIDTH } from "./_tiny.ts";

function logitsOf(mode: Mode, backbone: BackboneConfig): LogitsOf {
  const config = { kind: "causal", backbone } as const;
  const params = livelyModel(config) as CausalModel;
  return logitsWith(mode, (idsNB) => causalLogits(config, params, idsNB, null));
}

const once = { oncePerBackend: true };

onEveryBackend("causalLogits() of an LSTM depend on no later token", async (mode) => {
  await assertCausal(logitsOf(mode, lstm(LENGTH)));
}, once);

/** Stacks with a mask, all two blocks deep: a leak of one block must not hide in the other. */
const masked: Record<string, Record<string, MaskedMixerConfig | TransformerConfig>> = {};
for (const headCount of [0, 1, 2, 4]) {
  // Kernels up to the whole width, and wider than a head.
  masked[`mixer, heads: ${headCount}`] = Object.fromEntries(
    [1, 2, 3, 4, 8].map((kernelSize) => [
      `kernel ${kernelSize}`,
      mixer(LENGTH, { headCount, kernelSize }),
    ]),
  );
}
for (const positions of ["rotary", "learned"] as const) {
  masked[`transformer, ${positions} positions`] = {
    "1 head": transformer(LENGTH, { headCount: 1, positions }),
    "2 heads": transformer(LENGTH, { headCount: 2, positions }),
    "no final norm": transformer(LENGTH, { finalNorm: false, positions }),
  };
}

for (const [name, variants] of Object.entries(masked)) {
  onEveryBackend(`causalLogits() of a ${name}, depend on no later token`, async (mode) => {
    for (const [variant, backbone] of Object.entries(variants)) {
      await assertCausal(logitsOf(mode, backbone), variant);
    }
  }, once);

  // The check above must not pass for want of effect.
  onEveryBackend(`causalLogits() of a ${name}, unmasked, depend on every token`, async (mode) => {
    for (const [variant, backbone] of Object.entries(variants)) {
      const unmasked = logitsOf(mode, { ...backbone, causal: false });
      await assertDependence(unmasked, LENGTH - 1, () => true, variant);
    }
  }, once);
}

for (const [name, stack] of Object.entries(STACKS)) {
  onEveryBackend(`initModel() of a ${name} adds the head's bias and changes nothing else`, () => {
    const valuesOf = (options: Partial<CausalModelConfig>, vocabSize: number) => {
      const backbone = { ...stack(LENGTH), vocabSize };
      const model = initModel({ kind: "causal", backbone, ...options }, createRandom(1));
      return new Map(namedLeaves(model).map(({ name, tensor }) => [name, [...tensor.dataSync()]]));
    };
    const vocabSize = 2000;
    const plain = valuesOf({}, vocabSize);
    const biased = valuesOf({ headBias: true }, vocabSize);
    const bias = biased.get("head.bias")!;
    biased.delete("head.bias");
    assert.deepEqual(biased, plain);
    assert.deepEqual(valuesOf({ headBias: false }, vocabSize), plain);

    assert.equal(bias.length, vocabSize);
    if (name === "transformer") {
      assert.ok(bias.every((value) => value === 0), "Hugging Face starts biases at 0");
      return;
    }
    // U(±1/√D): bounds, and a standard deviation of 1/√(3D).
    const bound = 1 / Math.sqrt(WIDTH);
    assert.ok(bias.every((value) => Math.abs(value) <= bound));
    const deviation = Math.sqrt(bias.reduce((sum, value) => sum + value ** 2, 0) / vocabSize);
    assert.ok(Math.abs(deviation - bound / Math.sqrt(3)) < 0.03 * bound, `${deviation}`);
  }, { only: ["cpu"] });
}
