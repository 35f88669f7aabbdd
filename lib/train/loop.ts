/** The training loop: an async generator of records over a session that its caller can save. */

import {
  type Compiler,
  disposeTree,
  hasAvx512,
  type MatmulPrecision,
  runningMatmulPrecision,
  runsOnGpu,
  tensor,
  type Workers,
} from "../engine/mod.ts";
import {
  type Backbone,
  type BatchOptions,
  initModel,
  isRecurrent,
  type ModelConfig,
  needsValues,
  stacksOf,
} from "../models/mod.ts";
import { UserError } from "../errors.ts";
import { needsNoise } from "../qat/mod.ts";
import { createRandom } from "../random.ts";
import {
  BatchIterator,
  type BatchPosition,
  isStored,
  type StoredWindows,
  type Windows,
} from "../text/mod.ts";
import { type AdamWConfig, initTrainState, stepScalars, type TrainState } from "./adamw.ts";
import { batchTensors } from "./batch.ts";
import { checkDataParallel, compileDataParallel, type DataParallel } from "./data_parallel.ts";
import { compileEvaluator, evaluate, type LossEvaluator } from "./evaluate.ts";
import { checkSchedule, learningRate, type Schedule } from "./schedule.ts";
import {
  checkLossOptions,
  compileTrainStep,
  type Frozen,
  joinModel,
  type LossOptions,
  needsTokenValues,
  type StepBatch,
  type Trainable,
  type TrainStep,
} from "./step.ts";

/** Everything that decides a run's numbers, apart from the data. */
export type TrainingConfig =
  & LossOptions
  & Readonly<{
    model: ModelConfig;
    optimizer: AdamWConfig;
    schedule: Schedule;
    batchSize: number;
    /** Decides initialization, data order, dropout and noise, each by a stream of its own. */
    seed: number;
    /** Steps between train records. */
    logEvery: number;
    /** Steps between evaluations; the last step is always evaluated. */
    evaluateEvery: number;
    /** Evaluations are of the training windows too: for the generalization gap (paper §5.2). */
    evaluateTrain?: boolean;
    /** Of the engine that trains, evaluations included; float32 by default. */
    matmulPrecision?: MatmulPrecision;
  }>;

/** What is trained on: windows in memory, or read batch by batch. */
export type TrainWindows = Windows | StoredWindows;

/**
 * Windows have `values` where the model learns them, those of training also where the loss form
 * compares with them, and no others; stored ones have none.
 */
export type TrainingData<Train extends TrainWindows = TrainWindows> = Readonly<{
  train: Train;
  heldOut: Windows;
  /** The pad id of left-padded windows, null for packed ones. */
  padId: number | null;
}>;

/**
 * `tokens` counts the positions trained on so far, pads included (paper §7). Losses of second-order
 * models are nats².
 */
export type TrainingRecord =
  | Readonly<{
    type: "train";
    step: number;
    tokens: number;
    /** What training descends on, mean over the steps since the last train record. */
    lossNats: number;
    gradientNorm: number;
    learningRate: number;
    tokensPerSecond: number;
  }>
  | Readonly<{
    type: "evaluation";
    step: number;
    tokens: number;
    lossNats: number;
    scoredTokens: number;
    /** The same loss over all training windows, if asked for. */
    trainLossNats?: number;
  }>
  | Readonly<{ type: "end"; step: number; tokens: number; reason: EndReason }>;

export type EndReason = "finished" | "stopped" | "diverged";

/** The compiled functions of a configuration; runs that differ by seed share them. */
export type Programs = Readonly<{
  step: TrainStep;
  evaluator: LossEvaluator;
  /** Takes the place of `step` where there are several workers. */
  parallel?: DataParallel;
  dispose: () => void;
}>;

/** Fewer steps than these do not earn back the seconds that XLA compiles for. */
const XLA_STEPS = 200;

/**
 * From this width on the products are most of a step, and TensorFlow's own are faster than XLA's
 * (data/bench/LOG.md).
 */
function graphWidth(): number {
  return hasAvx512() ? 256 : 384;
}

/**
 * XLA for the training step of all but short runs and, on processors, wide models; a rule and not a
 * measurement at the start, so that the same run has the same numbers again. LSTMs, whose steps
 * wait for each other, train several times faster on TensorFlow's own kernels too, which alone
 * have bfloat16 products.
 */
export function stepCompiler(
  model: ModelConfig,
  steps: number,
  precision: MatmulPrecision = runningMatmulPrecision(),
): Compiler {
  if (isRecurrent(model) || steps < XLA_STEPS || precision === "bfloat16") return "graph";
  const width = Math.max(...stacksOf(model).map((stack) => stack.width));
  return width >= graphWidth() && !runsOnGpu() ? "graph" : "xla";
}

/** @throws UserError when the engine's products are not in the configuration's precision. */
export function checkMatmulPrecision(
  { matmulPrecision = "float32" }: Pick<TrainingConfig, "matmulPrecision">,
): void {
  const running = runningMatmulPrecision();
  if (running === matmulPrecision) return;
  throw new UserError(
    `matrix products: expected an engine that has them in ${matmulPrecision}, found ${running}; ` +
      `start it with initEngine({ matmulPrecision: "${matmulPrecision}" })`,
  );
}

/** Compiles lazily: the training step by {@linkcode stepCompiler}, the evaluation as a graph. */
export function compilePrograms(
  { model, optimizer, schedule, ...lossOptions }:
    & Pick<TrainingConfig, "model" | "optimizer" | "schedule">
    & LossOptions,
  options: BatchOptions,
  workers?: Workers,
): Programs {
  const compiler = stepCompiler(model, schedule.steps);
  const step = compileTrainStep(model, options, optimizer, compiler, lossOptions);
  const evaluator = compileEvaluator(model, options, "graph");
  const parallel = workers &&
    compileDataParallel(model, options, optimizer, compiler, lossOptions, workers);
  return {
    step,
    evaluator,
    ...(parallel && { parallel }),
    dispose: () => {
      step.dispose();
      evaluator.dispose();
      parallel?.dispose();
    },
  };
}

/** Where a run stands: what a checkpoint holds. The loop advances it in place. */
export type Session = {
  state: TrainState<Trainable>;
  /** Belongs to the caller of {@linkcode startSession} and is not part of checkpoints. */
  frozen: Frozen;
  /** Updates made so far. */
  step: number;
  position: BatchPosition;
  /** Sum of the losses since the last train record, and their number. */
  pendingNats: number;
  pendingSteps: number;
  /** The current step is still to be evaluated. */
  evaluationDue: boolean;
  /** The loss of the first update, against which divergence is judged. */
  firstLossNats: number | null;
};

/**
 * @param frozenEncoder Takes the place of the model's encoder and is not trained; the caller frees
 *   it after the session.
 */
export function startSession(config: TrainingConfig, frozenEncoder?: Backbone): Session {
  const model = initModel(config.model, createRandom(config.seed).stream("initialization"));
  let params: Trainable = model;
  if (frozenEncoder !== undefined) {
    if (!("encoder" in model)) {
      disposeTree(model);
      throw new UserError("a frozen encoder: expected a model with an encoder, found none");
    }
    const { encoder, ...rest } = model;
    disposeTree(encoder);
    params = rest;
  }
  return {
    state: initTrainState(params),
    frozen: frozenEncoder === undefined ? {} : { encoder: frozenEncoder },
    step: 0,
    position: { epoch: 0, index: 0 },
    pendingNats: 0,
    pendingSteps: 0,
    evaluationDue: false,
    firstLossNats: null,
  };
}

export function disposeSession(session: Session): void {
  disposeTree(session.state);
}

/** A run whose mean loss exceeds this multiple of its first loss has diverged. */
const DIVERGENCE_FACTOR = 3;

/** Loss forms may begin near 0 or below it: they may grow by as much as a guess costs. */
function divergenceLimit({ model, objective }: TrainingConfig, firstLossNats: number): number {
  const start = objective === undefined
    ? firstLossNats
    : Math.max(firstLossNats, Math.log(stacksOf(model)[0]!.vocabSize));
  return firstLossNats + (DIVERGENCE_FACTOR - 1) * start;
}

/** Longest time without giving timers and signals a turn, in ms. */
const TURN_MS = 50;

/**
 * Trains from where `session` stands to the end of the schedule and yields what happens. Whenever
 * it has yielded, `session` is a consistent state to save. Aborting `signal` ends the run at the
 * next step boundary (of several workers, once they have compared their parameters, a step or two
 * later); a loss that is not finite, or has grown to a multiple of the first, ends it before the
 * update that would spoil the parameters is adopted.
 *
 * The same configuration, data, backend (device, threads and TensorFlow's kernels included) and
 * number of workers give the same records bit by bit, interrupted and resumed or not, but for
 * `tokensPerSecond`.
 *
 * @throws UserError when the schedule or the batch size does not fit, and when windows have no
 *   values that the model is to learn, or have some that it would not look at.
 */
export async function* train(
  config: TrainingConfig,
  data: TrainingData,
  session: Session,
  programs: Programs,
  { signal }: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<TrainingRecord, void, void> {
  const { schedule, batchSize, optimizer } = config;
  const { parallel } = programs;
  checkSchedule(schedule);
  checkLossOptions(config.model, config);
  if (parallel !== undefined) checkDataParallel(config, parallel.part.count);
  checkValues(config, data);
  const { contextLength } = data.train;
  const tokensPerStep = batchSize * contextLength;
  const batchesFromHere = () =>
    new BatchIterator(data.train, {
      batchSize,
      seed: createRandom(config.seed).stream("data order").bits(),
      position: session.position,
      ...(parallel && { part: parallel.part }),
    });
  let batches = batchesFromHere();
  const evaluateAll = parallel?.evaluate ?? evaluate;
  // Evaluation is plain: it does not look at what a loss form compares with.
  const seenWindows = needsValues(config.model) ? data.train : withoutValues(data.train);
  const dropoutKey = createRandom(config.seed).stream("dropout").bits();
  const noiseKey = createRandom(config.seed).stream("noise").bits();
  const at = () => ({ step: session.step, tokens: session.step * tokensPerStep });
  let lastTurn = performance.now();
  let intervalStart = performance.now();
  let intervalSteps = 0;
  // Several workers stop together, behind a step in which one of them wished to.
  let isStopping = false;
  let isRepeated = false;
  while (true) {
    if (session.evaluationDue) {
      const model = joinModel(session.state.params, session.frozen);
      const result = await evaluateAll(programs.evaluator, model, data.heldOut, batchSize);
      const { lossNats, scoredTokens } = result;
      const seen = config.evaluateTrain
        ? await evaluateAll(programs.evaluator, model, seenWindows, batchSize)
        : null;
      session.evaluationDue = false;
      const trainLoss = seen === null ? {} : { trainLossNats: seen.lossNats };
      yield { type: "evaluation", ...at(), lossNats, scoredTokens, ...trainLoss };
      intervalStart = performance.now();
      intervalSteps = 0;
    }
    if (session.step === schedule.steps) {
      yield { type: "end", ...at(), reason: "finished" };
      return;
    }
    if (performance.now() - lastTurn > TURN_MS) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      lastTurn = performance.now();
    }
    if (parallel === undefined ? signal?.aborted : isStopping) {
      yield { type: "end", ...at(), reason: "stopped" };
      return;
    }

    const rate = learningRate(schedule, session.step);
    const scalars = stepScalars(rate, session.step, optimizer);
    const batch: StepBatch = {
      ...batchTensors(batches.next(), contextLength),
      ...(config.attentionDropout !== undefined &&
        { dropoutSeed: tensor([dropoutKey | 0, session.step], [2], "int32") }),
      ...(needsNoise(config.qat) &&
        { noiseSeed: tensor([noiseKey | 0, session.step], [2], "int32") }),
    };
    const { state, frozen, step } = session;
    const isLast = step + 1 === schedule.steps;
    const isEvaluated = isLast || (step + 1) % config.evaluateEvery === 0;
    const isLogged = isLast || (step + 1) % config.logEvery === 0;
    const maySave = isEvaluated || isLogged;
    const result = parallel === undefined
      ? programs.step(state, frozen, scalars, batch)
      : await parallel.step(state, frozen, scalars, batch, {
        step,
        stop: !!signal?.aborted,
        compare: isRepeated ? "before" : maySave ? "after" : null,
      });
    isStopping = "stop" in result && result.stop;
    const lossNats = (await result.loss.data())[0]!;
    const gradientNorm = (await result.gradientNorm.data())[0]!;
    disposeTree([scalars, batch, result.loss, result.gradientNorm]);

    session.firstLossNats ??= lossNats;
    const limit = divergenceLimit(config, session.firstLossNats);
    if (!Number.isFinite(lossNats) || !Number.isFinite(gradientNorm) || lossNats > limit) {
      disposeTree(result.state);
      if (parallel !== undefined && !isRepeated) {
        // The state before is about to be saved: all workers must have the same.
        isRepeated = true;
        batches = batchesFromHere();
        continue;
      }
      yield { type: "end", ...at(), reason: "diverged" };
      return;
    }
    disposeTree(session.state);
    session.state = result.state;
    isRepeated = false;
    session.step++;
    session.position = batches.position;
    session.pendingNats += lossNats;
    session.pendingSteps++;
    intervalSteps++;

    session.evaluationDue = isEvaluated;
    if (isLogged) {
      const meanNats = session.pendingNats / session.pendingSteps;
      session.pendingNats = 0;
      session.pendingSteps = 0;
      const seconds = (performance.now() - intervalStart) / 1000;
      const tokensPerSecond = intervalSteps * tokensPerStep / seconds;
      intervalStart = performance.now();
      intervalSteps = 0;
      yield {
        type: "train",
        ...at(),
        lossNats: meanNats,
        gradientNorm,
        learningRate: rate,
        tokensPerSecond,
      };
    }
  }
}

function withoutValues(windows: TrainWindows): TrainWindows {
  if (isStored(windows)) return windows;
  const { values: _, ...plain } = windows;
  return plain;
}

function checkValues(config: TrainingConfig, { train, heldOut }: TrainingData): void {
  const { model, objective } = config;
  const learns = needsValues(model);
  const what = learns || objective === undefined
    ? `a ${model.kind} model`
    : `the loss form ${objective.form}`;
  const check = (name: string, windows: TrainWindows, isWanted: boolean) => {
    const hasValues = !isStored(windows) && windows.values !== undefined;
    if (hasValues === isWanted) return;
    throw new UserError(
      `${name} windows: ` +
        (isWanted
          ? `expected a number of every token for ${what}, found none; add estimates`
          : `expected no numbers of tokens, which ${what} does not look at, found some; ` +
            "leave them out"),
    );
  };
  check("train", train, needsTokenValues(model, config));
  check("heldOut", heldOut, learns);
}
