import assert from "node:assert/strict";
import { autoencoderArm, autoencoderSpecs } from "../../lib/experiments/autoencoder_arms.ts";
import { frozenSources, frozenSpecs } from "../../lib/experiments/frozen_arms.ts";
import { handoverArm as names } from "../../lib/experiments/handover_names.ts";
import { AUTOENCODER_PRESETS, PRESETS } from "../../lib/experiments/presets.ts";
import { runId } from "../../lib/experiments/run_spec.ts";
import type { AutoencoderConfig, BackboneConfig, ModelConfig } from "../../lib/models/mod.ts";
import {
  assertSameModelForAllSeeds,
  assertTrainable,
  assertTrainedAlike,
  modelsOf,
} from "./_planned_runs.ts";

for (const name of PRESETS) {
  const preset = AUTOENCODER_PRESETS[name];
  const { data, layerCount, steps, warmupSteps } = preset;
  const [, width] = preset.widths;
  const specs = frozenSpecs(preset);

  const plain = autoencoderArm.plain("mixer", width);
  const kernel8 = autoencoderArm.kernel(8, width, "repeat");
  const kernel16 = autoencoderArm.kernel(16, width, "repeat");
  const clm = autoencoderArm.causal("mixer");
  const [tenth, third] = [0.1, 0.3].map((share) => names.early(plain, share * steps)) as [
    string,
    string,
  ];

  const stack = {
    architecture: "mixer",
    vocabSize: data.vocabSize,
    contextLength: data.contextLength,
    width,
    layerCount,
  } as const;
  const autoencoder = (kernelSize?: number): AutoencoderConfig => {
    const stacks = kernelSize === undefined ? stack : { ...stack, kernelSize };
    return { kind: "autoencoder", encoder: stacks, decoder: stacks, expansion: "repeat" };
  };
  const decoder = { ...stack, contextLength: data.contextLength + 1 };
  /** The whole state, which is as wide as the decoder: no down and up. */
  const handed = (encoder: BackboneConfig) =>
    ({ kind: "augmented", memory: "embedding", encoder, decoder }) as const;

  /** Models by arm, and whose encoder each takes over (paper §2.7). */
  const EXPECTED: Readonly<Record<string, readonly [model: ModelConfig, source?: string]>> = {
    [tenth]: [autoencoder()],
    [third]: [autoencoder()],
    [plain]: [autoencoder()],
    [kernel8]: [autoencoder(8)],
    [kernel16]: [autoencoder(16)],
    [clm]: [{ kind: "causal", backbone: stack }],
    ...Object.fromEntries(
      [tenth, third, plain].map((source) => [names.frozen(source), [handed(stack), source]]),
    ),
    [names.frozen(kernel8)]: [handed({ ...stack, kernelSize: 8 }), kernel8],
    [names.frozen(kernel16)]: [handed({ ...stack, kernelSize: 16 }), kernel16],
    // A causal encoder is read at the last position but one.
    [names.frozen(clm)]: [{ ...handed(stack), readPosition: -2 }, clm],
    [names.trained(plain)]: [handed(stack)],
    [names.trained(kernel16)]: [handed({ ...stack, kernelSize: 16 })],
    [names.deeper(plain)]: [
      { ...handed(stack), decoder: { ...decoder, layerCount: 2 * layerCount } },
      plain,
    ],
    [names.noEncoder]: [{ kind: "augmented", memory: "zeros", decoder }],
    [names.inverse(plain)]: [autoencoder(), plain],
    [names.inverse(names.trained(plain))]: [autoencoder(), names.trained(plain)],
    [names.inverse(clm)]: [{ ...autoencoder(), readPosition: -2 }, clm],
  };

  Deno.test(`frozenSources() of ${name} are two series, from the worst to the best`, () => {
    // Longer training, and larger kernels (paper §9 E6).
    assert.deepEqual(frozenSources(preset), {
      plain,
      training: [tenth, third, plain],
      kernels: [plain, kernel8, kernel16],
    });
  });

  Deno.test(`frozenSpecs() of ${name}: encoders are their sources', all else is alike`, () => {
    const models = Object.entries(EXPECTED).map(([arm, [model]]) => [arm, model]);
    assert.deepEqual(modelsOf(specs), Object.fromEntries(models));
    assertSameModelForAllSeeds(specs);
    for (const [arm, share] of [[tenth, 0.1], [third, 0.3], [null, 1]] as const) {
      const trainedAlike = specs.filter((spec) =>
        arm === null ? spec.arm !== tenth && spec.arm !== third : spec.arm === arm
      );
      const part = {
        steps: share * steps,
        warmupSteps: Math.max(1, Math.round(share * warmupSteps)),
      };
      assertTrainedAlike(trainedAlike, { ...preset, ...part });
    }
    for (const spec of specs) {
      assert.equal(spec.data, data);
      assert.equal(spec.training.schedule.peakRate, preset.peakRates.mixer);
      assert.deepEqual(spec.quantizedBits, []);
      assertTrainable(spec);
    }
  });

  Deno.test(`frozenSpecs() of ${name}: sources have the same seed and are trained before`, () => {
    const ids = specs.map((spec) => runId(spec, "key"));
    assert.equal(new Set(ids).size, ids.length);
    specs.forEach((spec, i) => {
      const source = spec.frozenEncoder;
      assert.equal(source?.arm, EXPECTED[spec.arm]![1], spec.arm);
      if (source === undefined) return;
      assert.equal(source.training.seed, spec.training.seed, spec.arm);
      const at = ids.indexOf(runId(source, "key"));
      assert.ok(0 <= at && at < i, spec.arm);
    });
  });

  Deno.test(`frozenSpecs() of ${name}: sources are notebook 02's runs, but for shorter ones`, () => {
    const others = autoencoderSpecs(preset);
    for (const arm of [plain, kernel8, kernel16, clm]) {
      const of = (all: typeof specs) => all.filter((spec) => spec.arm === arm);
      assert.deepEqual(of(specs), of(others));
    }
  });
}
