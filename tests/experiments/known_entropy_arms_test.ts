import assert from "node:assert/strict";
import type { SourceData } from "../../lib/experiments/data.ts";
import {
  KNOWN_ENTROPY_PRESETS,
  type KnownEntropyPreset,
} from "../../lib/experiments/entropy_presets.ts";
import {
  knownArm,
  knownEntropySpecs,
  PAID_BITS,
  scaleKnownEntropy,
} from "../../lib/experiments/known_entropy_arms.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import { runId, type RunSpec } from "../../lib/experiments/run_spec.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import { sourceVocabSize } from "../../lib/text/mod.ts";
import { ADAMW_DEFAULTS } from "../../lib/train/mod.ts";
import { assertSameModelForAllSeeds, assertTrainable, modelsOf } from "./_planned_runs.ts";

/** What every run of one arm of a source has. */
type Expected = Readonly<{
  model: ModelConfig;
  data: SourceData;
  steps: number;
  of: readonly string[];
}>;

/** The arms of a source by name, in the order of training. */
function expectedOf(family: string, preset: KnownEntropyPreset): Record<string, Expected> {
  const { sources, contextLength, trainingSteps, shortfall, embeddingSize } = preset;
  const longest = trainingSteps.at(-1)!;
  const known = sources[family]!;
  const vocabSize = sourceVocabSize(known);
  const { width, layerCount, headCount, heldOutWindows } = preset;
  const dataOf = (layout: "packed" | "padded"): SourceData => ({
    known,
    vocabSize,
    layout,
    contextLength,
    heldOutWindows,
  });
  const stack = (length: number) =>
    ({
      architecture: "transformer",
      vocabSize,
      contextLength: length,
      width,
      layerCount,
      headCount,
    }) as const;
  const causal: ModelConfig = { kind: "causal", backbone: stack(contextLength) };
  const eem = (numbers: number): ModelConfig => ({
    kind: "augmented",
    memory: "embedding",
    encoder: stack(contextLength),
    decoder: stack(contextLength + 1),
    embeddingSize: numbers,
    outerInitialization: "causal",
  });
  const second: ModelConfig = {
    kind: "second-order",
    backbone: stack(contextLength),
    shift: true,
  };
  const [packed, padded] = [dataOf("packed"), dataOf("padded")];
  const base = eem(embeddingSize);
  const sizes = family === shortfall.source
    ? shortfall.embeddingSizes.filter((numbers) => numbers !== embeddingSize)
    : [];
  const attributions = ["occlusion-l1", "occlusion-cosine", "gradient-input"];
  return {
    ...Object.fromEntries(trainingSteps.map((steps) => [`CLM, ${steps} steps`, {
      model: causal,
      data: packed,
      steps,
      of: ["loss", "predictive-entropy"],
    }])),
    ...Object.fromEntries(trainingSteps.map((steps) => [`EEM, ${steps} steps`, {
      model: base,
      data: padded,
      steps,
      of: ["pad-shift", ...(steps === longest ? attributions : [])],
    }])),
    [`EEM of N and N − 1 tokens, ${longest} steps`]: {
      model: base,
      data: packed,
      steps: longest,
      of: ["two-window"],
    },
    [`2EEM, shift, ${longest} steps`]: {
      model: second,
      data: packed,
      steps: longest,
      of: ["second-order"],
    },
    ...Object.fromEntries(sizes.map((numbers) => [`EEM, ${numbers} numbers`, {
      model: eem(numbers),
      data: padded,
      steps: longest,
      of: ["pad-shift"],
    }])),
  };
}

for (const name of PRESETS) {
  const preset = KNOWN_ENTROPY_PRESETS[name];
  const { sources, contextLength, trainingSteps, shortfall, seeds, embeddingSize } = preset;
  const longest = trainingSteps.at(-1)!;
  const specs = knownEntropySpecs(preset);
  const families = Map.groupBy(specs, ({ family }) => family);

  Deno.test(`knownEntropySpecs() of ${name}: the same arms on every source, every seed`, () => {
    assert.deepEqual([...families.keys()], Object.keys(sources));
    assert.ok(shortfall.source in sources);
    for (const [family, runs] of families) {
      const arms = Object.keys(expectedOf(family, preset));
      assert.deepEqual(
        runs.map(({ arm, training }) => [arm, training.seed]),
        arms.flatMap((arm) => seeds.map((seed) => [arm, seed])),
      );
    }
    const sizes = shortfall.embeddingSizes.filter((numbers) => numbers !== embeddingSize).length;
    const armCount = Object.keys(sources).length * (2 * trainingSteps.length + 2) + sizes;
    assert.equal(specs.length, armCount * seeds.length);
    const ids = specs.map((spec) => runId(spec, JSON.stringify(spec.data)));
    assert.equal(new Set(ids).size, ids.length);
  });

  Deno.test(`knownEntropySpecs() of ${name}: models, data, lengths and estimates of every arm`, () => {
    const { batchSize, logEvery, evaluateEvery, peakRate } = preset;
    for (const [family, runs] of families) {
      assertSameModelForAllSeeds(runs);
      const expected = expectedOf(family, preset);
      assert.deepEqual(
        modelsOf(runs),
        Object.fromEntries(Object.entries(expected).map(([arm, { model }]) => [arm, model])),
      );
      for (const { arm, data, training, quantizedBits, estimates } of runs) {
        const { model, steps, of, data: expectedData } = expected[arm]!;
        assert.deepEqual(data, expectedData, arm);
        const warmupSteps = Math.min(preset.warmupSteps, Math.ceil(steps / 4));
        assert.deepEqual(training, {
          model,
          optimizer: ADAMW_DEFAULTS,
          schedule: { peakRate, warmupSteps, steps },
          batchSize,
          seed: training.seed,
          logEvery,
          evaluateEvery,
        }, arm);
        assert.deepEqual(quantizedBits, model.kind === "augmented" ? [4] : [], arm);
        assert.deepEqual(estimates!.of, of, arm);
        const isPair = of[0] === "two-window";
        assert.equal(estimates!.windows, isPair ? preset.pairWindows : preset.windows, arm);
        assert.equal(estimates!.shorter !== undefined, isPair, arm);
      }
    }
    assert.equal(PAID_BITS, 4);
    assert.equal(knownArm.after(knownArm.augmented, longest), `EEM, ${longest} steps`);
  });

  Deno.test(`knownEntropySpecs() of ${name}: teachers are the longest causal runs of the seed`, () => {
    for (const [, runs] of families) {
      const ids = runs.map((spec) => runId(spec, "key"));
      runs.forEach(({ arm, teacher, training }, i) => {
        assert.equal(teacher !== undefined, arm.startsWith("2EEM"), arm);
        if (teacher === undefined) return;
        assert.ok("run" in teacher, arm);
        assert.equal(teacher.estimator, "loss");
        const at = ids.indexOf(runId(teacher.run, "key"));
        assert.ok(0 <= at && at < i, arm);
        assert.equal(runs[at]!.arm, `CLM, ${longest} steps`);
        assert.equal(runs[at]!.training.seed, training.seed);
      });
    }
  });

  Deno.test(`knownEntropySpecs() of ${name}: pairs differ by one token, and in nothing else`, () => {
    const pairs = specs.filter(({ estimates }) => estimates?.shorter !== undefined);
    assert.equal(pairs.length, Object.keys(sources).length * seeds.length);
    for (const { family, data, training, estimates } of pairs) {
      const { model, ...others } = training;
      assert.ok(model.kind === "augmented" && model.memory === "embedding");
      const oneLess = <Sized extends { contextLength: number }>(sized: Sized): Sized => ({
        ...sized,
        contextLength: sized.contextLength - 1,
      });
      const shorter = estimates!.shorter!;
      assert.deepEqual(shorter, {
        family,
        arm: "EEM of N − 1 tokens",
        data: oneLess(data),
        quantizedBits: [],
        training: {
          ...others,
          model: { ...model, encoder: oneLess(model.encoder), decoder: oneLess(model.decoder) },
        },
      });
      // Of no use but to its pair.
      assert.ok(specs.every(({ arm }) => arm !== shorter.arm));
    }
  });

  Deno.test(`knownEntropySpecs() of ${name} can be trained, and held-out windows suffice`, () => {
    specs.forEach(assertTrainable);
    for (const { arm, data, estimates } of specs) {
      assert.ok("known" in data);
      const heldOut = Math.floor(data.known.length / contextLength / 10);
      // Of padded data the first half is full.
      const full = Math.min(heldOut, data.heldOutWindows) / (data.layout === "padded" ? 2 : 1);
      assert.ok(estimates!.windows <= full, arm);
    }
  });

  Deno.test(`scaleKnownEntropy() of ${name} shortens all runs, which can still be trained`, () => {
    assert.equal(scaleKnownEntropy(preset, 1), preset);
    for (const share of [1 / 2, 1 / 20, 1e-6]) {
      const scaled = scaleKnownEntropy(preset, share);
      const short = trainingSteps.map((steps) => Math.max(12, Math.round(share * steps)));
      assert.deepEqual(scaled.trainingSteps, [...new Set(short)]);
      const shortSpecs = knownEntropySpecs(scaled);
      const names = shortSpecs.map(({ family, arm, training }) =>
        [family, arm, training.seed].join()
      );
      assert.equal(new Set(names).size, names.length, "an arm stands there twice");
      const stepsOf = ({ training }: RunSpec) => training.schedule.steps;
      assert.deepEqual([...new Set(shortSpecs.map(stepsOf))], scaled.trainingSteps);
      shortSpecs.forEach(assertTrainable);
    }
  });
}
