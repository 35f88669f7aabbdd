import assert from "node:assert/strict";
import {
  concat,
  mapTree,
  namedLeaves,
  type Tensor,
  tensor,
  transpose,
  type Tree,
  zeros,
} from "../../lib/engine/mod.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  augmentedLogits,
  type AugmentedOptions,
  causalLogits,
  type CausalModel,
  encodeSequence,
  initAugmentedDecoder,
  initCausalModel,
  JOINS,
  visibleTokens,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { assertCausal, assertDependence, type LogitsOf, logitsWith } from "./_causality.ts";
import {
  AUGMENTED,
  augmented,
  BATCH,
  EMBEDDING_SIZE,
  leftPadded,
  LENGTH,
  livelyModel,
  lstm,
  mixer,
  PAD,
  PAIRS,
  refusal,
  type StackOf,
  tinyIds,
  transformer,
  VOCABULARY,
  WIDTH,
} from "./_tiny.ts";

const once = { oncePerBackend: true };
const cpu = { only: ["cpu"] };

function logitsOf(
  mode: Mode,
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  options: AugmentedOptions = {},
): LogitsOf {
  return logitsWith(mode, (idsNB) => augmentedLogits(config, params, idsNB, null, options));
}

/** Ids `[N, B]` of the tiny samples. */
function tinyIdsNB(ids = tinyIds()): Tensor {
  return transpose(tensor(ids, [BATCH, LENGTH], "int32"));
}

for (const join of JOINS) {
  const configs = Object.entries(PAIRS).map(([pair, [encoder, decoder]]) =>
    [pair, augmented(encoder, decoder, join)] as const
  );

  onEveryBackend(
    `augmentedLogits() with a ${join} join know all tokens by the embedding`,
    async (mode) => {
      for (const [pair, config] of configs) {
        const params = livelyModel(config) as AugmentedDecoder;
        await assertDependence(logitsOf(mode, config, params), LENGTH - 1, () => true, pair);
      }
    },
    once,
  );

  onEveryBackend(
    `augmentedLogits() with a ${join} join know later tokens by nothing else`,
    async (mode) => {
      for (const [pair, config] of configs) {
        const params = livelyModel(config) as AugmentedDecoder;
        const frozen = encodeSequence(config, params, tinyIdsNB(), null);
        assert.deepEqual(frozen.shape, [BATCH, EMBEDDING_SIZE]);
        await assertCausal(logitsOf(mode, config, params, { hook: () => frozen }), pair);
      }
    },
    once,
  );

  onEveryBackend(
    `augmentedLogits() with a ${join} join see what the hook returns`,
    async (mode) => {
      for (const [pair, config] of configs) {
        const params = livelyModel(config) as AugmentedDecoder;
        const one = new Array<number>(BATCH * EMBEDDING_SIZE).fill(1);
        const logitsFor = (z: number[]) =>
          logitsOf(mode, config, params, { hook: () => tensor(z, [BATCH, EMBEDDING_SIZE]) });
        const [first, second] = [
          await logitsFor(one)(tinyIds()),
          await logitsFor(one.with(EMBEDDING_SIZE, 2))(tinyIds()), // the second sample's first number
        ];
        const changes = first!.map((value, i) => Math.abs(value - second![i]!));
        const changeOf = (position: number, sample: number) => {
          const from = (position * BATCH + sample) * VOCABULARY;
          return Math.max(...changes.subarray(from, from + VOCABULARY));
        };
        for (let position = 0; position < LENGTH - 1; position++) {
          assert.ok(changeOf(position, 0) < 1e-5, `${pair}: sample 0, position ${position}`);
          assert.ok(changeOf(position, 1) > 1e-3, `${pair}: sample 1, position ${position}`);
        }
      }
    },
    once,
  );

  onEveryBackend(
    `augmentedLogits() with a ${join} join and zero memory are causal`,
    async (mode) => {
      for (const [pair, { decoder, embeddingSize }] of configs) {
        const twin = { kind: "augmented", memory: "zeros", join, decoder, embeddingSize } as const;
        const params = livelyModel(twin) as AugmentedDecoder;
        assert.deepEqual(Object.keys(params), ["decoder"]);
        await assertCausal(logitsOf(mode, twin, params), pair);
      }
    },
    once,
  );
}

onEveryBackend("encodeSequence() at position −2 does not know the last token", async (mode) => {
  for (const encoder of [mixer, transformer, lstm]) {
    const config = { ...augmented(encoder, mixer), readPosition: -2 } as const;
    const params = livelyModel(config) as AugmentedDecoder;
    const isNotLast = (token: number) => token !== LENGTH - 1;
    await assertDependence(logitsOf(mode, config, params), LENGTH - 1, isNotLast, encoder.name);
  }
}, once);

/** The decoder of an EEM as a causal model of N tokens. */
function causalTwin({ decoder }: AugmentedDecoderConfig) {
  return { kind: "causal", backbone: { ...decoder, contextLength: LENGTH } } as const;
}

/** Logits of an EEM and of the causal model `params`, of padded ids where pads are hidden. */
async function logitsOfTwins(
  mode: Mode,
  config: AugmentedDecoderConfig,
  model: AugmentedDecoder,
  params: CausalModel,
  { padId, ...options }: AugmentedOptions & { padId: number | null },
): Promise<[Float32Array, Float32Array]> {
  const ids = leftPadded(padId === null ? 0 : 2);
  const run = (logits: (idsNB: Tensor, visibleBN: Tensor | null) => Tensor) =>
    logitsWith(mode, (idsNB) => logits(idsNB, visibleTokens(idsNB, padId)))(ids);
  return [
    await run((idsNB, visibleBN) => augmentedLogits(config, model, idsNB, visibleBN, options)),
    await run((idsNB, visibleBN) => causalLogits(causalTwin(config), params, idsNB, visibleBN)),
  ];
}

onEveryBackend("augmentedLogits() of an occluded transformer slot are the CLM's", async (mode) => {
  const config = augmented(mixer, transformer);
  const model = livelyModel(config) as AugmentedDecoder;
  for (const padId of [null, PAD]) {
    const options = { padId, occluded: true };
    const [found, expected] = await logitsOfTwins(mode, config, model, model.decoder, options);
    // One position further on: rotary positions matter by their differences alone.
    assertClose(found, expected, 1e-5, `pad id ${padId}`);
  }
}, once);

onEveryBackend("augmentedLogits() of an occluded linear join are the CLM's", async (mode) => {
  for (const decoder of [mixer, transformer, lstm]) {
    const config = augmented(mixer, decoder, "linear");
    const model = livelyModel(config) as AugmentedDecoder;
    for (const padId of [null, PAD]) {
      const options = { padId, occluded: true };
      const [found, expected] = await logitsOfTwins(mode, config, model, model.decoder, options);
      assert.deepEqual(found, expected, `${decoder.name}, pad id ${padId}`);
    }
  }
}, once);

onEveryBackend("augmentedLogits() of an occluded embedding join are a CLM's", async (mode) => {
  for (const decoder of [mixer, transformer, lstm]) {
    const config = augmented(mixer, decoder, "embedding");
    const model = livelyModel(config) as AugmentedDecoder;
    const { embedding, ...rest } = model.decoder;
    const weight = concat([zeros([VOCABULARY, EMBEDDING_SIZE]), embedding.weight], 1);
    const params = { ...rest, embedding: { weight } } as CausalModel;
    for (const padId of [null, PAD]) {
      const options = { padId, occluded: true };
      const [found, expected] = await logitsOfTwins(mode, config, model, params, options);
      assert.deepEqual(found, expected, `${decoder.name}, pad id ${padId}`);
    }
  }
}, once);

/** Mixing weights `[…, T, K·T]` row by row: what `value` returns for an output and an input token. */
function mapMixing(
  leaf: Tensor,
  shape: number[],
  value: (stored: number, output: number, input: number) => number[],
): Tensor {
  const [slots, columns] = leaf.shape.slice(-2) as [number, number];
  const stored = leaf.dataSync() as Float32Array;
  const values = [...stored].flatMap((one, i) =>
    value(one, Math.floor(i / columns) % slots, i % columns % slots)
  );
  return tensor(values, shape);
}

onEveryBackend(
  "augmentedLogits() of a mixer that does not mix its slot in are a CLM's",
  async (mode) => {
    for (const headCount of [0, 2]) {
      for (const kernelSize of [1, 4]) {
        const decoder: StackOf = (length) => mixer(length, { headCount, kernelSize });
        const config = augmented(transformer, decoder);
        const isMixing = /mix\.weight$/;
        const model = mapTree(
          livelyModel(config),
          (leaf, name) =>
            name.startsWith("decoder.") && isMixing.test(name)
              ? mapMixing(leaf, leaf.shape, (one, _, input) => [input === 0 ? 0 : one])
              : leaf,
        ) as AugmentedDecoder;
        const params = mapTree(model.decoder, (leaf, name) => {
          const heads = headCount === 0 ? [] : [headCount];
          if (isMixing.test(name)) {
            const shape = [...heads, LENGTH, kernelSize * LENGTH];
            return mapMixing(
              leaf,
              shape,
              (one, output, input) => output === 0 || input === 0 ? [] : [one],
            );
          }
          if (!/mix\.bias$/.test(name)) return leaf;
          const values = [...leaf.dataSync() as Float32Array];
          return tensor(values.filter((_, i) => i % (LENGTH + 1) !== 0), [...heads, LENGTH]);
        });
        const [found, expected] = await logitsOfTwins(mode, config, model, params, { padId: null });
        assertClose(found, expected, 1e-5, `heads: ${headCount}, kernel ${kernelSize}`);
      }
    }
  },
  once,
);

onEveryBackend("encodeSequence() refuses a model with zero memory", () => {
  const config = { kind: "augmented", memory: "zeros", decoder: mixer(LENGTH + 1) } as const;
  const params = initAugmentedDecoder(config, createRandom(1));
  const message = refusal(() => encodeSequence(config, params, tinyIdsNB(), null));
  assert.match(message, /zero memory has no encoder/);
}, cpu);

onEveryBackend("initAugmentedDecoder() refuses sizes that do not fit", () => {
  const config = AUGMENTED["mixer EEM"];
  const message = (changes: object) =>
    refusal(() => initAugmentedDecoder({ ...config, ...changes }, createRandom(1)));
  assert.equal(
    message({ decoder: mixer(LENGTH) }),
    "decoder.contextLength: expected 6, the encoder's tokens and the memory slot, found 5",
  );
  for (const join of ["linear", "embedding"]) {
    assert.equal(
      message({ join, decoder: mixer(LENGTH + 1) }),
      "decoder.contextLength: expected 5, the encoder's tokens, found 6",
    );
  }
  assert.match(
    message({ join: "embedding", decoder: mixer(LENGTH), embeddingSize: WIDTH }),
    /^decoder\.width: expected more than the 8 numbers .*, found 8$/,
  );
  assert.match(message({ encoder: mixer(LENGTH, { vocabSize: 7 }) }), /^decoder\.vocabSize: /);
  assert.match(
    message({ embeddingSize: 0 }),
    /^embeddingSize: expected a positive integer, found 0/,
  );
  assert.match(message({ embeddingSize: 1.5 }), /^embeddingSize: .*found 1\.5/);
}, cpu);

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
    cpu,
  );
}

onEveryBackend("initAugmentedDecoder() has the layers that its join needs", () => {
  const layers = (join: (typeof JOINS)[number], decoderWidth: number, size = {}) => {
    const decoder = mixer(LENGTH + (join === "token" ? 1 : 0), { width: decoderWidth });
    const config = { kind: "augmented", memory: "embedding", join, decoder, ...size } as const;
    const model = initAugmentedDecoder({ ...config, encoder: mixer(LENGTH) }, createRandom(1));
    return Object.keys(model).filter((key) => key !== "encoder" && key !== "decoder").join(" ");
  };
  const compressed = { embeddingSize: EMBEDDING_SIZE };
  assert.equal(layers("token", WIDTH), "");
  assert.equal(layers("token", 12), "projection");
  assert.equal(layers("token", WIDTH, compressed), "down up");
  assert.equal(layers("token", 12, compressed), "down up projection");
  assert.equal(layers("embedding", 12), "");
  assert.equal(layers("embedding", 12, compressed), "down");
  assert.equal(layers("linear", WIDTH), "projection");
  assert.equal(layers("linear", WIDTH, compressed), "down up projection");
}, cpu);
