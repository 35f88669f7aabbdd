import assert from "node:assert/strict";
import { namedLeaves, type Tensor, tensor } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { initModel, type Model, type ModelConfig, tokenLosses } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { type ImportedWeights, importReference, namesOf } from "../../lib/train/reference_names.ts";
import type { StoredTensor } from "../../lib/train/safetensors.ts";
import { restoreTree } from "../../lib/train/weights.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { loadReferenceGolden, REFERENCE_NAMES } from "./_reference_golden.ts";

type Tensors = ReadonlyMap<string, StoredTensor>;

const cpu = { only: ["cpu"] };

function imported(config: ModelConfig, tensors: Tensors): ImportedWeights {
  return importReference(config, initModel(config, createRandom(1)), tensors, "model.safetensors");
}

/** The tensors under other names; those that `rename` gives no name are left out. */
function renamed(tensors: Tensors, rename: (name: string) => string | null): Tensors {
  return new Map(
    [...tensors].flatMap(([name, tensor]) => {
      const other = rename(name);
      return other === null ? [] : [[other, tensor]];
    }),
  );
}

function messageOf(config: ModelConfig, tensors: Tensors): string {
  try {
    imported(config, tensors);
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    assert.ok(!error.message.includes("\n"), "one line");
    return error.message;
  }
  assert.fail("expected an error");
}

for (const name of REFERENCE_NAMES) {
  onEveryBackend(`importReference() gives ${name} PyTorch's losses`, async (mode) => {
    const golden = loadReferenceGolden(name);
    const { config, padId, ids } = golden;
    const example = initModel(config, createRandom(1));
    const { tensors } = importReference(config, example, golden.tensors, name);
    assert.deepEqual(
      [...tensors].map(([leaf, { shape }]) => [leaf, shape]),
      namedLeaves(example).map(({ name, tensor }) => [name, tensor.shape]),
    );
    const run = mode.compile((params: Model, idsBN: Tensor) =>
      tokenLosses(config, params, idsBN, { padId })
    );
    const [rows, length] = [ids.length, ids[0]!.length];
    const idsBN = tensor(Int32Array.from(ids.flat()), [rows, length], "int32");
    const { lossTB, scoredTB } = run(restoreTree(example, tensors, name), idsBN);
    const targets = golden.tokenLossNats[0]!;
    const expected = targets.flatMap((_, t) => golden.tokenLossNats.map((row) => row[t]!));
    assertClose(await read(lossTB), expected.map((loss) => loss ?? 0), 3e-6, "losses");
    assert.deepEqual([...await read(scoredTB)], expected.map((loss) => loss === null ? 0 : 1));
    run.dispose();
  }, { only: ["tensorflow graph", "cpu"] });
}

onEveryBackend("importReference() finds a wrapped model and wrapped encoders", () => {
  const wrappings: readonly (readonly [string, (name: string) => string])[] = [
    ["mixer_eem", (name) => `module._orig_mod.${name}`],
    [
      "mixer_eem",
      (name) =>
        name.replace(/^wte/, "encoder.model_wte").replace(
          /^encoderblocks/,
          "encoder.model_blocks",
        ),
    ],
    ["llama_eem", (name) => name.replace(/^(encoder|decoder)\./, "$1.model.")],
    ["llama_eem", (name) => name.replace(/^encoder\.embed_tokens/, "wte")],
  ];
  for (const [name, rename] of wrappings) {
    const { config, tensors } = loadReferenceGolden(name);
    const wrapped = renamed(tensors, rename);
    assert.notDeepEqual([...wrapped.keys()], [...tensors.keys()]);
    assert.deepEqual(imported(config, wrapped).tensors, imported(config, tensors).tensors);
  }
}, cpu);

onEveryBackend("importReference() takes the token embedding that the encoder uses", () => {
  const table = (config: ModelConfig, tensors: Tensors) =>
    imported(config, tensors).tensors.get("encoder.embedding.weight")!.data;
  const eem = loadReferenceGolden("llama_eem");
  const inside = eem.tensors.get("encoder.embed_tokens.weight")!;
  const beside = { ...inside, data: inside.data.map((value) => value + 1) };
  assert.deepEqual(table(eem.config, eem.tensors), inside.data);
  assert.deepEqual(table(eem.config, new Map(eem.tensors).set("wte.weight", beside)), beside.data);

  const { config, tensors } = loadReferenceGolden("llama_ae");
  const inner = { ...config, embedding: "inner" } as ModelConfig;
  const outer = tensors.get("wte.weight")!.data;
  assert.deepEqual(table(config, tensors), outer);
  assert.deepEqual(table(inner, tensors), tensors.get("encoder.model.embed_tokens.weight")!.data);
  const outerOnly = renamed(tensors, (name) => name.includes("embed_tokens") ? null : name);
  assert.deepEqual(table(inner, outerOnly), outer);

  // A frozen mixer encoder is wrapped together with its table; another is not its.
  const mixers = loadReferenceGolden("mixer_eem");
  const wte = mixers.tensors.get("wte.weight")!;
  const other = { ...wte, data: wte.data.map((value) => value + 1) };
  const both = new Map(mixers.tensors).set("encoder.model_wte.weight", other);
  const wrap = (name: string) => name.replace(/^encoderblocks/, "encoder.model_blocks");
  for (
    const [tensors, used, unused] of [
      [both, wte, "encoder.model_wte.weight"],
      [renamed(both, wrap), other, "wte.weight"],
    ] as const
  ) {
    assert.deepEqual(table(mixers.config, tensors), used.data);
    assert.deepEqual(imported(mixers.config, tensors).unused, [unused]);
  }
}, cpu);

Deno.test("namesOf() tells the reference's checkpoints from ours", () => {
  for (const name of REFERENCE_NAMES) {
    const { tensors } = loadReferenceGolden(name);
    assert.equal(namesOf(tensors), "reference", name);
    assert.equal(namesOf(renamed(tensors, (name) => `module.${name}`)), "reference", name);
  }
  const tensor = { shape: [1], data: Float32Array.of(1) };
  assert.equal(namesOf(new Map([["embedding.weight", tensor], ["head.weight", tensor]])), "own");
  assert.equal(namesOf(new Map([["decoder.head.weight", tensor]])), "own");
  assert.equal(namesOf(new Map([["embedding.weight", tensor]])), null);
});

onEveryBackend("importReference() names what the reference stores and does not use", () => {
  const unusedOf = (name: string) => {
    const { config, tensors } = loadReferenceGolden(name);
    return [...imported(config, tensors).unused].sort();
  };
  assert.deepEqual(unusedOf("mixer_eem"), []);
  assert.deepEqual(unusedOf("mixer_eem_embedding_join"), ["up.bias", "up.weight"]);
  assert.deepEqual(unusedOf("llama_eem"), [
    "decoder.embed_tokens.weight",
    "encoder.layers.0.self_attn.rotary_emb.inv_freq",
  ]);
  assert.deepEqual(unusedOf("llama_ae"), [
    "decoder.model.embed_tokens.weight",
    "decoder.model.norm.weight",
    "encoder.model.embed_tokens.weight",
    "encoder.model.norm.weight",
  ]);
  const { config, tensors } = loadReferenceGolden("mixer_ae");
  const repeating = { ...config, expansion: "repeat" } as ModelConfig;
  assert.deepEqual(imported(repeating, tensors).unused, ["projection.bias", "projection.weight"]);
}, cpu);

onEveryBackend("importReference() refuses tensors that are not the configured model's", () => {
  const { config, tensors } = loadReferenceGolden("mixer_eem");
  const change = (changes: Partial<typeof config> | object) =>
    messageOf({ ...config, ...changes } as ModelConfig, tensors);
  assert.ok(config.kind === "augmented" && config.memory === "embedding");
  const { embeddingSize: _, ...uncompressed } = config;

  assert.equal(
    messageOf(config, renamed(tensors, (name) => name === "down.bias" ? null : name)),
    "model.safetensors: expected down.bias of shape [3], found no such tensor; " +
      "does the model's configuration fit?",
  );
  assert.match(
    messageOf(config, renamed(tensors, (name) => name.replace("encoderblocks", "blocks"))),
    /expected encoderblocks\.0\.\S+ of shape \[.*\], found no such tensor, but blocks\.0\./,
  );
  assert.match(
    change({ encoder: { ...config.encoder, kernelSize: 3 } }),
    /expected encoderblocks\.0\.conv\.weight of shape \[6,6,3\], found \[6,6,2\]/,
  );
  assert.match(
    change({ decoder: { ...config.decoder, layerCount: 1 } }),
    /found 10 more: decoderblocks\.1\.\S+, decoderblocks\.1\.\S+, decoderblocks\.1\.\S+, …;/,
  );
  assert.match(
    messageOf(uncompressed, tensors),
    /found 4 more: down\.bias, down\.weight, up\.bias, …; does the model's configuration fit/,
  );
  const clm = loadReferenceGolden("llama_clm");
  assert.equal(
    messageOf(clm.config, renamed(clm.tensors, (name) => name === "lm_head.weight" ? null : name)),
    "model.safetensors: expected lm_head.weight of shape [11,8], found no such tensor; " +
      "a head tied to the token embedding is not supported",
  );
  const biased = loadReferenceGolden("llama_clm_head_bias");
  assert.ok(biased.config.kind === "causal");
  const { headBias: __, ...biasless } = biased.config;
  assert.equal(
    messageOf(biasless, biased.tensors),
    "model.safetensors: expected the 21 tensors of the configured model, found 1 more: " +
      "lm_head.bias; does the model's configuration fit?",
  );
  assert.equal(
    messageOf({ ...biasless, headBias: true }, clm.tensors),
    "model.safetensors: expected lm_head.bias of shape [11], found no such tensor; " +
      "does the model's configuration fit?",
  );
}, cpu);

onEveryBackend("importReference() refuses models that the reference does not have", () => {
  const { config, tensors } = loadReferenceGolden("llama_clm");
  assert.ok(config.kind === "causal" && config.backbone.architecture === "transformer");
  const { headCount: _, ...sizes } = config.backbone;
  const backbones = [
    [{ ...config.backbone, positions: "learned" }, /found learned positions/],
    [{ ...sizes, architecture: "lstm" }, /found an LSTM/],
  ] as const;
  for (const [backbone, found] of backbones) {
    assert.match(messageOf({ kind: "causal", backbone }, tensors), found);
  }
  assert.equal(
    messageOf({ kind: "second-order", backbone: config.backbone, shift: false }, tensors),
    "expected a causal model, an autoencoder or an EEM, found a second-order model, whose names " +
      "in the reference are not known; only weights under our own names can be its",
  );
}, cpu);
