/** How many parameters a configuration has, without making them. */

import type { BackboneConfig } from "./backbone.ts";
import type { ModelConfig } from "./language_model.ts";

/** The number of scalars in the parameter tree that `initModel` makes for `config`. */
export function parameterCount(config: ModelConfig): number {
  const head = ({ width, vocabSize }: BackboneConfig) => width * vocabSize;
  if (config.kind === "causal") return backboneCount(config.backbone) + head(config.backbone);
  const decoder = backboneCount(config.decoder) + head(config.decoder);
  if (config.memory === "zeros") return decoder;
  const { encoder, embeddingSize } = config;
  const bottleneck = linear(encoder.width, embeddingSize) + linear(embeddingSize, encoder.width);
  const projection = encoder.width === config.decoder.width
    ? 0
    : linear(encoder.width, config.decoder.width);
  return backboneCount(encoder) + bottleneck + projection + decoder;
}

function backboneCount(config: BackboneConfig): number {
  const { vocabSize, width, contextLength, layerCount } = config;
  const embedding = vocabSize * width;
  if (config.architecture === "transformer") {
    const block = 2 * width + 4 * width ** 2 + 3 * width * 4 * width;
    return embedding + layerCount * block + width;
  }
  const mixing = contextLength ** 2 + contextLength;
  const feedForward = linear(width, 4 * width) + linear(4 * width, width);
  return embedding + layerCount * (4 * width + mixing + feedForward);
}

function linear(inputWidth: number, outputWidth: number): number {
  return inputWidth * outputWidth + outputWidth;
}
