import assert from "node:assert/strict";
import { disposeTree, initEngine } from "../../lib/engine/mod.ts";
import {
  FAKE_FORMATS,
  powerOfTwo,
  quantizationArm,
  quantizationFamily,
  quantizationModels,
  quantizationSpecs,
  scaleQuantization,
} from "../../lib/experiments/quantization_arms.ts";
import {
  QUANTIZATION_PRESETS,
  type QuantizationPreset,
} from "../../lib/experiments/quantization_presets.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import { runId, type RunSpec } from "../../lib/experiments/run_spec.ts";
import { isTable, pickModules } from "../../lib/layers/mod.ts";
import { checkModelSizes, initModel, type ModelConfig } from "../../lib/models/mod.ts";
import {
  formatQuantization,
  parseQuantization,
  type QuantizationAwareTraining,
  storedBits,
} from "../../lib/qat/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { ADAMW_DEFAULTS } from "../../lib/train/mod.ts";
import { assertSameModelForAllSeeds, assertTrainable, modelsOf } from "./_planned_runs.ts";

// Modules are those of models that are made; nothing is computed with them.
await initEngine({ backend: "cpu", log: () => {} });

const PARTS = ["text", "known"] as const;

/** The widths of noise in words. */
const WORDS: readonly (readonly [number, string])[] = [
  [2, "2¹"],
  [1, "2⁰"],
  [1 / 2, "2⁻¹"],
  [1 / 4, "2⁻²"],
  [1 / 8, "2⁻³"],
  [1 / 16, "2⁻⁴"],
  [1 / 32, "2⁻⁵"],
  [2 ** -12, "2⁻¹²"],
];

Deno.test("powerOfTwo() has the exponent as a superscript", () => {
  for (const [value, words] of WORDS) assert.equal(powerOfTwo(value), words);
});

/** What an arm's name says of its training; undefined of plain training. */
function treatmentOf(arm: string): QuantizationAwareTraining | undefined {
  if (arm === "no noise" || arm === "CLM") return undefined;
  const fake = /^fake ([^,]+)(, all outputs)?$/.exec(arm);
  if (fake !== null) {
    const [, format, isOfOutputs] = fake;
    const quantization = parseQuantization(format!);
    const at = isOfOutputs === undefined ? "embedding" : "outputs";
    return { method: "fake-quantization", quantization, at };
  }
  const share = /^noise of (.+) deviations$/.exec(arm);
  if (share !== null) {
    const [width] = WORDS.find(([, other]) => other === share[1])!;
    return { method: "noise", width, at: "embedding", standardized: true };
  }
  const noise = /^(?:(residual|relative|weight) )?noise ([^,]+)(, one-sided)?$/.exec(arm);
  assert.ok(noise !== null, `an arm of another kind: ${arm}`);
  const [, kind, words, isOneSided] = noise;
  const [width] = WORDS.find(([, other]) => other === words)!;
  return {
    method: "noise",
    width,
    at: kind === "residual" ? "residual" : kind === "weight" ? "weights" : "embedding",
    ...(kind === "weight" && { modules: ["down", "up"] }),
    ...(kind === "relative" && { relative: true }),
    ...(isOneSided !== undefined && { oneSided: true }),
  };
}

/** The same plan with models so narrow that they take no time to make. */
function narrowed(preset: QuantizationPreset): QuantizationPreset {
  const { text, known } = preset;
  const sizes = { width: 16, encoderWidth: 8 };
  return {
    ...preset,
    text: { ...text, ...sizes, data: { ...text.data, vocabSize: 20 } },
    known: { ...known, ...sizes },
  };
}

/** One run of each arm. */
function withoutSeeds(specs: readonly RunSpec[]): RunSpec[] {
  return [...Map.groupBy(specs, ({ family, arm }) => `${family}, ${arm}`).values()]
    .map(([first]) => first!);
}

for (const name of PRESETS) {
  const preset = QUANTIZATION_PRESETS[name];
  const { noiseWidth, residualWidth, sweepFormat, formats, bits } = preset;
  const specs = quantizationSpecs(preset);
  const ofPart = (part: (typeof PARTS)[number]) =>
    specs.filter(({ family }) => family === quantizationFamily[part]);

  Deno.test(`quantizationSpecs() of ${name}: every arm, all its seeds in a row, no run twice`, () => {
    const {
      causal,
      plain,
      noise,
      oneSided,
      residual,
      relative,
      standardized,
      weights,
      fake,
      fakeOutputs,
    } = quantizationArm;
    const wanted = {
      text: [causal, weights(noiseWidth), fakeOutputs(sweepFormat)],
      known: preset.known.shares.flatMap((share) => [relative(share), standardized(share)]),
    };
    for (const part of PARTS) {
      const { noiseWidths, seeds } = preset[part];
      assert.ok(noiseWidths.includes(noiseWidth));
      const runs = ofPart(part);
      const arms = [...new Set(runs.map(({ arm }) => arm))];
      for (
        const arm of [
          plain,
          ...noiseWidths.map(noise),
          oneSided(noiseWidth),
          residual(residualWidth),
          ...FAKE_FORMATS.map(fake),
          ...wanted[part],
        ]
      ) assert.ok(arms.includes(arm), `${part}: ${arm}`);
      assert.deepEqual(
        runs.map(({ arm, training }) => [arm, training.seed]),
        arms.flatMap((arm) => seeds.map((seed) => [arm, seed])),
      );
      assert.ok(new Set(seeds).size === seeds.length && !seeds.includes(1), "sizes are of seed 1");
    }
    assert.equal(ofPart("text").length + ofPart("known").length, specs.length);
    const ids = specs.map((spec) => runId(spec, JSON.stringify(spec.data)));
    assert.equal(new Set(ids).size, ids.length);
  });

  Deno.test(`quantizationSpecs() of ${name}: arms of a part differ by what is done to numbers`, () => {
    for (const part of PARTS) {
      const { batchSize, steps, warmupSteps, logEvery, evaluateEvery, peakRate, data } =
        preset[part];
      for (const { arm, training, frozenEncoder, teacher, estimates, ...spec } of ofPart(part)) {
        const { model: _, seed: __, qat, ...others } = training;
        assert.deepEqual(others, {
          optimizer: ADAMW_DEFAULTS,
          schedule: { peakRate, warmupSteps, steps },
          batchSize,
          logEvery,
          evaluateEvery,
        });
        assert.deepEqual(qat, treatmentOf(arm), arm);
        assert.deepEqual(spec.data, data);
        assert.deepEqual([frozenEncoder, teacher, estimates], [undefined, undefined, undefined]);
        assert.deepEqual(spec.quantizedBits, arm === "CLM" ? [] : bits, arm);
      }
    }
  });

  Deno.test(`quantizationSpecs() of ${name}: one augmented decoder, and its causal model`, () => {
    for (const part of PARTS) {
      const { architecture, data, width, encoderWidth, layerCount, headCount, embeddingSize } =
        preset[part];
      const stack = (width: number, slots = 0) => ({
        architecture,
        vocabSize: data.vocabSize,
        contextLength: data.contextLength + slots,
        width,
        layerCount,
        ...(architecture === "transformer" && { headCount }),
      });
      const models = {
        causal: { kind: "causal", backbone: stack(width) },
        augmented: {
          kind: "augmented",
          memory: "embedding",
          encoder: stack(encoderWidth),
          decoder: stack(width, 1),
          embeddingSize,
          outerInitialization: "causal",
        },
      };
      assert.deepEqual(quantizationModels(preset[part]), models);
      assertSameModelForAllSeeds(ofPart(part));
      for (const [arm, model] of Object.entries(modelsOf(ofPart(part)))) {
        assert.deepEqual(model, arm === "CLM" ? models.causal : models.augmented, arm);
      }
    }
  });

  Deno.test(`quantizationSpecs() of ${name}: the same is rounded in all arms, by modules that are there`, () => {
    const modulesOf = (model: ModelConfig, wanted: readonly string[] | "all") => {
      const params = initModel(model, createRandom(1));
      const names = pickModules(params, wanted);
      disposeTree(params);
      return names;
    };
    const plans = new Map<string, Set<string>>();
    for (
      const { training: { model }, rounding } of withoutSeeds(quantizationSpecs(narrowed(preset)))
    ) {
      const plan = JSON.stringify(rounding);
      const key = JSON.stringify(model);
      if (plans.get(key)?.has(plan)) continue;
      plans.set(key, new Set([...plans.get(key) ?? [], plan]));
      const { conditions = [], sweep, activations = [] } = rounding!;
      assert.deepEqual(sweep, { quantization: sweepFormat, sites: ["output", "weight"] });
      for (const { modules, site, quantization } of conditions) {
        // In its shortest form, by which results are found.
        const format = parseQuantization(quantization);
        assert.ok([quantization, `${quantization}/row`].includes(formatQuantization(format)));
        assert.ok(modulesOf(model, modules).length > 0);
        if (modules === "all" || site === "output" || site === "weight") continue;
        assert.ok(!modules.some(isTable), `${modules} ${site}`);
      }
      const names = conditions.map((condition) => Object.values(condition).join());
      assert.equal(new Set(names).size, names.length);
      assert.deepEqual(modulesOf(model, activations), model.kind === "causal" ? [] : ["down"]);
      const whole = [
        "all,product,int8/row",
        `all,output,${sweepFormat}`,
        `all,weight,${sweepFormat}`,
      ];
      const embedding = formats.map((format) => `down,output,${format}`);
      const wanted = model.kind === "causal"
        ? whole
        : [...whole, ...embedding, "up,product,int8/row"];
      for (const one of wanted) assert.ok(names.includes(one), one);
    }
    // A causal model and, in each part, one that all other arms have.
    assert.deepEqual([...plans.values()].map(({ size }) => size), [1, 1, 1]);
  });

  Deno.test(`quantizationSpecs() of ${name}: what claims and tables look up is measured`, () => {
    for (const format of ["fp16", "bf16", "e4m3fn", "e5m2", "llm.int8", "int8/row", "int4/row"]) {
      assert.ok(formats.includes(format), format);
    }
    assert.ok(formats.includes(sweepFormat));
    // Bits whose scales belong to the model and are not stored, see storageTable().
    for (const count of [8, 5, 4]) {
      assert.ok(bits.includes(count), `${count} bits`);
      assert.equal(storedBits(64, parseQuantization(`int${count}/channel`)), 64 * count);
    }
    assert.deepEqual(bits, bits.toSorted((a, b) => b - a));
  });

  Deno.test(`quantizationSpecs() of ${name} can be trained`, () => {
    for (const { training } of withoutSeeds(specs)) checkModelSizes(training.model);
    // The check of modules makes a model, which is large at the paper's sizes.
    quantizationSpecs(name === "paper" ? narrowed(preset) : preset).forEach(assertTrainable);
  });

  Deno.test(`scaleQuantization() of ${name} shortens all runs, which can still be trained`, () => {
    assert.deepEqual(scaleQuantization(preset, 1), preset);
    for (const share of [1 / 2, 1 / 20, 1e-6]) {
      const shortSpecs = quantizationSpecs(scaleQuantization(narrowed(preset), share));
      const fullSpecs = quantizationSpecs(narrowed(preset));
      assert.equal(shortSpecs.length, fullSpecs.length);
      shortSpecs.forEach((short, i) => {
        const { training, ...spec } = fullSpecs[i]!;
        const { training: shortTraining, ...shortSpec } = short;
        assert.deepEqual(shortSpec, spec);
        const { schedule, logEvery, evaluateEvery, ...others } = shortTraining;
        const { schedule: full, logEvery: _, evaluateEvery: __, ...expected } = training;
        assert.deepEqual(others, expected);
        const steps = Math.max(12, Math.round(share * full.steps));
        const warmupSteps = Math.max(1, Math.round(steps / 10));
        assert.deepEqual(schedule, { ...full, steps, warmupSteps });
        assert.deepEqual([logEvery, evaluateEvery], [2, Math.ceil(steps / 3)]);
      });
      withoutSeeds(shortSpecs).forEach(assertTrainable);
    }
  });
}

Deno.test("quantizationSpecs() have the same kinds of arms in every preset", () => {
  const kindsOf = (specs: readonly RunSpec[]) =>
    [...new Set(specs.map(({ family, arm }) => `${family}, ${arm.replace(/2[⁻⁰¹²³-⁹]+/, "w")}`))]
      .sort();
  const { quick, small, paper } = QUANTIZATION_PRESETS;
  assert.deepEqual(kindsOf(quantizationSpecs(quick)), kindsOf(quantizationSpecs(small)));
  assert.deepEqual(kindsOf(quantizationSpecs(paper)), kindsOf(quantizationSpecs(small)));
});

Deno.test("QUANTIZATION_PRESETS have the paper's widths of noise, and quick is short", () => {
  const paper = [1 / 2, 1 / 4, 1 / 8, 1 / 16];
  for (const name of ["small", "paper"] as const) {
    for (const part of PARTS) {
      const { noiseWidths } = QUANTIZATION_PRESETS[name][part];
      for (const width of paper) assert.ok(noiseWidths.includes(width), `${name}, ${part}`);
      assert.deepEqual(noiseWidths, noiseWidths.toSorted((a, b) => b - a));
    }
  }
  const { quick, small } = QUANTIZATION_PRESETS;
  for (const part of PARTS) {
    assert.equal(quick[part].seeds.length, 1);
    assert.ok(quick[part].steps <= small[part].steps / 10);
  }
});
