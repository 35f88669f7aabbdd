/**
 * A window read one token at a time: the logits of a full pass, for a step's cost each. The reader
 * of a compressed file knows a token only after the one before it and has no other way.
 *
 * What positions exchange is remembered in tensors whose shapes never change: a mixing's inputs, an
 * attention's keys and values, an LSTM's two states. The position is a tensor too, so that one
 * compiled function reads all tokens. All else is what the full pass calls.
 *
 * Windows are packed: there are no pads.
 *
 * Legend: N tokens, T slots, B batch, D width, V vocabulary, P embedding size, M memory width.
 */

import { add, expandDims, reshape, scalar, type Tensor, tensor, zeros } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  type AttentionCache,
  attentionStart,
  linear,
  type Lstm,
  lstmStart,
  type LstmState,
  mixingStart,
  type Slot,
  slotAt,
} from "../layers/mod.ts";
import { type AugmentedDecoderConfig, joinedSize, memoryWidth } from "./augmented_config.ts";
import { type AugmentedDecoder, memoryOf, withMemory } from "./augmented_decoder.ts";
import { type BackboneConfig, embedTokens } from "./backbone.ts";
import type { CausalModel, CausalModelConfig } from "./causal_model.ts";
import type { Model, ModelConfig } from "./language_model.ts";
import { type MaskedMixerBlock, maskedMixerStep } from "./masked_mixer.ts";
import { checkModelSizes } from "./model_checks.ts";
import { recurrentSteps } from "./recurrent.ts";
import { type TransformerStack, transformerStep } from "./transformer.ts";

/** What a model remembers of a window's tokens read so far: tensors whose shapes never change. */
export type ReadingState = Readonly<{
  /** Of every block, in order; slots that are not read yet hold zeros. */
  blocks: readonly (Tensor | AttentionCache | LstmState)[];
  /** `[B, M]`, in joins where it meets every token. */
  memoryBM?: Tensor;
}>;

/**
 * The state before token 0 of a window: empty, or holding the memory of the embedding `z [B, P]`
 * that `encodeSequence` gave or a file holds.
 *
 * @param start `zBP` for a model with an encoder, `batch` for any other.
 * @throws UserError for autoencoders and second-order models, for a decoder that sees later tokens,
 *   and for a `start` that is not the model's.
 */
export function startReading(
  config: ModelConfig,
  params: Model,
  start: Readonly<{ batch: number } | { zBP: Tensor }>,
): ReadingState {
  checkReading(config, start);
  const { stack, model } = readerOf(config, params);
  const batch = "batch" in start ? start.batch : start.zBP.shape[0]!;
  const blocks = emptyBlocks(stack, model, batch);
  if (config.kind === "causal") return { blocks };
  const memoryBM = "batch" in start
    ? zeros([batch, memoryWidth(config)])
    : memoryOf(params as AugmentedDecoder, start.zBP);
  const { join = "token" } = config;
  if (join !== "token") return { blocks, memoryBM };
  const first = slotAt(tensor([0], [1], "int32"), stack.contextLength);
  return { blocks: readSlot(stack, model, expandDims(memoryBM, 0), blocks, first).blocks };
}

/**
 * Reads token `position` of every row: the logits `[B, V]` of the next ones, and the state with
 * these. Positions come in order, from 0 on.
 *
 * @param state As {@linkcode startReading} or the last call gave it; it stays the caller's.
 * @param idsB int32.
 * @param position int32, scalar or `[1]`, 0 … N − 1.
 */
export function readTokens(
  config: ModelConfig,
  params: Model,
  { blocks, memoryBM }: ReadingState,
  idsB: Tensor,
  position: Tensor,
): { logitsBV: Tensor; state: ReadingState } {
  checkReadsTokens(config);
  const { stack, model } = readerOf(config, params);
  const join = config.kind === "causal" ? null : config.join ?? "token";
  const tokenTBD = embedTokens(model, expandDims(idsB, 0));
  const inputTBD = join === "embedding" || join === "linear"
    ? withMemory(join, memoryBM!, tokenTBD)
    : tokenTBD;
  // Slot 0 of a token join holds the memory.
  const index = join === "token" ? add(position, scalar(1, "int32")) : position;
  const slot = slotAt(index, stack.contextLength);
  const read = readSlot(stack, model, inputTBD, blocks, slot);
  const logitsTBV = linear(model.head, read.xTBD);
  return {
    logitsBV: reshape(logitsTBV, logitsTBV.shape.slice(1)),
    state: { blocks: read.blocks, ...(memoryBM && { memoryBM }) },
  };
}

type Reader = CausalModelConfig | AugmentedDecoderConfig;

/** The stack that reads the tokens, and its parameters. */
function readerOf(
  config: Reader,
  params: Model,
): Readonly<{ stack: BackboneConfig; model: CausalModel }> {
  return config.kind === "causal"
    ? { stack: config.backbone, model: params as CausalModel }
    : { stack: config.decoder, model: (params as AugmentedDecoder).decoder };
}

function emptyBlocks(
  stack: BackboneConfig,
  { blocks }: CausalModel,
  batch: number,
): ReadingState["blocks"] {
  const { contextLength, width } = stack;
  switch (stack.architecture) {
    case "mixer":
      return (blocks as MaskedMixerBlock[]).map(({ mix }) => mixingStart(mix, batch, width));
    case "transformer": {
      const { headCount } = stack;
      const shape = [batch, headCount, contextLength, width / headCount] as const;
      return blocks.map(() => attentionStart(shape));
    }
    case "lstm":
      return blocks.map(() => lstmStart(batch, width));
  }
}

/** The hidden state of one slot's input, both `[1, B, D]`, and what the blocks then remember. */
function readSlot(
  stack: BackboneConfig,
  model: CausalModel,
  inputTBD: Tensor,
  blocks: ReadingState["blocks"],
  slot: Slot,
): { xTBD: Tensor; blocks: ReadingState["blocks"] } {
  switch (stack.architecture) {
    case "mixer": {
      const layers = model.blocks as MaskedMixerBlock[];
      return maskedMixerStep(layers, inputTBD, blocks as Tensor[], slot);
    }
    case "transformer": {
      const layers = model as TransformerStack;
      return transformerStep(stack, layers, inputTBD, blocks as AttentionCache[], slot);
    }
    case "lstm":
      return recurrentSteps(model.blocks as Lstm[], inputTBD, blocks as LstmState[]);
  }
}

function checkReading(
  config: ModelConfig,
  start: Readonly<{ batch: number } | { zBP: Tensor }>,
): asserts config is Reader {
  checkReadsTokens(config);
  checkModelSizes(config);
  const hasEncoder = config.kind === "augmented" && config.memory === "embedding";
  const expected = hasEncoder ? joinedSize(config) : 0;
  const found = "zBP" in start ? start.zBP.shape.at(-1)! : 0;
  if (found !== expected) {
    throw new UserError(
      `startReading: expected an embedding of ${expected} numbers a row, found ${found}; give ` +
        (hasEncoder ? "the embedding of this model's encoder" : "the batch alone"),
    );
  }
}

/** @throws UserError for a model that does not predict tokens one after another. */
export function checkReadsTokens(config: ModelConfig): asserts config is Reader {
  if (config.kind === "causal" || config.kind === "augmented") return;
  throw new UserError(
    "reading token by token: expected a causal model or an encoder-augmented decoder, " +
      `found a model of kind ${config.kind}`,
  );
}
