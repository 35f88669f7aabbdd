/** How much a model computes, to compare models of an architecture by the time that they take. */

import type { BackboneConfig } from "./backbone.ts";
import { type ModelConfig, stacksOf } from "./language_model.ts";

/**
 * Multiply-adds of one sample's forward pass, in the products that take the time: those of the
 * blocks' weights with every position, of positions with each other, and of the head.
 */
export function multiplyAdds(config: ModelConfig): number {
  const stacks = stacksOf(config);
  const { contextLength, width, vocabSize } = stacks.at(-1)!;
  const outputs = config.kind === "second-order" ? 1 : vocabSize;
  const blocks = stacks.reduce((sum, stack) => sum + stack.layerCount * block(stack), 0);
  return blocks + contextLength * width * outputs;
}

function block(config: BackboneConfig): number {
  const { contextLength, width } = config;
  const square = contextLength * width ** 2;
  const between = contextLength ** 2 * width;
  switch (config.architecture) {
    case "mixer": {
      const { kernelSize = 1, headCount = 0 } = config;
      const projections = headCount === 0 ? 0 : 2 * square;
      return kernelSize * between + projections + 8 * square;
    }
    case "transformer": // scores and their products with values; projections 4, feed-forward 12
      return 2 * between + 16 * square;
    case "lstm":
      return 8 * square;
  }
}
