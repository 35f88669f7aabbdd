/**
 * Training steps (forward, backward, clipping, AdamW) here and in PyTorch and JAX: the same model
 * from the same weights on the same batches, losses compared step by step.
 */

import { dirname } from "node:path";
import { initEngine } from "../../lib/engine/mod.ts";
import { parameterCount } from "../../lib/models/mod.ts";
import {
  type Case,
  caseName,
  FAMILIES,
  KINDS,
  modelOf,
  selectCases,
  SIZES,
  trainingFlops,
} from "./_cases.ts";
import { formatSpread } from "./_measure.ts";
import {
  contestantsOf,
  factsOf,
  type Request,
  type Result,
  runProgram,
  startEstimate,
} from "./_program.ts";
import { type Outcome, race } from "./_race.ts";

const CASES: readonly Case[] = SIZES.flatMap((size) =>
  FAMILIES.flatMap((family) => KINDS.map((kind) => ({ family, kind, size })))
);

/** Counted steps in a turn: fewer, the longer one takes. */
function stepsOf({ size: { width } }: Case): number {
  return width <= 128 ? 8 : width <= 256 ? 4 : 2;
}

async function measure(request: Request): Promise<Result[]> {
  const { threads, rounds } = request;
  const facts = factsOf(request);
  const contestants = contestantsOf(request, facts);
  const cases = selectCases(CASES, request.words);
  const workOf = (one: Case) =>
    trainingFlops(modelOf(one), one.size.batch) *
    contestants.length * (2 + rounds * (1 + (request.steps ?? stepsOf(one))));
  const work = cases.map(workOf);
  const total = work.reduce((sum, one) => sum + one, 0);
  const tell = startEstimate(total);
  await initEngine({ threads, log: () => {} });
  const results: Result[] = [];
  let done = 0;
  for (const [index, one] of cases.entries()) {
    const model = modelOf(one);
    const { batch } = one.size;
    const name = caseName(one);
    const steps = request.steps ?? stepsOf(one);
    const turns = contestants.length * (rounds + 1);
    let turn = 0;
    const outcome = await race(
      contestants,
      { task: "training", model, batch, threads, rounds, steps, folder: dirname(request.part) },
      (what) =>
        tell(`${index + 1}/${cases.length} ${name}: ${what}`, done + work[index]! * turn++ / turns),
    );
    done += work[index]!;
    const flopsPerStep = trainingFlops(model, batch);
    const result = {
      bench: "training",
      case: name,
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

type Measured = Outcome["contestants"][number] & Readonly<{ shareOfPeak: number }>;

function print(
  { case: name, sizes, contestants, largestLossDifference }:
    & Result
    & Readonly<{ sizes: object; contestants: readonly Measured[]; largestLossDifference: number }>,
): void {
  const numbers = Object.entries(sizes).map(([key, value]) => `${key} ${value}`).join(", ");
  console.log(`${name}: ${numbers}`);
  console.log(
    "                    ms/step  tokens/s  of peak  times ours        compile  start-up   memory",
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

await runProgram(measure);
