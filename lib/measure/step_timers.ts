/** One step of training or of evaluation as a function of ids, as benchmarks call it, and its parts. */

import {
  type Compiler,
  disposeTree,
  jit,
  type Tensor,
  tensor,
  type Tree,
  valueAndGradient,
} from "../engine/mod.ts";
import { meanTokenLoss, type Model, type ModelConfig, sampleLength } from "../models/mod.ts";
import { needsNoise, type QuantizationAwareTraining } from "../qat/mod.ts";
import {
  ADAMW_DEFAULTS,
  batchTensors,
  compilePrograms,
  compileTrainStep,
  initTrainState,
  type StepBatch,
  stepScalars,
  type Trainable,
  type TrainState,
  windowLosses,
} from "../train/mod.ts";
import { millisecondsOf, takeTurns, type TurnTimes } from "./timing.ts";

/** So long a run that compiling for seconds pays, as in a training of any length. */
const SCHEDULE = { peakRate: 1, warmupSteps: 0, steps: 1e6 };

/** Int32 ids `[B · N]` without pads; gives the mean loss in nats once it is on the host. */
export type TimedStep = (ids: Int32Array<ArrayBuffer>) => Promise<number>;

export type TrainerOptions = Readonly<{
  learningRate: number;
  /** The one that training picks itself by default. */
  compiler?: Compiler | undefined;
  qat?: QuantizationAwareTraining | undefined;
}>;

/** Steps of training from `params`, which it takes over. */
export function timedTrainer(
  config: ModelConfig,
  params: Model,
  { learningRate, compiler, qat }: TrainerOptions,
): { step: TimedStep; dispose: () => void } {
  const loss = qat === undefined ? {} : { qat };
  const train = compiler === undefined
    ? programsOf(config, qat).step
    : compileTrainStep(config, { padId: null }, ADAMW_DEFAULTS, compiler, loss);
  let state: TrainState<Trainable> = initTrainState(params);
  let updates = 0;
  const step: TimedStep = async (ids) => {
    const scalars = stepScalars(learningRate, updates);
    const batch: StepBatch = {
      ...batchTensors({ ids }, sampleLength(config)),
      ...(needsNoise(qat) && { noiseSeed: tensor([1, updates], [2], "int32") }),
    };
    updates++;
    const result = train(state, {}, scalars, batch);
    const loss = await numberOf(result.loss);
    disposeTree([scalars, batch, result.loss, result.gradientNorm]);
    disposeTree(state);
    state = result.state;
    return loss;
  };
  const dispose = () => {
    disposeTree(state);
    train.dispose();
  };
  return { step, dispose };
}

/** Evaluations of `params`, which stay the caller's. */
export function timedEvaluator(config: ModelConfig, params: Model, batch: number): TimedStep {
  const { evaluator } = programsOf(config);
  const contextLength = sampleLength(config);
  return async (ids) => {
    let sum = 0, count = 0;
    const windows = { contextLength, count: batch, ids };
    for await (const losses of windowLosses(evaluator, params, windows, batch)) {
      for (const loss of losses) {
        sum += loss!;
        count++;
      }
    }
    return sum / count;
  };
}

function programsOf(model: ModelConfig, qat?: QuantizationAwareTraining) {
  const loss = qat === undefined ? {} : { qat };
  const training = { model, optimizer: ADAMW_DEFAULTS, schedule: SCHEDULE, ...loss };
  return compilePrograms(training, { padId: null });
}

async function numberOf(scalar: Tensor): Promise<number> {
  return (await scalar.data())[0]!;
}

export const PHASES = [
  "whole step",
  "forward and backward",
  "forward",
  "batch to the engine",
  "loss to the host",
] as const;
export type Phase = (typeof PHASES)[number];

/**
 * Milliseconds of a training step and of its parts, in turns; the first round compiles and is left
 * out. Each of the first three is a compiled function of its own that ends with a number on the
 * host, so differences between them are backward pass and update only as far as the compiler makes
 * no more of the whole than of its parts.
 *
 * @param params Belong to the function from then on.
 */
export async function phaseTimes(
  config: ModelConfig,
  params: Model,
  ids: Int32Array<ArrayBuffer>,
  rounds: number,
  compiler: Compiler = "xla",
): Promise<TurnTimes[]> {
  const lossOf = (model: Model, idsBN: Tensor) =>
    meanTokenLoss(config, model, idsBN, { padId: null });
  const forward = jit("forward", lossOf, { compiler });
  const backward = jit(
    "forward and backward",
    (model: Model, idsBN: Tensor) => valueAndGradient((one) => lossOf(one, idsBN), model),
    { compiler },
  );
  const step = compileTrainStep(config, { padId: null }, ADAMW_DEFAULTS, compiler);
  const state = initTrainState<Trainable>(params);
  const scalars = stepScalars(0, 0);
  const upload = () => batchTensors({ ids }, sampleLength(config));
  const batch = upload();
  const loss = forward(params, batch.idsBN);
  /** Results are on the host when the time ends, and freed after it. */
  const timed = async (run: () => readonly [result: Tree, read?: Tensor]) => {
    let result: Tree = [];
    const milliseconds = await millisecondsOf(async () => {
      const [made, read] = run();
      result = made;
      if (read !== undefined) await numberOf(read);
    });
    disposeTree(result);
    return milliseconds;
  };
  const runs: Readonly<Record<Phase, () => readonly [result: Tree, read?: Tensor]>> = {
    "whole step": () => {
      const result = step(state, {}, scalars, batch);
      return [result, result.loss];
    },
    "forward and backward": () => {
      const result = backward(params, batch.idsBN);
      return [result, result.value];
    },
    "forward": () => {
      const result = forward(params, batch.idsBN);
      return [result, result];
    },
    "batch to the engine": () => [upload()],
    "loss to the host": () => [[], loss],
  };
  const turns = PHASES.map((name) => ({ name, run: () => timed(runs[name]) }));
  try {
    await takeTurns(turns, 1);
    return await takeTurns(turns, rounds);
  } finally {
    disposeTree([batch, loss, scalars, state]);
    for (const compiled of [forward, backward, step]) compiled.dispose();
  }
}
