import assert from "node:assert/strict";
import { memory, namedLeaves } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { createRandom } from "../../lib/random.ts";
import type { Windows } from "../../lib/text/mod.ts";
import {
  ADAMW_DEFAULTS,
  compileEvaluator,
  compileTrainStep,
  disposeSession,
  evaluate,
  type Evaluation,
  formatCheckpoint,
  learningRate,
  type LossEvaluator,
  parseCheckpoint,
  type Programs,
  type Session,
  startSession,
  train,
  type TrainingConfig,
  type TrainingData,
  type TrainingRecord,
} from "../../lib/train/mod.ts";
import { formatSafetensors, parseSafetensors } from "../../lib/train/safetensors.ts";
import { onEveryBackend } from "../_backends.ts";

const LENGTH = 6;
const VOCABULARY = 13;
const BATCH = 3;

const CONFIG: TrainingConfig = {
  model: {
    kind: "causal",
    backbone: {
      architecture: "mixer",
      vocabSize: VOCABULARY,
      contextLength: LENGTH,
      width: 8,
      layerCount: 1,
    },
  },
  optimizer: ADAMW_DEFAULTS,
  schedule: { peakRate: 0.01, warmupSteps: 2, steps: 11 },
  batchSize: BATCH,
  seed: 9,
  logEvery: 3,
  evaluateEvery: 4,
};

function windows(name: string, count: number, padded = false): Windows {
  const random = createRandom(2).stream(name);
  const ids = Int32Array.from({ length: count * LENGTH }, () => 2 + random.bits() % 11);
  const realTokens = new Int32Array(count).fill(LENGTH);
  for (let row = 0; padded && row < count; row++) {
    const pads = row % (LENGTH - 1);
    ids.fill(1, row * LENGTH, row * LENGTH + pads);
    realTokens[row]! -= pads;
  }
  const layout = padded ? "padded" : "packed";
  return { contextLength: LENGTH, count, ids, realTokens, byteCounts: realTokens, layout };
}

/** Seven batches an epoch, so that eleven steps go into the second one. */
const DATA: TrainingData = {
  train: windows("train", 7 * BATCH + 1),
  heldOut: windows("held out", 8),
  padId: null,
};

/** The real compiled functions, TensorFlow's kernels: XLA would only cost seconds here. */
function compile(padId: number | null = null): Programs {
  const step = compileTrainStep(CONFIG.model, { padId }, CONFIG.optimizer, "graph");
  const evaluator = compileEvaluator(CONFIG.model, { padId }, "graph");
  return {
    step,
    evaluator,
    dispose: () => {
      step.dispose();
      evaluator.dispose();
    },
  };
}

const BACKENDS = { only: ["tensorflow graph", "wasm"] };

function timeless(record: TrainingRecord): unknown {
  return { ...record, tokensPerSecond: undefined };
}

async function runToEnd(
  session: Session,
  programs: Programs,
  config = CONFIG,
): Promise<TrainingRecord[]> {
  const records: TrainingRecord[] = [];
  for await (const record of train(config, DATA, session, programs)) records.push(record);
  return records;
}

/** The bytes of everything in a session. */
async function snapshot(session: Session): Promise<Uint8Array<ArrayBuffer>> {
  return await formatCheckpoint(session);
}

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

onEveryBackend("train() evaluates the parameters that the session holds", async () => {
  const programs = compile();
  const session = startSession(CONFIG);
  for await (const record of train(CONFIG, DATA, session, programs)) {
    if (record.type !== "evaluation") continue;
    const { params } = session.state;
    const again = await evaluate(programs.evaluator, params, DATA.heldOut, BATCH);
    assert.equal(again.lossNats, record.lossNats);
    assert.equal(record.scoredTokens, 8 * (LENGTH - 1));
  }
}, BACKENDS);

onEveryBackend("train() goes on from a checkpoint taken at any record, bit by bit", async () => {
  const programs = compile();
  const session = startSession(CONFIG);
  const records: TrainingRecord[] = [];
  const checkpoints: Uint8Array[] = [];
  for await (const record of train(CONFIG, DATA, session, programs)) {
    records.push(record);
    checkpoints.push(await snapshot(session));
  }
  checkpoints.forEach((bytes, index) => assert.ok(bytes.length > 0, `checkpoint ${index}`));
  for (const [index, bytes] of checkpoints.slice(0, -1).entries()) {
    const resumed = parseCheckpoint(bytes, CONFIG, "checkpoint");
    assert.deepEqual(await snapshot(resumed), bytes, "a checkpoint holds all of a session");
    const rest = await runToEnd(resumed, programs);
    assert.deepEqual(rest.map(timeless), records.slice(index + 1).map(timeless));
    assert.deepEqual(await snapshot(resumed), checkpoints.at(-1));
    disposeSession(resumed);
  }
}, BACKENDS);

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

onEveryBackend("train() keeps the number of tensors flat", async () => {
  const programs = compile();
  await runToEnd(startSession(CONFIG), programs);
  const before = memory().numTensors;
  const session = startSession(CONFIG);
  const held = memory().numTensors;
  for await (const _ of train(CONFIG, DATA, session, programs)) {
    assert.equal(memory().numTensors, held);
  }
  disposeSession(session);
  assert.equal(memory().numTensors, before);
}, BACKENDS);

onEveryBackend("startSession() depends on the seed, and on nothing else", async () => {
  const bytes = await snapshot(startSession(CONFIG));
  assert.deepEqual(await snapshot(startSession({ ...CONFIG, batchSize: 5 })), bytes);
  assert.notDeepEqual(await snapshot(startSession({ ...CONFIG, seed: 10 })), bytes);
}, { only: ["cpu"] });

onEveryBackend("evaluate() is the mean over scored tokens, whatever the batch size", async () => {
  const heldOut = windows("padded", 7, true);
  const { params } = startSession(CONFIG).state;
  const results: Evaluation[] = [];
  for (const size of [1, 2, 3, 7]) {
    results.push(await evaluate(compile(1).evaluator, params, heldOut, size));
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
  const evaluator = ((_params: unknown, idsBN: { dataSync(): Int32Array }) => {
    const ids = idsBN.dataSync();
    const rows = ids.length / LENGTH;
    const losses = Float32Array.from(
      { length: (LENGTH - 1) * rows },
      (_, i) => ids[(i % rows) * LENGTH]!,
    );
    const leaf = (data: Float32Array) => ({ data: () => Promise.resolve(data), dispose() {} });
    return { lossTB: leaf(losses), scoredTB: leaf(losses.map(() => 1)) };
  }) as unknown as LossEvaluator;
  const { params } = startSession(CONFIG).state;
  const { windowLossNats } = await evaluate(evaluator, params, heldOut, 2);
  const firstIds = Array.from({ length: 5 }, (_, row) => heldOut.ids[row * LENGTH]!);
  assert.deepEqual([...windowLossNats], firstIds);
});

onEveryBackend("parseCheckpoint() names what does not fit", async () => {
  const session = startSession(CONFIG);
  const bytes = await snapshot(session);
  const { model } = CONFIG;
  assert.ok(model.kind === "causal");
  const wider = { ...model, backbone: { ...model.backbone, width: 10 } };
  assert.throws(
    () => parseCheckpoint(bytes, { ...CONFIG, model: wider }, "some/file"),
    (error) => error instanceof UserError && /some\/file: expected .* of shape/.test(error.message),
  );
  const { tensors, metadata } = parseSafetensors(bytes, "some/file");
  const damaged = formatSafetensors({ tensors, metadata: { ...metadata, progress: '{"step":' } });
  const { progress: _, ...withoutProgress } = metadata;
  const weights = formatSafetensors({ tensors, metadata: withoutProgress });
  const before = memory().numTensors;
  for (
    const [file, message] of [
      [damaged, "expected the progress of a run as JSON, found damaged text"],
      [weights, "expected a checkpoint, found weights without progress"],
    ] as const
  ) {
    assert.throws(
      () => parseCheckpoint(file, CONFIG, "some/file"),
      (error) => error instanceof UserError && error.message === `some/file: ${message}`,
    );
  }
  assert.equal(memory().numTensors, before);
  const names = namedLeaves(session.state).map(({ name }) => name);
  assert.ok(names.some((name) => name.startsWith("secondMoment")), "moments are part of it");
}, { only: ["cpu"] });
