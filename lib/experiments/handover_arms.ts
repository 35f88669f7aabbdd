/**
 * The arms of notebook 03: encoder-augmented decoders that differ in how the embedding is handed
 * over (paper §9 E12, E13, E16), in whether their encoder is trained with them (§2.7), and in how
 * many numbers it gives, on text and on sequences of a known number of bits.
 *
 * Transformer decoders start as in the reference, embedding N(0, 1): started small, as in a CLM,
 * tokens are far smaller than the embedding that is added or joined to them. One arm starts like the CLM, to be
 * compared with it. Mixers start alike in both.
 */

import {
  type BackboneConfig,
  backboneConfig,
  type Join,
  JOINS,
  type ModelConfig,
  stacksOf,
} from "../models/mod.ts";
import { type Arm, scaleSteps, seedSpecs } from "./arms.ts";
import { type Family, ROUNDED_BITS } from "./baseline_arms.ts";
import { latentData } from "./data.ts";
import { frozenSpecs } from "./frozen_arms.ts";
import { handoverArm } from "./handover_names.ts";
import type { HandoverPreset } from "./presets.ts";
import type { RunSpec } from "./run_spec.ts";

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
  const arm = (family: string, name: string, model: ModelConfig): Arm => ({
    family,
    arm: name,
    model,
    data,
    // As in the reference, where a mixer on either side trains at the mixers' rate.
    peakRate: sizes.peakRates[
      stacksOf(model).some(({ architecture }) => architecture === "mixer") ? "mixer" : "transformer"
    ],
    quantizedBits: model.kind === "causal" ? [] : ROUNDED_BITS,
  });
  const pair = (from: Family, to: Family, join: Join) =>
    arm(to, handoverArm.join(from, to, join), augmented(encoder(from), to, join));
  const mixing = (name: string, options: { kernelSize?: number; headCount?: number }, join: Join) =>
    arm("mixer", name, augmented(mixingEncoder(options), "mixer", join));
  const arms = [
    ...(["mixer", "transformer"] as const).map((architecture) =>
      arm(architecture, handoverArm.clm(architecture), causal(architecture))
    ),
    ...(["mixer", "transformer", "lstm"] as const).map((architecture) => ({
      ...arm("causal", handoverArm.ownRate(architecture), causal(architecture)),
      peakRate: sizes.causalRates[architecture],
    })),
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
