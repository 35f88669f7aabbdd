/**
 * The arms of notebook 05: on every source of known entropy (lib/text/sources), the models that each
 * estimator needs, trained for several lengths; and EEMs with embeddings of several sizes.
 */

import type { EstimatorName } from "../entropy/mod.ts";
import { backboneConfig, type ModelConfig } from "../models/mod.ts";
import type { Layout } from "../text/mod.ts";
import { type Arm, seedSpecs, type TrainingSizes } from "./arms.ts";
import { type SourceData, sourceData } from "./data.ts";
import type { KnownEntropyPreset } from "./entropy_presets.ts";
import type { RunSpec } from "./run_spec.ts";

/** Bits a number at which an embedding is rounded and paid for (paper §3.2). */
export const PAID_BITS = 4;

/** The arms by the names that figures and claims use. */
export const knownArm = {
  causal: "CLM",
  augmented: "EEM",
  pair: "EEM of N and N − 1 tokens",
  secondOrder: "2EEM, shift",
  sized: (numbers: number) => `EEM, ${numbers} numbers`,
  /** Arms differ in how long they are trained, too. */
  after: (name: string, steps: number) => `${name}, ${steps} steps`,
} as const;

/** All runs of the notebook, source by source; the family is the source's name. */
export function knownEntropySpecs(preset: KnownEntropyPreset): RunSpec[] {
  const { sources, shortfall } = preset;
  return Object.keys(sources).flatMap((name) => [
    ...sourceSpecs(name, preset),
    ...(name === shortfall.source ? shortfallSpecs(preset) : []),
  ]);
}

/**
 * The preset with a share of its steps, for backends on which a step takes longer. Lengths that have
 * become the same are one.
 */
export function scaleKnownEntropy(preset: KnownEntropyPreset, share: number): KnownEntropyPreset {
  if (share === 1) return preset;
  const trainingSteps = preset.trainingSteps.map((steps) =>
    Math.max(12, Math.round(steps * share))
  );
  return { ...preset, trainingSteps: [...new Set(trainingSteps)], warmupSteps: 1, logEvery: 2 };
}

function sourceSpecs(family: string, preset: KnownEntropyPreset): RunSpec[] {
  const { contextLength, embeddingSize, trainingSteps, windows, pairWindows } = preset;
  const longest = trainingSteps.at(-1)!;
  const packed = dataOf(family, preset, "packed", contextLength);
  const padded = dataOf(family, preset, "padded", contextLength);
  const arm = (
    name: string,
    model: ModelConfig,
    data: SourceData,
    of: readonly EstimatorName[],
  ): Arm => ({
    family,
    arm: name,
    model,
    data,
    peakRate: preset.peakRate,
    quantizedBits: model.kind === "augmented" ? [PAID_BITS] : [],
    estimates: () => ({ windows, of }),
  });
  const causal: ModelConfig = { kind: "causal", backbone: stack(preset, packed, contextLength) };
  const augmented = augmentedModel(preset, padded, contextLength, embeddingSize);
  const causalSpecs = (steps: number) =>
    seedSpecs(
      arm(knownArm.after(knownArm.causal, steps), causal, packed, ["loss", "predictive-entropy"]),
      sizes(preset, steps),
    );
  const teachers = causalSpecs(longest);
  const shorterData = dataOf(family, preset, "packed", contextLength - 1);
  const shorter = seedSpecs({
    family,
    arm: "EEM of N − 1 tokens",
    model: augmentedModel(preset, shorterData, contextLength - 1, embeddingSize),
    data: shorterData,
    peakRate: preset.peakRate,
  }, sizes(preset, longest));
  const ofSeed = (specs: readonly RunSpec[], seed: number) =>
    specs.find((spec) => spec.training.seed === seed)!;
  return [
    ...trainingSteps.flatMap(causalSpecs),
    ...trainingSteps.flatMap((steps) =>
      seedSpecs(
        arm(
          knownArm.after(knownArm.augmented, steps),
          augmented,
          padded,
          steps === longest
            ? ["pad-shift", "occlusion-l1", "occlusion-cosine", "gradient-input"]
            : ["pad-shift"],
        ),
        sizes(preset, steps),
      )
    ),
    ...seedSpecs({
      ...arm(
        knownArm.after(knownArm.pair, longest),
        augmentedModel(preset, packed, contextLength, embeddingSize),
        packed,
        [],
      ),
      estimates: (seed) => ({
        windows: pairWindows,
        of: ["two-window"],
        shorter: ofSeed(shorter, seed),
      }),
    }, sizes(preset, longest)),
    ...seedSpecs({
      ...arm(
        knownArm.after(knownArm.secondOrder, longest),
        { kind: "second-order", backbone: stack(preset, packed, contextLength), shift: true },
        packed,
        ["second-order"],
      ),
      teacher: (seed) => ({ run: ofSeed(teachers, seed), estimator: "loss" }),
    }, sizes(preset, longest)),
  ];
}

function shortfallSpecs(preset: KnownEntropyPreset): RunSpec[] {
  const { contextLength, trainingSteps, shortfall, embeddingSize, windows } = preset;
  const data = dataOf(shortfall.source, preset, "padded", contextLength);
  return shortfall.embeddingSizes.filter((numbers) => numbers !== embeddingSize)
    .flatMap((numbers) =>
      seedSpecs({
        family: shortfall.source,
        arm: knownArm.sized(numbers),
        model: augmentedModel(preset, data, contextLength, numbers),
        data,
        peakRate: preset.peakRate,
        quantizedBits: [PAID_BITS],
        estimates: () => ({ windows, of: ["pad-shift"] }),
      }, sizes(preset, trainingSteps.at(-1)!))
    );
}

function sizes(preset: KnownEntropyPreset, steps: number): TrainingSizes {
  return { ...preset, steps, warmupSteps: Math.min(preset.warmupSteps, Math.ceil(steps / 4)) };
}

function dataOf(
  name: string,
  { sources, heldOutWindows }: KnownEntropyPreset,
  layout: Layout,
  contextLength: number,
): SourceData {
  return sourceData(sources[name]!, { layout, contextLength, heldOutWindows });
}

function stack(
  { width, layerCount, headCount }: KnownEntropyPreset,
  { vocabSize }: SourceData,
  contextLength: number,
) {
  return backboneConfig("transformer", { vocabSize, contextLength, width, layerCount, headCount });
}

function augmentedModel(
  preset: KnownEntropyPreset,
  data: SourceData,
  contextLength: number,
  embeddingSize: number,
): ModelConfig {
  return {
    kind: "augmented",
    memory: "embedding",
    encoder: stack(preset, data, contextLength),
    decoder: stack(preset, data, contextLength + 1),
    embeddingSize,
    outerInitialization: "causal",
  };
}
