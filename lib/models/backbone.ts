/**
 * A stack of any architecture, and its token embedding where it has one: what causal models,
 * encoders and decoders have in common. Hidden states are `[T, B, D]`: tokens first, so that a
 * slot is prepended and positions are cut as contiguous blocks.
 */

import { embeddingLookup, reshape, slice, type Tensor } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { hookedOutput, initNormal, type Lstm } from "../layers/mod.ts";
import type { Random } from "../random.ts";
import {
  initMaskedMixerBlocks,
  maskedMixer,
  type MaskedMixerBlock,
  type MaskedMixerConfig,
} from "./masked_mixer.ts";
import { initLstmBlocks, type LstmConfig, recurrent } from "./recurrent.ts";
import {
  initTransformer,
  transformer,
  TRANSFORMER_DEVIATION,
  type TransformerBlock,
  type TransformerConfig,
  type TransformerOptions,
  type TransformerStack,
} from "./transformer.ts";

export type BackboneConfig = MaskedMixerConfig | TransformerConfig | LstmConfig;

/**
 * A stack of any architecture by the sizes that all share, plain in everything else. Heads are
 * attention heads: mixers stay flat.
 */
export function backboneConfig(
  architecture: BackboneConfig["architecture"],
  { headCount, ...sizes }: Omit<TransformerConfig, "architecture">,
): BackboneConfig {
  return architecture === "transformer"
    ? { architecture, ...sizes, headCount }
    : { architecture, ...sizes };
}

/** A token embedding: weight `[V, D]`. */
export type Embedding = { weight: Tensor };

/** Blocks, and what a transformer has beside them. */
export type Stack = { blocks: MaskedMixerBlock[] } | TransformerStack | { blocks: Lstm[] };

export type Backbone = { embedding: Embedding } & Stack;

/** @throws UserError when a size is not a positive integer or heads do not divide the width. */
export function initStack(config: BackboneConfig, random: Random): Stack {
  checkBackbone(config);
  const blocks = random.stream("blocks");
  switch (config.architecture) {
    case "mixer":
      return { blocks: initMaskedMixerBlocks(config, blocks) };
    case "transformer":
      return initTransformer(config, blocks);
    case "lstm":
      return { blocks: initLstmBlocks(config, blocks) };
  }
}

export type BackboneOptions = Readonly<{
  /**
   * The embedding table stands outside the stack, as an augmented decoder's does: PyTorch's default
   * N(0, 1) in every architecture. Inside a transformer it is N(0, 0.02²).
   */
  outerEmbedding?: boolean;
  /** Columns of the embedding table; the stack's width by default. */
  embeddingWidth?: number;
}>;

/** @throws UserError as {@linkcode initStack} does. */
export function initBackbone(
  config: BackboneConfig,
  random: Random,
  { outerEmbedding = false, embeddingWidth = config.width }: BackboneOptions = {},
): Backbone {
  const stack = initStack(config, random);
  const isInside = config.architecture === "transformer" && !outerEmbedding;
  const deviation = isInside ? TRANSFORMER_DEVIATION : 1;
  const shape = [config.vocabSize, embeddingWidth];
  return {
    embedding: { weight: initNormal(random.stream("embedding"), shape, deviation) },
    ...stack,
  };
}

/** Token ids int32 `[T, B]` → embeddings `[T, B, D]`. */
export function embedTokens(backbone: Backbone, idsTB: Tensor): Tensor {
  const { embedding } = backbone;
  return hookedOutput(embedding, embeddingLookup(embedding.weight, idsTB));
}

/**
 * The stack's input `[T, B, D]` → hidden states `[T, B, D]`.
 *
 * @param visibleBT 1 for tokens, 0 for pads, null where nothing is padded. Mixers and LSTMs take
 *   pads for ordinary tokens and do not look at it (paper §2.1).
 * @param options Of transformers alone; only rotary positions can be moved.
 * @throws RangeError when a stack is given an option that it has not.
 */
export function hiddenStates(
  config: BackboneConfig,
  stack: Stack,
  inputTBD: Tensor,
  visibleBT: Tensor | null,
  options: TransformerOptions = {},
): Tensor {
  const { positionsBT, attentionDropout } = options;
  if (positionsBT !== undefined && !hasRelativePositions(config)) {
    throw new RangeError("positions can be given to a transformer with rotary positions alone");
  }
  if (attentionDropout !== undefined && config.architecture !== "transformer") {
    throw new RangeError("attention dropout can be given to a transformer alone");
  }
  if (config.architecture === "mixer" && hasBlocks<MaskedMixerBlock>(stack, "mix")) {
    return maskedMixer(config, stack.blocks, inputTBD);
  }
  if (config.architecture === "transformer" && hasBlocks<TransformerBlock>(stack, "attention")) {
    return transformer(config, stack, inputTBD, visibleBT, options);
  }
  if (config.architecture === "lstm" && hasBlocks<Lstm>(stack, "hidden")) {
    return recurrent(stack.blocks, inputTBD);
  }
  throw new UserError(
    `the configuration says ${config.architecture}, but the parameters are another architecture's`,
  );
}

/** Whether the stack tells positions by distance alone, so that all slots can be moved together. */
export function hasRelativePositions(config: BackboneConfig): boolean {
  return config.architecture === "transformer" && config.positions !== "learned";
}

/** The states `[B, D]` of one position of `[T, B, D]`, counted from the end: −1 is the last. */
export function statesAt(statesTBD: Tensor, position: number): Tensor {
  const [length, batch, width] = statesTBD.shape as [number, number, number];
  return reshape(slice(statesTBD, [length + position, 0, 0], [1, batch, width]), [batch, width]);
}

function hasBlocks<B>(stack: Stack, part: keyof B): stack is Stack & { blocks: B[] } {
  return part in stack.blocks[0]!;
}

/**
 * The checks of {@linkcode initStack} alone.
 *
 * @param path What stands before a field's name in messages, e.g. `encoder.`.
 * @throws UserError when a size is not a positive integer or heads do not divide the width.
 */
export function checkBackbone(config: BackboneConfig, path = ""): void {
  for (const field of ["vocabSize", "contextLength", "width", "layerCount"] as const) {
    checkPositiveInteger(path + field, config[field]);
  }
  const { width } = config;
  if (config.architecture === "mixer") {
    const { kernelSize = 1, headCount = 0 } = config;
    checkPositiveInteger(`${path}kernelSize`, kernelSize);
    if (headCount !== 0) checkPositiveInteger(`${path}headCount`, headCount);
    if (headCount !== 0 && width % headCount !== 0) {
      throw new UserError(
        `${path}width ${width} with ${headCount} mixing heads: expected heads that divide the width, or 0`,
      );
    }
  }
  if (config.architecture === "transformer") {
    const { headCount } = config;
    checkPositiveInteger(`${path}headCount`, headCount);
    if (width % (2 * headCount) !== 0) {
      throw new UserError(
        `${path}width ${width} with ${headCount} heads: expected a multiple of ${
          2 * headCount
        }, so that every head has an even width`,
      );
    }
  }
}

/**
 * The checks of an encoder and a decoder that read the same tokens.
 *
 * @throws UserError as {@linkcode checkBackbone} does, and when their vocabularies differ.
 */
export function checkBackbones(encoder: BackboneConfig, decoder: BackboneConfig): void {
  checkBackbone(encoder, "encoder.");
  checkBackbone(decoder, "decoder.");
  if (decoder.vocabSize !== encoder.vocabSize) {
    throw new UserError(
      `decoder.vocabSize: expected the encoder's ${encoder.vocabSize}, found ${decoder.vocabSize}`,
    );
  }
}

/** @throws UserError naming the field otherwise. */
export function checkPositiveInteger(field: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new UserError(`${field}: expected a positive integer, found ${value}`);
  }
}
