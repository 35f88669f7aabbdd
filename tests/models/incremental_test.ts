import assert from "node:assert/strict";
import {
  add,
  mul,
  slice,
  squeeze,
  type Tensor,
  tensor,
  transpose,
  zeros,
} from "../../lib/engine/mod.ts";
import { attachHooks, type Hooks, isTable, linear, moduleNames } from "../../lib/layers/mod.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  type BackboneConfig,
  type CausalModel,
  embedTokens,
  encodeSequence,
  hiddenStates,
  type Join,
  type Model,
  type ModelConfig,
  modelLogits,
  type ReadingState,
  readTokens,
  startReading,
} from "../../lib/models/mod.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import {
  augmented,
  autoencoder,
  BATCH,
  changeToken,
  EMBEDDING_SIZE,
  LENGTH,
  livelyModel,
  lstm,
  mixer,
  refusal,
  type StackOf,
  STACKS,
  tinyIds,
  transformer,
  VOCABULARY,
} from "./_tiny.ts";

const causal = (backbone: BackboneConfig) => ({ kind: "causal", backbone }) as const;

const mixerOf = (options: Parameters<typeof mixer>[1]): StackOf => (length) =>
  mixer(length, options);
const transformerOf = (options: Parameters<typeof transformer>[1]): StackOf => (length) =>
  transformer(length, options);

/** Everything that a stack can be; 12 wide where it is an EEM's decoder. */
const STACKS_OF_ALL_KINDS: Readonly<Record<string, StackOf>> = {
  "flat mixer": mixer,
  "mixer of kernel 2": mixerOf({ kernelSize: 2 }),
  "mixer of kernel 3": mixerOf({ kernelSize: 3 }),
  "mixer of kernel 20, wider than the model": mixerOf({ kernelSize: 20, layerCount: 1 }),
  "mixer of 2 heads": mixerOf({ headCount: 2 }),
  "mixer of 2 heads and kernel 4": mixerOf({ headCount: 2, kernelSize: 4 }),
  transformer,
  "transformer with learned positions": transformerOf({ positions: "learned" }),
  "transformer without final norm": transformerOf({ finalNorm: false }),
  LSTM: lstm,
};

function zeroMemory(join: Join, decoder: StackOf): AugmentedDecoderConfig {
  return {
    kind: "augmented",
    memory: "zeros",
    join,
    decoder: decoder(LENGTH + (join === "token" ? 1 : 0)),
    ...(join === "embedding" ? { embeddingSize: EMBEDDING_SIZE } : {}),
  };
}

/** Decoders of every architecture with every join, and encoders of other architectures. */
function augmentedConfigs(join: Join): Readonly<Record<string, ModelConfig>> {
  const { embeddingSize: _, ...whole } = augmented(transformer, lstm, "linear");
  return {
    "mixer of 2 heads and kernel 3": augmented(
      transformer,
      mixerOf({ headCount: 2, kernelSize: 3 }),
      join,
    ),
    "transformer behind an encoder that sees all": augmented(
      mixerOf({ causal: false }),
      transformer,
      join,
    ),
    "transformer with learned positions": augmented(
      lstm,
      transformerOf({ positions: "learned" }),
      join,
    ),
    LSTM: augmented(mixer, lstm, join),
    "mixer of zeros": zeroMemory(join, mixer),
    "transformer of zeros": zeroMemory(join, transformer),
    ...(join === "linear" ? { "a whole state as embedding": whole } : {}),
  };
}

const GROUPS: Readonly<Record<string, Readonly<Record<string, ModelConfig>>>> = {
  "causal models": Object.fromEntries(
    Object.entries(STACKS_OF_ALL_KINDS).map(([name, stack]) => [name, causal(stack(LENGTH))]),
  ),
  "a head with a bias": { mixer: { ...causal(mixer(LENGTH)), headBias: true } },
  "a token join": augmentedConfigs("token"),
  "an embedding join": augmentedConfigs("embedding"),
  "a linear join": augmentedConfigs("linear"),
};

/** Models for what does not depend on the details of a stack. */
const SAMPLES: Readonly<Record<string, ModelConfig>> = {
  mixer: causal(mixer(LENGTH, { headCount: 2, kernelSize: 2 })),
  transformer: causal(transformer(LENGTH)),
  "token-join EEM": augmented(mixer, transformer),
  "embedding-join EEM": augmented(transformer, mixer, "embedding"),
  "linear-join EEM": augmented(mixer, lstm, "linear"),
};

/** Ids `[N, B]` of rows. */
function idsNB(ids: Int32Array): Tensor {
  return transpose(tensor(ids, [BATCH, LENGTH], "int32"));
}

/** Embeddings `[B, P]` as `startReading` takes them, or the batch for models without. */
function startOf(config: ModelConfig, params: Model, ids: Tensor) {
  return config.kind === "augmented" && config.memory === "embedding"
    ? { zBP: encodeSequence(config, params as AugmentedDecoder, ids, null) }
    : { batch: BATCH };
}

type Reading = Readonly<{
  start(ids: Int32Array): ReadingState;
  /** Reads on from token `first`; the logits after each token, `[B, V]`, and the states. */
  readOn(
    ids: Int32Array,
    state: ReadingState,
    first: number,
  ): Promise<{ logits: Float32Array[]; states: ReadingState[] }>;
}>;

/** A model's two functions as the mode runs them, each compiled once. */
function readingOf(mode: Mode, config: ModelConfig, params: Model): Reading {
  const starting = mode.compile((params: Model, ids: Tensor) =>
    startReading(config, params, startOf(config, params, ids))
  );
  const reading = mode.compile(
    (params: Model, state: ReadingState, idsB: Tensor, position: Tensor) =>
      readTokens(config, params, state, idsB, position),
  );
  return {
    start: (ids) => starting(params, idsNB(ids)),
    async readOn(ids, state, first) {
      const logits: Float32Array[] = [];
      const states: ReadingState[] = [];
      for (let position = first; position < LENGTH; position++) {
        const tokens = Int32Array.from(
          { length: BATCH },
          (_, row) => ids[row * LENGTH + position]!,
        );
        const at = tensor([position], [1], "int32");
        const step = reading(params, state, tensor(tokens, [BATCH], "int32"), at);
        state = step.state;
        logits.push(await read(step.logitsBV));
        states.push(state);
      }
      return { logits, states };
    },
  };
}

async function readAll(mode: Mode, config: ModelConfig, params: Model, ids: Int32Array) {
  const { start, readOn } = readingOf(mode, config, params);
  return (await readOn(ids, start(ids), 0)).logits;
}

/** What the full pass gives after the tokens 0 … N − 2. */
async function fullPass(config: ModelConfig, params: Model, ids: Int32Array, hooks: Hooks = {}) {
  const logits = await read(modelLogits(config, params, idsNB(ids), { padId: null, hooks }));
  const size = BATCH * VOCABULARY;
  return Array.from({ length: LENGTH - 1 }, (_, t) => logits.subarray(t * size, (t + 1) * size));
}

function assertSteps(actual: Float32Array[], expected: Float32Array[], what: string) {
  for (const [position, logits] of expected.entries()) {
    assertClose(actual[position]!, logits, 1e-5, `${what}, after token ${position}`);
  }
}

for (const [group, configs] of Object.entries(GROUPS)) {
  onEveryBackend(`readTokens() gives the full pass's logits: ${group}`, async (mode) => {
    for (const [name, config] of Object.entries(configs)) {
      const params = livelyModel(config);
      const read = await readAll(mode, config, params, tinyIds());
      assertSteps(read, await fullPass(config, params, tinyIds()), name);
    }
  });
}

onEveryBackend("readTokens() reads the last token too", async (mode) => {
  for (const [name, stack] of Object.entries(STACKS)) {
    const config = causal(stack(LENGTH));
    const params = livelyModel(config) as CausalModel;
    const embedded = embedTokens(params, idsNB(tinyIds()));
    const statesNBD = hiddenStates(config.backbone, params, embedded, null);
    const lastBD = squeeze(slice(statesNBD, [LENGTH - 1, 0, 0], [1, -1, -1]), [0]);
    const expected = await read(linear(params.head, lastBD));
    const logits = await readAll(mode, config, params, tinyIds());
    assertClose(logits[LENGTH - 1]!, expected, 1e-5, name);
  }
}, { oncePerBackend: true });

onEveryBackend(
  "readTokens() gives a row the same bits whatever other rows and later tokens are",
  async (mode) => {
    const changed = 3;
    const ids = tinyIds();
    const others = changeToken(changeToken(ids, changed), 0)
      .map((id, i) => i === 0 ? ids[0]! : id);
    for (const [name, config] of Object.entries(SAMPLES)) {
      const params = livelyModel(config);
      const { start, readOn } = readingOf(mode, config, params);
      const first = (await readOn(ids, start(ids), 0)).logits;
      const again = (await readOn(ids, start(ids), 0)).logits;
      assert.deepEqual(again, first, `${name}: read again`);
      // The embedding knows the later tokens, so that it is kept where a model has one.
      const other = (await readOn(others, start(ids), 0)).logits;
      for (let position = 0; position < changed; position++) {
        const row = (logits: Float32Array[]) => logits[position]!.subarray(0, VOCABULARY);
        assert.deepEqual(row(other), row(first), `${name}: row 0 after token ${position}`);
        const second = (logits: Float32Array[]) => logits[position]!.subarray(VOCABULARY);
        assert.notDeepEqual(second(other), second(first), `${name}: row 1 was changed`);
      }
      assert.notDeepEqual(
        other[changed]!.subarray(0, VOCABULARY),
        first[changed]!.subarray(0, VOCABULARY),
        `${name}: token ${changed} of row 0 was changed`,
      );
    }
  },
);

onEveryBackend("readTokens() leaves the state that it is given as it is", async (mode) => {
  for (const [name, config] of Object.entries(SAMPLES)) {
    const params = livelyModel(config);
    const { start, readOn } = readingOf(mode, config, params);
    const { logits, states } = await readOn(tinyIds(), start(tinyIds()), 0);
    const later = await readOn(tinyIds(), states[1]!, 2);
    assert.deepEqual(later.logits, logits.slice(2), name);
  }
}, { oncePerBackend: true });

onEveryBackend("readTokens() takes a position without axes", async () => {
  const config = causal(transformer(LENGTH));
  const params = livelyModel(config);
  const idsB = tensor([2, 3], [BATCH], "int32");
  const after = (position: Tensor) => {
    const state = startReading(config, params, { batch: BATCH });
    return read(readTokens(config, params, state, idsB, position).logitsBV);
  };
  const scalar = await after(tensor(1, [], "int32"));
  assert.deepEqual(scalar, await after(tensor([1], [1], "int32")));
}, { oncePerBackend: true });

onEveryBackend("readTokens() obeys the hooks of modules", async (mode) => {
  const configs = {
    mixer: causal(mixer(LENGTH)),
    "mixer of 2 heads": causal(mixer(LENGTH, { headCount: 2, kernelSize: 2 })),
    transformer: causal(transformer(LENGTH, { positions: "learned" })),
    LSTM: causal(lstm(LENGTH)),
  };
  for (const [name, config] of Object.entries(configs)) {
    const params = livelyModel(config);
    const hooks = Object.fromEntries(
      moduleNames(params).map((module) => [module, {
        output: (x: Tensor) => add(x, 0.3),
        weight: (x: Tensor) => mul(x, 0.8),
        ...(isTable(module) ? {} : { input: (x: Tensor) => mul(x, 1.2) }),
      }]),
    );
    const logits = await readAll(mode, config, attachHooks(params, hooks), tinyIds());
    assertSteps(logits, await fullPass(config, params, tinyIds(), hooks), name);
  }
}, { only: ["cpu"] });

onEveryBackend("startReading() and readTokens() refuse models that predict no next token", () => {
  const configs: Readonly<Record<string, ModelConfig>> = {
    autoencoder: autoencoder(mixer, mixer, "repeat"),
    "second-order": { kind: "second-order", backbone: mixer(LENGTH), shift: false },
  };
  for (const [kind, config] of Object.entries(configs)) {
    const params = livelyModel(config);
    const expected = "reading token by token: expected a causal model or an encoder-augmented " +
      `decoder, found a model of kind ${kind}`;
    const start = { batch: BATCH };
    assert.equal(refusal(() => startReading(config, params, start)), expected);
    const ids = tensor([2, 3], [BATCH], "int32");
    const position = tensor([0], [1], "int32");
    assert.equal(
      refusal(() => readTokens(config, params, { blocks: [] }, ids, position)),
      expected,
    );
  }
}, { only: ["cpu"] });

onEveryBackend("startReading() refuses stacks that see later tokens", () => {
  const blind = { causal: false } as const;
  const configs = {
    "backbone.causal": causal(mixer(LENGTH, blind)),
    "decoder.causal": augmented(mixer, transformerOf(blind)),
  };
  for (const [field, config] of Object.entries(configs)) {
    const message = refusal(() =>
      startReading(
        config,
        livelyModel(config),
        startOf(config, livelyModel(config), idsNB(tinyIds())),
      )
    );
    assert.match(message, new RegExp(`^${field}: expected true`));
  }
}, { only: ["cpu"] });

onEveryBackend("startReading() refuses an embedding that is not the model's", () => {
  const act = (config: ModelConfig, start: Parameters<typeof startReading>[2]) =>
    refusal(() => startReading(config, livelyModel(config), start));
  assert.equal(
    act(augmented(mixer, mixer), { batch: BATCH }),
    "startReading: expected an embedding of 3 numbers a row, found 0; " +
      "give the embedding of this model's encoder",
  );
  assert.equal(
    act(augmented(mixer, mixer), { zBP: zeros([BATCH, 6]) }),
    "startReading: expected an embedding of 3 numbers a row, found 6; " +
      "give the embedding of this model's encoder",
  );
  assert.equal(
    act(zeroMemory("embedding", mixer), { zBP: zeros([BATCH, 3]) }),
    "startReading: expected an embedding of 0 numbers a row, found 3; give the batch alone",
  );
  assert.match(
    act(causal(lstm(LENGTH)), { zBP: zeros([BATCH, 3]) }),
    /give the batch alone$/,
  );
}, { only: ["cpu"] });
