import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { checkModelConfig, initModel, type ModelConfig } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";

const sizes = { vocabSize: 11, contextLength: 5, width: 8, layerCount: 1 };
const mixer = { architecture: "mixer", ...sizes };
const transformer = { architecture: "transformer", ...sizes, headCount: 2 };
const lstm = { architecture: "lstm", ...sizes };
const wider = (stack: object) => ({ ...stack, contextLength: 6 });
const eem = { kind: "augmented", memory: "embedding", encoder: mixer, decoder: wider(mixer) };
const autoencoder = { kind: "autoencoder", encoder: mixer, decoder: mixer, expansion: "repeat" };

/** A configuration of every kind with nothing but what it must have, and one with all it may. */
const COMPLETE: Readonly<Record<string, unknown>> = {
  "mixer CLM": { kind: "causal", backbone: mixer },
  "mixer CLM, all fields": {
    kind: "causal",
    backbone: { ...mixer, kernelSize: 4, headCount: 2, causal: true },
  },
  "transformer CLM": { kind: "causal", backbone: transformer },
  "transformer CLM, all fields": {
    kind: "causal",
    backbone: { ...transformer, positions: "learned", finalNorm: false, causal: true },
    headBias: true,
  },
  "LSTM CLM": { kind: "causal", backbone: lstm },
  "autoencoder": autoencoder,
  "autoencoder, all fields": {
    ...autoencoder,
    encoder: { ...transformer, causal: false },
    decoder: { ...mixer, causal: false },
    expansion: "unroll",
    embeddingSize: 3,
    embedding: "inner",
    readPosition: -2,
  },
  "EEM": eem,
  "EEM, all fields": {
    ...eem,
    decoder: transformer,
    join: "embedding",
    embeddingSize: 3,
    readPosition: -2,
    outerInitialization: "causal",
  },
  "zeros": { kind: "augmented", memory: "zeros", decoder: wider(lstm) },
  "zeros, all fields": {
    kind: "augmented",
    memory: "zeros",
    decoder: mixer,
    join: "embedding",
    embeddingSize: 3,
    outerInitialization: "pytorch",
  },
  "2EEM": { kind: "second-order", backbone: transformer, shift: true },
};

function messageOf(value: unknown): string {
  try {
    checkModelConfig(value, "c.json");
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    return error.message;
  }
  assert.fail(`expected an error for ${JSON.stringify(value)}`);
}

for (const [name, config] of Object.entries(COMPLETE)) {
  onEveryBackend(`checkModelConfig() takes a ${name} that initModel() can make`, () => {
    const parsed = JSON.parse(JSON.stringify(config));
    assert.deepEqual(checkModelConfig(parsed, "c.json"), config);
    initModel(checkModelConfig(parsed, "c.json"), createRandom(1));
  }, { only: ["cpu"] });
}

for (
  const [what, value, message] of [
    ["nothing", undefined, "a model configuration: expected an object, found nothing"],
    ["a list", [], "a model configuration: expected an object, found []"],
    [
      "another kind",
      { kind: "eem" },
      'kind: expected one of "causal", "autoencoder", "augmented", "second-order", found "eem"',
    ],
    [
      "a missing memory",
      { ...eem, memory: undefined },
      'memory: expected one of "embedding", "zeros", found nothing',
    ],
    [
      "a name that objects have",
      { kind: "causal", backbone: { ...mixer, architecture: "toString" } },
      'backbone.architecture: expected one of "mixer", "transformer", "lstm", found "toString"',
    ],
    ["a missing stack", { kind: "causal" }, "backbone: expected an object, found nothing"],
    [
      "a missing size",
      { ...eem, encoder: { ...mixer, width: undefined } },
      "encoder.width: expected a number, found nothing",
    ],
    [
      "a number in quotes",
      { ...eem, encoder: { ...mixer, kernelSize: "3" } },
      'encoder.kernelSize: expected a number, found "3"',
    ],
    [
      "null for an optional field",
      { kind: "causal", backbone: { ...transformer, finalNorm: null } },
      "backbone.finalNorm: expected true or false, found null",
    ],
    [
      "a number for a switch",
      { kind: "causal", backbone: mixer, headBias: 1 },
      "headBias: expected true or false, found 1",
    ],
    [
      "a head's bias of another model",
      { ...autoencoder, headBias: true },
      "headBias: unknown field; known here are kind, encoder, decoder, expansion, embeddingSize, embedding, readPosition",
    ],
    [
      "another join",
      { ...eem, join: "sum" },
      'join: expected one of "token", "embedding", "linear", found "sum"',
    ],
    [
      "another position",
      { ...eem, readPosition: 0 },
      "readPosition: expected one of -1, -2, found 0",
    ],
    [
      "a missing shift",
      { kind: "second-order", backbone: mixer },
      "shift: expected true or false, found nothing",
    ],
    [
      "an unknown field",
      { kind: "causal", backbone: { ...lstm, heads: 2 } },
      "backbone.heads: unknown field; known here are architecture, vocabSize, contextLength, width, layerCount",
    ],
    [
      "the field of another memory",
      { ...eem, memory: "zeros" },
      "encoder: unknown field; known here are kind, memory, decoder, join, embeddingSize, outerInitialization",
    ],
    [
      "zeros of no number",
      { kind: "augmented", memory: "zeros", decoder: mixer, join: "embedding" },
      "embeddingSize: expected the number of zeros to join to each token, found nothing",
    ],
  ] as const
) {
  Deno.test(`checkModelConfig() refuses ${what}`, () => {
    assert.equal(messageOf(value), `c.json: ${message}`);
  });
}

for (
  const [what, value, message] of [
    [
      "a size of a half",
      { ...eem, encoder: { ...mixer, width: 2.5 } },
      /^encoder\.width: expected a positive integer, found 2\.5$/,
    ],
    [
      "mixing heads of a half",
      { kind: "causal", backbone: { ...mixer, width: 5, headCount: 2.5 } },
      /^backbone\.headCount: expected a positive integer/,
    ],
    [
      "attention heads below zero",
      { kind: "causal", backbone: { ...transformer, headCount: -2 } },
      /^backbone\.headCount: expected a positive integer/,
    ],
    [
      "heads that do not divide the width",
      { ...autoencoder, decoder: { ...mixer, headCount: 3 } },
      /^decoder\.width 8 with 3 mixing heads/,
    ],
    [
      "two vocabularies",
      { ...eem, decoder: { ...wider(mixer), vocabSize: 12 } },
      /^decoder\.vocabSize: expected the encoder's 11, found 12$/,
    ],
    [
      "a decoder without a slot for the memory",
      { ...eem, decoder: mixer },
      /^decoder\.contextLength: expected 6, .* found 5$/,
    ],
    [
      "an autoencoder of two lengths",
      { ...autoencoder, decoder: wider(mixer) },
      /^decoder\.contextLength: expected the encoder's 5 tokens, found 6$/,
    ],
    [
      "an embedding of no numbers",
      { ...autoencoder, embeddingSize: 0 },
      /^embeddingSize: expected a positive integer, found 0$/,
    ],
  ] as const
) {
  // The two say the same; initModel() has no path for the stack of a causal model.
  onEveryBackend(`checkModelConfig() and initModel() refuse ${what}`, () => {
    assert.match(messageOf(value).replace(/^c\.json: /, ""), message);
    assert.throws(() => initModel(value as unknown as ModelConfig, createRandom(1)), UserError);
  }, { only: ["cpu"] });
}
