/** Models that are tiny and read real text, with a tokenizer of their own. */

import { createHash } from "node:crypto";
import type { CodecModel } from "../../lib/codec/mod.ts";
import { mapTree, tensor } from "../../lib/engine/mod.ts";
import {
  type AugmentedDecoder,
  type CausalModel,
  initModel,
  type Join,
  type Model,
  type ModelConfig,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { normals } from "../_numbers.ts";
import { augmented, lstm, mixer, type StackOf, transformer } from "../models/_tiny.ts";

export const TEXT =
  "The windows of a file are read one after the other, and of every window the first tokens are " +
  "those that the window before it ended with. A reader who knows them already pays nothing for " +
  "them; the others cost what the model did not expect. Where the model expects nothing at all, " +
  "as in a file of random bytes, the bytes are written as they are, and the reader is told so.\n" +
  "Naïve café, Größe, Ωμέγα — «здравствуй», 東京. 0123456789 {[(<=>)]} \t\r\n";

/** 256 bytes, two special tokens, and merges of the text above. */
export const TOKENIZER = trainTokenizer([TEXT], { vocabSize: 300 });

const { vocabSize } = TOKENIZER;

const STACK_OPTIONS = { vocabSize };

/** Stacks of tests/models over this vocabulary. */
export const mixerStack: StackOf = (length) => mixer(length, STACK_OPTIONS);
export const transformerStack: StackOf = (length) => transformer(length, STACK_OPTIONS);
export const lstmStack: StackOf = (length) => lstm(length, STACK_OPTIONS);

/** Tokens a window. */
export const LENGTH = 8;

export function clm(stack: StackOf, length = LENGTH): ModelConfig {
  return { kind: "causal", backbone: stack(length) };
}

export function eem(
  encoder: StackOf,
  decoder: StackOf,
  join: Join = "token",
  length = LENGTH,
): ModelConfig {
  return augmented(encoder, decoder, join, length);
}

/**
 * A model whose every weight matters, calm enough to be far from certain, and that knows how often
 * each token of the text comes, so that it makes such text shorter.
 */
export function codecModel(config: ModelConfig, seed = 1, deviation = 0.15): CodecModel {
  let drawn = 0;
  const params = mapTree(initModel(config, createRandom(seed)), (leaf, name) => {
    const values = normals(leaf.size, 1000 * seed + drawn++, deviation);
    const isGain = /norm\w*\.weight$/i.test(name);
    return tensor(isGain ? values.map((value) => 1 + value) : values, leaf.shape);
  });
  const hash = createHash("sha256").update(JSON.stringify([config, seed, deviation])).digest("hex");
  return { config, params: withUnigrams(params), tokenizer: TOKENIZER, hash };
}

function withUnigrams(params: Model): Model {
  const counts = new Float32Array(vocabSize).fill(0.1);
  for (const id of TOKENIZER.encode(TEXT)) counts[id]!++;
  const bias = tensor(counts.map(Math.log));
  const withBias = (model: CausalModel) => ({ ...model, head: { ...model.head, bias } });
  return "decoder" in params
    ? { ...params, decoder: withBias((params as AugmentedDecoder).decoder) } as Model
    : withBias(params as CausalModel);
}

const encoder = new TextEncoder();

export const utf8 = (text: string): Uint8Array => encoder.encode(text);

/** Of no window of it are the bytes cheaper than its tokens by one of these models. */
export const EASY = utf8(
  "the windows of the file are the windows that the reader of the file reads. ".repeat(6),
);

/** Seeded bytes that nothing makes shorter. */
export function randomBytes(count: number, seed = 1): Uint8Array {
  const random = createRandom(seed);
  return Uint8Array.from({ length: count }, () => random.bits() & 255);
}
