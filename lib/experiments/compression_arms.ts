/**
 * The arms of notebook 08: causal models and encoder-augmented ones as compressors of held-out text
 * (paper §3), the same files for every seed.
 */

import { FILE_VERSION } from "../codec/mod.ts";
import type { ModelConfig } from "../models/mod.ts";
import { type Arm, seedSpecs } from "./arms.ts";
import { CLM, eemArm, type Family } from "./baseline_arms.ts";
import type { CompressionPreset, CompressionTraining } from "./compression_presets.ts";
import { pairedModels } from "./paired_models.ts";
import type { CompressedFileSpec, CompressedText, RunSpec } from "./run_spec.ts";

export const COMPRESSION_PARTS = ["prose", "code"] as const;
export type CompressionPart = (typeof COMPRESSION_PARTS)[number];

export const RANDOM_BYTES = "random bytes";

/** What is compared within: a part and an architecture. */
export function compressionFamily(part: CompressionPart, family: Family): string {
  return `${part}, ${family}`;
}

/**
 * How much of a window is known from the one before: nothing, as models are trained and the paper
 * counts; one token, so that no token is a first one; an eighth, and half of a window.
 */
export function overlapsOf({ data: { contextLength } }: CompressionTraining) {
  return {
    none: 0,
    one: 1,
    eighth: Math.floor(contextLength / 8),
    half: Math.floor(contextLength / 2),
  } as const;
}

/** What a part's models compress. */
export function textOf({ textName, heldOutDocuments }: CompressionTraining): CompressedText {
  return { name: textName, heldOutDocuments };
}

/** All runs of the notebook, arm by arm. */
export function compressionSpecs(preset: CompressionPreset): RunSpec[] {
  return COMPRESSION_PARTS.flatMap((part) => {
    const training = preset[part];
    return compressionFamilies(training).flatMap((family) =>
      familyArms(preset, part, family).flatMap((arm) => seedSpecs(arm, training))
    );
  });
}

export function compressionFamilies({ families }: CompressionTraining): Family[] {
  return Object.keys(families) as Family[];
}

function familyArms(preset: CompressionPreset, part: CompressionPart, family: Family): Arm[] {
  const training = preset[part];
  const { data, embeddingSize } = training;
  const [main, ...others] = preset.embeddings;
  const overlaps = overlapsOf(training);
  const text = textOf(training);
  const random = { name: RANDOM_BYTES, randomBytes: preset.randomBytes, seed: 1 };
  const inWindows = (overlap: number, embedding?: string): CompressedFileSpec => ({
    text,
    overlap,
    ...(embedding !== undefined && { embedding }),
  });
  const everyOverlap = (embedding?: string) =>
    Object.values(overlaps).map((overlap) => inWindows(overlap, embedding));
  const { peakRate, ...ofFamily } = training.families[family]!;
  const { vocabSize, contextLength } = data;
  const models = pairedModels({
    architecture: family,
    vocabSize,
    contextLength,
    embeddingSize,
    ...ofFamily,
  });
  const arm = (arm: string, model: ModelConfig, files: readonly CompressedFileSpec[]): Arm => ({
    family: compressionFamily(part, family),
    arm,
    model,
    data,
    peakRate,
    compression: { fileVersion: FILE_VERSION, files },
  });
  return [
    arm(CLM, models.causal, [...everyOverlap(), { text: random, overlap: overlaps.half }]),
    arm(eemArm(embeddingSize), models.augmented, [
      ...everyOverlap(main),
      ...others.map((embedding) => inWindows(overlaps.none, embedding)),
      { text: random, overlap: overlaps.one, embedding: main! },
    ]),
  ];
}
