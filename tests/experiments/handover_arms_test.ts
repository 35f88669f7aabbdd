import assert from "node:assert/strict";
import { autoencoderArm, autoencoderSpecs } from "../../lib/experiments/autoencoder_arms.ts";
import {
  frozenSources,
  handoverArm as names,
  handoverSpecs,
  scaleHandover,
} from "../../lib/experiments/handover_arms.ts";
import { handoverFigures } from "../../lib/experiments/handover_claims.ts";
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
function partsOf(specs: readonly RunSpec[]) {
  const isOf = (...families: string[]) => ({ family }: RunSpec) => families.includes(family);
  const latent = isOf("latent"), scan = isOf("scan");
  const frozen = isOf("frozen", "autoencoder", "causal");
  return {
    joins: specs.filter((spec) => !latent(spec) && !scan(spec) && !frozen(spec)),
    frozen: specs.filter(frozen),
    scan: specs.filter(scan),
    latent: specs.filter(latent),
  };
}

for (const name of PRESETS) {
  const preset = HANDOVER_PRESETS[name];
  const specs = handoverSpecs(preset);
  const parts = partsOf(specs);

  Deno.test(`handoverSpecs() of ${name}: every arm once, every seed, trained alike`, () => {
    for (const part of ["joins", "frozen", "scan", "latent"] as const) {
      assertTrainedAlike(parts[part], preset[part]);
      assertSameModelForAllSeeds(parts[part]);
    }
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
    assert.equal(new Set(ids).size, ids.length);
    const others = new Map(
      autoencoderSpecs(AUTOENCODER_PRESETS[name]).map((spec) => [runId(spec, "key"), spec.arm]),
    );
    const shared = specs.filter((_, i) => others.has(ids[i]!));
    const sources = [...frozenSources(preset.frozen), autoencoderArm.causal("mixer")];
    assert.deepEqual([...new Set(shared.map(({ arm }) => arm))], sources);
    assert.equal(shared.length, sources.length * preset.frozen.seeds.length);
    shared.forEach((spec) => assert.equal(others.get(runId(spec, "key")), spec.arm));
  });

  Deno.test(`handoverSpecs() of ${name}: joins, pairings and encoders differ in that alone`, () => {
    const { joins } = preset;
    const { data: { contextLength }, width, encoderWidth, peakRates } = joins;
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
      [names.clm("lstm")]: causal("lstm"),
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
      assert.equal(spec.data, joins.data);
      assert.equal(spec.family, architectures.at(-1), spec.arm);
      const rate = architectures.includes("mixer") ? "mixer" : architectures[0]!;
      assert.equal(schedule.peakRate, peakRates[rate], spec.arm);
      assert.equal(spec.frozenEncoder, undefined);
      assertRounded(spec);
    }
  });

  Deno.test(`handoverSpecs() of ${name}: frozen encoders are their sources', seed by seed`, () => {
    const { frozen } = preset;
    const { data, layerCount } = frozen;
    const [, width] = frozen.widths;
    const models = modelsOf(parts.frozen);
    const sources = frozenSources(frozen);
    const [plain, middle, best] = sources as [string, string, string];
    const clm = autoencoderArm.causal("mixer");
    // From the worst to the best in the paper's order (paper §9 E6, E9).
    assert.deepEqual(sources, [
      autoencoderArm.plain("mixer", width),
      autoencoderArm.kernel(8, width, "repeat"),
      autoencoderArm.kernel(16, width, "repeat"),
    ]);

    const stack = {
      architecture: "mixer",
      vocabSize: data.vocabSize,
      contextLength: data.contextLength,
      width,
      layerCount,
    } as const;
    const decoder = { ...stack, contextLength: data.contextLength + 1 };
    // The whole state: as wide as the decoder, no down and up.
    const handed = (encoder: BackboneConfig): ModelConfig => ({
      kind: "augmented",
      memory: "embedding",
      encoder,
      decoder,
    });
    const encoderOf = (source: string) => stacksOf(models[source]!)[0]!;
    const back: ModelConfig = {
      kind: "autoencoder",
      encoder: stack,
      decoder: stack,
      expansion: "repeat",
    };
    // Each model, and whose encoder it takes over.
    const expected: Record<string, [model: ModelConfig, source?: string]> = {
      [names.frozen(plain)]: [handed(stack), plain],
      [names.frozen(middle)]: [handed(encoderOf(middle)), middle],
      [names.frozen(best)]: [handed(encoderOf(best)), best],
      // A causal encoder is read at the last position but one (paper §2.7).
      [names.frozen(clm)]: [{ ...handed(stack), readPosition: -2 } as ModelConfig, clm],
      [names.trained(plain)]: [handed(stack)],
      [names.trained(best)]: [handed(encoderOf(best))],
      [names.deeper]: [
        {
          ...handed(encoderOf(best)),
          decoder: { ...decoder, layerCount: 2 * layerCount },
        } as ModelConfig,
        best,
      ],
      [names.noEncoder]: [{ kind: "augmented", memory: "zeros", decoder }],
      [names.inverse(plain)]: [back, plain],
      [names.inverse(names.trained(plain))]: [back, names.trained(plain)],
      [names.inverse(clm)]: [{ ...back, readPosition: -2 }, clm],
    };
    const own = parts.frozen.filter(({ family }) => family === "frozen");
    const modelsExpected = Object.entries(expected).map(([arm, [model]]) => [arm, model]);
    assert.deepEqual(modelsOf(own), Object.fromEntries(modelsExpected));
    assert.deepEqual(encoderOf(plain), stack);
    assert.deepEqual(encoderOf(middle), { ...stack, kernelSize: 8 });
    assert.deepEqual(encoderOf(best), { ...stack, kernelSize: 16 });

    for (const spec of parts.frozen) {
      const source = spec.frozenEncoder;
      assert.equal(source?.arm, expected[spec.arm]?.[1], spec.arm);
      assert.equal(spec.data, data);
      assert.equal(spec.training.schedule.peakRate, frozen.peakRates.mixer);
      assert.deepEqual(spec.quantizedBits, []);
      if (source === undefined) continue;
      // It is one of the runs planned here, of the same seed, and is trained before.
      assert.equal(source.training.seed, spec.training.seed, spec.arm);
      const at = specs.findIndex((other) => runId(other, "key") === runId(source, "key"));
      assert.ok(0 <= at && at < specs.indexOf(spec), spec.arm);
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

  Deno.test(`handoverFigures() of ${name} show arms of the joins, and every one of them`, () => {
    const panels = Object.values(handoverFigures(preset)).flatMap(Object.values<string[]>);
    for (const arms of panels) assert.equal(new Set(arms).size, arms.length, "twice in a panel");
    const arms = Object.keys(modelsOf(parts.joins));
    assert.deepEqual([...new Set(panels.flat())].sort(), arms.sort());
  });
}

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
