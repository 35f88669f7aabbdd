/** The models whose speed is measured, by family, kind and size. */

import { backboneConfig, type ModelConfig, sampleLength, stacksOf } from "../models/mod.ts";
import { createRandom } from "../random.ts";

export const SPEED_FAMILIES = ["mixer", "transformer"] as const;
export type SpeedFamily = (typeof SPEED_FAMILIES)[number];
/** A causal language model, and an encoder-augmented one with a token join. */
export const SPEED_KINDS = ["CLM", "EEM"] as const;
export type SpeedKind = (typeof SPEED_KINDS)[number];

export type SpeedSize = Readonly<
  { width: number; layers: number; context: number; batch: number; vocab: number }
>;

export const SPEED_SIZES: readonly SpeedSize[] = [
  { width: 128, layers: 4, context: 128, batch: 32, vocab: 4096 },
  { width: 256, layers: 8, context: 256, batch: 16, vocab: 8000 },
  { width: 512, layers: 16, context: 512, batch: 4, vocab: 8000 },
];

/** Of attention; mixers are flat. */
const HEADS = 4;
/** The numbers that an EEM's embedding has. */
const NUMBERS = 8;

export type SpeedCase = Readonly<{ family: SpeedFamily; kind: SpeedKind; size: SpeedSize }>;

export function speedCaseName({ family, kind, size }: SpeedCase): string {
  return `${family} ${kind} ${size.width}`;
}

/** An EEM's encoder is half as wide as its decoder. */
export function speedModel({ family, kind, size }: SpeedCase): ModelConfig {
  const shared = { vocabSize: size.vocab, layerCount: size.layers, headCount: HEADS };
  const backbone = (width: number, contextLength: number) =>
    backboneConfig(family, { ...shared, width, contextLength });
  if (kind === "CLM") return { kind: "causal", backbone: backbone(size.width, size.context) };
  return {
    kind: "augmented",
    memory: "embedding",
    embeddingSize: NUMBERS,
    encoder: backbone(size.width / 2, size.context),
    decoder: backbone(size.width, size.context + 1),
  };
}

/** What sizes are varied around, one at a time, and how far. */
const MIDDLE: SpeedSize = { width: 128, layers: 2, context: 128, batch: 16, vocab: 2048 };
export const SCALED_SIZES = {
  width: [64, 128, 256, 512],
  context: [64, 128, 256, 512],
  batch: [4, 8, 16, 32, 64],
} as const satisfies Partial<Record<keyof SpeedSize, readonly number[]>>;
export type ScaledSize = keyof typeof SCALED_SIZES;

/** Causal models of all sizes on the way of each one, the middle once. */
export function scalingCases(family: SpeedFamily): readonly SpeedCase[] {
  const sizes = (Object.keys(SCALED_SIZES) as ScaledSize[]).flatMap((name) =>
    SCALED_SIZES[name].map((value): SpeedSize => ({ ...MIDDLE, [name]: value }))
  );
  const different = new Map(sizes.map((size) => [JSON.stringify(size), size]));
  return [...different.values()].map((size) => ({ family, kind: "CLM", size }));
}

export function scalingCaseName({ family, size: { width, context, batch } }: SpeedCase): string {
  return `${family}, width ${width}, context ${context}, batch ${batch}`;
}

/** Whether a size is the middle but for the one that is varied. */
export function variesOnly(name: ScaledSize, size: SpeedSize): boolean {
  return (Object.keys(MIDDLE) as (keyof SpeedSize)[]).every((other) =>
    other === name || size[other] === MIDDLE[other]
  );
}

/** Ids of `batches` batches, as skewed as those of text, without pads. */
export function skewedIds(
  model: ModelConfig,
  batch: number,
  batches: number,
): Int32Array<ArrayBuffer> {
  const random = createRandom(2);
  const tokens = stacksOf(model)[0]!.vocabSize - 2;
  return Int32Array.from(
    { length: batches * batch * sampleLength(model) },
    () => 2 + Math.floor(tokens * random.uniform() ** 3),
  );
}
