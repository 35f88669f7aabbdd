/** This library as a contestant, see _contestant.ts: `_ours.ts WORK`, compiler included. */

import { type Compiler, disposeTree, initEngine, type Tensor } from "../../lib/engine/mod.ts";
import { initModel, type Model, sampleLength } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import {
  ADAMW_DEFAULTS,
  batchTensors,
  compilePrograms,
  compileTrainStep,
  initTrainState,
  parseSafetensors,
  restoreTree,
  stepScalars,
  type Trainable,
  type TrainState,
  windowLosses,
} from "../../lib/train/mod.ts";
import type { Work } from "./_contestant.ts";
import { linesOf } from "./_lines.ts";
import { peakBytes } from "./_measure.ts";

/** So long a run that compiling for seconds pays, as in a training of any length. */
const SCHEDULE = { peakRate: 1, warmupSteps: 0, steps: 1e6 };

type Step = (ids: Int32Array<ArrayBuffer>) => Promise<number>;

function trainer({ model: config, compiler, learningRate }: OurWork, params: Model): Step {
  const step = compiler === undefined
    ? programs(config).step
    : compileTrainStep(config, { padId: null }, ADAMW_DEFAULTS, compiler);
  let state: TrainState<Trainable> = initTrainState(params);
  let updates = 0;
  return async (ids) => {
    const scalars = stepScalars(learningRate, updates++);
    const batch = batchTensors({ ids }, sampleLength(config));
    const result = step(state, {}, scalars, batch);
    const loss = await numberOf(result.loss);
    disposeTree([scalars, batch, result.loss, result.gradientNorm]);
    disposeTree(state);
    state = result.state;
    return loss;
  };
}

function evaluator({ model: config, batch }: OurWork, params: Model): Step {
  const { evaluator } = programs(config);
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

function programs(model: OurWork["model"]) {
  const training = { model, optimizer: ADAMW_DEFAULTS, schedule: SCHEDULE };
  return compilePrograms(training, { padId: null });
}

async function numberOf(scalar: Tensor): Promise<number> {
  return (await scalar.data())[0]!;
}

function load({ model, weights }: OurWork): Model {
  const { tensors } = parseSafetensors(Deno.readFileSync(weights), weights);
  const example = initModel(model, createRandom(0));
  const params = restoreTree(example, tensors, weights);
  disposeTree(example);
  return params;
}

type OurWork = Work & { compiler?: Compiler };

function say(message: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
}

const work: OurWork = JSON.parse(Deno.args[0]!);
const { threads } = work;
await initEngine({ threads, log: () => {} });
const all = new Int32Array(Deno.readFileSync(work.batches).buffer);
const tokens = work.batch * sampleLength(work.model);
const step = (work.task === "evaluation" ? evaluator : trainer)(work, load(work));
let taken = 0;

async function timed(): Promise<{ ms: number; loss: number }> {
  const at = taken++ * tokens % all.length;
  const start = performance.now();
  const loss = await step(all.subarray(at, at + tokens));
  return { ms: performance.now() - start, loss };
}

const first = await timed();
say({ ready: true, firstStepMs: first.ms, firstLoss: first.loss });
for await (const line of linesOf(Deno.stdin.readable)) {
  const request: { steps: number } | { end: true } = JSON.parse(line);
  if ("end" in request) {
    say({ peakBytes: peakBytes() });
    break;
  }
  const steps: Awaited<ReturnType<typeof timed>>[] = [];
  for (let step = 0; step < request.steps; step++) steps.push(await timed());
  say({ ms: steps.map(({ ms }) => ms), losses: steps.map(({ loss }) => loss) });
}
Deno.exit(0);
