/**
 * The arms of notebook 04: models whose estimates of token entropy on text are compared (paper §4.3
 * to §4.7, §9 E20–E22). All are transformers trained on the same left-padded samples, but for a
 * larger causal model with a tokenizer of its own.
 */

import type { EstimatorName } from "../entropy/mod.ts";
import { type BackboneConfig, backboneConfig, type ModelConfig } from "../models/mod.ts";
import { type Arm, scaleSteps, seedSpecs } from "./arms.ts";
import type { TokenEntropyPreset } from "./entropy_presets.ts";
import type { RunSpec } from "./run_spec.ts";

/** The arms by the names that figures and claims use. */
export const tokenArm = {
  small: "small CLM",
  large: "large CLM",
  augmented: (numbers: number) => `EEM, ${numbers} numbers`,
  secondOrder: (shift: boolean) => `2EEM, ${shift ? "shift" : "no shift"}`,
} as const;

/** Of the EEM that is estimated with; larger embeddings have the first of the attributions only. */
export const ATTRIBUTIONS = [
  "occlusion-l1",
  "occlusion-cosine",
  "shift-l1",
  "gradient-input",
] as const satisfies readonly EstimatorName[];

/** All runs of the notebook, arm by arm. */
export function tokenEntropySpecs(preset: TokenEntropyPreset): RunSpec[] {
  const { data, width, encoderWidth, layerCount, headCount, embeddingSizes, peakRate } = preset;
  const { large, windows, ratedWindows } = preset;
  const { vocabSize, contextLength } = data;
  const stack = (sizes: { width: number; length?: number }): BackboneConfig =>
    backboneConfig("transformer", {
      vocabSize,
      contextLength: sizes.length ?? contextLength,
      width: sizes.width,
      layerCount,
      headCount,
    });
  const arm = (name: string, model: ModelConfig, of: readonly EstimatorName[]): Arm => ({
    family: "transformer",
    arm: name,
    model,
    data,
    peakRate,
    estimates: () => ({ windows, of }),
  });
  const augmented = (embeddingSize: number): ModelConfig => ({
    kind: "augmented",
    memory: "embedding",
    encoder: stack({ width: encoderWidth }),
    decoder: stack({ width, length: contextLength + 1 }),
    embeddingSize,
    outerInitialization: "causal",
  });
  const [base, ...larger] = embeddingSizes;
  const small = seedSpecs(
    arm(tokenArm.small, { kind: "causal", backbone: stack({ width }) }, [
      "loss",
      "predictive-entropy",
    ]),
    preset,
  );
  const teacher = (seed: number) => ({
    run: small.find((spec) => spec.training.seed === seed)!,
    estimator: "loss" as const,
  });
  return [
    ...small,
    ...seedSpecs(
      arm(tokenArm.augmented(base), augmented(base), ["loss", "pad-shift", ...ATTRIBUTIONS]),
      preset,
    ),
    ...larger.flatMap((numbers) =>
      seedSpecs(arm(tokenArm.augmented(numbers), augmented(numbers), [ATTRIBUTIONS[0]]), preset)
    ),
    ...[false, true].flatMap((shift) => {
      const model = { kind: "second-order", backbone: stack({ width }), shift } as const;
      const one = arm(tokenArm.secondOrder(shift), model, ["second-order"]);
      const rated = { ...data, ...(ratedWindows && { trainWindows: ratedWindows }) };
      return seedSpecs({ ...one, data: rated, teacher }, preset);
    }),
    ...seedSpecs({
      ...arm(tokenArm.large, {
        kind: "causal",
        backbone: backboneConfig("transformer", {
          vocabSize: large.vocabSize,
          contextLength,
          width: large.width,
          layerCount: large.layerCount,
          headCount,
        }),
      }, []),
      data: { ...data, vocabSize: large.vocabSize },
      peakRate: large.peakRate,
      estimates: () => ({ windows, of: ["loss"], onto: data }),
    }, { ...preset, steps: Math.round(large.stepsFactor * preset.steps) }),
  ];
}

/** The preset with a share of its steps, see {@linkcode scaleSteps}. */
export function scaleTokenEntropy(preset: TokenEntropyPreset, share: number): TokenEntropyPreset {
  return scaleSteps(preset, share);
}
