/**
 * The arms of notebook 07: one encoder-augmented transformer, trained plainly, with noise, and with
 * fake quantization, all for equal steps; and the causal model of the same decoder, to tell what the
 * embedding gives and what rounding costs a model without one (paper §6, §9 E18, E19).
 */

import { backboneConfig, type ModelConfig } from "../models/mod.ts";
import type { Condition } from "../measure/mod.ts";
import {
  type NoiseInjection,
  parseQuantization,
  type QuantizationAwareTraining,
} from "../qat/mod.ts";
import { type Arm, seedSpecs } from "./arms.ts";
import type { QuantizationPreset } from "./quantization_presets.ts";
import type { RunSpec } from "./run_spec.ts";

/** A power of two as a reader writes it, e.g. 2⁻³. */
export function powerOfTwo(value: number): string {
  const digits = [..."⁰¹²³⁴⁵⁶⁷⁸⁹"];
  const exponent = Math.log2(value);
  const size = [...`${Math.abs(exponent)}`].map((digit) => digits[+digit] ?? digit).join("");
  return `2${exponent < 0 ? "⁻" : ""}${size}`;
}

/** The arms by the names that figures, tables and claims use. */
export const quantizationArm = {
  causal: "CLM",
  plain: "no noise",
  noise: (width: number) => `noise ${powerOfTwo(width)}`,
  oneSided: (width: number) => `noise ${powerOfTwo(width)}, one-sided`,
  residual: (width: number) => `residual noise ${powerOfTwo(width)}`,
  weights: (width: number) => `weight noise ${powerOfTwo(width)}`,
  fake: (format: string) => `fake ${format}`,
  fakeOutputs: (format: string) => `fake ${format}, all outputs`,
} as const;

/** Formats that arms are trained to round the embedding to. */
export const FAKE_FORMATS = ["e4m3fn", "e5m2", "int3/channel"] as const;

/** The modules on the two sides of the embedding. */
export const BOTTLENECK = ["down", "up"] as const;

/** All runs of the notebook, arm by arm. */
export function quantizationSpecs(preset: QuantizationPreset): RunSpec[] {
  const { data, peakRate, bits, sweepFormat, noiseWidth, residualWidth } = preset;
  const models = quantizationModels(preset);
  const sweep = { quantization: sweepFormat, sites: ["output", "weight"] } as const;
  const shared = { family: "transformer", data, peakRate };
  const causal: Arm = {
    ...shared,
    arm: quantizationArm.causal,
    model: models.causal,
    rounding: { conditions: wholeModel(preset), sweep },
  };
  const augmented = (arm: string, qat?: QuantizationAwareTraining, isSwept = false): Arm => ({
    ...shared,
    arm,
    model: models.augmented,
    quantizedBits: bits,
    ...(qat && { loss: { qat } }),
    rounding: {
      conditions: [...bottleneck(preset), ...wholeModel(preset)],
      activations: ["down"],
      ...(isSwept && { sweep }),
    },
  });
  const noise = (width: number): NoiseInjection => ({
    method: "noise",
    width,
    at: "embedding",
  });
  const fake = (format: string, at: "embedding" | "outputs"): QuantizationAwareTraining => ({
    method: "fake-quantization",
    quantization: parseQuantization(format),
    at,
  });
  const arms: Arm[] = [
    causal,
    augmented(quantizationArm.plain, undefined, true),
    ...preset.noiseWidths.map((width) =>
      augmented(quantizationArm.noise(width), noise(width), width === noiseWidth)
    ),
    augmented(quantizationArm.oneSided(noiseWidth), { ...noise(noiseWidth), oneSided: true }),
    augmented(
      quantizationArm.residual(residualWidth),
      { method: "noise", width: residualWidth, at: "residual" },
      true,
    ),
    augmented(
      quantizationArm.weights(noiseWidth),
      { method: "noise", width: noiseWidth, at: "weights", modules: BOTTLENECK },
      true,
    ),
    ...FAKE_FORMATS.map((format) =>
      augmented(quantizationArm.fake(format), fake(format, "embedding"), format === sweepFormat)
    ),
    augmented(quantizationArm.fakeOutputs(sweepFormat), fake(sweepFormat, "outputs"), true),
  ];
  return arms.flatMap((arm) => seedSpecs(arm, preset));
}

/** The encoder-augmented transformer, and the causal model of its decoder's sizes. */
export function quantizationModels(
  { data, width, encoderWidth, layerCount, headCount, embeddingSize }: QuantizationPreset,
): Readonly<Record<"causal" | "augmented", ModelConfig>> {
  const { vocabSize, contextLength } = data;
  const backbone = (width: number, contextLength: number) =>
    backboneConfig("transformer", { vocabSize, contextLength, width, layerCount, headCount });
  return {
    causal: { kind: "causal", backbone: backbone(width, contextLength) },
    augmented: {
      kind: "augmented",
      memory: "embedding",
      encoder: backbone(encoderWidth, contextLength),
      decoder: backbone(width, contextLength + 1),
      embeddingSize,
      // As the causal model starts, so that the two can be compared (notebook 01).
      outerInitialization: "causal",
    },
  };
}

/** The embedding in every format, as a probe between down and up sees it, and Int8 of `up`. */
function bottleneck({ formats }: QuantizationPreset): Condition[] {
  return [
    ...formats.map((quantization): Condition => ({
      modules: ["down"],
      site: "output",
      quantization,
    })),
    { modules: ["up"], site: "product", quantization: "llm.int8" },
  ];
}

/** Everything at once. */
function wholeModel({ sweepFormat }: QuantizationPreset): Condition[] {
  return [
    { modules: "all", site: "product", quantization: "llm.int8" },
    { modules: "all", site: "output", quantization: sweepFormat },
    { modules: "all", site: "weight", quantization: sweepFormat },
  ];
}
