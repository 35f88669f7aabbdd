/** Tiny models of every kind, with weights at which every part matters. */

import { mapTree, tensor } from "../../lib/engine/mod.ts";
import {
  type BackboneConfig,
  initModel,
  type Model,
  type ModelConfig,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { normals } from "../_numbers.ts";

export const VOCABULARY = 11;
export const LENGTH = 5;
export const BATCH = 2;
export const PAD = 1;
export const EMBEDDING_SIZE = 3;

const sizes = { vocabSize: VOCABULARY, width: 8, layerCount: 2 };

export function mixer(contextLength: number): BackboneConfig {
  return { architecture: "mixer", contextLength, ...sizes };
}

export function transformer(contextLength: number): BackboneConfig {
  return { architecture: "transformer", contextLength, headCount: 2, ...sizes };
}

function augmented(backbone: (contextLength: number) => BackboneConfig) {
  return {
    kind: "augmented",
    memory: "embedding",
    encoder: backbone(LENGTH),
    decoder: { ...backbone(LENGTH + 1), width: 12 },
    embeddingSize: EMBEDDING_SIZE,
  } as const;
}

export const CAUSAL = {
  "mixer CLM": { kind: "causal", backbone: mixer(LENGTH) },
  "transformer CLM": { kind: "causal", backbone: transformer(LENGTH) },
} as const;

export const AUGMENTED = {
  "mixer EEM": augmented(mixer),
  "transformer EEM": augmented(transformer),
} as const;

export const TINY_MODELS: Readonly<Record<string, ModelConfig>> = { ...CAUSAL, ...AUGMENTED };

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
