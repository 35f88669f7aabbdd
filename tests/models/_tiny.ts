/** Tiny models of every kind, with weights at which every part matters. */

import assert from "node:assert/strict";
import { mapTree, tensor } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  type AutoencoderConfig,
  type BackboneConfig,
  type Expansion,
  initModel,
  type Join,
  type LstmConfig,
  type MaskedMixerConfig,
  type Model,
  type ModelConfig,
  type TransformerConfig,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { normals } from "../_numbers.ts";

export const VOCABULARY = 11;
export const LENGTH = 5;
export const BATCH = 2;
export const PAD = 1;
export const EMBEDDING_SIZE = 3;
export const WIDTH = 8;

const sizes = { vocabSize: VOCABULARY, width: WIDTH, layerCount: 2 };

export function mixer(
  contextLength: number,
  options: Partial<MaskedMixerConfig> = {},
): MaskedMixerConfig {
  return { architecture: "mixer", contextLength, ...sizes, ...options };
}

export function transformer(
  contextLength: number,
  options: Partial<TransformerConfig> = {},
): TransformerConfig {
  return { architecture: "transformer", contextLength, headCount: 2, ...sizes, ...options };
}

export function lstm(contextLength: number, options: Partial<LstmConfig> = {}): LstmConfig {
  return { architecture: "lstm", contextLength, ...sizes, ...options };
}

/** A stack over so many positions. */
export type StackOf = (contextLength: number) => BackboneConfig;

export const STACKS = { mixer, transformer, lstm } as const;

/** Encoder → decoder, every pair of the paper's architectures, and the recurrent one with itself. */
export const PAIRS: Readonly<Record<string, readonly [encoder: StackOf, decoder: StackOf]>> = {
  "mixer → mixer": [mixer, mixer],
  "mixer → transformer": [mixer, transformer],
  "transformer → transformer": [transformer, transformer],
  "transformer → mixer": [transformer, mixer],
  "LSTM → LSTM": [lstm, lstm],
};

/** An EEM of `encoder` and a decoder 12 wide. */
export function augmented(
  encoder: StackOf,
  decoder: StackOf,
  join: Join = "token",
  length = LENGTH,
) {
  return {
    kind: "augmented",
    memory: "embedding",
    join,
    encoder: encoder(length),
    decoder: { ...decoder(length + (join === "token" ? 1 : 0)), width: 12 },
    embeddingSize: EMBEDDING_SIZE,
  } as const;
}

/** An autoencoder of `encoder` and a decoder 12 wide. */
export function autoencoder(
  encoder: StackOf,
  decoder: StackOf,
  expansion: Expansion,
): AutoencoderConfig {
  return {
    kind: "autoencoder",
    encoder: encoder(LENGTH),
    decoder: { ...decoder(LENGTH), width: 12 },
    expansion,
    embeddingSize: EMBEDDING_SIZE,
  };
}

export const CAUSAL = {
  "mixer CLM": { kind: "causal", backbone: mixer(LENGTH) },
  "transformer CLM": { kind: "causal", backbone: transformer(LENGTH) },
  "LSTM CLM": { kind: "causal", backbone: lstm(LENGTH) },
} as const;

export const AUGMENTED = {
  "mixer EEM": augmented(mixer, mixer),
  "transformer EEM": augmented(transformer, transformer),
} as const;

/** Each architecture, join and expansion at least once. */
export const TINY_MODELS: Readonly<Record<string, ModelConfig>> = {
  ...CAUSAL,
  ...AUGMENTED,
  "embedding-join EEM": augmented(transformer, mixer, "embedding"),
  "linear-join EEM": augmented(mixer, lstm, "linear"),
  "repeated AE": autoencoder(lstm, mixer, "repeat"),
  "unrolled AE": autoencoder(mixer, transformer, "unroll"),
};

/**
 * A model whose every weight is drawn anew: the transformer's own N(0, 0.02²) would hide a leak
 * among rounding errors, and zero biases would hide theirs.
 */
export function livelyModel(config: ModelConfig, seed = 1): Model {
  let drawn = 0;
  return mapTree(initModel(config, createRandom(seed)), (leaf, name) => {
    const values = normals(leaf.size, 1000 * seed + drawn++, 0.5);
    const isGain = /norm\w*\.weight$/i.test(name);
    return tensor(isGain ? values.map((value) => 1 + 0.4 * value) : values, leaf.shape);
  });
}

/** Seeded ids of real tokens, `BATCH × length`, row by row. */
export function tinyIds(length = LENGTH, seed = 3): Int32Array {
  const random = createRandom(seed);
  return Int32Array.from(
    { length: BATCH * length },
    () => PAD + 1 + Math.floor((VOCABULARY - PAD - 1) * random.uniform()),
  );
}

/** The ids with token `position` of every row replaced by another real token. */
export function changeToken(ids: Int32Array, position: number, length = LENGTH): Int32Array {
  return ids.map((id, i) => i % length === position ? (id === 2 ? 3 : 2) : id);
}

/** Ids whose second row starts with `pads` pads. */
export function leftPadded(pads: number): Int32Array {
  return tinyIds().map((id, i) => i >= LENGTH && i < LENGTH + pads ? PAD : id);
}

/** The model with another embedding of the pad. */
export function withOtherPad(params: Model): Model {
  return mapTree(params, (leaf, name) => {
    if (!name.endsWith("embedding.weight")) return leaf;
    const width = leaf.shape[1]!;
    const values = leaf.dataSync() as Float32Array;
    const changed = values.map((one, i) => Math.floor(i / width) === PAD ? 3 - one : one);
    return tensor(changed, leaf.shape);
  });
}

/** What `act` says in the UserError that it must throw. */
export function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    return error.message;
  }
  assert.fail("expected an error");
}
