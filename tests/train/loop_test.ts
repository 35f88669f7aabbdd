import assert from "node:assert/strict";
import { activeTensorFlow } from "../../lib/engine/_tensorflow.ts";
import {
  disposeTree,
  hasAvx512,
  memory,
  runsOnGpu,
  type Tensor,
  zeros,
} from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  type BackboneConfig,
  initModel,
  type Model,
  type ModelConfig,
} from "../../lib/models/mod.ts";
import type { NoiseInjection } from "../../lib/qat/mod.ts";
import { createRandom } from "../../lib/random.ts";
import {
  latentLength,
  latentSequences,
  latentVocabSize,
  type Windows,
} from "../../lib/text/mod.ts";
import {
  compilePrograms,
  disposeSession,
  evaluate,
  type Evaluation,
  formatCheckpoint as snapshot,
  joinModel,
  learningRate,
  type LossEvaluator,
  type Programs,
  startSession,
  stepScalars,
  train,
  type TrainingConfig,
  type TrainingData,
  type TrainingRecord,
} from "../../lib/train/mod.ts";
import { stepCompiler } from "../../lib/train/loop.ts";
import { onEveryBackend, onTensorFlow } from "../_backends.ts";
import { assertClose } from "../_numbers.ts";
import {
  BACKENDS,
  BATCH,
  COMPARED_DATA,
  compile,
  CONFIG,
  DATA,
  LENGTH,
  runToEnd,
  SECOND_ORDER,
  SESSIONS,
  trainedEncoder,
  VALUED_DATA,
  valuesOf,
  windows,
  WITH_DROPOUT,
  WITH_ENCODER,
  WITH_NOISE,
  WITH_NOISE_AND_DROPOUT,
  WITH_OBJECTIVE,
  WITH_ROUNDING,
} from "./_tiny_training.ts";

onEveryBackend("train() logs and evaluates at its steps, and both at the last one", async () => {
  const session = startSession(CONFIG);
  const records = await runToEnd(session, compile());
  assert.deepEqual(
    records.map((record) => [record.type, record.step]),
    [
      ["train", 3],
      ["evaluation", 4],
      ["train", 6],
      ["evaluation", 8],
      ["train", 9],
      ["train", 11],
      ["evaluation", 11],
      ["end", 11],
    ],
  );
  for (const record of records) assert.equal(record.tokens, record.step * BATCH * LENGTH);
  assert.equal((records.at(-1) as { reason: string }).reason, "finished");
  assert.deepEqual(session.position, { epoch: 1, index: 4 });
}, BACKENDS);

onEveryBackend("train() reports means of the losses since the last record", async () => {
  const programs = compile();
  const each = await runToEnd(startSession(CONFIG), programs, { ...CONFIG, logEvery: 1 });
  const losses = each.flatMap((record) => record.type === "train" ? [record.lossNats] : []);
  assert.equal(losses.length, 11);
  const records = await runToEnd(startSession(CONFIG), programs);
  let previous = 0;
  for (const record of records) {
    if (record.type !== "train") continue;
    const since = losses.slice(previous, record.step);
    const mean = since.reduce((sum, loss) => sum + loss, 0) / since.length;
    assert.ok(Math.abs(record.lossNats - mean) < 1e-12, `step ${record.step}`);
    assert.equal(record.learningRate, learningRate(CONFIG.schedule, record.step - 1));
    assert.ok(record.tokensPerSecond > 0 && record.gradientNorm > 0);
    previous = record.step;
  }
}, BACKENDS);

for (const { name, config, data, start } of SESSIONS) {
  onEveryBackend(`train() evaluates ${name} as the session holds it`, async () => {
    const programs = compile(config);
    const session = start();
    const scored = config.model.kind === "autoencoder" ? LENGTH : LENGTH - 1;
    for await (const record of train(config, data, session, programs)) {
      if (record.type !== "evaluation") continue;
      const model = { ...session.state.params, ...session.frozen } as Model;
      const again = await evaluate(programs.evaluator, model, data.heldOut, BATCH);
      assert.equal(again.lossNats, record.lossNats);
      assert.equal(record.scoredTokens, 8 * scored);
    }
  }, BACKENDS);

  onEveryBackend(`train() keeps the number of tensors flat, of ${name}`, async () => {
    const programs = compile(config);
    await runToEnd(start(), programs, config, data);
    const before = memory().numTensors;
    const session = start();
    const held = memory().numTensors;
    for await (const _ of train(config, data, session, programs)) {
      assert.equal(memory().numTensors, held);
    }
    disposeSession(session);
    disposeTree(session.frozen);
    assert.equal(memory().numTensors, before);
  }, BACKENDS);
}

onEveryBackend("train() stops at the next step boundary, before any further update", async () => {
  const programs = compile();
  const steps = CONFIG.schedule.steps;
  // Aborted before it begins, and while the first and the fourth update run.
  for (const stopAt of [0, 1, 4]) {
    const controller = new AbortController();
    if (stopAt === 0) controller.abort();
    let calls = 0;
    const step = Object.assign(
      (...inputs: Parameters<Programs["step"]>) => {
        if (++calls === stopAt) controller.abort();
        return programs.step(...inputs);
      },
      { dispose() {} },
    );
    const session = startSession(CONFIG);
    const records: TrainingRecord[] = [];
    const { signal } = controller;
    const watched = { ...programs, step };
    for await (const record of train(CONFIG, DATA, session, watched, { signal })) {
      records.push(record);
    }
    assert.equal(calls, stopAt);
    const tokens = stopAt * BATCH * LENGTH;
    assert.deepEqual(records.at(-1), { type: "end", step: stopAt, tokens, reason: "stopped" });
    // The evaluation that is due is made first: the checkpoint has no loose end.
    assert.deepEqual(records.some((record) => record.type === "evaluation"), stopAt === 4);
    const rest = await runToEnd(session, programs);
    assert.equal(rest.at(-1)!.step, steps);
  }
}, BACKENDS);

onEveryBackend("train() gives timers a turn, so that a signal can arrive", async () => {
  const programs = compile();
  const controller = new AbortController();
  const slow = Object.assign(
    (...inputs: Parameters<Programs["step"]>) => {
      const until = performance.now() + 20;
      while (performance.now() < until);
      return programs.step(...inputs);
    },
    { dispose() {} },
  );
  const config = { ...CONFIG, schedule: { ...CONFIG.schedule, steps: 40 }, logEvery: 1000 };
  const timer = setTimeout(() => controller.abort(), 1);
  const session = startSession(config);
  let last: TrainingRecord | undefined;
  const { signal } = controller;
  for await (
    const record of train(config, DATA, session, { ...programs, step: slow }, { signal })
  ) {
    last = record;
  }
  clearTimeout(timer);
  assert.equal(last?.type === "end" && last.reason, "stopped");
  assert.ok(session.step < 20, `${session.step} steps before the timer had its turn`);
}, { only: ["tensorflow graph"] });

/** A step that works until update `badStep` (from 1), then reports `loss` or `gradientNorm`. */
function failingStep(
  programs: Programs,
  badStep: number,
  change: { readonly loss?: number; readonly gradientNorm?: number },
): Programs {
  let calls = 0;
  const step = Object.assign(
    (...inputs: Parameters<Programs["step"]>) => {
      const result = programs.step(...inputs);
      if (++calls < badStep) return result;
      for (const [name, value] of Object.entries(change) as ["loss" | "gradientNorm", number][]) {
        const { shape } = result[name];
        const data = {
          data: () => Promise.resolve(Float32Array.of(value)),
          dispose: () => {},
          shape,
        };
        result[name].dispose();
        result[name] = data as unknown as typeof result.loss;
      }
      return result;
    },
    { dispose() {} },
  );
  return { ...programs, step };
}

onEveryBackend("train() ends before a spoilt update and keeps the state before it", async () => {
  const programs = compile();
  const good = startSession(CONFIG);
  const config = { ...CONFIG, logEvery: 1 };
  const wanted: Uint8Array[] = [];
  for await (const record of train(config, DATA, good, programs)) {
    if (record.type === "train") wanted[record.step] = await snapshot(good);
  }
  const firstLoss = good.firstLossNats!;
  for (
    const change of [
      { loss: NaN },
      { loss: Infinity },
      { gradientNorm: NaN },
      { gradientNorm: Infinity },
      { loss: 3.01 * firstLoss },
    ]
  ) {
    for (const badStep of [3, 4]) {
      const before = memory().numTensors;
      const session = startSession(CONFIG);
      const records = await runToEnd(session, failingStep(programs, badStep, change), config);
      const step = badStep - 1;
      const tokens = step * BATCH * LENGTH;
      assert.deepEqual(records.at(-1), { type: "end", step, tokens, reason: "diverged" });
      assert.equal(session.step, step);
      assert.deepEqual(await snapshot(session), wanted[step]);
      disposeSession(session);
      assert.equal(memory().numTensors, before, "the update that was not adopted is freed");
    }
  }
  const session = startSession(CONFIG);
  const large = failingStep(programs, 3, { loss: 2.99 * firstLoss });
  const records = await runToEnd(session, large, config);
  assert.equal(records.at(-1)!.step, CONFIG.schedule.steps, "below three times the first loss");
}, { only: ["tensorflow graph"] });

onEveryBackend("train() refuses a batch that is larger than the windows", async () => {
  const config = { ...CONFIG, batchSize: DATA.train.count + 1 };
  await assert.rejects(
    runToEnd(startSession(config), compile(), config),
    (error) =>
      error instanceof UserError &&
      /expected a batch of at most 22 windows, found 23/.test(error.message),
  );
}, { only: ["cpu"] });

onEveryBackend("train() refuses a schedule that cannot be followed", async () => {
  const config = { ...CONFIG, schedule: { ...CONFIG.schedule, warmupSteps: 11 } };
  await assert.rejects(runToEnd(startSession(config), compile(), config), UserError);
}, { only: ["cpu"] });

onEveryBackend(
  "train() refuses windows without values to learn, or with some to ignore",
  async () => {
    const messageOf = async (config: TrainingConfig, data: TrainingData): Promise<string> => {
      try {
        await runToEnd(startSession(config), compile(config), config, data);
      } catch (error) {
        assert.ok(error instanceof UserError, String(error));
        return error.message;
      }
      assert.fail("expected an error");
    };
    const none = (name: string, what: string) =>
      `${name} windows: expected a number of every token for ${what}, found none; add estimates`;
    const some = (name: string, what: string) =>
      `${name} windows: expected no numbers of tokens, which ${what} does not look at, found ` +
      "some; leave them out";
    for (const name of ["train", "heldOut"] as const) {
      assert.equal(
        await messageOf(SECOND_ORDER, { ...VALUED_DATA, [name]: DATA[name] }),
        none(name, "a second-order model"),
      );
      assert.equal(
        await messageOf(CONFIG, { ...DATA, [name]: VALUED_DATA[name] }),
        some(name, "a causal model"),
      );
    }
    // A loss form compares in training alone.
    assert.equal(await messageOf(WITH_OBJECTIVE, DATA), none("train", "the loss form absolute"));
    assert.equal(
      await messageOf(WITH_OBJECTIVE, VALUED_DATA),
      some("heldOut", "the loss form absolute"),
    );
    const smoothing = { form: "label-smoothing", share: 0.1 } as const;
    assert.equal(
      await messageOf({ ...CONFIG, objective: smoothing }, COMPARED_DATA),
      some("train", "the loss form label-smoothing"),
    );
  },
  { only: ["cpu"] },
);

onEveryBackend("train() refuses loss options that the model cannot be trained with", async () => {
  const refused: [Partial<TrainingConfig>, RegExp][] = [
    [{ attentionDropout: 0.1 }, /^attention dropout: expected a causal/],
    [{ qat: WITH_NOISE.qat }, /^qat\.at embedding: expected an augmented decoder/],
  ];
  for (const [options, message] of refused) {
    const config = { ...CONFIG, ...options };
    const programs = { ...compile(), step: (() => assert.fail("trained")) as never };
    await assert.rejects(
      runToEnd(startSession(config), programs, config),
      (error) => error instanceof UserError && message.test(error.message),
    );
  }
}, { only: ["cpu"] });

/** What each step of a whole run is given. */
async function watchSteps(config: TrainingConfig, programs: Programs) {
  const ids: number[][] = [];
  const seeds: (number[] | undefined)[] = [];
  const noiseSeeds: (number[] | undefined)[] = [];
  const valuesOf = (seed: Tensor | undefined) => {
    assert.ok(seed === undefined || seed.dtype === "int32");
    return seed && [...seed.dataSync()];
  };
  const step = Object.assign(
    (...inputs: Parameters<Programs["step"]>) => {
      const { idsBN, dropoutSeed, noiseSeed } = inputs[3];
      ids.push([...idsBN.dataSync()]);
      seeds.push(valuesOf(dropoutSeed));
      noiseSeeds.push(valuesOf(noiseSeed));
      return programs.step(...inputs);
    },
    { dispose() {} },
  );
  await runToEnd(startSession(config), { ...programs, step }, config);
  return { ids, seeds, noiseSeeds };
}

onEveryBackend("train() gives dropout a seed of the run's own in every step", async () => {
  const compiled = compile(WITH_DROPOUT);
  const watch = (config: TrainingConfig, programs = compiled) => watchSteps(config, programs);
  const first = await watch(WITH_DROPOUT);
  const key = first.seeds[0]![0];
  assert.deepEqual(first.seeds, Array.from({ length: 11 }, (_, step) => [key, step]));
  assert.deepEqual((await watch(WITH_DROPOUT)).seeds, first.seeds);
  const other = await watch({ ...WITH_DROPOUT, seed: 10 });
  assert.notEqual(other.seeds[0]![0], key);

  // Neither the start nor the order of the windows hangs on it.
  const { attentionDropout: _, ...plain } = WITH_DROPOUT;
  const without = await watch(plain, compile(plain));
  assert.deepEqual(without.seeds, new Array(11).fill(undefined));
  assert.deepEqual(without.ids, first.ids);
  assert.deepEqual(
    valuesOf(startSession(plain).state.params),
    valuesOf(startSession(WITH_DROPOUT).state.params),
  );
}, { only: ["tensorflow graph"] });

onEveryBackend("train() with dropout repeats, and differs from training without", async () => {
  const lossesOf = async (config: TrainingConfig) => {
    const records = await runToEnd(startSession(config), compile(config), config);
    return records.flatMap((record) => "lossNats" in record ? [record.lossNats] : []);
  };
  const { attentionDropout: _, ...plain } = WITH_DROPOUT;
  const dropped = await lossesOf(WITH_DROPOUT);
  assert.deepEqual(await lossesOf(WITH_DROPOUT), dropped);
  const plainLosses = await lossesOf(plain);
  assert.deepEqual(await lossesOf({ ...WITH_DROPOUT, attentionDropout: 0 }), plainLosses);
  plainLosses.forEach((loss, at) => assert.notEqual(dropped[at], loss));
}, { only: ["tensorflow graph", "cpu"] });

onEveryBackend("train() gives noise a seed of the run's own in every step", async () => {
  const { qat: _, ...dropped } = WITH_NOISE_AND_DROPOUT;
  const compiled = compile(WITH_NOISE_AND_DROPOUT);
  const first = await watchSteps(WITH_NOISE_AND_DROPOUT, compiled);
  const key = first.noiseSeeds[0]![0]!;
  assert.deepEqual(first.noiseSeeds, Array.from({ length: 11 }, (_, step) => [key, step]));
  assert.deepEqual(
    (await watchSteps(WITH_NOISE_AND_DROPOUT, compiled)).noiseSeeds,
    first.noiseSeeds,
  );
  const other = await watchSteps({ ...WITH_NOISE_AND_DROPOUT, seed: 10 }, compiled);
  assert.notEqual(other.noiseSeeds[0]![0], key);
  // Modules and layers count on from the keys.
  assert.ok(Math.abs(key - first.seeds[0]![0]!) > 1000, "noise and dropout share no numbers");

  // The start, the order of the windows and dropout are as they are without it.
  const without = await watchSteps(dropped, compile(dropped));
  assert.deepEqual(without.noiseSeeds, new Array(11).fill(undefined));
  assert.deepEqual(without.ids, first.ids);
  assert.deepEqual(without.seeds, first.seeds);
  assert.deepEqual(
    valuesOf(startSession(dropped).state.params),
    valuesOf(startSession(WITH_NOISE_AND_DROPOUT).state.params),
  );
  const rounding = await watchSteps(WITH_ROUNDING, compile(WITH_ROUNDING));
  assert.deepEqual(rounding.noiseSeeds, new Array(11).fill(undefined), "rounding draws nothing");
}, { only: ["tensorflow graph"] });

type Qat = NonNullable<TrainingConfig["qat"]>;

/** Noise that leaves hardly a trace, and noise that does. */
function noiseAt(at: NoiseInjection["at"], options: Partial<NoiseInjection> = {}): [Qat, Qat] {
  const noise = (width: number): Qat => ({ method: "noise", at, width, ...options });
  return [noise(1e-6), noise(2)];
}

const int = (bits: number): Qat => ({
  ...WITH_ROUNDING.qat,
  quantization: { format: `int${bits}` },
});

/** A model's training for quantization, slight and strong. */
const STRENGTHS: Readonly<Record<string, [TrainingConfig, [slight: Qat, strong: Qat]]>> = {
  "noise on the embedding": [WITH_NOISE, noiseAt("embedding")],
  "relative noise": [WITH_NOISE, noiseAt("embedding", { relative: true })],
  "noise on the residual": [WITH_NOISE, noiseAt("residual")],
  "noise on all weights": [WITH_NOISE, noiseAt("weights")],
  "noise on outputs, with dropout": [WITH_NOISE_AND_DROPOUT, noiseAt("outputs")],
  "rounded weights": [WITH_ROUNDING, [int(16), int(3)]],
};

for (const [name, [{ qat: _, ...plain }, strengths]] of Object.entries(STRENGTHS)) {
  onEveryBackend(`train() with ${name} is plain training where it is slight`, async () => {
    const lossesOf = async (config: TrainingConfig) => {
      const records = await runToEnd(startSession(config), compile(config), config);
      return records.flatMap((record) => "lossNats" in record ? [record.lossNats] : []);
    };
    const [slight, strong] = strengths;
    const expected = await lossesOf(plain);
    const found = await lossesOf({ ...plain, qat: slight });
    assertClose(found, expected, 1e-4, "losses");
    assert.notDeepEqual(found, expected);
    const others = await lossesOf({ ...plain, qat: strong });
    const largest = Math.max(...others.map((loss, i) => Math.abs(loss - expected[i]!)));
    assert.ok(largest > 1e-3, `differs by ${largest} only`);
  }, { only: ["wasm"] });
}

const SEEN: Readonly<Record<string, readonly [TrainingConfig, TrainingData]>> = {
  "without options": [CONFIG, DATA],
  "with dropout": [WITH_DROPOUT, DATA],
  "with a loss form and penalties": [WITH_OBJECTIVE, COMPARED_DATA],
  "with noise": [WITH_NOISE, DATA],
  "with noise and dropout": [WITH_NOISE_AND_DROPOUT, DATA],
  "with rounded weights": [WITH_ROUNDING, DATA],
  "of a model that learns numbers": [SECOND_ORDER, VALUED_DATA],
};

for (const [name, [options, data]] of Object.entries(SEEN)) {
  const config = { ...options, evaluateTrain: true };
  onEveryBackend(
    `train() evaluates all training windows plainly, if told to, ${name}`,
    async () => {
      const learnsValues = config.model.kind === "second-order";
      const programs = compile(config);
      const evaluator = Object.assign(
        (...inputs: Parameters<LossEvaluator>) => {
          assert.equal(inputs[1].valuesBN !== undefined, learnsValues, "values are looked at");
          return programs.evaluator(...inputs);
        },
        { dispose() {} },
      );
      // The same model's plain loss, whatever it is trained with.
      const plain = compile({ model: config.model, optimizer: config.optimizer }).evaluator;
      const seen = learnsValues ? data.train : DATA.train;
      const session = startSession(config);
      const found: number[] = [];
      for await (const record of train(config, data, session, { ...programs, evaluator })) {
        if (record.type !== "evaluation") continue;
        const params = joinModel(session.state.params, {});
        const heldOut = await evaluate(plain, params, data.heldOut, BATCH);
        const train = await evaluate(plain, params, seen, BATCH);
        assert.deepEqual(record, {
          type: "evaluation",
          step: session.step,
          tokens: session.step * BATCH * LENGTH,
          lossNats: heldOut.lossNats,
          scoredTokens: 8 * (LENGTH - 1),
          trainLossNats: train.lossNats,
        });
        assert.notEqual(record.trainLossNats, record.lossNats);
        found.push(session.step);
      }
      assert.deepEqual(found, [4, 8, 11]);
    },
    { only: ["tensorflow graph"] },
  );
}

onEveryBackend("train() evaluates held-out windows alone unless told otherwise", async () => {
  for await (const record of train(CONFIG, DATA, startSession(CONFIG), compile())) {
    if (record.type !== "evaluation") continue;
    assert.deepEqual(
      Object.keys(record),
      ["type", "step", "tokens", "lossNats", "scoredTokens"],
    );
  }
}, { only: ["tensorflow graph"] });

onEveryBackend("train() takes no loss form near 0 or below it for diverging", async () => {
  const valued = (value: number): TrainingData => ({
    ...DATA,
    train: { ...DATA.train, values: new Float32Array(DATA.train.ids.length).fill(value) },
  });
  const endOf = async (config: TrainingConfig, data: TrainingData, programs: Programs) =>
    (await runToEnd(startSession(config), programs, { ...config, logEvery: 1 }, data)).at(-1)!;
  const guess = Math.log(13); // nats, of the vocabulary's tokens
  for (
    const [objective, value] of [
      [{ form: "signed" }, 4],
      [{ form: "excess-weight" }, 4],
      [{ form: "absolute", scale: 2.5 }, guess],
      [{ form: "below", threshold: 1 }, 2],
    ] as const
  ) {
    const config: TrainingConfig = { ...CONFIG, objective };
    const programs = compile(config);
    const end = await endOf(config, valued(value), programs);
    assert.deepEqual([end.step, "reason" in end && end.reason], [11, "finished"], objective.form);
  }
  // It may grow by twice a guess's nats, and no further.
  const config: TrainingConfig = { ...CONFIG, objective: { form: "signed" } };
  const programs = compile(config);
  const session = startSession(config);
  await runToEnd(session, programs, config, valued(4));
  const first = session.firstLossNats!;
  assert.ok(first < -1, `${first}`);
  for (const [growth, reason] of [[1.99, "finished"], [2.01, "diverged"]] as const) {
    const grown = failingStep(programs, 3, { loss: first + growth * guess });
    const end = await endOf(config, valued(4), grown);
    assert.equal("reason" in end && end.reason, reason);
  }
}, { only: ["tensorflow graph"] });

onEveryBackend("startSession() depends on the seed, and on nothing else", async () => {
  const bytes = await snapshot(startSession(CONFIG));
  assert.deepEqual(await snapshot(startSession({ ...CONFIG, batchSize: 5 })), bytes);
  assert.notDeepEqual(await snapshot(startSession({ ...CONFIG, seed: 10 })), bytes);
}, { only: ["cpu"] });

for (const [name, config] of Object.entries(WITH_ENCODER)) {
  onEveryBackend(`startSession() puts a frozen encoder in the place of the ${name}'s own`, () => {
    const encoder = trainedEncoder();
    const values = valuesOf(encoder);
    const before = memory().numTensors;
    const session = startSession(config, encoder);
    assert.deepEqual(session.frozen, { encoder });
    const { params, firstMoment, secondMoment } = session.state;
    // All else starts as it does with an encoder that is trained.
    const whole = valuesOf(startSession(config).state.params);
    const rest = [...whole].filter(([leaf]) => !leaf.startsWith("encoder."));
    assert.ok(rest.length < whole.size);
    assert.deepEqual([...valuesOf(params)], rest);
    for (const moment of [firstMoment, secondMoment]) {
      assert.deepEqual([...valuesOf(moment).keys()], rest.map(([leaf]) => leaf));
    }
    disposeSession(startSession(config, encoder));
    assert.deepEqual(valuesOf(encoder), values, "it stays the caller's");
    assert.equal(memory().numTensors - before, 3 * rest.length + 3 * whole.size);
  }, { only: ["cpu"] });
}

onEveryBackend("startSession() refuses a frozen encoder for a model without one", () => {
  const encoder = trainedEncoder();
  const { model } = WITH_ENCODER.EEM!;
  assert.ok(model.kind === "augmented");
  const zeros = { kind: "augmented", memory: "zeros", decoder: model.decoder } as const;
  const before = memory().numTensors;
  for (const without of [CONFIG.model, zeros]) {
    assert.throws(
      () => startSession({ ...CONFIG, model: without }, encoder),
      (error) =>
        error instanceof UserError &&
        error.message === "a frozen encoder: expected a model with an encoder, found none",
    );
  }
  assert.equal(memory().numTensors, before);
}, { only: ["cpu"] });

onEveryBackend("evaluate() is the mean over scored tokens, whatever the batch size", async () => {
  const heldOut = windows("padded", 7, true);
  const params = initModel(CONFIG.model, createRandom(1));
  const results: Evaluation[] = [];
  for (const size of [1, 2, 3, 7]) {
    results.push(await evaluate(compile(CONFIG, 1).evaluator, params, heldOut, size));
  }
  const counts = Array.from({ length: 7 }, (_, row) => {
    const targets = heldOut.ids.subarray(row * LENGTH + 1, (row + 1) * LENGTH);
    return targets.filter((id) => id !== 1).length;
  });
  const total = counts.reduce((sum, count) => sum + count, 0);
  for (const { lossNats, scoredTokens, windowLossNats } of results) {
    assert.equal(scoredTokens, total);
    assert.equal(windowLossNats.length, 7);
    assert.ok(Math.abs(lossNats - results[0]!.lossNats) < 1e-6);
    const weighted = windowLossNats.reduce((sum, loss, row) => sum + loss * counts[row]!, 0);
    assert.ok(Math.abs(weighted / total - lossNats) < 1e-9, "windows weigh by their tokens");
  }
}, { only: ["tensorflow graph", "cpu"] });

Deno.test("evaluate() puts every window's loss in its place", async () => {
  const heldOut = windows("held out", 5);
  /** A model whose loss on every target of a window is the window's first id. */
  const evaluator = ((_params: unknown, { idsBN }: { idsBN: { dataSync(): Int32Array } }) => {
    const ids = idsBN.dataSync();
    const rows = ids.length / LENGTH;
    const losses = Float32Array.from(
      { length: (LENGTH - 1) * rows },
      (_, i) => ids[(i % rows) * LENGTH]!,
    );
    const leaf = (data: Float32Array) => ({ data: () => Promise.resolve(data), dispose() {} });
    return { lossTB: leaf(losses), scoredTB: leaf(losses.map(() => 1)) };
  }) as unknown as LossEvaluator;
  const params = initModel(CONFIG.model, createRandom(1));
  const { windowLossNats } = await evaluate(evaluator, params, heldOut, 2);
  const firstIds = Array.from({ length: 5 }, (_, row) => heldOut.ids[row * LENGTH]!);
  assert.deepEqual([...windowLossNats], firstIds);
});

/** Which of a configuration's functions are handed to XLA, found out without compiling any. */
function handedToXla(
  model: ModelConfig,
  steps: number,
): Readonly<{ step: boolean; evaluator: boolean }> {
  const config = { ...CONFIG, model, schedule: { ...CONFIG.schedule, steps } };
  const { step, evaluator, dispose } = compilePrograms(config, { padId: null });
  const { binding } = activeTensorFlow()!;
  const { callFunction } = binding;
  const handed: boolean[] = [];
  binding.callFunction = (_traced, _inputs, compile) => {
    handed.push(compile);
    throw new Error("not run");
  };
  try {
    const { state, frozen } = startSession(config);
    const batch = { idsBN: zeros([BATCH, LENGTH], "int32") };
    assert.throws(() => step(state, frozen, stepScalars(0.1, 0, config.optimizer), batch));
    assert.throws(() => evaluator(joinModel(state.params, frozen), batch));
  } finally {
    binding.callFunction = callFunction;
    dispose();
  }
  assert.equal(handed.length, 2);
  return { step: handed[0]!, evaluator: handed[1]! };
}

onTensorFlow(
  "compilePrograms() hands to XLA the training steps of long runs, but for LSTMs",
  () => {
    const { model } = CONFIG;
    const eem = WITH_ENCODER.EEM!.model;
    assert.ok(model.kind === "causal" && eem.kind === "augmented" && eem.memory === "embedding");
    const lstm = { ...eem.encoder, architecture: "lstm" } as BackboneConfig;
    for (const other of [model, eem, WITH_ENCODER.autoencoder!.model]) {
      assert.deepEqual(handedToXla(other, 200), { step: true, evaluator: false });
      assert.deepEqual(handedToXla(other, 199), { step: false, evaluator: false });
    }
    for (const recurrent of [{ ...model, backbone: lstm }, { ...eem, encoder: lstm }]) {
      assert.deepEqual(handedToXla(recurrent, 100_000), { step: false, evaluator: false });
    }
  },
);

Deno.test("stepCompiler() leaves products in bfloat16 to TensorFlow's own kernels", () => {
  assert.equal(stepCompiler(CONFIG.model, 100_000, "float32"), "xla");
  assert.equal(stepCompiler(CONFIG.model, 100_000, "bfloat16"), "graph");
});

Deno.test("stepCompiler() leaves wide models to TensorFlow's own kernels on processors", () => {
  assert.ok(CONFIG.model.kind === "causal");
  const { backbone } = CONFIG.model;
  const compilers = [255, 256, 383, 384].map((width) =>
    stepCompiler({ kind: "causal", backbone: { ...backbone, width } }, 100_000, "float32")
  );
  const from256 = !runsOnGpu() && hasAvx512() ? "graph" : "xla";
  assert.deepEqual(compilers, ["xla", from256, from256, runsOnGpu() ? "xla" : "graph"]);
});

/** Sequences of 4 bits, of which all that can be learned is learned in a second. */
const SOURCE = { latentBits: 4, blockCount: 2, blockLength: 3 };
const SEQUENCE_LENGTH = latentLength(SOURCE);
const SEQUENCES: TrainingData = {
  train: latentSequences(SOURCE, 512, createRandom(1).stream("train")),
  heldOut: latentSequences(SOURCE, 64, createRandom(1).stream("held out")),
  padId: null,
};
/** Nats a scored token that a model must pay which is told nothing. */
const ENTROPY = SOURCE.latentBits * Math.LN2 / (SEQUENCE_LENGTH - 1);

const sizes = {
  vocabSize: latentVocabSize(SOURCE),
  contextLength: SEQUENCE_LENGTH,
  width: 16,
  layerCount: 1,
};
const mixer: BackboneConfig = { architecture: "mixer", ...sizes };
const transformer: BackboneConfig = { architecture: "transformer", headCount: 2, ...sizes };
const lstm: BackboneConfig = { architecture: "lstm", ...sizes };

function eem(encoder: BackboneConfig, decoder: BackboneConfig): ModelConfig {
  const slots = { ...decoder, contextLength: SEQUENCE_LENGTH + 1 };
  return { kind: "augmented", memory: "embedding", encoder, decoder: slots, embeddingSize: 4 };
}

const unrolled = { kind: "autoencoder", expansion: "unroll" } as const;

/** Models and the part of the entropy that they pay: at least, at most. */
const LEARNERS: Readonly<Record<string, readonly [ModelConfig, least: number, most: number]>> = {
  "mixer CLM": [{ kind: "causal", backbone: mixer }, 0.99, 1.1],
  "LSTM CLM": [{ kind: "causal", backbone: lstm }, 0.99, 1.4],
  "LSTM EEM": [eem(lstm, lstm), 0, 0.9],
  "EEM of a transformer and a mixer": [eem(transformer, mixer), 0, 0.9],
  "mixer autoencoder": [{ ...unrolled, encoder: mixer, decoder: mixer }, 0, 0.1],
  "transformer autoencoder": [{ ...unrolled, encoder: transformer, decoder: transformer }, 0, 0.1],
  "LSTM autoencoder": [{ ...unrolled, expansion: "repeat", encoder: lstm, decoder: lstm }, 0, 0.8],
};

for (const [name, [model, least, most]] of Object.entries(LEARNERS)) {
  onEveryBackend(
    `train() reaches the known entropy, and gets below when told: ${name}`,
    async () => {
      const schedule = { peakRate: 0.05, warmupSteps: 1, steps: 120 };
      const config = { ...CONFIG, model, schedule, batchSize: 16, evaluateEvery: 120 };
      const records = await runToEnd(startSession(config), compile(config), config, SEQUENCES);
      const { lossNats } = records.findLast((record) => record.type === "evaluation")!;
      const share = lossNats / ENTROPY;
      assert.ok(share > least && share < most, `${share} of the entropy, ${lossNats} nats`);
    },
    { only: ["tensorflow graph"] },
  );
}

/** Values that follow from their token, but for noise of uniform distribution. */
function noisyValues(
  windows: Windows,
  levels: Float32Array,
): { values: Float32Array; noise: Float32Array } {
  const noise = createRandom(windows.count).stream("noise").uniforms(windows.ids.length, -0.5, 0.5);
  return { values: noise.map((one, at) => levels[windows.ids[at]!]! + one), noise };
}

/** The mean of what a number of every scored token, of `windows`, comes to. */
function meanOfScored(windows: Windows, of: (at: number) => number): number {
  const places = [...windows.ids.keys()].filter((at) => at % LENGTH !== 0);
  return places.reduce((sum, at) => sum + of(at), 0) / places.length;
}

for (const shift of [false, true]) {
  onEveryBackend(
    `train() on values leaves ${shift ? "what the token decides, and " : ""}their noise alone`,
    async () => {
      const levels = createRandom(4).normals(13, 2, 1);
      const [trained, heldOut] = [windows("values", 1024), windows("held-out values", 256)];
      const { values, noise } = noisyValues(heldOut, levels);
      const data: TrainingData = {
        train: { ...trained, values: noisyValues(trained, levels).values },
        heldOut: { ...heldOut, values },
        padId: null,
      };
      const config: TrainingConfig = {
        ...CONFIG,
        model: {
          kind: "second-order",
          backbone: { ...mixer, vocabSize: 13, contextLength: LENGTH },
          shift,
        },
        schedule: { peakRate: 0.02, warmupSteps: 5, steps: 150 },
        batchSize: 32,
        evaluateEvery: 150,
      };
      const records = await runToEnd(startSession(config), compile(config), config, data);
      const { lossNats } = records.findLast((record) => record.type === "evaluation")!;
      // Tokens 2 … 12 are equally likely, whatever comes before them.
      const expected = levels.slice(2).reduce((sum, level) => sum + level, 0) / 11;
      const floor = shift
        ? meanOfScored(heldOut, (at) => (values[at]! - expected) ** 2)
        : meanOfScored(heldOut, (at) => noise[at]! ** 2);
      assert.ok(lossNats > 0.97 * floor && lossNats < 1.1 * floor, `${lossNats}, not ${floor}`);
    },
    { only: ["tensorflow graph"] },
  );
}
