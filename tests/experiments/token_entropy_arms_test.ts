import assert from "node:assert/strict";
import { TOKEN_ENTROPY_PRESETS } from "../../lib/experiments/entropy_presets.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import { runId, type RunSpec } from "../../lib/experiments/run_spec.ts";
import {
  scaleTokenEntropy,
  tokenArm,
  tokenEntropySpecs,
} from "../../lib/experiments/token_entropy_arms.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import {
  assertSameModelForAllSeeds,
  assertTrainable,
  assertTrainedAlike,
  modelsOf,
} from "./_planned_runs.ts";

/** Estimators by arm; arms of the larger embeddings have one alone. */
const ESTIMATED: Readonly<Record<string, readonly string[]>> = {
  "small CLM": ["loss", "predictive-entropy"],
  "large CLM": ["loss"],
  "2EEM, no shift": ["second-order"],
  "2EEM, shift": ["second-order"],
};
const OF_BASE = [
  "loss",
  "pad-shift",
  "occlusion-l1",
  "occlusion-cosine",
  "shift-l1",
  "gradient-input",
];

for (const name of PRESETS) {
  const preset = TOKEN_ENTROPY_PRESETS[name];
  const { data, width, encoderWidth, layerCount, headCount, embeddingSizes, seeds } = preset;
  const specs = tokenEntropySpecs(preset);
  const isLarge = ({ arm }: RunSpec) => arm === "large CLM";
  const [base, large, largest] = embeddingSizes;
  const baseArm = `EEM, ${base} numbers`;

  Deno.test(`tokenEntropySpecs() of ${name}: every arm once, every seed, trained alike`, () => {
    assertTrainedAlike(specs.filter((spec) => !isLarge(spec)), preset);
    const steps = preset.large.stepsFactor * preset.steps;
    assertTrainedAlike(specs.filter(isLarge), { ...preset, steps });
    assertSameModelForAllSeeds(specs);
    for (const spec of specs) {
      assert.equal(spec.family, "transformer");
      assert.deepEqual(spec.quantizedBits, []);
      const { peakRate } = isLarge(spec) ? preset.large : preset;
      assert.equal(spec.training.schedule.peakRate, peakRate);
    }
    const ids = specs.map((spec) => runId(spec, "key"));
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(ids.length, 7 * seeds.length);
  });

  Deno.test(`tokenEntropySpecs() of ${name} are transformers that differ in what they test`, () => {
    const { vocabSize, contextLength } = data;
    assert.equal(data.layout, "padded");
    const stack = (changes: { width: number } & Partial<{ contextLength: number }>) =>
      ({
        architecture: "transformer",
        vocabSize,
        contextLength,
        layerCount,
        headCount,
        ...changes,
      }) as const;
    const eem = (numbers: number): ModelConfig => ({
      kind: "augmented",
      memory: "embedding",
      encoder: stack({ width: encoderWidth }),
      decoder: stack({ width, contextLength: contextLength + 1 }),
      embeddingSize: numbers,
      outerInitialization: "causal",
    });
    const second = (shift: boolean): ModelConfig => ({
      kind: "second-order",
      backbone: stack({ width }),
      shift,
    });
    assert.deepEqual(modelsOf(specs), {
      "small CLM": { kind: "causal", backbone: stack({ width }) },
      [baseArm]: eem(base),
      [`EEM, ${large} numbers`]: eem(large),
      [`EEM, ${largest} numbers`]: eem(largest),
      "2EEM, no shift": second(false),
      "2EEM, shift": second(true),
      "large CLM": {
        kind: "causal",
        backbone: {
          ...stack({ width: preset.large.width }),
          vocabSize: preset.large.vocabSize,
          layerCount: preset.large.layerCount,
        },
      },
    });
    assert.ok(base < large && large < largest);
    assert.ok(preset.large.width > width && preset.large.vocabSize > vocabSize);
    assert.deepEqual(
      [tokenArm.small, tokenArm.large, tokenArm.augmented(base), tokenArm.secondOrder(true)],
      ["small CLM", "large CLM", baseArm, "2EEM, shift"],
    );
  });

  Deno.test(`tokenEntropySpecs() of ${name}: what is estimated, of which tokens`, () => {
    const { windows, ratedWindows } = preset;
    assert.ok(windows <= data.heldOutWindows);
    for (const { arm, data: own, estimates } of specs) {
      const of = arm === baseArm ? OF_BASE : ESTIMATED[arm] ?? ["occlusion-l1"];
      // The larger model's estimates are handed on to the tokens of all others.
      const isLarge = arm === "large CLM";
      assert.deepEqual(estimates, { windows, of, ...(isLarge && { onto: data }) }, arm);
      const { vocabSize } = isLarge ? preset.large : data;
      const isRated = arm.startsWith("2EEM") && ratedWindows !== undefined;
      const subset = isRated ? { trainWindows: ratedWindows } : {};
      assert.deepEqual(own, { ...data, vocabSize, ...subset }, arm);
    }
  });

  Deno.test(`tokenEntropySpecs() of ${name}: teachers are the small model's runs, trained before`, () => {
    const ids = specs.map((spec) => runId(spec, "key"));
    specs.forEach(({ arm, teacher, training }, i) => {
      assert.equal(teacher !== undefined, arm.startsWith("2EEM"), arm);
      if (teacher === undefined) return;
      assert.ok("run" in teacher, arm);
      assert.equal(teacher.estimator, "loss");
      const at = ids.indexOf(runId(teacher.run, "key"));
      assert.ok(0 <= at && at < i, arm);
      assert.equal(specs[at]!.arm, "small CLM");
      assert.equal(specs[at]!.training.seed, training.seed);
    });
  });

  Deno.test(`tokenEntropySpecs() of ${name} can be trained`, () => {
    specs.forEach(assertTrainable);
  });

  Deno.test(`scaleTokenEntropy() of ${name} shortens all runs, which can still be trained`, () => {
    assert.equal(scaleTokenEntropy(preset, 1), preset);
    const short = scaleTokenEntropy(preset, 1 / 20);
    const steps = Math.max(12, preset.steps / 20);
    const shortSpecs = tokenEntropySpecs(short);
    assert.equal(shortSpecs.length, specs.length);
    for (const spec of shortSpecs) {
      const factor = isLarge(spec) ? preset.large.stepsFactor : 1;
      assert.equal(spec.training.schedule.steps, factor * steps);
      assertTrainable(spec);
    }
    // A length that is no whole number would be refused.
    tokenEntropySpecs(scaleTokenEntropy(preset, 31 / preset.steps)).forEach(assertTrainable);
  });
}
