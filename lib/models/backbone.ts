/**
 * A causal stack of either family with its token embedding: what a causal model, an encoder and a
 * decoder have in common. Hidden states are `[T, B, D]`: tokens first, so that a slot is prepended
 * and positions are cut as contiguous blocks.
 */

import { embeddingLookup, type Tensor } from "../engine/mod.ts";
import { initNormal, initRmsNorm, type RmsNorm } from "../layers/mod.ts";
import type { Random } from "../random.ts";
import { UserError } from "../errors.ts";
import {
  initMaskedMixerBlocks,
  maskedMixer,
  type MaskedMixerBlock,
  type MaskedMixerConfig,
} from "./masked_mixer.ts";
import {
  initTransformerBlocks,
  transformer,
  TRANSFORMER_DEVIATION,
  type TransformerBlock,
  type TransformerConfig,
} from "./transformer.ts";

export type BackboneConfig = MaskedMixerConfig | TransformerConfig;

/** A stack of either family by the same sizes; mixers have no heads and ignore their number. */
export function backboneConfig(
  architecture: BackboneConfig["architecture"],
  { headCount, ...sizes }: Omit<TransformerConfig, "architecture">,
): BackboneConfig {
  return architecture === "mixer"
    ? { architecture, ...sizes }
    : { architecture, ...sizes, headCount };
}

/** A token embedding: weight `[V, D]`. */
export type Embedding = { weight: Tensor };

export type Backbone =
  | { embedding: Embedding; blocks: MaskedMixerBlock[] }
  | { embedding: Embedding; blocks: TransformerBlock[]; finalNorm: RmsNorm };

/**
 * @param outerEmbedding The embedding table stands outside the stack, as an augmented decoder's
 *   does: PyTorch's default N(0, 1) in both families. Inside a transformer it is N(0, 0.02²).
 * @throws UserError when a size is not a positive integer or heads do not divide the width.
 */
export function initBackbone(
  config: BackboneConfig,
  random: Random,
  { outerEmbedding = false }: { outerEmbedding?: boolean } = {},
): Backbone {
  checkBackbone(config);
  const isMixer = config.architecture === "mixer";
  const deviation = isMixer || outerEmbedding ? 1 : TRANSFORMER_DEVIATION;
  const shape = [config.vocabSize, config.width];
  const embedding = { weight: initNormal(random.stream("embedding"), shape, deviation) };
  const blocks = random.stream("blocks");
  return isMixer ? { embedding, blocks: initMaskedMixerBlocks(config, blocks) } : {
    embedding,
    blocks: initTransformerBlocks(config, blocks),
    finalNorm: initRmsNorm(config.width),
  };
}

/** Token ids int32 `[T, B]` → embeddings `[T, B, D]`. */
export function embedTokens(backbone: Backbone, idsTB: Tensor): Tensor {
  return embeddingLookup(backbone.embedding.weight, idsTB);
}

/**
 * Embedded tokens `[T, B, D]` → hidden states `[T, B, D]`.
 *
 * @param visibleBT 1 for tokens, 0 for pads, null where nothing is padded. Mixers take pads for
 *   ordinary tokens and do not look at it (paper §2.1).
 */
export function hiddenStates(
  config: BackboneConfig,
  backbone: Backbone,
  embeddedTBD: Tensor,
  visibleBT: Tensor | null,
): Tensor {
  if (config.architecture === "transformer" && "finalNorm" in backbone) {
    return transformer(config, backbone, embeddedTBD, visibleBT);
  }
  if (config.architecture === "mixer" && !("finalNorm" in backbone)) {
    return maskedMixer(config, backbone.blocks, embeddedTBD);
  }
  throw new UserError(
    `the configuration says ${config.architecture}, but the parameters are another architecture's`,
  );
}

function checkBackbone(config: BackboneConfig): void {
  for (const field of ["vocabSize", "contextLength", "width", "layerCount"] as const) {
    const value = config[field];
    if (!Number.isInteger(value) || value < 1) {
      throw new UserError(`${field}: expected a positive integer, found ${value}`);
    }
  }
  if (config.architecture === "transformer" && config.width % (2 * config.headCount) !== 0) {
    throw new UserError(
      `width ${config.width} with ${config.headCount} heads: expected a multiple of ${
        2 * config.headCount
      }, so that every head has an even width`,
    );
  }
}
