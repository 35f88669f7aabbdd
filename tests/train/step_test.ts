import assert from "node:assert/strict";
import {
  mapTree,
  memory,
  namedLeaves,
  type Tensor,
  tensor,
  type Tree,
  valueAndGradient,
} from "../../lib/engine/mod.ts";
import { meanLoss, type Model, type ModelConfig, tokenLosses } from "../../lib/models/mod.ts";
import { needsNoise, quantizationHooks } from "../../lib/qat/mod.ts";
import { ADAMW_DEFAULTS, stepScalars, type TrainState } from "../../lib/train/adamw.ts";
import { batchTensors } from "../../lib/train/batch.ts";
import { startSession, type TrainingConfig } from "../../lib/train/loop.ts";
import {
  checkLossOptions,
  type Frozen,
  joinModel,
  needsTokenValues,
  type Penalties,
  type Trainable,
} from "../../lib/train/step.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { refusal } from "../models/_tiny.ts";
import {
  BACKENDS,
  BATCH,
  compile,
  CONFIG,
  DATA,
  LENGTH,
  SECOND_ORDER,
  trainedEncoder,
  valuesOf,
  WITH_DROPOUT,
  WITH_ENCODER,
  WITH_NOISE_AND_DROPOUT,
} from "./_tiny_training.ts";

onEveryBackend("meanLoss() is one mean over the batch, not a mean of sample means", async () => {
  const lossTB = tensor([1, 2, 4, 0], [2, 2]);
  assert.deepEqual([...await read(meanLoss({ lossTB, scoredTB: tensor([1, 1, 1, 0], [2, 2]) }))], [
    Math.fround(7 / 3),
  ]);
}, { oncePerBackend: true });

onEveryBackend("meanLoss() of a batch without targets is 0", async () => {
  const nothing = tensor([0, 0], [1, 2]);
  assert.deepEqual([...await read(meanLoss({ lossTB: nothing, scoredTB: nothing }))], [0]);
}, { oncePerBackend: true });

onEveryBackend("joinModel() puts a frozen encoder beside what is trained", () => {
  const encoder = trainedEncoder();
  const { params } = startSession(WITH_ENCODER.EEM!, encoder).state;
  assert.deepEqual(joinModel(params, { encoder }), { ...params, encoder });
  assert.deepEqual(joinModel(params, {}), params);
}, { only: ["cpu"] });

/** The first batch of the training windows. */
function firstBatch() {
  return batchTensors({ ids: DATA.train.ids.slice(0, BATCH * LENGTH) }, LENGTH);
}

for (const [name, config] of Object.entries(WITH_ENCODER)) {
  onEveryBackend(`compileTrainStep() moves all of an ${name} but a frozen encoder`, () => {
    const encoder = trainedEncoder();
    const values = valuesOf(encoder);
    for (const session of [startSession(config, encoder), startSession(config)]) {
      const { step } = compile(config);
      const before = valuesOf(session.state.params);
      let { state } = session;
      for (let update = 0; update < 3; update++) {
        state = step(state, session.frozen, stepScalars(0.01, update), firstBatch()).state;
      }
      const after = valuesOf(state.params);
      assert.deepEqual([...after.keys()], [...before.keys()]);
      for (const [leaf, moved] of after) assert.notDeepEqual(moved, before.get(leaf), leaf);
    }
    assert.deepEqual(valuesOf(encoder), values);
  }, BACKENDS);

  onEveryBackend(`compileTrainStep() of an ${name} clips by what is trained alone`, async () => {
    const clipNorm = 0.05;
    const optimizer = { ...config.optimizer, clipNorm };
    const { step } = compile({ ...config, optimizer });
    const encoder = trainedEncoder();
    const { state, frozen } = startSession(config, encoder);
    const result = step(state, frozen, stepScalars(0.01, 0), firstBatch());

    // By hand: the whole model's gradient, of which the encoder's part is left out.
    const whole = { ...state.params, encoder } as Model;
    const { value, gradient } = valueAndGradient(
      (model) => meanLoss(tokenLosses(config.model, model, firstBatch().idsBN, { padId: null })),
      whole,
    );
    const gradients = valuesOf(gradient);
    const normOf = (isCounted: (leaf: string) => boolean) =>
      Math.sqrt(
        [...gradients].filter(([leaf]) => isCounted(leaf)).flatMap(([, values]) => values)
          .reduce((sum, one) => sum + one ** 2, 0),
      );
    const norm = normOf((leaf) => !leaf.startsWith("encoder."));
    assert.ok(normOf(() => true) > 1.001 * norm && norm > clipNorm);
    assertClose(await read(result.gradientNorm), [norm], 1e-5, "norm");
    assertClose(await read(result.loss), await read(value), 1e-6, "loss");
    const share = clipNorm / (norm + 1e-6);
    for (const { name: leaf, tensor } of namedLeaves(result.state.firstMoment)) {
      const clipped = gradients.get(leaf)!.map((one) => 0.1 * share * one);
      assertClose(await read(tensor), clipped, 1e-7, `first moment of ${leaf}`);
    }
  }, BACKENDS);
}

/** Σ|w| and Σw² of the leaves of which it holds that `isCounted`. */
function sums(tree: Tree, isCounted: (rank: number) => boolean) {
  const values = namedLeaves(tree).flatMap(({ tensor }) =>
    isCounted(tensor.rank) ? [...tensor.dataSync()] : []
  );
  return {
    absolute: values.reduce((sum, one) => sum + Math.abs(one), 0),
    squares: values.reduce((sum, one) => sum + one * one, 0),
  };
}

/** The first moments of a first step without clipping: a tenth of the gradients. */
function firstMoments(config: TrainingConfig, state: TrainState<Trainable>, frozen: Frozen) {
  const optimizer = { ...ADAMW_DEFAULTS, clipNorm: 1e9 };
  const { step } = compile({ ...config, optimizer });
  const result = step(state, frozen, stepScalars(0.01, 0), firstBatch());
  return { loss: result.loss.dataSync()[0]!, moments: namedLeaves(result.state.firstMoment) };
}

for (const name of ["a causal transformer", "an EEM with a frozen encoder"]) {
  onEveryBackend(
    `compileTrainStep() penalizes the trained weights of ${name}, no gains and biases`,
    async () => {
      const isCausal = name.startsWith("a causal");
      const { attentionDropout: _, ...plain } = isCausal ? WITH_DROPOUT : WITH_ENCODER.EEM!;
      // Gains and biases that are neither 0 nor 1, so that one that is penalized shows.
      let drawn = 0;
      const { state, frozen } = isCausal
        ? startSession(plain)
        : startSession(plain, trainedEncoder());
      const params = mapTree(
        state.params,
        (leaf) => tensor(normals(leaf.size, ++drawn), leaf.shape),
      );
      const start = { ...state, params };
      const of = firstMoments(plain, start, frozen);
      assert.ok(sums(params, (rank) => rank < 2).absolute > 1);
      const { absolute, squares } = sums(params, (rank) => rank >= 2);
      const weights = new Map(namedLeaves(params).map(({ name, tensor }) => [name, tensor]));
      for (
        const [penalties, nats, slope] of [
          [{ l1: 0.01 }, 0.01 * absolute, (w: number) => 0.01 * Math.sign(w)],
          [{ l2: 0.02 }, 0.01 * squares, (w: number) => 0.02 * w],
          [
            { l1: 0.01, l2: 0.02 },
            0.01 * absolute + 0.01 * squares,
            (w: number) => 0.01 * Math.sign(w) + 0.02 * w,
          ],
        ] as const
      ) {
        const penalized = firstMoments({ ...plain, penalties }, start, frozen);
        assertClose([penalized.loss], [of.loss + nats], 1e-6, "loss");
        for (const [index, { name, tensor }] of penalized.moments.entries()) {
          const plainMoments = await read(of.moments[index]!.tensor);
          const values = await read(weights.get(name)!);
          const expected = plainMoments.map((moment, at) =>
            moment + (tensor.rank >= 2 ? 0.1 * slope(values[at]!) : 0)
          );
          assertClose(await read(tensor), expected, 2e-6, name);
        }
      }
    },
    BACKENDS,
  );
}

onEveryBackend("compileTrainStep() draws noise by the batch's seed, beside dropout", async () => {
  const config = WITH_NOISE_AND_DROPOUT;
  const { model, attentionDropout: rate, qat } = config;
  const { step } = compile(config);
  const { state, frozen } = startSession(config);
  const params = state.params as Model;
  const seeds = [[1, 2], [1, 3], [2, 2]].map((seed) => tensor(seed, [2], "int32"));
  const found: number[] = [];
  for (const noiseSeed of seeds) {
    for (const dropoutSeed of seeds) {
      const batch = { ...firstBatch(), dropoutSeed, noiseSeed };
      const { loss } = step(state, frozen, stepScalars(0.01, 0), batch);
      const expected = meanLoss(tokenLosses(model, params, batch.idsBN, {
        padId: null,
        attentionDropout: { rate: rate!, seed: dropoutSeed },
        ...quantizationHooks(qat, params, noiseSeed),
      }));
      assertClose(await read(loss), await read(expected), 1e-6, "loss");
      found.push((await read(loss))[0]!);
    }
  }
  assert.equal(new Set(found).size, 9);
}, BACKENDS);

onEveryBackend("compileTrainStep() noises and rounds a frozen encoder, which stays", async () => {
  const { model } = WITH_ENCODER.EEM!;
  const seed = tensor([1, 2], [2], "int32");
  const at = "weights";
  const ofEncoder = { at, modules: ["encoder.embedding", "encoder.blocks.0.mix"] } as const;
  for (
    const qat of [
      { method: "noise", width: 0.5, ...ofEncoder },
      { method: "fake-quantization", quantization: { format: "e5m2" }, ...ofEncoder },
    ] as const
  ) {
    const config = { ...WITH_ENCODER.EEM!, qat };
    const encoder = trainedEncoder();
    const values = valuesOf(encoder);
    const { state, frozen } = startSession(config, encoder);
    const inputs = { ...firstBatch(), ...(needsNoise(qat) && { noiseSeed: seed }) };
    const result = compile(config).step(state, frozen, stepScalars(0.01, 0), inputs);
    const whole = joinModel(state.params, frozen);
    const losses = (options: object) =>
      read(meanLoss(tokenLosses(model, whole, inputs.idsBN, { padId: null, ...options })));
    const expected = await losses(quantizationHooks(qat, whole, seed));
    assertClose(await read(result.loss), expected, 1e-6, qat.method);
    assert.notDeepEqual(expected, await losses({}));
    assert.deepEqual(valuesOf(encoder), values);
    assert.deepEqual([...valuesOf(result.state.params).keys()], [...valuesOf(state.params).keys()]);
  }
}, BACKENDS);

onEveryBackend("compileTrainStep() drops attention weights by the batch's seed", async () => {
  const { step } = compile(WITH_DROPOUT);
  const { model, attentionDropout: rate } = WITH_DROPOUT;
  const { state, frozen } = startSession(WITH_DROPOUT);
  // Weights at which attention matters.
  let drawn = 0;
  const params = mapTree(state.params, (leaf) => tensor(normals(leaf.size, ++drawn), leaf.shape));
  const lossesOf = async (seed: Tensor) => {
    const batch = { ...firstBatch(), dropoutSeed: seed };
    const { loss } = step({ ...state, params }, frozen, stepScalars(0.01, 0), batch);
    const losses = tokenLosses(model, params as Model, batch.idsBN, {
      padId: null,
      attentionDropout: { rate: rate!, seed },
    });
    return [...await read(loss), ...await read(meanLoss(losses))];
  };
  const found: number[] = [];
  for (const values of [[1, 2], [1, 3], [2, 2]]) {
    const [loss, expected] = await lossesOf(tensor(values, [2], "int32"));
    assertClose([loss!], [expected!], 1e-6, `seed ${values}`);
    found.push(loss!);
  }
  assert.equal(new Set(found).size, 3);
}, BACKENDS);

Deno.test("checkLossOptions() says what the model or the option should be", () => {
  const { model: transformer } = WITH_DROPOUT;
  const { model: mixer } = CONFIG;
  checkLossOptions(transformer, { attentionDropout: 0.1 });
  checkLossOptions(mixer, {});
  assert.match(
    refusal(() => checkLossOptions(mixer, { attentionDropout: 0.1 })),
    /^attention dropout: expected a causal model of architecture transformer, found a causal m/,
  );
  assert.match(
    refusal(() => checkLossOptions(transformer, { attentionDropout: 1 })),
    /^attention dropout: expected a rate .* found 1$/,
  );
  assert.equal(
    refusal(() => checkLossOptions(WITH_ENCODER.EEM!.model, { objective: { form: "signed" } })),
    "objective signed: expected a causal model, found augmented; leave it out, all others are " +
      "trained on their plain loss",
  );
  assert.equal(
    refusal(() => checkLossOptions(mixer, { penalties: { l1: 1, l2: -1 } })),
    "penalties.l2: expected a positive number, found -1",
  );
  for (const penalties of [{ L1: 0.1 }, { l1: 0.1, weightDecay: 0.1 }]) {
    const name = Object.keys(penalties).at(-1);
    assert.equal(
      refusal(() => checkLossOptions(mixer, { penalties: penalties as Penalties })),
      `penalties: expected l1 or l2, found ${name}`,
    );
  }
  checkLossOptions(mixer, { penalties: { l1: 1, l2: 1 } });
});

onEveryBackend("checkLossOptions() says where a model can be trained for quantization", () => {
  const { model: causal } = CONFIG;
  const { EEM, autoencoder } = WITH_ENCODER;
  const { model: eem } = EEM!;
  assert.ok(eem.kind === "augmented" && eem.memory === "embedding");
  const { embeddingSize: _, ...uncompressed } = eem;
  const zeros = { kind: "augmented", memory: "zeros", decoder: eem.decoder } as const;
  const noise = { method: "noise", width: 0.1 } as const;
  const rounding = { method: "fake-quantization", quantization: { format: "bf16" } } as const;

  for (const method of [noise, rounding]) {
    checkLossOptions(eem, { qat: { ...method, at: "embedding" } });
    checkLossOptions(uncompressed, { qat: { ...method, at: "embedding" } });
    for (const model of [causal, autoencoder!.model, eem, zeros, SECOND_ORDER.model]) {
      for (const at of ["outputs", "weights"] as const) {
        checkLossOptions(model, { qat: { ...method, at } });
        checkLossOptions(model, { qat: { ...method, at, modules: "all" } });
      }
    }
    const found: [ModelConfig, string][] = [
      [causal, "a model of kind causal"],
      [autoencoder!.model, "a model of kind autoencoder"],
      [SECOND_ORDER.model, "a model of kind second-order"],
      [zeros, "one without"],
    ];
    for (const [model, what] of found) {
      assert.equal(
        refusal(() => checkLossOptions(model, { qat: { ...method, at: "embedding" } })),
        `qat.at embedding: expected an augmented decoder with an embedding, found ${what}; ` +
          "use outputs or weights",
      );
    }
  }
  const residual = { ...noise, at: "residual" } as const;
  checkLossOptions(eem, { qat: residual });
  for (const model of [uncompressed, zeros]) {
    assert.equal(
      refusal(() => checkLossOptions(model, { qat: residual })),
      "qat.at residual: expected an augmented decoder with an embeddingSize, found one without; " +
        "use outputs or weights",
    );
  }
  assert.match(
    refusal(() => checkLossOptions(autoencoder!.model, { qat: residual })),
    /^qat\.at residual: .* found a model of kind autoencoder; use/,
  );

  // All else that can be wrong, and modules of another model.
  assert.equal(
    refusal(() => checkLossOptions(eem, { qat: { ...noise, at: "embedding", width: -1 } })),
    "qat.width: expected a positive number, found -1",
  );
  const modules = ["decoder.head", "up"];
  const { numTensors } = memory();
  checkLossOptions(eem, { qat: { ...noise, at: "outputs", modules } });
  assert.equal(
    refusal(() => checkLossOptions(causal, { qat: { ...rounding, at: "weights", modules } })),
    "module decoder.head: expected one of embedding, blocks.0.mix, blocks.0.feedForward.expand, " +
      "blocks.0.feedForward.contract, head, found none of that name",
  );
  assert.equal(memory().numTensors, numTensors, "the model that was looked at is freed");
}, { only: ["cpu"] });

Deno.test("needsTokenValues() of models that learn them and forms that compare with them", () => {
  const { model } = CONFIG;
  assert.equal(needsTokenValues(model, {}), false);
  assert.equal(needsTokenValues(model, { objective: { form: "plain" } }), false);
  const smoothing = { form: "label-smoothing", share: 0.1 } as const;
  assert.equal(needsTokenValues(model, { objective: smoothing }), false);
  assert.equal(needsTokenValues(model, { attentionDropout: 0.1, penalties: { l1: 1 } }), false);
  assert.equal(needsTokenValues(model, { objective: { form: "one-sided" } }), true);
  assert.equal(needsTokenValues(SECOND_ORDER.model, {}), true);
});

onEveryBackend("compileTrainStep() penalizes no bias of mixing heads", async () => {
  const { backbone } = CONFIG.model as Extract<typeof CONFIG.model, { kind: "causal" }>;
  const model = { kind: "causal", backbone: { ...backbone, headCount: 2 } } as const;
  const lossWith = async (penalties?: Penalties) => {
    const config = { ...CONFIG, model, ...(penalties && { penalties }) };
    const session = startSession(config);
    const { step } = compile(config);
    const result = step(session.state, {}, stepScalars(0.01, 0), firstBatch());
    return { loss: (await read(result.loss))[0]!, params: session.state.params };
  };
  const plain = await lossWith();
  const penalized = await lossWith({ l2: 0.5 });
  const squares = namedLeaves(plain.params)
    .filter(({ name }) => !/norm|bias/i.test(name))
    .flatMap(({ tensor }) => [...tensor.dataSync()].map((weight) => weight ** 2));
  const penalty = 0.5 / 2 * squares.reduce((sum, one) => sum + one, 0);
  assertClose([penalized.loss], [plain.loss + penalty], 1e-5, "loss");
}, { oncePerBackend: true });
