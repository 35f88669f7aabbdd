/** How many parameters a configuration has, without making them. */

import { hasProjection, joinedSize } from "./augmented_config.ts";
import type { BackboneConfig } from "./backbone.ts";
import type { ModelConfig } from "./language_model.ts";

/** The number of scalars in the parameter tree that `initModel` makes for `config`. */
export function parameterCount(config: ModelConfig): number {
  switch (config.kind) {
    case "causal":
      return embedding(config.backbone) + stack(config.backbone) + head(config.backbone) +
        (config.headBias ? config.backbone.vocabSize : 0);
    case "autoencoder":
      return autoencoder(config);
    case "augmented":
      return augmented(config);
    case "second-order":
      return embedding(config.backbone) + stack(config.backbone) + linear(config.backbone.width, 1);
  }
}

/**
 * The parameters that a decoder needs whom the embedding is handed, e.g. in a file: all but those of
 * an augmented decoder's encoder and `down`.
 */
export function decodingParameterCount(config: ModelConfig): number {
  if (config.kind !== "augmented" || config.memory === "zeros") return parameterCount(config);
  const { encoder, embeddingSize } = config;
  const down = embeddingSize === undefined ? 0 : linear(encoder.width, embeddingSize);
  return parameterCount(config) - embedding(encoder) - stack(encoder) - down;
}

function autoencoder(
  { encoder, decoder, expansion, embeddingSize }: ModelConfig & { kind: "autoencoder" },
): number {
  const { width } = decoder;
  const bridge = encoder.width === width ? 0 : linear(encoder.width, width);
  const bottleneck = embeddingSize === undefined
    ? 0
    : linear(width, embeddingSize) + linear(embeddingSize, width);
  const unroll = expansion === "unroll" ? linear(width / 2, width) : 0;
  return embedding(encoder) + stack(encoder) + bridge + bottleneck + unroll + stack(decoder) +
    head(decoder);
}

function augmented(config: ModelConfig & { kind: "augmented" }): number {
  const { join = "token", embeddingSize, decoder } = config;
  const joined = join === "embedding" ? joinedSize(config) : 0;
  const decoding = embedding(decoder) - decoder.vocabSize * joined + stack(decoder) + head(decoder);
  if (config.memory === "zeros") return decoding;
  const { encoder } = config;
  const down = embeddingSize === undefined ? 0 : linear(encoder.width, embeddingSize);
  const up = embeddingSize === undefined || join === "embedding"
    ? 0
    : linear(embeddingSize, encoder.width);
  const projection = hasProjection(config) ? linear(encoder.width, decoder.width) : 0;
  return embedding(encoder) + stack(encoder) + down + up + projection + decoding;
}

function embedding({ vocabSize, width }: BackboneConfig): number {
  return vocabSize * width;
}

function head({ vocabSize, width }: BackboneConfig): number {
  return width * vocabSize;
}

function stack(config: BackboneConfig): number {
  const { width, contextLength, layerCount } = config;
  switch (config.architecture) {
    case "mixer": {
      const { kernelSize = 1, headCount = 0 } = config;
      const convolution = kernelSize * contextLength ** 2 + contextLength;
      const mixing = headCount === 0
        ? convolution
        : headCount * convolution + 2 * linear(width, width);
      const feedForward = linear(width, 4 * width) + linear(4 * width, width);
      return layerCount * (4 * width + mixing + feedForward);
    }
    case "transformer": {
      const { positions, finalNorm = true } = config;
      const block = 2 * width + 4 * width ** 2 + 3 * width * 4 * width;
      const table = positions === "learned" ? contextLength * width : 0;
      return table + layerCount * block + (finalNorm ? width : 0);
    }
    case "lstm":
      return layerCount * 2 * linear(width, 4 * width);
  }
}

function linear(inputWidth: number, outputWidth: number): number {
  return inputWidth * outputWidth + outputWidth;
}
