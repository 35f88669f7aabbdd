/**
 * The arms of notebook 03: encoder-augmented decoders that differ in how the embedding is handed
 * over (paper §9 E12, E13, E16), in whether their encoder is trained with them (§2.7), and in how
 * many numbers it gives, on text and on sequences of a known number of bits.
 *
 * Transformer decoders start as in the reference, embedding N(0, 1): started small, as in a CLM, the
 * tokens drown in the embedding that is added or joined to them. One arm starts like the CLM, to be
 * compared with it. Mixers start alike in both.
 */

import {
  type AugmentedDecoderConfig,
  type BackboneConfig,
  backboneConfig,
  type Join,
  JOINS,
  type ModelConfig,
} from "../models/mod.ts";
import { type Arm, scaleSteps, seedSpecs } from "./arms.ts";
import { autoencoderArm, autoencoderSpecs } from "./autoencoder_arms.ts";
import { ROUNDED_BITS } from "./baseline_arms.ts";
import { latentData } from "./data.ts";
import type { AutoencoderPreset, HandoverPreset } from "./presets.ts";
import type { RunSpec } from "./run_spec.ts";

type Family = "mixer" | "transformer";

/** Names of arms; unique over the notebook. */
export const handoverArm = {
  /** Not the causal models of notebook 02, whose encoders are frozen here. */
  clm: (architecture: string) => `${architecture} CLM`,
  join: (encoder: Family, decoder: Family, join: Join) => `${encoder} → ${decoder}, ${join}`,
  /** Embedding and head start as the CLM's do, which makes the two comparable. */
  likeCausal: "transformer → transformer, token, started like the CLM",
  encoderHeads: (heads: number) => `encoder with ${heads} heads, embedding`,
  encoderKernel: (kernel: number, join: Join) => `encoder kernel ${kernel}, ${join}`,
  frozen: (source: string) => `frozen encoder of: ${source}`,
  trained: (encoder: string) => `trained encoder, as of: ${encoder}`,
  deeper: "frozen encoder of the best autoencoder, twice as deep a decoder",
  noEncoder: "no encoder",
  inverse: (source: string) => `autoencoder on the frozen encoder of: ${source}`,
  scanned: (numbers: number) => `${numbers} ${numbers === 1 ? "number" : "numbers"}`,
  latent: (bits: number, numbers: number) =>
    `${bits} bits, ${numbers} ${numbers === 1 ? "number" : "numbers"}`,
} as const;

/** All runs of the notebook, arm by arm; those whose encoders others take over come first. */
export function handoverSpecs(preset: HandoverPreset): RunSpec[] {
  return [
    ...joinSpecs(preset.joins),
    ...frozenSpecs(preset.frozen),
    ...scanSpecs(preset.scan),
    ...latentSpecs(preset.latent),
  ];
}

/** Every part of the preset with a share of its steps, see {@linkcode scaleSteps}. */
export function scaleHandover(preset: HandoverPreset, share: number): HandoverPreset {
  const { joins, frozen, scan, latent } = preset;
  return {
    joins: scaleSteps(joins, share),
    frozen: scaleSteps(frozen, share),
    scan: scaleSteps(scan, share),
    latent: scaleSteps(latent, share),
  };
}

function joinSpecs(sizes: HandoverPreset["joins"]): RunSpec[] {
  const { data, width, encoderWidth, layerCount, headCount, embeddingSize } = sizes;
  const { vocabSize, contextLength } = data;
  const [small, large] = sizes.kernelSizes;
  const shared = { vocabSize, layerCount, headCount };
  const encoder = (family: Family) =>
    backboneConfig(family, { ...shared, contextLength, width: encoderWidth });
  const mixingEncoder = (options: { kernelSize?: number; headCount?: number }): BackboneConfig => ({
    architecture: "mixer",
    vocabSize,
    layerCount,
    contextLength,
    width: encoderWidth,
    ...options,
  });
  const augmented = (from: BackboneConfig, to: Family, join: Join) => ({
    kind: "augmented",
    memory: "embedding",
    join,
    encoder: from,
    decoder: backboneConfig(to, {
      ...shared,
      width,
      contextLength: contextLength + (join === "token" ? 1 : 0),
    }),
    embeddingSize,
  } satisfies ModelConfig);
  const causal = (architecture: BackboneConfig["architecture"]): ModelConfig => ({
    kind: "causal",
    backbone: backboneConfig(architecture, { ...shared, contextLength, width }),
  });
  const arm = (family: string, name: string, model: ModelConfig): Arm => {
    const { architecture } = model.kind === "causal" ? model.backbone : model.decoder;
    const isMixed = model.kind === "augmented" && model.memory === "embedding" &&
      model.encoder.architecture === "mixer";
    return {
      family,
      arm: name,
      model,
      data,
      // As in the reference, where a mixer on either side trains at the mixers' rate.
      peakRate: sizes.peakRates[isMixed ? "mixer" : architecture],
      quantizedBits: model.kind === "causal" ? [] : ROUNDED_BITS,
    };
  };
  const pair = (from: Family, to: Family, join: Join) =>
    arm(to, handoverArm.join(from, to, join), augmented(encoder(from), to, join));
  const mixing = (name: string, options: { kernelSize?: number; headCount?: number }, join: Join) =>
    arm("mixer", name, augmented(mixingEncoder(options), "mixer", join));
  const arms = [
    ...(["mixer", "transformer", "lstm"] as const).map((architecture) =>
      arm(architecture, handoverArm.clm(architecture), causal(architecture))
    ),
    // E12, E13
    ...JOINS.map((join) => pair("mixer", "mixer", join)),
    ...JOINS.map((join) => pair("mixer", "transformer", join)),
    pair("transformer", "transformer", "token"),
    arm("transformer", handoverArm.likeCausal, {
      ...augmented(encoder("transformer"), "transformer", "token"),
      outerInitialization: "causal",
    }),
    pair("transformer", "mixer", "token"),
    // E16
    mixing(
      handoverArm.encoderHeads(sizes.mixingHeads),
      { headCount: sizes.mixingHeads },
      "embedding",
    ),
    mixing(handoverArm.encoderKernel(small, "embedding"), { kernelSize: small }, "embedding"),
    mixing(handoverArm.encoderKernel(large, "embedding"), { kernelSize: large }, "embedding"),
    mixing(handoverArm.encoderKernel(small, "token"), { kernelSize: small }, "token"),
  ];
  return arms.flatMap((one) => seedSpecs(one, sizes));
}

/** The autoencoders whose encoders are frozen, from the worst to the best in the paper's order. */
export function frozenSources({ widths, kernelSizes }: AutoencoderPreset): string[] {
  const [, base] = widths;
  const [, middle, large] = kernelSizes;
  return [
    autoencoderArm.plain("mixer", base),
    autoencoderArm.kernel(middle, base, "repeat"),
    autoencoderArm.kernel(large, base, "repeat"),
  ];
}

/** The encoder's whole state is handed over, as in the original scripts (c = 1). */
function frozenSpecs(sizes: HandoverPreset["frozen"]): RunSpec[] {
  const { data, widths, layerCount, peakRates } = sizes;
  const { vocabSize, contextLength } = data;
  const [, width] = widths;
  const all = autoencoderSpecs(sizes);
  const specsOf = (name: string) => all.filter(({ arm }) => arm === name);
  const runOf = (specs: readonly RunSpec[], seed: number) =>
    specs.find(({ training }) => training.seed === seed)!;
  const decoder = (layers: number): BackboneConfig => ({
    architecture: "mixer",
    vocabSize,
    contextLength: contextLength + 1,
    width,
    layerCount: layers,
  });
  const augmented = (encoder: BackboneConfig, readPosition: -1 | -2 = -1, layers = layerCount) =>
    ({
      kind: "augmented",
      memory: "embedding",
      encoder,
      decoder: decoder(layers),
      ...(readPosition === -1 ? {} : { readPosition }),
    }) satisfies AugmentedDecoderConfig;
  const arm = (name: string, model: ModelConfig, source?: readonly RunSpec[]): RunSpec[] =>
    seedSpecs({
      family: "frozen",
      arm: name,
      model,
      data,
      peakRate: peakRates.mixer,
      ...(source === undefined ? {} : { frozenEncoder: (seed) => runOf(source, seed) }),
    }, sizes);

  const sources = frozenSources(sizes).map((name) => {
    const specs = specsOf(name);
    const { model } = specs[0]!.training;
    if (model.kind !== "autoencoder") throw new Error(`${name} is no autoencoder`);
    return { name, specs, encoder: model.encoder };
  });
  const best = sources.at(-1)!;
  const causalName = autoencoderArm.causal("mixer");
  const causal = specsOf(causalName);
  const plain = sources[0]!.encoder;
  const trained = arm(handoverArm.trained(sources[0]!.name), augmented(plain));
  const inverse = (source: readonly RunSpec[], name: string, readPosition: -1 | -2 = -1) => {
    const stack: BackboneConfig = { ...decoder(layerCount), contextLength };
    const model: ModelConfig = {
      kind: "autoencoder",
      encoder: plain,
      decoder: stack,
      expansion: "repeat",
      ...(readPosition === -1 ? {} : { readPosition }),
    };
    return arm(handoverArm.inverse(name), model, source);
  };
  return [
    ...sources.flatMap(({ specs }) => specs),
    ...causal,
    ...sources.flatMap(({ name, specs, encoder }) =>
      arm(handoverArm.frozen(name), augmented(encoder), specs)
    ),
    ...arm(handoverArm.frozen(causalName), augmented(plain, -2), causal),
    ...trained,
    ...arm(handoverArm.trained(best.name), augmented(best.encoder)),
    ...arm(handoverArm.deeper, augmented(best.encoder, -1, 2 * layerCount), best.specs),
    ...arm(handoverArm.noEncoder, {
      kind: "augmented",
      memory: "zeros",
      decoder: decoder(layerCount),
    }),
    ...inverse(sources[0]!.specs, sources[0]!.name),
    ...inverse(trained, handoverArm.trained(sources[0]!.name)),
    ...inverse(causal, causalName, -2),
  ];
}

function scanSpecs(sizes: HandoverPreset["scan"]): RunSpec[] {
  const { data, widths, layerCount, kernelSizes, peakRates, embeddingSizes } = sizes;
  const { vocabSize, contextLength } = data;
  const [, width] = widths;
  const stack = (length: number): BackboneConfig => ({
    architecture: "mixer",
    vocabSize,
    contextLength: length,
    width,
    layerCount,
    kernelSize: kernelSizes[0],
  });
  const shared = { kind: "augmented", decoder: stack(contextLength + 1) } as const;
  const handed = { ...shared, memory: "embedding", encoder: stack(contextLength) } as const;
  const arm = (numbers: number, model: ModelConfig): RunSpec[] =>
    seedSpecs({
      family: "scan",
      arm: handoverArm.scanned(numbers),
      model,
      data,
      peakRate: peakRates.mixer,
      quantizedBits: numbers === 0 ? [] : ROUNDED_BITS,
    }, sizes);
  return [
    ...arm(0, { ...shared, memory: "zeros" }),
    ...embeddingSizes.flatMap((embeddingSize) => arm(embeddingSize, { ...handed, embeddingSize })),
    ...arm(width, handed), // the whole state, c = 1
  ];
}

function latentSpecs(sizes: HandoverPreset["latent"]): RunSpec[] {
  const { latentBits, blockCount, blockLength, embeddingSizes, width, layerCount, peakRate } =
    sizes;
  const { trainWindows, heldOutWindows } = sizes;
  return latentBits.flatMap((bits) => {
    const source = { latentBits: bits, blockCount, blockLength };
    const data = latentData(source, { trainWindows, heldOutWindows, sequenceSeed: 11 });
    const stack = (contextLength: number): BackboneConfig => ({
      architecture: "mixer",
      vocabSize: data.vocabSize,
      contextLength,
      width,
      layerCount,
    });
    const shared = { kind: "augmented", decoder: stack(data.contextLength + 1) } as const;
    return [0, ...embeddingSizes].flatMap((embeddingSize) =>
      seedSpecs({
        family: "latent",
        arm: handoverArm.latent(bits, embeddingSize),
        model: embeddingSize === 0
          ? { ...shared, memory: "zeros" }
          : { ...shared, memory: "embedding", encoder: stack(data.contextLength), embeddingSize },
        data,
        peakRate,
        quantizedBits: embeddingSize === 0 ? [] : ROUNDED_BITS,
      }, sizes)
    );
  });
}
