/**
 * A worker of collectives_bench.ts, or the only process: times reductions and training steps, and
 * prints them as JSON (milliseconds).
 */

import {
  clusterFromEnvironment,
  disposeTree,
  initEngine,
  joinWorkers,
  tensor,
  type Workers,
} from "../../lib/engine/mod.ts";
import { initModel } from "../../lib/models/mod.ts";
import { median } from "../../lib/measure/mod.ts";
import { createRandom } from "../../lib/random.ts";
import {
  ADAMW_DEFAULTS,
  batchTensors,
  compileDataParallel,
  compileTrainStep,
  initTrainState,
  stepScalars,
  type Trainable,
  type TrainState,
} from "../../lib/train/mod.ts";
import { BATCH, CONTEXT, MODELS, REDUCED, VOCABULARY } from "./_collectives_models.ts";

const WARM_UP = 2;
const STEPS = 8;

const cluster = clusterFromEnvironment();
const log = () => {};
const workers = cluster === null ? undefined : await joinWorkers(cluster, { log });
if (workers === undefined) await initEngine({ backend: "tensorflow", log });

async function reductions(workers: Workers): Promise<number[]> {
  const times: number[] = [];
  for (const size of REDUCED) {
    const own = tensor(new Float32Array(size).fill(1));
    const each: number[] = [];
    for (let step = 0; step < WARM_UP + STEPS; step++) {
      const start = performance.now();
      disposeTree(await workers.allReduceSum([own]));
      each.push(performance.now() - start);
    }
    own.dispose();
    times.push(median(each.slice(WARM_UP)));
  }
  return times;
}

async function steps(name: keyof typeof MODELS): Promise<{ step: number; reduction: number }> {
  const config = MODELS[name]!;
  const random = createRandom(2);
  const rows = BATCH / (workers?.count ?? 1);
  const ids = Int32Array.from(
    { length: rows * CONTEXT },
    () => 2 + Math.floor(random.uniform() * (VOCABULARY - 2)),
  );
  const batch = batchTensors({ ids }, CONTEXT);
  let state: TrainState<Trainable> = initTrainState(initModel(config, createRandom(1)));
  let reduction = 0;
  const timed = workers && Object.create(workers, {
    allReduceSum: {
      value: async (...given: Parameters<Workers["allReduceSum"]>) => {
        const start = performance.now();
        const sums = await workers.allReduceSum(...given);
        reduction = performance.now() - start;
        return sums;
      },
    },
  }) as Workers | undefined;
  const options = [config, { padId: null }, ADAMW_DEFAULTS, "xla", {}] as const;
  const parallel = timed && compileDataParallel(...options, timed);
  const single = compileTrainStep(...options);
  const all: number[] = [], reduced: number[] = [];
  for (let step = 0; step < WARM_UP + STEPS; step++) {
    const start = performance.now();
    const scalars = stepScalars(1e-3, step);
    const result = parallel === undefined
      ? single(state, {}, scalars, batch)
      : await parallel.step(state, {}, scalars, batch, { step, stop: false, compare: null });
    result.loss.dataSync();
    disposeTree([scalars, result.loss, result.gradientNorm, state]);
    state = result.state;
    all.push(performance.now() - start);
    reduced.push(reduction);
  }
  disposeTree([batch, state]);
  return { step: median(all.slice(WARM_UP)), reduction: median(reduced.slice(WARM_UP)) };
}

const timed: Record<string, Awaited<ReturnType<typeof steps>>> = {};
for (const name of Object.keys(MODELS)) timed[name] = await steps(name);
console.log(JSON.stringify({
  reductions: workers === undefined ? [] : await reductions(workers),
  steps: timed,
}));
Deno.exit(0); // TensorFlow's server never ends by itself
