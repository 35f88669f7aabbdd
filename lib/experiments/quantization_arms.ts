/**
 * The arms of notebook 07: one encoder-augmented decoder, trained plainly, with noise, and with fake
 * quantization, all for equal steps, on text and on sequences of a known number of bits; on text
 * also the causal model of the same decoder, to tell what the embedding gives and what rounding
 * costs a model without one (paper §6, §9 E18, E19).
 */

import type { Condition } from "../measure/mod.ts";
import {
  type NoiseInjection,
  parseQuantization,
  type QuantizationAwareTraining,
} from "../qat/mod.ts";
import { type Arm, scaleSteps, seedSpecs } from "./arms.ts";
import { pairedModels } from "./paired_models.ts";
import type { QuantizationPreset, QuantizedTraining } from "./quantization_presets.ts";
import type { RunSpec } from "./run_spec.ts";

/** What is compared with what. */
export const quantizationFamily = { text: "text", known: "known bits" } as const;

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
  relative: (width: number) => `relative noise ${powerOfTwo(width)}`,
  standardized: (width: number) => `noise of ${powerOfTwo(width)} deviations`,
  weights: (width: number) => `weight noise ${powerOfTwo(width)}`,
  fake: (format: string) => `fake ${format}`,
  fakeOutputs: (format: string) => `fake ${format}, all outputs`,
} as const;

/** Formats that arms are trained to round the embedding to. */
export const FAKE_FORMATS = ["e4m3fn", "e5m2", "int3/channel"] as const;

/** Formats of the embedding with which the logits' temperature is fitted. */
export const TEMPERED = [null, "e4m3fn", "e5m2"] as const;

/** The modules on the two sides of the embedding. */
export const BOTTLENECK = ["down", "up"] as const;

/** All runs of the notebook, arm by arm. */
export function quantizationSpecs(preset: QuantizationPreset): RunSpec[] {
  const { text, known, sweepFormat, noiseWidth } = preset;
  const { causal } = quantizationArm;
  const textArms: Arm[] = [
    {
      family: quantizationFamily.text,
      arm: causal,
      data: text.data,
      peakRate: text.peakRate,
      model: quantizationModels(text).causal,
      rounding: { conditions: wholeModel(preset), sweep: sweepOf(preset) },
    },
    ...augmentedArms(preset, "text"),
    augmentedArm(preset, "text", quantizationArm.weights(noiseWidth), {
      method: "noise",
      width: noiseWidth,
      at: "weights",
      modules: BOTTLENECK,
    }),
    augmentedArm(preset, "text", quantizationArm.fakeOutputs(sweepFormat), {
      method: "fake-quantization",
      quantization: parseQuantization(sweepFormat),
      at: "outputs",
    }),
  ];
  return [
    ...textArms.flatMap((arm) => seedSpecs(arm, text)),
    ...augmentedArms(preset, "known").flatMap((arm) => seedSpecs(arm, known)),
  ];
}

/** Both parts with a share of their steps, see {@linkcode scaleSteps}. */
export function scaleQuantization(preset: QuantizationPreset, share: number): QuantizationPreset {
  const { text, known } = preset;
  return { ...preset, text: scaleSteps(text, share), known: scaleSteps(known, share) };
}

type Part = keyof typeof quantizationFamily;

/** The arms that differ in what happens to the embedding in training. */
function augmentedArms(preset: QuantizationPreset, part: Part): Arm[] {
  const { noiseWidth, residualWidth } = preset;
  const arm = (name: string, qat?: QuantizationAwareTraining) =>
    augmentedArm(preset, part, name, qat);
  const noise = (width: number): NoiseInjection => ({ method: "noise", width, at: "embedding" });
  return [
    arm(quantizationArm.plain),
    ...preset[part].noiseWidths.map((width) => arm(quantizationArm.noise(width), noise(width))),
    arm(quantizationArm.oneSided(noiseWidth), { ...noise(noiseWidth), oneSided: true }),
    ...preset[part].shares.flatMap((width) => [
      arm(quantizationArm.relative(width), { ...noise(width), relative: true }),
      arm(quantizationArm.standardized(width), { ...noise(width), standardized: true }),
    ]),
    arm(quantizationArm.residual(residualWidth), {
      method: "noise",
      width: residualWidth,
      at: "residual",
    }),
    ...FAKE_FORMATS.map((format) =>
      arm(quantizationArm.fake(format), {
        method: "fake-quantization",
        quantization: parseQuantization(format),
        at: "embedding",
      })
    ),
  ];
}

function augmentedArm(
  preset: QuantizationPreset,
  part: Part,
  arm: string,
  qat?: QuantizationAwareTraining,
): Arm {
  const { data, peakRate } = preset[part];
  return {
    family: quantizationFamily[part],
    arm,
    data,
    peakRate,
    model: quantizationModels(preset[part]).augmented,
    quantizedBits: preset.bits,
    ...(qat && { loss: { qat } }),
    rounding: {
      conditions: [...bottleneck(preset), ...wholeModel(preset)],
      sweep: sweepOf(preset),
      // On text there is too little to mend.
      ...part === "known" && { tempered: TEMPERED },
      activations: ["down"],
    },
  };
}

function sweepOf({ sweepFormat }: QuantizationPreset) {
  return { quantization: sweepFormat, sites: ["output", "weight"] } as const;
}

/** The encoder-augmented decoder, and the causal model of its decoder's sizes. */
export function quantizationModels(
  { data: { vocabSize, contextLength }, ...sizes }: QuantizedTraining,
): ReturnType<typeof pairedModels> {
  return pairedModels({ vocabSize, contextLength, ...sizes });
}

/** The embedding in every format, as a probe between down and up sees it, and Int8 of `up`. */
function bottleneck({ formats }: QuantizationPreset): Condition[] {
  return [
    ...formats.map((quantization): Condition => ({
      modules: ["down"],
      site: "output",
      quantization,
    })),
    { modules: ["up"], site: "product", quantization: "int8/row" },
  ];
}

/** Everything at once. */
function wholeModel({ sweepFormat }: QuantizationPreset): Condition[] {
  return [
    { modules: "all", site: "product", quantization: "int8/row" },
    { modules: "all", site: "output", quantization: sweepFormat },
    { modules: "all", site: "weight", quantization: sweepFormat },
  ];
}
