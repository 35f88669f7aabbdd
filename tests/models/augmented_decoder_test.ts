import assert from "node:assert/strict";
import { namedLeaves, type Tensor, tensor, transpose, type Tree } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  type AugmentedDecoder,
  augmentedLogits,
  encodeSequence,
  initAugmentedDecoder,
  initCausalModel,
  type ModelConfig,
  modelLogits,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";
import { assertCausal, dependence, type LogitsOf } from "./_causality.ts";
import { AUGMENTED, BATCH, EMBEDDING_SIZE, LENGTH, livelyModel, mixer, tinyIds } from "./_tiny.ts";

function logitsWith(mode: Mode, logits: (idsNB: Tensor) => Tensor): LogitsOf {
  const run = mode.compile((idsBN: Tensor) => logits(transpose(idsBN)));
  return (ids) => read(run(tensor(ids, [BATCH, LENGTH], "int32")));
}

const once = { oncePerBackend: true };

for (const [name, config] of Object.entries(AUGMENTED)) {
  onEveryBackend(
    `augmentedLogits() of a ${name} know later tokens by the embedding`,
    async (mode) => {
      const params = livelyModel(config) as AugmentedDecoder;
      const logits = logitsWith(mode, (idsNB) => augmentedLogits(config, params, idsNB, null));
      const everything = Array.from({ length: LENGTH }, () => new Array(LENGTH - 1).fill(true));
      assert.deepEqual(await dependence(logits), everything);
    },
    once,
  );

  onEveryBackend(
    `augmentedLogits() of a ${name} know later tokens by nothing else`,
    async (mode) => {
      const params = livelyModel(config) as AugmentedDecoder;
      const original = transpose(tensor(tinyIds(), [BATCH, LENGTH], "int32"));
      const frozen = encodeSequence(config, params, original, null);
      assert.deepEqual(frozen.shape, [BATCH, EMBEDDING_SIZE]);
      const logits = logitsWith(
        mode,
        (idsNB) => augmentedLogits(config, params, idsNB, null, () => frozen),
      );
      await assertCausal(logits);
    },
    once,
  );

  onEveryBackend(`augmentedLogits() of a ${name} see what the hook returns`, async (mode) => {
    const params = livelyModel(config) as AugmentedDecoder;
    const one = new Array<number>(BATCH * EMBEDDING_SIZE).fill(1);
    const logitsFor = (z: number[]) =>
      logitsWith(
        mode,
        (idsNB) =>
          augmentedLogits(config, params, idsNB, null, () => tensor(z, [BATCH, EMBEDDING_SIZE])),
      );
    const [first, second] = [
      await logitsFor(one)(tinyIds()),
      await logitsFor(one.with(EMBEDDING_SIZE, 2))(tinyIds()), // the second sample's first number
    ];
    const changes = first!.map((value, i) => Math.abs(value - second![i]!));
    const vocabulary = changes.length / (LENGTH - 1) / BATCH;
    const changeOf = (position: number, sample: number) =>
      Math.max(...changes.subarray(
        (position * BATCH + sample) * vocabulary,
        (position * BATCH + sample + 1) * vocabulary,
      ));
    for (let position = 0; position < LENGTH - 1; position++) {
      assert.ok(changeOf(position, 0) < 1e-5, `sample 0, position ${position}`);
      assert.ok(changeOf(position, 1) > 1e-3, `sample 1, position ${position}`);
    }
  }, once);

  onEveryBackend(`augmentedLogits() of a ${name} with zero memory are causal`, async (mode) => {
    const twin: ModelConfig = { kind: "augmented", memory: "zeros", decoder: config.decoder };
    const params = livelyModel(twin) as AugmentedDecoder;
    assert.deepEqual(Object.keys(params), ["decoder"]);
    await assertCausal(
      logitsWith(mode, (idsNB) => modelLogits(twin, params, idsNB, { padId: null })),
    );
  }, once);
}

onEveryBackend("encodeSequence() refuses a model with zero memory", () => {
  const config = { kind: "augmented", memory: "zeros", decoder: mixer(LENGTH + 1) } as const;
  const params = initAugmentedDecoder(config, createRandom(1));
  const ids = tensor(tinyIds(), [LENGTH, BATCH], "int32");
  assert.throws(
    () => encodeSequence(config, params, ids, null),
    (error: Error) =>
      error instanceof UserError && /zero memory has no encoder/.test(error.message),
  );
}, { only: ["cpu"] });

onEveryBackend("initAugmentedDecoder() refuses sizes that do not fit", () => {
  const config = AUGMENTED["mixer EEM"];
  const message = (changes: object) => {
    try {
      initAugmentedDecoder({ ...config, ...changes }, createRandom(1));
    } catch (error) {
      assert.ok(error instanceof UserError, String(error));
      return error.message;
    }
    assert.fail("expected an error");
  };
  assert.equal(
    message({ decoder: mixer(LENGTH) }),
    "decoder.contextLength: expected 6, the encoder's tokens and the memory slot, found 5",
  );
  assert.match(
    message({ embeddingSize: 0 }),
    /^embeddingSize: expected a positive integer, found 0/,
  );
  assert.match(message({ embeddingSize: 1.5 }), /^embeddingSize: .*found 1\.5/);
}, { only: ["cpu"] });

/** The values of a tree's tensors by name. */
async function valuesOf(tree: Tree): Promise<Map<string, number[]>> {
  const values = new Map<string, number[]>();
  for (const { name, tensor } of namedLeaves(tree)) values.set(name, [...await read(tensor)]);
  return values;
}

for (const [name, config] of Object.entries(AUGMENTED)) {
  onEveryBackend(
    `initAugmentedDecoder() of a ${name} can start its decoder like a CLM`,
    async () => {
      const { decoder } = config;
      const twin = { kind: "augmented", memory: "zeros", decoder } as const;
      for (const model of [config, twin] as const) {
        const causal = await valuesOf(
          initCausalModel({ kind: "causal", backbone: decoder }, createRandom(7).stream("decoder")),
        );
        const start = async (outerInitialization?: "pytorch" | "causal") => {
          const choice = outerInitialization === undefined ? {} : { outerInitialization };
          const params = initAugmentedDecoder({ ...model, ...choice }, createRandom(7));
          const { decoder: own, ...others } = params;
          return { decoder: await valuesOf(own), others: await valuesOf(others) };
        };
        const like = await start("causal");
        assert.deepEqual(like.decoder, causal);
        const reference = await start("pytorch");
        assert.deepEqual(await start(), reference, "the default");
        assert.deepEqual(reference.others, like.others, "encoder and channel start alike");
        const differing = [...causal.keys()].filter((key) =>
          `${reference.decoder.get(key)}` !== `${causal.get(key)}`
        );
        const isTransformer = decoder.architecture === "transformer";
        assert.deepEqual(differing, isTransformer ? ["embedding.weight", "head.weight"] : []);
      }
    },
    { only: ["cpu"] },
  );
}

onEveryBackend("initAugmentedDecoder() projects only between different widths", () => {
  const config = AUGMENTED["mixer EEM"];
  assert.ok("projection" in initAugmentedDecoder(config, createRandom(1)));
  const equal = { ...config, decoder: mixer(LENGTH + 1) };
  assert.ok(!("projection" in initAugmentedDecoder(equal, createRandom(1))));
}, { only: ["cpu"] });
