/**
 * The arms of notebook 01: causal models (CLM) against encoder-augmented ones (EEM) on the same
 * text, steps and seeds (paper §9 E13–E15, E17), with the controls that a lead must survive:
 *
 * - the EEM's decoder and slot without an encoder, the slot fed with zeros;
 * - a CLM widened to the EEM's number of parameters;
 * - one initialization for all arms of a family: the reference starts the embedding and head of a
 *   transformer EEM otherwise than a causal transformer's, which at short training is worth more
 *   than the embedding; one arm shows it;
 * - the embedding rounded to the bits it is priced at, and the embedding of another sequence
 *   (measurements.ts).
 */

import { backboneConfig, type ModelConfig, parameterCount } from "../models/mod.ts";
import { seedSpecs } from "./arms.ts";
import type { CorpusData } from "./data.ts";
import type { BaselinePreset, FamilySizes } from "./presets.ts";
import type { RunSpec } from "./run_spec.ts";

export type Family = "mixer" | "transformer";

/** Bits a number at which embeddings are priced (paper §3.2). */
export const PRICED_BITS = [4, 8] as const;
/** Bits a number to which embeddings are rounded at evaluation. */
export const ROUNDED_BITS = [2, 3, ...PRICED_BITS] as const;

export const CLM = "CLM";
export const WIDE_CLM = "CLM, EEM's parameters";
export const ZEROS = "EEM, slot of zeros";
/** The transformer EEM as the reference starts it; the other arms start like the CLM. */
export const REFERENCE_START = "EEM, reference's initialization";
export const eemArm = (embeddingSize: number) =>
  `EEM, ${embeddingSize} ${embeddingSize === 1 ? "number" : "numbers"}`;

/** All runs of the notebook, arm by arm so that seeds of an arm share compiled functions. */
export function baselineSpecs(preset: BaselinePreset): RunSpec[] {
  const { packed, padded, families, embeddingSizes } = preset;
  return (["mixer", "transformer"] as const).flatMap((family) => {
    const { peakRate } = families[family];
    const specs = (data: CorpusData, arms: readonly [arm: string, model: ModelConfig][]) =>
      arms.flatMap(([arm, model]) =>
        seedSpecs({ family, arm, model, data, peakRate, quantizedBits: ROUNDED_BITS }, preset)
      );
    const all = familyArms(family, families[family], packed, embeddingSizes);
    if (padded === null || family === "mixer") return specs(packed, all);
    const [main] = embeddingSizes;
    const few = familyArms(family, families[family], padded, [main!])
      .filter(([arm]) => arm === CLM || arm === eemArm(main!));
    return [...specs(packed, all), ...specs(padded, few)];
  });
}

function familyArms(
  family: Family,
  sizes: FamilySizes,
  { vocabSize, contextLength }: CorpusData,
  embeddingSizes: readonly number[],
): [arm: string, model: ModelConfig][] {
  const { layerCount, headCount } = sizes;
  const backbone = (width: number, length: number) =>
    backboneConfig(family, { vocabSize, contextLength: length, width, layerCount, headCount });
  const encoder = backbone(sizes.encoderWidth, contextLength);
  const decoder = backbone(sizes.width, contextLength + 1);
  const shared = { kind: "augmented", decoder, outerInitialization: "causal" } as const;
  const augmented = embeddingSizes.map((embeddingSize): [string, ModelConfig] => [
    eemArm(embeddingSize),
    { ...shared, memory: "embedding", encoder, embeddingSize },
  ]);
  const reference: [string, ModelConfig][] = family === "mixer" ? [] : [[
    REFERENCE_START,
    { ...augmented[0]![1], outerInitialization: "pytorch" } as ModelConfig,
  ]];
  const target = parameterCount(augmented[0]![1]);
  const unit = family === "mixer" ? 1 : 2 * headCount; // heads need an even width
  const causal = (width: number): ModelConfig => ({
    kind: "causal",
    backbone: backbone(width, contextLength),
  });
  return [
    [CLM, causal(sizes.width)],
    [WIDE_CLM, causal(widthFor(target, (width) => parameterCount(causal(width)), unit))],
    [ZEROS, { ...shared, memory: "zeros" }],
    ...augmented,
    ...reference,
  ];
}

/** The multiple of `unit` whose count is nearest to `target`; counts grow with the width. */
function widthFor(target: number, count: (width: number) => number, unit: number): number {
  let width = unit;
  while (count(width + unit) <= target) width += unit;
  return target - count(width) < count(width + unit) - target ? width : width + unit;
}
