import assert from "node:assert/strict";
import { autoencoderArm, autoencoderSpecs } from "../../lib/experiments/autoencoder_arms.ts";
import { frozenSources, frozenSpecs } from "../../lib/experiments/frozen_arms.ts";
import { handoverSpecs, scaleHandover } from "../../lib/experiments/handover_arms.ts";
import { handoverArm as names } from "../../lib/experiments/handover_names.ts";
import {
  AUTOENCODER_PRESETS,
  HANDOVER_PRESETS,
  type HandoverPreset,
  PRESETS,
} from "../../lib/experiments/presets.ts";
import { runId, type RunSpec } from "../../lib/experiments/run_spec.ts";
import {
  type AugmentedDecoderConfig,
  type BackboneConfig,
  embeddingSize,
  type MaskedMixerConfig,
  type ModelConfig,
  stacksOf,
} from "../../lib/models/mod.ts";
import {
  assertSameModelForAllSeeds,
  assertTrainable,
  assertTrainedAlike,
  modelsOf,
} from "./_planned_runs.ts";

const ROUNDED_BITS = [2, 3, 4, 8];

/** An embedding is also evaluated rounded, wherever there is one. */
function assertRounded({ arm, quantizedBits, training }: RunSpec): void {
  const hasEmbedding = embeddingSize(training.model) > 0;
  assert.deepEqual(quantizedBits, hasEmbedding ? ROUNDED_BITS : [], arm);
}

/** Stacks of every architecture, plain but for the sizes that all share. */
function stacksFor({ data: { vocabSize }, layerCount, headCount }: HandoverPreset["joins"]) {
  const stack = (width: number, contextLength: number) => ({
    vocabSize,
    contextLength,
    width,
    layerCount,
  });
  return {
    mixer: (width: number, length: number): BackboneConfig => ({
      architecture: "mixer",
      ...stack(width, length),
    }),
    transformer: (width: number, length: number): BackboneConfig => ({
      architecture: "transformer",
      ...stack(width, length),
      headCount,
    }),
    lstm: (width: number, length: number): BackboneConfig => ({
      architecture: "lstm",
      ...stack(width, length),
    }),
  };
}

/** Specifications by the part of the preset that plans them. */
function partsOf(specs: readonly RunSpec[], preset: HandoverPreset) {
  const frozenArms = new Set(frozenSpecs(preset.frozen).map(({ arm }) => arm));
  const others = specs.filter(({ arm }) => !frozenArms.has(arm));
  const isOther = ({ family }: RunSpec) => family !== "latent" && family !== "scan";
  return {
    joins: others.filter(isOther),
    frozen: specs.filter(({ arm }) => frozenArms.has(arm)),
    scan: others.filter(({ family }) => family === "scan"),
    latent: others.filter(({ family }) => family === "latent"),
  };
}

for (const name of PRESETS) {
  const preset = HANDOVER_PRESETS[name];
  const specs = handoverSpecs(preset);
  const parts = partsOf(specs, preset);

  Deno.test(`handoverSpecs() of ${name}: every arm once, every seed, trained alike`, () => {
    for (const part of ["joins", "scan", "latent"] as const) {
      assertTrainedAlike(parts[part], preset[part]);
      assertSameModelForAllSeeds(parts[part]);
    }
    assert.deepEqual(parts.frozen, frozenSpecs(preset.frozen));
    for (const [arm, runs] of Map.groupBy(specs, ({ arm }) => arm)) {
      assert.equal(new Set(runs.map(({ family }) => family)).size, 1, `"${arm}" names two arms`);
    }
    // One set of seeds, which the claims carry.
    const seeds = new Set(specs.map(({ training }) => training.seed));
    assert.deepEqual([...seeds], preset.joins.seeds);
  });

  Deno.test(`handoverSpecs() of ${name} can be trained`, () => specs.forEach(assertTrainable));

  Deno.test(`handoverSpecs() of ${name}: no run twice, and those of notebook 02 are its`, () => {
    const ids = specs.map((spec) => runId(spec, "key"));
    // Where a causal model's own learning rate is that of all others, one run is both arms'.
    const { peakRates, causalRates, seeds } = preset.joins;
    const twice = (["mixer", "transformer"] as const)
      .filter((family) => peakRates[family] === causalRates[family]).map(names.ownRate);
    const isFirst = (id: string, i: number) => ids.indexOf(id) === i;
    const again = specs.filter((_, i) => !isFirst(ids[i]!, i)).map(({ arm }) => arm);
    assert.deepEqual(again, twice.flatMap((arm) => seeds.map(() => arm)));
    const others = new Map(
      autoencoderSpecs(AUTOENCODER_PRESETS[name]).map((spec) => [runId(spec, "key"), spec.arm]),
    );
    const shared = specs.filter((_, i) => others.has(ids[i]!));
    const sources = [...frozenSources(preset.frozen).kernels, autoencoderArm.causal("mixer")];
    assert.deepEqual([...new Set(shared.map(({ arm }) => arm))].sort(), sources.sort());
    assert.equal(shared.length, sources.length * preset.frozen.seeds.length);
    shared.forEach((spec) => assert.equal(others.get(runId(spec, "key")), spec.arm));
  });

  Deno.test(`handoverSpecs() of ${name}: joins, pairings and encoders differ in that alone`, () => {
    const { joins } = preset;
    const { data: { contextLength }, width, encoderWidth, peakRates, causalRates } = joins;
    const stacks = stacksFor(joins);
    const causal = (family: "mixer" | "transformer" | "lstm"): ModelConfig => ({
      kind: "causal",
      backbone: stacks[family](width, contextLength),
    });
    type Family = "mixer" | "transformer";
    const token = (from: Family, to: Family) =>
      ({
        kind: "augmented",
        memory: "embedding",
        join: "token",
        encoder: stacks[from](encoderWidth, contextLength),
        decoder: stacks[to](width, contextLength + 1), // with a slot for the embedding
        embeddingSize: joins.embeddingSize,
      }) as const;
    // Without a slot; in the embedding join the width is that of both together (paper §2.6).
    const joined = (to: Family, join: "embedding" | "linear") => ({
      ...token("mixer", to),
      join,
      decoder: stacks[to](width, contextLength),
    });
    const encoderOf = (
      model: AugmentedDecoderConfig & { memory: "embedding" },
      change: Partial<MaskedMixerConfig>,
    ): ModelConfig => ({ ...model, encoder: { ...model.encoder, ...change } as BackboneConfig });
    const expected: Record<string, ModelConfig> = {
      [names.clm("mixer")]: causal("mixer"),
      [names.clm("transformer")]: causal("transformer"),
      [names.ownRate("mixer")]: causal("mixer"),
      [names.ownRate("transformer")]: causal("transformer"),
      [names.ownRate("lstm")]: causal("lstm"),
      [names.likeCausal]: { ...token("transformer", "transformer"), outerInitialization: "causal" },
      [names.join("transformer", "transformer", "token")]: token("transformer", "transformer"),
      [names.join("transformer", "mixer", "token")]: token("transformer", "mixer"),
      [names.encoderHeads(4)]: encoderOf(joined("mixer", "embedding"), { headCount: 4 }),
      [names.encoderKernel(4, "embedding")]: encoderOf(joined("mixer", "embedding"), {
        kernelSize: 4,
      }),
      [names.encoderKernel(8, "embedding")]: encoderOf(joined("mixer", "embedding"), {
        kernelSize: 8,
      }),
      [names.encoderKernel(4, "token")]: encoderOf(token("mixer", "mixer"), { kernelSize: 4 }),
    };
    for (const to of ["mixer", "transformer"] as const) {
      expected[names.join("mixer", to, "token")] = token("mixer", to);
      expected[names.join("mixer", to, "embedding")] = joined(to, "embedding");
      expected[names.join("mixer", to, "linear")] = joined(to, "linear");
    }
    assert.deepEqual(modelsOf(parts.joins), expected);

    for (const spec of parts.joins) {
      const { model, schedule } = spec.training;
      const architectures = stacksOf(model).map(({ architecture }) => architecture);
      const last = architectures.at(-1)!;
      const isOwn = spec.arm === names.ownRate(last);
      const shared = architectures.includes("mixer") ? "mixer" : "transformer";
      assert.equal(spec.data, joins.data);
      assert.equal(spec.family, isOwn ? "causal" : last, spec.arm);
      assert.equal(schedule.peakRate, isOwn ? causalRates[last] : peakRates[shared], spec.arm);
      // For the claims about a third of the way.
      assert.ok(spec.training.evaluateEvery <= schedule.steps / 3);
      assert.equal(spec.frozenEncoder, undefined);
      assertRounded(spec);
    }
  });

  Deno.test(`handoverSpecs() of ${name}: from no number to the whole state`, () => {
    const { scan } = preset;
    const { data, layerCount, embeddingSizes } = scan;
    const [, width] = scan.widths;
    const stack = (contextLength: number) =>
      ({
        architecture: "mixer",
        vocabSize: data.vocabSize,
        contextLength,
        width,
        layerCount,
        kernelSize: 4,
      }) as const;
    const decoder = stack(data.contextLength + 1);
    const whole: ModelConfig = {
      kind: "augmented",
      memory: "embedding",
      encoder: stack(data.contextLength),
      decoder,
    };
    assert.deepEqual(modelsOf(parts.scan), {
      [names.scanned(0)]: { kind: "augmented", memory: "zeros", decoder },
      ...Object.fromEntries(
        embeddingSizes.map((size) => [names.scanned(size), { ...whole, embeddingSize: size }]),
      ),
      [names.scanned(width)]: whole, // as it is, without down and up
    });
    assert.ok(Math.max(...embeddingSizes) < width);
    assert.deepEqual(embeddingSizes, embeddingSizes.toSorted((a, b) => a - b));
    for (const spec of parts.scan) {
      assert.equal(embeddingSize(spec.training.model), Number.parseInt(spec.arm));
      assert.equal(spec.data, data);
      assert.equal(spec.training.schedule.peakRate, scan.peakRates.mixer);
      assertRounded(spec);
    }
  });

  Deno.test(`handoverSpecs() of ${name}: sequences of known bits`, () => {
    const { latent } = preset;
    const expected = latent.latentBits.flatMap((bits) =>
      [0, ...latent.embeddingSizes].map((size) => [bits, size] as const)
    );
    const arms = Object.keys(modelsOf(parts.latent));
    assert.deepEqual(arms, expected.map(([bits, size]) => names.latent(bits, size)));
    assert.deepEqual(latent.embeddingSizes, latent.embeddingSizes.toSorted((a, b) => a - b));
    for (const spec of parts.latent) {
      const [bits, size] = expected[arms.indexOf(spec.arm)]!;
      // Eight symbols of 2 ** (bits / 8) each, said twice, after a token that starts.
      const vocabSize = 1 + 2 ** (bits / 8);
      const { sequenceSeed, ...data } = spec.data as Extract<typeof spec.data, { source: unknown }>;
      assert.deepEqual(data, {
        source: { latentBits: bits, blockCount: 8, blockLength: 2 },
        vocabSize,
        layout: "packed",
        contextLength: 17,
        trainWindows: latent.trainWindows,
        heldOutWindows: latent.heldOutWindows,
      });
      assert.ok(!latent.seeds.includes(sequenceSeed));
      const stack = (contextLength: number): BackboneConfig => ({
        architecture: "mixer",
        vocabSize,
        contextLength,
        width: latent.width,
        layerCount: latent.layerCount,
      });
      const shared = { kind: "augmented", decoder: stack(18) } as const;
      assert.deepEqual(
        spec.training.model,
        size === 0
          ? { ...shared, memory: "zeros" }
          : { ...shared, memory: "embedding", encoder: stack(17), embeddingSize: size },
      );
      assert.equal(spec.training.schedule.peakRate, latent.peakRate);
      assertRounded(spec);
    }
    assert.equal(
      new Set(parts.latent.map(({ data }) => JSON.stringify(data))).size,
      arms.length /
        (1 + latent.embeddingSizes.length),
      "one set of sequences for all arms of so many bits",
    );
  });
}

Deno.test("scaleHandover() leaves what can be trained where steps are slow", () => {
  handoverSpecs(scaleHandover(HANDOVER_PRESETS.quick, 1 / 20)).forEach(assertTrainable);
});

Deno.test("scaleHandover() shortens every part", () => {
  const scaled = scaleHandover(HANDOVER_PRESETS.small, 0.5);
  for (const part of ["joins", "frozen", "scan", "latent"] as const) {
    assert.equal(scaled[part].steps, HANDOVER_PRESETS.small[part].steps / 2);
    const { steps, warmupSteps, logEvery, evaluateEvery, ...others } = scaled[part];
    assert.ok(warmupSteps < steps && logEvery < steps && evaluateEvery < steps);
    const { steps: _, warmupSteps: __, logEvery: ___, evaluateEvery: ____, ...before } =
      HANDOVER_PRESETS.small[part];
    assert.deepEqual(others, before);
  }
});
