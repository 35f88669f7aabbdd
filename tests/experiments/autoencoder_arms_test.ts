import assert from "node:assert/strict";
import type { ArmGroup } from "../../lib/experiments/arm_summary.ts";
import { scaleSteps } from "../../lib/experiments/arms.ts";
import {
  autoencoderArm as names,
  autoencoderSpecs,
} from "../../lib/experiments/autoencoder_arms.ts";
import { autoencoderFigures } from "../../lib/experiments/autoencoder_figures.ts";
import { AUTOENCODER_PRESETS, PRESETS } from "../../lib/experiments/presets.ts";
import { runId } from "../../lib/experiments/run_spec.ts";
import {
  type AutoencoderConfig,
  type ModelConfig,
  stacksOf,
  type TransformerConfig,
} from "../../lib/models/mod.ts";
import {
  assertSameModelForAllSeeds,
  assertTrainable,
  assertTrainedAlike,
  modelsOf,
} from "./_planned_runs.ts";

/** The same change of encoder and decoder. */
function inBoth(model: AutoencoderConfig, change: object): AutoencoderConfig {
  return {
    ...model,
    encoder: { ...model.encoder, ...change },
    decoder: { ...model.decoder, ...change },
  };
}

for (const name of PRESETS) {
  const preset = AUTOENCODER_PRESETS[name];
  const { data, layerCount, embeddingSize, peakRates } = preset;
  const specs = autoencoderSpecs(preset);
  const [narrow, base, wide] = preset.widths;

  // The two models that all others are a change of (paper §2.5, §9 E2).
  const sizes = {
    vocabSize: data.vocabSize,
    contextLength: data.contextLength,
    layerCount,
    width: base,
  };
  const mixerStack = { architecture: "mixer", ...sizes } as const;
  const transformerStack: TransformerConfig = {
    architecture: "transformer",
    ...sizes,
    headCount: 4,
    finalNorm: false, // "modular"
  };
  const repeated = { kind: "autoencoder", expansion: "repeat" } as const;
  const mixer: AutoencoderConfig = { ...repeated, encoder: mixerStack, decoder: mixerStack };
  const transformer: AutoencoderConfig = {
    ...repeated,
    encoder: transformerStack,
    decoder: transformerStack,
  };
  const unrolled = { expansion: "unroll" } as const;
  const unrolledTransformer = { ...transformer, ...unrolled };
  const { finalNorm: _, ...causalTransformer } = transformerStack;

  const kernels = [[4, base], [8, base], [16, base], [8, wide], [16, wide]] as const;
  const MODELS: Readonly<Record<string, ModelConfig>> = {
    // E2: width
    ...Object.fromEntries(
      [narrow, base, wide].flatMap((width): [string, ModelConfig][] => [
        [names.plain("mixer", width), inBoth(mixer, { width })],
        [names.plain("transformer", width), inBoth(transformer, { width })],
      ]),
    ),
    // E3: the architecture of one side; transformers are whole Llama models
    [names.hybrid("mixer", "transformer")]: { ...mixer, decoder: causalTransformer },
    [names.hybrid("transformer", "mixer")]: {
      ...mixer,
      encoder: causalTransformer,
      embedding: "inner",
    },
    // E4, E5: expansion, and the heads of the unrolled
    ...Object.fromEntries(
      [2, 4, 8, 16].map((headCount) => [
        names.heads("transformer", headCount),
        inBoth(unrolledTransformer, { headCount }),
      ]),
    ),
    // E6: kernel and expansion, at two widths
    ...Object.fromEntries(
      kernels.flatMap(([kernelSize, width]): [string, ModelConfig][] => {
        const model = inBoth(mixer, { kernelSize, width });
        return [
          [names.kernel(kernelSize, width, "repeat"), model],
          [names.kernel(kernelSize, width, "unroll"), { ...model, ...unrolled }],
        ];
      }),
    ),
    // E7: the wide one through as many numbers as the base is wide
    [names.bottleneck(wide, base)]: {
      ...inBoth(unrolledTransformer, { width: wide }),
      embeddingSize: base,
    },
    // E8: masks
    [names.encoderUnmasked]: { ...mixer, encoder: { ...mixerStack, causal: false } },
    [names.unmasked]: inBoth(mixer, { causal: false }),
    // E9: mixing heads
    ...Object.fromEntries(
      [1, 2, 4, 8, 16].map((headCount) => [
        names.heads("mixer", headCount),
        inBoth(mixer, { headCount }),
      ]),
    ),
    // E10: causal models
    [names.causal("mixer")]: { kind: "causal", backbone: mixerStack },
    [names.causal("mixer, 4 heads")]: {
      kind: "causal",
      backbone: { ...mixerStack, headCount: 4 },
    },
    [names.causal("transformer")]: { kind: "causal", backbone: causalTransformer },
    // E11: few numbers
    [names.few("mixer, kernel 8, repeat", embeddingSize)]: {
      ...inBoth(mixer, { kernelSize: 8 }),
      embeddingSize,
    },
    [names.few("mixer, kernel 8, unroll", embeddingSize)]: {
      ...inBoth(mixer, { kernelSize: 8 }),
      ...unrolled,
      embeddingSize,
    },
    [names.few("transformer, unroll", embeddingSize)]: { ...unrolledTransformer, embeddingSize },
  };

  Deno.test(`autoencoderSpecs() of ${name}: every arm once, every seed, trained alike`, () => {
    assertTrainedAlike(specs, preset);
    assertSameModelForAllSeeds(specs);
    assert.equal(new Set(specs.map((spec) => runId(spec, "key"))).size, specs.length);
    for (const spec of specs) {
      assert.equal(spec.data, data);
      assert.deepEqual(spec.quantizedBits, []);
      assert.equal(spec.family, spec.training.model.kind);
      const isMixed = stacksOf(spec.training.model)
        .some(({ architecture }) => architecture === "mixer");
      const rate = isMixed ? peakRates.mixer : peakRates.transformer;
      assert.equal(spec.training.schedule.peakRate, rate, spec.arm);
    }
  });

  Deno.test(`autoencoderSpecs() of ${name}: each arm is its base with one thing changed`, () => {
    assert.deepEqual(modelsOf(specs), MODELS);
  });

  Deno.test(`autoencoderSpecs() of ${name} can be trained`, () => specs.forEach(assertTrainable));

  Deno.test(`autoencoderFigures() of ${name} show every arm, and no other`, () => {
    const groups = Object.values(autoencoderFigures(preset));
    const panels = groups.flatMap((group) => Object.values<ArmGroup>(group)).map(
      Object.values<string>,
    );
    for (const arms of panels) assert.equal(new Set(arms).size, arms.length, "twice in a panel");
    assert.deepEqual([...new Set(panels.flat())].sort(), Object.keys(MODELS).sort());
  });
}

Deno.test("autoencoderFigures() label kernels by what a panel's arms differ in", () => {
  const { kernels } = autoencoderFigures(AUTOENCODER_PRESETS.paper);
  const panel = (width: number, sizes: readonly number[]) => {
    const labelled = sizes.flatMap((size) =>
      (["repeat", "unroll"] as const).map((expansion) =>
        [`kernel ${size}, ${expansion}`, names.kernel(size, width, expansion)] as const
      )
    );
    return { "kernel 1, repeat": names.plain("mixer", width), ...Object.fromEntries(labelled) };
  };
  assert.deepEqual(Object.values(kernels), [panel(512, [4, 8, 16]), panel(1024, [8, 16])]);
});

Deno.test("autoencoderSpecs() can be trained where steps are slow", () => {
  autoencoderSpecs(scaleSteps(AUTOENCODER_PRESETS.quick, 1 / 20)).forEach(assertTrainable);
});
