/** A causal model and the encoder-augmented decoder of its sizes. */

import { type BackboneConfig, backboneConfig, type ModelConfig } from "../models/mod.ts";

export type PairedSizes = Readonly<{
  architecture: "mixer" | "transformer";
  vocabSize: number;
  contextLength: number;
  width: number;
  encoderWidth: number;
  layerCount: number;
  /** Of transformers. */
  headCount: number;
  /** Numbers that the decoder is handed. */
  embeddingSize: number;
}>;

/** Both start alike, so that they can be compared (notebook 01). */
export function pairedModels(
  { architecture, vocabSize, contextLength, encoderWidth, width, embeddingSize, ...sizes }:
    PairedSizes,
): Readonly<Record<"causal" | "augmented", ModelConfig>> {
  const { layerCount, headCount } = sizes;
  const backbone = (width: number, contextLength: number): BackboneConfig =>
    backboneConfig(architecture, { vocabSize, contextLength, width, layerCount, headCount });
  return {
    causal: { kind: "causal", backbone: backbone(width, contextLength) },
    augmented: {
      kind: "augmented",
      memory: "embedding",
      encoder: backbone(encoderWidth, contextLength),
      decoder: backbone(width, contextLength + 1),
      embeddingSize,
      outerInitialization: "causal",
    },
  };
}
