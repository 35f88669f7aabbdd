/**
 * The paper's models by name: the causal models, autoencoders, EEMs and 2EEMs that its tables and
 * figures compare (paper §2.4 to §2.6, §4.6, §9). A name is the kind, the architectures, the decoder's width, and
 * what differs from the plainest model of that size: `ae-mixer-512-k8-unroll`.
 *
 * Left out: EEMs with frozen encoders (§2.7), Llama-1B (E21), and models that differ in how they are
 * trained alone (noise, E19; entropy-aware losses and dropout, E23, E24).
 *
 * Legend: N tokens, k kernel size, c encoder width / embedding size.
 */

import type { Join } from "./augmented_config.ts";
import type { AutoencoderConfig } from "./autoencoder.ts";
import type { BackboneConfig } from "./backbone.ts";
import { embeddingSize, type ModelConfig, sampleLength, stacksOf } from "./language_model.ts";
import type { MaskedMixerConfig } from "./masked_mixer.ts";
import type { TransformerConfig } from "./transformer.ts";

export type PaperModel = Readonly<{
  config: ModelConfig;
  /** Depth, N, stacks and what is between them, in one line. */
  what: string;
  /** Where the paper names it, e.g. `paper §2.6, E13`. */
  source: string;
  /** What the paper leaves open, and what was chosen (paper §12). */
  uncertain?: string;
}>;

type PaperModels = Readonly<Record<string, PaperModel>>;

/** `source` comes without the word "paper". */
type Notes = [source: string, uncertain?: string];

function model(config: ModelConfig, [source, uncertain]: Notes): PaperModel {
  const certain = { config, what: describe(config), source: `paper ${source}` };
  return uncertain === undefined ? certain : { ...certain, uncertain };
}

function describe(config: ModelConfig): string {
  const stacks = stacksOf(config);
  const { layerCount } = stacks[0]!;
  const scale = `${layerCount} layers, N = ${sampleLength(config)}`;
  const sides = stacks.map(describeStack).join(" → ");
  if (config.kind === "causal") return `CLM, ${scale}: ${sides}`;
  if (config.kind === "second-order") {
    return `2EEM, ${scale}: ${sides}, ${config.shift ? "with" : "without"} shift`;
  }
  const through = `through ${embeddingSize(config)} numbers`;
  return config.kind === "autoencoder"
    ? `autoencoder, ${scale}: ${sides}, ${through}, ${config.expansion}ed`
    : `EEM, ${scale}: ${sides}, ${through}, ${config.join} join`;
}

/** Options by their fields' names: `transformer 512 (headCount 4)`. */
function describeStack({ architecture, width, ...rest }: BackboneConfig): string {
  const sizes = ["vocabSize", "contextLength", "layerCount"];
  const options = Object.entries(rest).filter(([field]) => !sizes.includes(field));
  const listed = options.map(([field, value]) => `${field} ${value}`).join(", ");
  return `${architecture} ${width}${listed === "" ? "" : ` (${listed})`}`;
}

/** Depth and N, which encoder and decoder share. */
type Scale = Readonly<{ layerCount: number; contextLength: number }>;

const vocabSize = 8000;
const MAIN: Scale = { layerCount: 16, contextLength: 1024 };
const HALF: Scale = { ...MAIN, layerCount: 8 };
const LARGE: Scale = { ...MAIN, layerCount: 24 };
const SHORT: Scale = { layerCount: 8, contextLength: 512 };
const SHALLOW: Scale = { ...SHORT, layerCount: 4 };

type MixerOptions = Pick<MaskedMixerConfig, "kernelSize" | "headCount" | "causal">;

function mixer(width: number, scale: Scale, options: MixerOptions = {}): BackboneConfig {
  return { architecture: "mixer", vocabSize, ...scale, width, ...options };
}

function llama(
  width: number,
  scale: Scale,
  options: Partial<Pick<TransformerConfig, "headCount" | "finalNorm">> = {},
): BackboneConfig {
  return { architecture: "transformer", vocabSize, ...scale, width, headCount: 4, ...options };
}

const LAYERS_16_OPEN = "the depth is not given: 16 layers, as in the main models";
const WIDTH_OPEN = "only the depth is given: width 512";
const BIAS_OPEN = "the entropy-aware runs' head has a bias (§5.1); here no head has one";
const E10_OPEN = "sizes and heads are not given: the main mixer's sizes, the heads of E9";
const E11_OPEN = "the references' sizes are not given: those of E11's autoencoders";

function clm(backbone: BackboneConfig, ...notes: Notes): PaperModel {
  return model({ kind: "causal", backbone }, notes);
}

const CAUSAL_MODELS: PaperModels = {
  "clm-transformer-512": clm(llama(512, MAIN), "§2.4, E13–E15, E17, E21, E24", BIAS_OPEN),
  "clm-transformer-512-8-layers": clm(llama(512, HALF), "§2.4", WIDTH_OPEN),
  "clm-transformer-256": clm(llama(256, MAIN), "§2.4, E14", LAYERS_16_OPEN),
  "clm-transformer-1024": clm(llama(1024, LARGE), "§2.4, E14"),
  "clm-mixer-1024": clm(mixer(1024, MAIN), "§2.4, E10, E13, E14"),
  "clm-mixer-512": clm(mixer(512, MAIN), "§2.4, E14", LAYERS_16_OPEN),
  ...Object.fromEntries([1, 2, 4, 8, 16].map((headCount) => [
    `clm-mixer-1024-${headCount}-heads`,
    clm(mixer(1024, MAIN, { headCount }), "E10", E10_OPEN),
  ])),
  "clm-transformer-512-short": clm(llama(512, SHORT), "E11", E11_OPEN),
  "clm-mixer-512-short": clm(mixer(512, SHORT), "E11", E11_OPEN),
};

const KIND_OPEN = "modular or prebuilt is not said: modular, the better one of E1, and causal";
const E5_OPEN = `sizes are not given: those of E4; ${KIND_OPEN}`;
const LAYERS_8_OPEN = "the depth is not given: 8 layers, as in E2, E3 and E8";
const E7_OPEN = `repeated or unrolled is not said: unrolled, as in E5 and E11; ${KIND_OPEN}`;
const E9_OPEN = "only heads and N are given: width 1024 by E6's numbers, 8 layers, repeated";

/** The decoder is the encoder's like and the state is repeated unless `options` say otherwise. */
function ae(
  encoder: BackboneConfig,
  options: Partial<Omit<AutoencoderConfig, "kind" | "encoder">>,
  ...notes: Notes
): PaperModel {
  const defaults = { decoder: encoder, expansion: "repeat" } as const;
  return model({ kind: "autoencoder", encoder, ...defaults, ...options }, notes);
}

function flat(width: number, kernelSize?: number): BackboneConfig {
  return mixer(width, SHORT, kernelSize === undefined ? {} : { kernelSize });
}

/** A transformer of "modular" autoencoders (paper §2.5a). */
function modular(width: number, headCount = 4): BackboneConfig {
  return llama(width, SHORT, { headCount, finalNorm: false });
}

const unmasked = mixer(1024, SHORT, { causal: false });
const inner = { embedding: "inner" } as const;
const unroll = { expansion: "unroll" } as const;
const c4 = { embeddingSize: 128 };
const unrollC4 = { ...unroll, ...c4 };
const unrollC2 = { ...unroll, embeddingSize: 512 };

const AUTOENCODERS: PaperModels = {
  "ae-mixer-256": ae(flat(256), {}, "E2"),
  "ae-mixer-512": ae(flat(512), {}, "E2, E3"),
  "ae-mixer-1024": ae(flat(1024), {}, "E2, E8, E9"),
  "ae-transformer-256": ae(modular(256), {}, "E2", KIND_OPEN),
  "ae-transformer-512": ae(modular(512), {}, "E2–E4", KIND_OPEN),
  "ae-transformer-1024": ae(modular(1024), {}, "E1, E2", KIND_OPEN),
  "ae-transformer-1024-prebuilt": ae(llama(1024, SHORT), inner, "E1", LAYERS_8_OPEN),
  "ae-mixer-transformer-512": ae(flat(512), { decoder: llama(512, SHORT) }, "§2.5, E3"),
  "ae-transformer-mixer-512": ae(llama(512, SHORT), { ...inner, decoder: flat(512) }, "§2.5, E3"),
  "ae-transformer-512-unroll": ae(modular(512), unroll, "E4, E5", KIND_OPEN),
  "ae-transformer-512-unroll-2-heads": ae(modular(512, 2), unroll, "E5", E5_OPEN),
  "ae-transformer-512-unroll-8-heads": ae(modular(512, 8), unroll, "E5", E5_OPEN),
  "ae-transformer-512-unroll-16-heads": ae(modular(512, 16), unroll, "E5", E5_OPEN),
  "ae-mixer-512-k4": ae(flat(512, 4), {}, "E6", LAYERS_8_OPEN),
  "ae-mixer-512-k8": ae(flat(512, 8), {}, "E3, E6"),
  "ae-mixer-512-k16": ae(flat(512, 16), {}, "E6", LAYERS_8_OPEN),
  "ae-mixer-512-k4-unroll": ae(flat(512, 4), unroll, "E6", LAYERS_8_OPEN),
  "ae-mixer-512-k8-unroll": ae(flat(512, 8), unroll, "E6", LAYERS_8_OPEN),
  "ae-mixer-512-k16-unroll": ae(flat(512, 16), unroll, "E6", LAYERS_8_OPEN),
  "ae-mixer-1024-k8": ae(flat(1024, 8), {}, "E6, E9", LAYERS_8_OPEN),
  "ae-mixer-1024-k8-unroll": ae(flat(1024, 8), unroll, "E6", LAYERS_8_OPEN),
  "ae-mixer-1024-k16-unroll": ae(flat(1024, 16), unroll, "E6", LAYERS_8_OPEN),
  "ae-transformer-1024-unroll-c2": ae(modular(1024), unrollC2, "E7", E7_OPEN),
  "ae-mixer-1024-encoder-unmasked": ae(unmasked, { decoder: flat(1024) }, "E8"),
  "ae-mixer-1024-unmasked": ae(unmasked, {}, "E8"),
  ...Object.fromEntries([1, 2, 4, 8, 16].map((headCount) => [
    `ae-mixer-1024-${headCount}-heads`,
    ae(mixer(1024, SHORT, { headCount }), {}, "E9", E9_OPEN),
  ])),
  "ae-mixer-512-k8-c4": ae(flat(512, 8), c4, "E11"),
  "ae-mixer-512-k8-unroll-c4": ae(flat(512, 8), unrollC4, "E11"),
  "ae-transformer-512-unroll-c4": ae(modular(512), unrollC4, "E11", KIND_OPEN),
};

const T_SMALL_OPEN = "sizes are partly guessed: encoder 128 (c = 2), 16 layers";
const M_SMALL_OPEN = "sizes are partly guessed: encoder 256 (c = 4), 16 layers, embedding join";
const MT_OPEN = "widths from an early driver line";
const E12_OPEN = "the encoder's architecture is not said: here each of both";
const E13_OPEN = "the join of E13 to E15 is not said: embedding or token";
const E16_OPEN = "which rows of E12 and E16 ran at N = 512 is not said: all are here, at 1024 too";
const KERNELS_OPEN = `in E16 kernels could be on both sides: encoder only, as in §2.6; ${E16_OPEN}`;
const LARGE_OPEN = "N = 1024 in one script";
const LOSSLESS_OPEN = "the kernel is given for the decoder alone: here the encoder has it too";

type Joined = readonly [encoder: BackboneConfig, join: Join, decoder: BackboneConfig];

/** Stacks are given for N tokens. Without an `embeddingSize` z is the encoder's whole state. */
function joined([encoder, join, decoder]: Joined, size: { embeddingSize?: number }): ModelConfig {
  const contextLength = decoder.contextLength + (join === "token" ? 1 : 0);
  const stacks = { encoder, decoder: { ...decoder, contextLength } };
  return { kind: "augmented", memory: "embedding", join, ...stacks, ...size };
}

function eem(stacks: Joined, ...notes: Notes): PaperModel {
  return model(joined(stacks, { embeddingSize: 64 }), notes);
}

/** Encoder and decoder alike, c = 1. */
function uncompressed(stack: BackboneConfig, ...notes: Notes): PaperModel {
  return model(joined([stack, "token", stack], {}), notes);
}

/** Mixer EEMs at some N by what is behind `eem-m-`; heads and kernels are the encoder's (§2.6). */
function mixerEems(contextLength: number, ...notes: Notes): PaperModels {
  const scale = { ...MAIN, contextLength };
  const from = (options: MixerOptions = {}) => mixer(256, scale, options);
  const to = mixer(1024, scale);
  const [k4, k8, heads4] = [{ kernelSize: 4 }, { kernelSize: 8 }, { headCount: 4 }];
  return {
    "embedding": eem([from(), "embedding", to], ...notes),
    "embedding-k4": eem([from(k4), "embedding", to], "E16", KERNELS_OPEN),
    "embedding-k8": eem([from(k8), "embedding", to], "E16", KERNELS_OPEN),
    "embedding-4-heads": eem([from(heads4), "embedding", to], "E16", E16_OPEN),
    "token": eem([from(), "token", to], ...notes),
    "token-k4": eem([from(k4), "token", to], "E16", KERNELS_OPEN),
    "token-k8": eem([from(k8), "token", to], "E16", KERNELS_OPEN),
    "linear": eem([from(), "linear", to], "E12", E16_OPEN),
  };
}

function prefixed(prefix: string, models: PaperModels, suffix = ""): PaperModels {
  const entries = Object.entries(models);
  return Object.fromEntries(entries.map(([name, one]) => [`${prefix}${name}${suffix}`, one]));
}

const [t256, t512, m256] = [llama(256, MAIN), llama(512, MAIN), mixer(256, MAIN)];
const [t128, t512x24, t1024x24] = [llama(128, MAIN), llama(512, LARGE), llama(1024, LARGE)];

const AUGMENTED_MODELS: PaperModels = {
  "eem-t": eem([t256, "token", t512], "§2.6, E12–E20"),
  "eem-t-embedding": eem([t256, "embedding", t512], "E12", E12_OPEN),
  "eem-t-linear": eem([t256, "linear", t512], "E12", E12_OPEN),
  "eem-t-small": eem([t128, "token", t256], "§2.6, E14", T_SMALL_OPEN),
  "eem-t-large": eem([t512x24, "token", t1024x24], "§2.6, E14"),
  "eem-mt": eem([m256, "embedding", t512], "§2.6, E12, E13", MT_OPEN),
  "eem-mt-token": eem([m256, "token", t512], "E12", E12_OPEN),
  "eem-mt-linear": eem([m256, "linear", t512], "E12", E12_OPEN),
  ...prefixed("eem-m-", mixerEems(1024, "§2.6, E12–E16", `${E13_OPEN}; ${E16_OPEN}`)),
  ...prefixed("eem-m-", mixerEems(512, "E12, E16", E16_OPEN), "-context-512"),
  "eem-m-small": eem([m256, "embedding", mixer(512, MAIN)], "§2.6, E14", M_SMALL_OPEN),
  "large-embedding-4": uncompressed(llama(1024, SHALLOW), "§2.6, E20, E26", LARGE_OPEN),
  "large-embedding-8": uncompressed(llama(1024, SHORT), "§2.6, E26", LARGE_OPEN),
  "near-lossless-k4": uncompressed(flat(1024, 4), "§2.6, E26", LOSSLESS_OPEN),
  "near-lossless-k8": uncompressed(flat(1024, 8), "§2.6, E26", LOSSLESS_OPEN),
};

function secondOrder(shift: boolean): PaperModel {
  return model({ kind: "second-order", backbone: t512, shift }, ["§4.6, E22"]);
}

const SECOND_ORDER_MODELS: PaperModels = {
  "2eem-t": secondOrder(false),
  "2eem-t-shift": secondOrder(true),
};

/** By name: causal models, autoencoders, EEMs, 2EEMs. */
export const PAPER_MODELS: PaperModels = {
  ...CAUSAL_MODELS,
  ...AUTOENCODERS,
  ...AUGMENTED_MODELS,
  ...SECOND_ORDER_MODELS,
};
