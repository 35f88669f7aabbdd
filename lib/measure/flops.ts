/** How much a model's training computes, by counting its matrix products. */

import {
  hasProjection,
  joinedSize,
  type ModelConfig,
  multiplyAdds,
  sampleLength,
  stacksOf,
} from "../models/mod.ts";

/**
 * Floating-point operations of one forward pass of a batch in its matrix products: 2 for each
 * multiply-add. Products between positions count whole, as a mask leaves them; the head counts for
 * the positions that are scored.
 */
export function forwardFlops(config: ModelConfig, batch: number): number {
  const { contextLength, width, vocabSize } = stacksOf(config).at(-1)!;
  const scored = sampleLength(config) - (config.kind === "autoencoder" ? 0 : 1);
  const unscored = (contextLength - scored) * width * vocabSize;
  return 2 * batch * (multiplyAdds(config) - unscored + joinMultiplyAdds(config));
}

/** Of a training step: the backward pass has two products for each one of the forward pass. */
export function trainingFlops(config: ModelConfig, batch: number): number {
  return 3 * forwardFlops(config, batch);
}

/** The embedding's way from an encoder to a decoder's slot, once a sample. */
function joinMultiplyAdds(config: ModelConfig): number {
  if (config.kind !== "augmented" || config.memory !== "embedding") return 0;
  const { encoder, decoder, embeddingSize, join } = config;
  const between = embeddingSize === undefined ? 0 : encoder.width * joinedSize(config);
  return between + (join === "embedding" ? 0 : between) +
    (hasProjection(config) ? encoder.width * decoder.width : 0);
}
