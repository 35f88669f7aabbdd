/** Races over cases: what all benchmarks of a model's steps do. */

import { dirname } from "node:path";
import { initEngine } from "../../lib/engine/mod.ts";
import {
  type RaceResult,
  type SpeedCase,
  speedCaseName,
  speedModel,
} from "../../lib/experiments/mod.ts";
import { formatSpread, forwardFlops, trainingFlops } from "../../lib/measure/mod.ts";
import { parameterCount } from "../../lib/models/mod.ts";
import { selectCases } from "./_cases.ts";
import type { Contestant } from "./_contestant.ts";
import { factsOf, type Request, startEstimate } from "./_program.ts";
import { type Race, race } from "./_race.ts";

export type Races = Readonly<{
  bench: string;
  cases: readonly SpeedCase[];
  contestants: readonly Contestant[];
  task: Race["task"];
  /** Counted steps in a turn, of those that are not asked for. */
  stepsOf: (one: SpeedCase) => number;
  /** As asked for by default. */
  rounds?: number;
  noiseWidth?: number;
  nameOf?: (one: SpeedCase) => string;
}>;

/** From this width on a step takes so long that what caches hold before it does not count. */
const LONG_STEPS_WIDTH = 512;

/** Runs and prints them one after the other. */
export async function raceCases(
  request: Request,
  { bench, contestants, task, stepsOf, noiseWidth, nameOf = speedCaseName, ...races }: Races,
): Promise<RaceResult[]> {
  const { threads, rounds: asked } = request;
  const facts = factsOf(request);
  const rounds = Math.min(asked, races.rounds ?? asked);
  const cases = selectCases(races.cases, request.words);
  const flopsOf = task === "training" ? trainingFlops : forwardFlops;
  const planOf = (one: SpeedCase) => ({
    model: speedModel(one),
    steps: request.steps ?? stepsOf(one),
    warmUp: one.size.width < LONG_STEPS_WIDTH ? 1 : 0,
  });
  const work = cases.map((one) => {
    const { model, steps, warmUp } = planOf(one);
    return flopsOf(model, one.size.batch) * contestants.length * (2 + rounds * (warmUp + steps));
  });
  const tell = startEstimate(work.reduce((sum, one) => sum + one, 0));
  await initEngine({ threads, log: () => {} });
  const results: RaceResult[] = [];
  let done = 0;
  for (const [index, one] of cases.entries()) {
    const { family, size: { batch } } = one;
    const name = nameOf(one);
    const { model, ...plan } = planOf(one);
    const turns = contestants.length * (rounds + 1);
    let turn = 0;
    const outcome = await race(
      contestants,
      { task, model, batch, threads, rounds, ...plan, noiseWidth, folder: dirname(request.part) },
      (what) =>
        tell(`${index + 1}/${cases.length} ${name}: ${what}`, done + work[index]! * turn++ / turns),
    );
    done += work[index]!;
    const flopsPerStep = flopsOf(model, batch);
    const result: RaceResult = {
      bench,
      case: name,
      family,
      sizes: one.size,
      parameters: parameterCount(model),
      flopsPerStep,
      ...outcome,
      contestants: outcome.contestants.map((measured) => ({
        ...measured,
        shareOfPeak: flopsPerStep / measured.medianMs / 1e6 / facts.matmulPeak.gflops,
      })),
    };
    print(result);
    results.push(result);
  }
  return results;
}

function print(
  { case: name, sizes, contestants, largestLossDifference }: RaceResult,
): void {
  const numbers = Object.entries(sizes).map(([key, value]) => `${key} ${value}`).join(", ");
  console.log(`${name}: ${numbers}`);
  console.log(
    "                    ms/step  tokens/s  of peak  times the first   compile  start-up   memory",
  );
  for (const one of contestants) {
    const columns = [
      one.name.padEnd(18),
      one.medianMs.toFixed(0).padStart(9),
      one.tokensPerSecond.toFixed(0).padStart(10),
      `${(100 * one.shareOfPeak).toFixed(0)} %`.padStart(9),
      `  ${formatSpread(one.ratio)}`.padEnd(20),
      `${(one.compileMs / 1000).toFixed(1)} s`.padStart(7),
      `${(one.startMs / 1000).toFixed(1)} s`.padStart(10),
      (one.peakBytes === null ? "–" : `${(one.peakBytes / 1e6).toFixed(0)} MB`).padStart(9),
    ];
    console.log(columns.join(""));
  }
  console.log(`largest difference of losses: ${(100 * largestLossDifference).toPrecision(2)} %`);
}
