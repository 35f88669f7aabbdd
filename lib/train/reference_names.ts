/**
 * Checkpoints with the parameter names of the paper's public code, read into ours (paper §2).
 *
 *     reference                                          ours
 *
 *     wte [V, D]; see below for transformers             embedding (CLM), encoder.embedding
 *     decoder_wte [V, D]                                 decoder.embedding (EEM)
 *     mixerblocks.i                                      blocks.i (CLM)
 *     encoderblocks.i, decoderblocks.i                   encoder.blocks.i, decoder.blocks.i
 *       seq_layernorm, patch_layernorm                     norm1, norm2
 *       conv [out token, in token, K]                      mix [T, K·T]
 *       conv.convs.h [out token, in token, K]              mix [H, T, K·T] (multi-head)
 *       conv.proj_head.h [D/H, D], conv.out_proj [D, D]    mix.input, mix.output
 *       patch_ff.0 [4D, D], patch_ff.2 [D, 4D]             feedForward.expand, feedForward.contract
 *     model, encoder, decoder: a Hugging Face Llama      the stack (CLM), encoder, decoder
 *       embed_tokens, norm                                 embedding, finalNorm
 *       layers.i.input_layernorm                           blocks.i.norm1
 *       layers.i.self_attn.{q,k,v,o}_proj                  blocks.i.attention.{query,key,value,output}
 *       layers.i.post_attention_layernorm                  blocks.i.norm2
 *       layers.i.mlp.{gate,up,down}_proj                   blocks.i.feedForward.{gate,up,down}
 *     down, up                                           down, up
 *     decoder_proj                                       projection (EEM)
 *     bridge_proj, projection                            bridge, unroll (autoencoder)
 *     lm_head [V, D], with `headBias` a bias [V]         head (CLM), decoder.head
 *
 * Linear weights are `[out, in]` there and `[in, out]` here.
 *
 * - A transformer encoder's token embedding is `wte` where the file has one, else
 *   `encoder.embed_tokens`; for autoencoders with `embedding: "inner"` the other way round.
 * - A Llama may be wrapped, `encoder.model.layers.i`, and so may a frozen mixer encoder (paper
 *   §2.7), `encoder.model_blocks.i`, whose token embedding then is `encoder.model_wte`.
 * - A prefix of all names, `module.` or `_orig_mod.`, is dropped.
 * - Left out is what the reference may store without using it: rotary frequencies, token embeddings
 *   and heads beside the ones used, norms of stacks with `finalNorm: false`, `up` in the embedding
 *   join, `projection` with expansion `repeat`.
 *
 * Legend: T positions, D width, H heads, K kernel size, V vocabulary.
 */

import { namedLeaves } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  type BackboneConfig,
  type Model,
  type ModelConfig,
  type SecondOrderConfig,
  stacksOf,
} from "../models/mod.ts";
import type { StoredTensor } from "./safetensors.ts";

/** Modules of the reference by our names for them; `#` is the number of a head. */
type ModuleNames = Readonly<Record<string, string>>;

const MIXER_BLOCK: ModuleNames = {
  "norm1": "seq_layernorm",
  "mix": "conv",
  "norm2": "patch_layernorm",
  "feedForward.expand": "patch_ff.0",
  "feedForward.contract": "patch_ff.2",
};

const MULTI_HEAD_BLOCK: ModuleNames = {
  ...MIXER_BLOCK,
  "mix": "conv.convs.#",
  "mix.input": "conv.proj_head.#",
  "mix.output": "conv.out_proj",
};

const LLAMA_LAYER: ModuleNames = {
  "norm1": "input_layernorm",
  "attention.query": "self_attn.q_proj",
  "attention.key": "self_attn.k_proj",
  "attention.value": "self_attn.v_proj",
  "attention.output": "self_attn.o_proj",
  "norm2": "post_attention_layernorm",
  "feedForward.gate": "mlp.gate_proj",
  "feedForward.up": "mlp.up_proj",
  "feedForward.down": "mlp.down_proj",
};

/** Models whose names in the reference are known. */
type NamedConfig = Exclude<ModelConfig, SecondOrderConfig>;

const BESIDE_STACKS: Readonly<Record<NamedConfig["kind"], ModuleNames>> = {
  causal: {},
  autoencoder: { bridge: "bridge_proj", down: "down", up: "up", unroll: "projection" },
  augmented: { down: "down", up: "up", projection: "decoder_proj" },
};

/** What stands before the names of a stack in our tree: nothing for a causal model's. */
type Place = "" | "encoder." | "decoder.";

/** The blocks of an encoder that is wrapped with its token embedding. */
const WRAPPED_MIXER = "encoder.model_blocks";

/** Where a stack may be in the reference: the first that the file has counts. */
const MIXERS: Readonly<Record<Place, readonly string[]>> = {
  "": ["mixerblocks"],
  "encoder.": ["encoderblocks", WRAPPED_MIXER],
  "decoder.": ["decoderblocks"],
};
const LLAMAS: Readonly<Record<Place, readonly string[]>> = {
  "": ["model"],
  "encoder.": ["encoder", "encoder.model"],
  "decoder.": ["decoder", "decoder.model"],
};

/** What may stand before every name. */
const WRAPPERS = ["module.", "_orig_mod."] as const;

/** Whose names the parameters of a file have: this library's or the reference's. */
export const PARAMETER_NAMES = ["own", "reference"] as const;
export type ParameterNames = (typeof PARAMETER_NAMES)[number];

/** The names of a checkpoint by that of its head, which every model has; null without one. */
export function namesOf(stored: ReadonlyMap<string, StoredTensor>): ParameterNames | null {
  const has = (name: RegExp) => [...stored.keys()].some((stored) => name.test(stored));
  if (has(/(^|\.)head\.weight$/)) return "own";
  return has(/(^|\.)lm_head\.weight$/) ? "reference" : null;
}

/** Parameters under our names, as `restoreTree` takes them. */
export type ImportedWeights = Readonly<{
  tensors: ReadonlyMap<string, StoredTensor>;
  /** Stored tensors, by the reference's names, that its model does not use. */
  unused: readonly string[];
}>;

/**
 * The parameters of a model from a checkpoint of the reference.
 *
 * @param example A model of the configuration, for its names and shapes.
 * @param fileName For messages.
 * @throws UserError when the reference has no such model, when a tensor is missing or of another
 *   shape, and when there is one that is no part of the model.
 */
export function importReference(
  config: ModelConfig,
  example: Model,
  stored: ReadonlyMap<string, StoredTensor>,
  fileName: string,
): ImportedWeights {
  refuseUnknownToReference(config);
  const found = withoutWrapper(stored);
  const sources = namedLeaves(example).map(({ name, tensor }) =>
    sourceOf(config, name, tensor.shape, found)
  );
  const used = new Set(sources.flatMap(({ names }) => names));
  const unused = [...found.keys()].filter((name) => !used.has(name));
  const patterns = unusedPatterns(config);
  const unknown = unused.filter((name) => !patterns.some((pattern) => pattern.test(name)));
  const others = `${unknown.slice(0, 3).join(", ")}${unknown.length > 3 ? ", …" : ""}`;

  for (const { names, part } of sources) {
    for (const name of names) {
      const shape = found.get(name)?.shape;
      if (`${shape}` === `${part}`) continue;
      throw new UserError(
        `${fileName}: expected ${name} of shape [${part}], found ${
          shape !== undefined
            ? `[${shape}]`
            : `no such tensor${others === "" ? "" : `, but ${others}`}`
        }; ${
          name === "lm_head.weight"
            ? "a head tied to the token embedding is not supported"
            : "does the model's configuration fit?"
        }`,
      );
    }
  }
  if (unknown.length > 0) {
    throw new UserError(
      `${fileName}: expected the ${used.size} tensors of the configured model, found ` +
        `${unknown.length} more: ${others}; does the model's configuration fit?`,
    );
  }
  const tensors = new Map(sources.map((source) => [source.leaf, readSource(source, found)]));
  return { tensors, unused };
}

/** A tensor of ours and what it is made of. */
type Source = Readonly<{
  leaf: string;
  shape: readonly number[];
  /** The reference's tensors, joined along the first axis: one, or one a head. */
  names: readonly string[];
  /** The shape of each of them. */
  part: readonly number[];
  /** Rows and columns of the joined tensor's matrices, each of which is transposed. */
  transposed?: readonly [rows: number, columns: number];
}>;

function sourceOf(
  config: NamedConfig,
  leaf: string,
  shape: readonly number[],
  stored: ReadonlyMap<string, StoredTensor>,
): Source {
  const [, module, kind] = /^(.*)\.(weight|bias)$/.exec(leaf) as unknown as [
    string,
    string,
    string,
  ];
  const name = `${moduleName(config, module, stored)}.${kind}`;
  const headCount = name.includes("#") ? headCountOf(config, module) : 1;
  const names = Array.from({ length: headCount }, (_, head) => name.replace("#", `${head}`));
  const source = { leaf, shape, names };
  if (kind === "bias" || shape.length === 1) {
    return { ...source, part: [sizeOf(shape) / headCount] };
  }
  if (module.endsWith("embedding")) return { ...source, part: shape };
  const [rows, columns] = shape.slice(-2) as [number, number];
  if (!module.endsWith("mix")) {
    return { ...source, part: [columns / headCount, rows], transposed: [columns, rows] };
  }
  const kernelSize = columns / rows;
  return { ...source, part: [rows, rows, kernelSize], transposed: [rows, kernelSize] };
}

/** The reference's name of a module of our tree. */
function moduleName(
  config: NamedConfig,
  module: string,
  stored: ReadonlyMap<string, StoredTensor>,
): string {
  const beside = BESIDE_STACKS[config.kind][module];
  if (beside !== undefined) return beside;
  const { place, block, part } = splitModule(module);
  const pick = (candidates: readonly string[], suffix: string) =>
    candidates.find((candidate) => stored.has(candidate + suffix)) ?? candidates[0]!;
  if (part === "head") return "lm_head";
  if (part === "embedding" && place === "decoder.") return "decoder_wte";
  const stack = stackAt(config, place);
  if (stack.architecture === "mixer") {
    const blocks = pick(MIXERS[place], ".0.seq_layernorm.weight");
    if (part === "embedding") return blocks === WRAPPED_MIXER ? "encoder.model_wte" : "wte";
    return `${blocks}.${block}.${(stack.headCount ? MULTI_HEAD_BLOCK : MIXER_BLOCK)[part]}`;
  }
  if (part === "embedding") return pick(llamaEmbeddings(config, place), ".weight");
  const llama = pick(LLAMAS[place], ".layers.0.input_layernorm.weight");
  return part === "finalNorm" ? `${llama}.norm` : `${llama}.layers.${block}.${LLAMA_LAYER[part]}`;
}

function splitModule(module: string): { place: Place; block?: string; part: string } {
  const pattern = /^(?<place>encoder\.|decoder\.|)(blocks\.(?<block>\d+)\.)?(?<part>.*)$/;
  return pattern.exec(module)!.groups as { place: Place; block?: string; part: string };
}

/** Where a transformer's token embedding may be. */
function llamaEmbeddings(config: NamedConfig, place: Place): readonly string[] {
  const inner = LLAMAS[place].map((llama) => `${llama}.embed_tokens`);
  if (place === "") return inner;
  const isInner = config.kind === "autoencoder" && config.embedding === "inner";
  return isInner ? [...inner, "wte"] : ["wte", ...inner];
}

function stackAt(config: NamedConfig, place: Place): BackboneConfig {
  if (config.kind === "causal") return config.backbone;
  return place === "encoder." && "encoder" in config ? config.encoder : config.decoder;
}

function headCountOf(config: NamedConfig, module: string): number {
  const stack = stackAt(config, splitModule(module).place);
  return stack.architecture === "mixer" ? stack.headCount ?? 0 : 0;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** What the reference may store beside the tensors of a configuration's model. */
function unusedPatterns(config: NamedConfig): readonly RegExp[] {
  const patterns = [
    /(^|\.)rotary_emb\.inv_freq$/,
    /^(wte|encoder\.model_wte|(encoder|decoder)\.(model\.)?embed_tokens)\.weight$/,
    /^(encoder|decoder)\.lm_head\.weight$/,
  ];
  if (config.kind === "causal") return patterns;
  for (const place of ["encoder.", "decoder."] as const) {
    const stack = stackAt(config, place);
    const isNormless = stack.architecture === "transformer" && stack.finalNorm === false;
    if (isNormless) patterns.push(new RegExp(`^${place.slice(0, -1)}\\.(model\\.)?norm\\.weight$`));
  }
  if (config.kind === "augmented" && config.join === "embedding") {
    patterns.push(/^up\.(weight|bias)$/);
  }
  if (config.kind === "autoencoder" && config.expansion === "repeat") {
    patterns.push(/^projection\.(weight|bias)$/);
  }
  return patterns;
}

function refuseUnknownToReference(config: ModelConfig): asserts config is NamedConfig {
  if (config.kind === "second-order") {
    throw new UserError(
      "expected a causal model, an autoencoder or an EEM, found a second-order model, whose names " +
        "in the reference are not known; only weights under our own names can be its",
    );
  }
  for (const stack of stacksOf(config)) {
    const found = stack.architecture === "lstm"
      ? "an LSTM"
      : stack.architecture === "transformer" && stack.positions === "learned"
      ? "learned positions"
      : null;
    if (found === null) continue;
    throw new UserError(
      `expected a model of mixers and rotary transformers, as the reference's are, found ${found}; ` +
        `only weights under our own names can be its`,
    );
  }
}

/** The tensors by their names without what wraps the whole model. */
function withoutWrapper(
  stored: ReadonlyMap<string, StoredTensor>,
): ReadonlyMap<string, StoredTensor> {
  const prefix = WRAPPERS.find((prefix) =>
    stored.size > 0 && [...stored.keys()].every((name) => name.startsWith(prefix))
  );
  if (prefix === undefined) return stored;
  return withoutWrapper(
    new Map([...stored].map(([name, tensor]) => [name.slice(prefix.length), tensor])),
  );
}

function readSource(
  { shape, names, part, transposed }: Source,
  stored: ReadonlyMap<string, StoredTensor>,
): StoredTensor {
  const joined = new Float32Array(sizeOf(shape));
  names.forEach((name, index) => joined.set(stored.get(name)!.data, index * sizeOf(part)));
  return { shape, data: transposed === undefined ? joined : transpose(joined, ...transposed) };
}

/** Matrices one after another, `[…, rows, columns]` → `[…, columns, rows]`. */
function transpose(data: Float32Array, rows: number, columns: number): Float32Array {
  const size = rows * columns;
  return data.map((_, at) => {
    const [matrix, inside] = [Math.floor(at / size), at % size];
    const [column, row] = [Math.floor(inside / rows), inside % rows];
    return data[matrix * size + row * columns + column]!;
  });
}
