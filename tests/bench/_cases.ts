/** The models of the benchmarks, by family, kind and size, and how much their training computes. */

import { UserError } from "../../lib/errors.ts";
import {
  backboneConfig,
  hasProjection,
  joinedSize,
  type ModelConfig,
  multiplyAdds,
  sampleLength,
  stacksOf,
} from "../../lib/models/mod.ts";

export const FAMILIES = ["mixer", "transformer"] as const;
export type Family = (typeof FAMILIES)[number];
/** A causal language model, and an encoder-augmented one with a token join. */
export const KINDS = ["CLM", "EEM"] as const;
export type Kind = (typeof KINDS)[number];

export type Size = Readonly<
  { width: number; layers: number; context: number; batch: number; vocab: number }
>;

export const SIZES: readonly Size[] = [
  { width: 128, layers: 4, context: 128, batch: 32, vocab: 4096 },
  { width: 256, layers: 8, context: 256, batch: 16, vocab: 8000 },
  { width: 512, layers: 16, context: 512, batch: 4, vocab: 8000 },
];

/** Of attention; mixers are flat. */
const HEADS = 4;
/** The numbers that an EEM's embedding has. */
const NUMBERS = 8;

export type Case = Readonly<{ family: Family; kind: Kind; size: Size }>;

export function caseName({ family, kind, size }: Case): string {
  return `${family} ${kind} ${size.width}`;
}

/** An EEM's encoder is half as wide as its decoder. */
export function modelOf({ family, kind, size }: Case): ModelConfig {
  const shared = { vocabSize: size.vocab, layerCount: size.layers, headCount: HEADS };
  const backbone = (width: number, contextLength: number) =>
    backboneConfig(family, { ...shared, width, contextLength });
  if (kind === "CLM") return { kind: "causal", backbone: backbone(size.width, size.context) };
  return {
    kind: "augmented",
    memory: "embedding",
    embeddingSize: NUMBERS,
    encoder: backbone(size.width / 2, size.context),
    decoder: backbone(size.width, size.context + 1),
  };
}

/**
 * The cases that fit the words: `mixer 128` is both mixers of width 128. Words of a sort (family,
 * kind, width) are alternatives; a sort of which there is none takes all.
 *
 * @throws UserError for a word of no sort.
 */
export function selectCases(cases: readonly Case[], words: readonly string[]): readonly Case[] {
  const sorts: readonly ((one: Case) => string)[] = [
    ({ family }) => family,
    ({ kind }) => kind.toLowerCase(),
    ({ size }) => `${size.width}`,
  ];
  const wanted = words.map((word) => word.toLowerCase());
  const known = sorts.map((sort) => [...new Set(cases.map(sort))]);
  const unknown = wanted.find((word) => !known.flat().includes(word));
  if (unknown !== undefined) {
    throw new UserError(`no case is called "${unknown}"; words are ${known.flat().join(", ")}`);
  }
  return cases.filter((one) =>
    sorts.every((sort, index) => {
      const among = wanted.filter((word) => known[index]!.includes(word));
      return among.length === 0 || among.includes(sort(one));
    })
  );
}

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
