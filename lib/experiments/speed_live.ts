/** Measurements of speed within this process, of this library alone. The engine must have started. */

import { type Compiler, runningBackend } from "../engine/mod.ts";
import {
  matmulGigaflops,
  median,
  millisecondsOf,
  phaseTimes,
  spreadOf,
  timedTrainer,
  trainingFlops,
} from "../measure/mod.ts";
import { initModel, parameterCount, sampleLength } from "../models/mod.ts";
import { createRandom } from "../random.ts";
import type { BenchDocument, BenchResult, RaceResult, TimingResult } from "./bench_document.ts";
import {
  scalingCaseName,
  scalingCases,
  skewedIds,
  SPEED_FAMILIES,
  SPEED_SIZES,
  type SpeedCase,
  speedCaseName,
  speedModel,
  variesOnly,
} from "./speed_cases.ts";

/** Milliseconds of a training step and of its parts, `steps` times in turns. */
export async function measurePhases(
  one: SpeedCase,
  steps: number,
  compiler?: Compiler,
): Promise<TimingResult> {
  const model = speedModel(one);
  const params = initModel(model, createRandom(1));
  const ids = skewedIds(model, one.size.batch, 1);
  const contestants = await phaseTimes(model, params, ids, steps, compiler);
  return { bench: "phases", case: speedCaseName(one), amount: 1, unit: "step", contestants };
}

/** Training steps of a case, the first of which compiles; the second is not counted either. */
export async function measureTraining(
  one: SpeedCase,
  { steps, peakGigaflops, learningRate = 3e-4 }: Readonly<
    { steps: number; peakGigaflops: number; learningRate?: number }
  >,
): Promise<RaceResult> {
  const model = speedModel(one);
  const { batch } = one.size;
  const ids = skewedIds(model, batch, 1);
  const start = performance.now();
  const trainer = timedTrainer(model, initModel(model, createRandom(1)), { learningRate });
  const losses: number[] = [];
  const step = () => millisecondsOf(async () => losses.push(await trainer.step(ids)));
  const firstStepMs = await step();
  const startMs = performance.now() - start;
  await step();
  const times: number[] = [];
  for (let count = 0; count < steps; count++) times.push(await step());
  trainer.dispose();
  const medianMs = median(times);
  const flopsPerStep = trainingFlops(model, batch);
  return {
    bench: "scaling",
    case: scalingCaseName(one),
    family: one.family,
    sizes: one.size,
    parameters: parameterCount(model),
    flopsPerStep,
    largestLossDifference: 0,
    contestants: [{
      name: "ours",
      rounds: [times],
      losses,
      firstStepMs,
      startMs,
      peakBytes: null,
      medianMs,
      tokensPerSecond: 1000 * batch * sampleLength(model) / medianMs,
      compileMs: firstStepMs - medianMs,
      ratio: spreadOf([1]),
      shareOfPeak: flopsPerStep / medianMs / 1e6 / peakGigaflops,
    }],
  };
}

/** A minute's worth: three widths of both families, and the phases of one model. */
export async function measureSpeedNow(
  { steps = 5, widths = [64, 128, 256], log }: Readonly<
    { steps?: number; widths?: readonly number[]; log: (line: string) => void }
  >,
): Promise<Pick<BenchDocument, "matmulPeak" | "results">> {
  const gflops = measurePeak();
  const by = runningBackend();
  log(`best matrix product: ${gflops.toFixed(0)} GFLOP/s`);
  const cases = SPEED_FAMILIES.flatMap(scalingCases)
    .filter(({ size }) => variesOnly("width", size) && widths.includes(size.width));
  const results: BenchResult[] = [];
  for (const one of cases) {
    const result = await measureTraining(one, { steps, peakGigaflops: gflops });
    const { medianMs, tokensPerSecond, firstStepMs } = result.contestants[0]!;
    log(
      `${result.case}: ${medianMs.toFixed(0)} ms a step, ${tokensPerSecond.toFixed(0)} tokens/s; ` +
        `the first step took ${(firstStepMs / 1000).toFixed(1)} s`,
    );
    results.push(result);
  }
  results.push(await measurePhases({ family: "mixer", kind: "CLM", size: SPEED_SIZES[0]! }, steps));
  return { matmulPeak: { gflops, by, rates: {} }, results };
}

/** GFLOP/s of the machine's best matrix product, of those that a moment allows. */
export function measurePeak(): number {
  return Math.max(...[1024, 2048].map((size) => matmulGigaflops(size, 5)));
}
