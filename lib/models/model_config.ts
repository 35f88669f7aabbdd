/**
 * Model configurations as JSON, checked field by field: what run folders hold at
 * `spec.training.model` and what `deno task eval --model` reads. A `?` marks a field that may be
 * left out, `=` its default; a field that is not listed is an error.
 *
 * A stack, at `STACK` below (N tokens a sample; a decoder with a token join has N + 1 positions):
 *
 *     { "architecture": "mixer", "vocabSize", "contextLength", "width", "layerCount",
 *       "kernelSize"? = 1, "headCount"? = 0 (flat), "causal"? = true }
 *     { "architecture": "transformer", "vocabSize", "contextLength", "width", "layerCount",
 *       "headCount", "positions"? = "rotary" | "learned", "finalNorm"? = true, "causal"? = true }
 *     { "architecture": "lstm", "vocabSize", "contextLength", "width", "layerCount" }
 *
 * A model:
 *
 *     { "kind": "causal", "backbone": STACK, "headBias"? = false }             (paper §2.4, §5.1)
 *     { "kind": "autoencoder", "encoder": STACK, "decoder": STACK,                   (paper §2.5)
 *       "expansion": "repeat" | "unroll", "embeddingSize"?: none without down and up,
 *       "embedding"? = "outer" | "inner", "readPosition"? = -1 | -2 }
 *     { "kind": "augmented", "memory": "embedding", "encoder": STACK, "decoder": STACK, (§2.6)
 *       "join"? = "token" | "embedding" | "linear", "embeddingSize"?: as above,
 *       "readPosition"? = -1 | -2, "outerInitialization"? = "pytorch" | "causal" }
 *     { "kind": "augmented", "memory": "zeros", "decoder": STACK, "join"?,
 *       "embeddingSize"?, "outerInitialization"? }
 *     { "kind": "second-order", "backbone": STACK, "shift": boolean }                    (§4.6)
 *
 * `"causal": false` is for stacks that predict no next token: an autoencoder's and an EEM's encoder.
 * Zeros have an `embeddingSize` with the embedding join alone, and there they must.
 * `outerInitialization` decides how weights start and nothing else; so does `embedding`, but for
 * where a checkpoint of the reference has its encoder's token embedding (lib/train).
 */

import { UserError } from "../errors.ts";
import { type AugmentedDecoderConfig, JOINS } from "./augmented_config.ts";
import { type AutoencoderConfig, EXPANSIONS } from "./autoencoder.ts";
import type { CausalModelConfig } from "./causal_model.ts";
import type { ModelConfig } from "./language_model.ts";
import type { MaskedMixerConfig } from "./masked_mixer.ts";
import { checkModelSizes } from "./model_checks.ts";
import type { LstmConfig } from "./recurrent.ts";
import type { SecondOrderConfig } from "./second_order.ts";
import type { TransformerConfig } from "./transformer.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** Throws unless the value, found at `path`, is what the field holds. */
type Check = (value: unknown, path: string) => void;
type Field = Readonly<{ check: Check; isOptional: boolean }>;
type Fields = Readonly<Record<string, Field>>;

/** Has a field for every key of the type, and no other. */
type FieldsOf<T> = { [Key in keyof Required<T>]: Field };

const required = (check: Check): Field => ({ check, isOptional: false });
const optional = (check: Check): Field => ({ check, isOptional: true });

/** Any number: {@linkcode checkModelSizes} looks at its size. */
const number = primitive("a number", (value) => typeof value === "number");
const boolean = primitive("true or false", (value) => typeof value === "boolean");
const oneOf = (choices: readonly unknown[]): Check =>
  primitive(`one of ${choices.map(quote).join(", ")}`, (value) => choices.includes(value));
const stack: Check = (value, path) => checkObject(value, path, stackFields);

/** Its value has chosen these fields among others, so it is right already. */
const tag = required(() => {});

const SIZES = {
  vocabSize: required(number),
  contextLength: required(number),
  width: required(number),
  layerCount: required(number),
};

const STACKS: Readonly<Record<string, Fields>> = {
  mixer: {
    architecture: tag,
    ...SIZES,
    kernelSize: optional(number),
    headCount: optional(number),
    causal: optional(boolean),
  } satisfies FieldsOf<MaskedMixerConfig>,
  transformer: {
    architecture: tag,
    ...SIZES,
    headCount: required(number),
    positions: optional(oneOf(["rotary", "learned"])),
    finalNorm: optional(boolean),
    causal: optional(boolean),
  } satisfies FieldsOf<TransformerConfig>,
  lstm: { architecture: tag, ...SIZES } satisfies FieldsOf<LstmConfig>,
};

const AUGMENTED = {
  kind: tag,
  memory: tag,
  decoder: required(stack),
  join: optional(oneOf(JOINS)),
  embeddingSize: optional(number),
  outerInitialization: optional(oneOf(["pytorch", "causal"])),
};

const MEMORIES: Readonly<Record<string, Fields>> = {
  embedding: {
    ...AUGMENTED,
    encoder: required(stack),
    readPosition: optional(oneOf([-1, -2])),
  } satisfies FieldsOf<AugmentedDecoderConfig & { memory: "embedding" }>,
  zeros: AUGMENTED satisfies FieldsOf<AugmentedDecoderConfig & { memory: "zeros" }>,
};

const MODELS: Readonly<Record<string, Fields>> = {
  causal: {
    kind: tag,
    backbone: required(stack),
    headBias: optional(boolean),
  } satisfies FieldsOf<CausalModelConfig>,
  autoencoder: {
    kind: tag,
    encoder: required(stack),
    decoder: required(stack),
    expansion: required(oneOf(EXPANSIONS)),
    embeddingSize: optional(number),
    embedding: optional(oneOf(["outer", "inner"])),
    readPosition: optional(oneOf([-1, -2])),
  } satisfies FieldsOf<AutoencoderConfig>,
  augmented: AUGMENTED,
  "second-order": {
    kind: tag,
    backbone: required(stack),
    shift: required(boolean),
  } satisfies FieldsOf<SecondOrderConfig>,
};

/**
 * The value as a model configuration that {@linkcode initModel} takes.
 *
 * @param source Where the value comes from, for messages, e.g. `config.json`.
 * @throws UserError of one line that names the first field that is unknown, missing, of a wrong type
 *   or of a size that does not fit the others.
 */
export function checkModelConfig(value: unknown, source: string): ModelConfig {
  try {
    checkObject(value, "", modelFields);
    const config = value as ModelConfig;
    checkModelSizes(config);
    return config;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${source}: ${error.message}`);
  }
}

function modelFields(model: JsonObject, path: string): Fields {
  const fields = choose(MODELS, model, "kind", path);
  return fields === AUGMENTED ? choose(MEMORIES, model, "memory", path) : fields;
}

function stackFields(stack: JsonObject, path: string): Fields {
  return choose(STACKS, stack, "architecture", path);
}

/** The variant that the field `tag` of an object names. */
function choose(
  variants: Readonly<Record<string, Fields>>,
  object: JsonObject,
  tag: string,
  path: string,
): Fields {
  const names = Object.keys(variants);
  oneOf(names)(object[tag], join(path, tag));
  return variants[object[tag] as string]!;
}

function checkObject(
  value: unknown,
  path: string,
  fieldsOf: (object: JsonObject, path: string) => Fields,
): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refusal(path === "" ? "a model configuration" : path, "an object", value);
  }
  const object = value as JsonObject;
  const fields = fieldsOf(object, path);
  for (const name of Object.keys(object)) {
    if (Object.hasOwn(fields, name)) continue;
    throw new UserError(
      `${join(path, name)}: unknown field; known here are ${Object.keys(fields).join(", ")}`,
    );
  }
  for (const [name, { check, isOptional }] of Object.entries(fields)) {
    if (object[name] !== undefined || !isOptional) check(object[name], join(path, name));
  }
}

function primitive(expected: string, accepts: (value: unknown) => boolean): Check {
  return (value, path) => {
    if (!accepts(value)) throw refusal(path, expected, value);
  };
}

function refusal(path: string, expected: string, found: unknown): UserError {
  return new UserError(`${path}: expected ${expected}, found ${quote(found)}`);
}

function quote(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 60) ?? "nothing";
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
