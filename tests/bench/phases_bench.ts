/** Where the time of a training step goes, in this library. */

import { initEngine } from "../../lib/engine/mod.ts";
import {
  measurePhases,
  SPEED_FAMILIES,
  SPEED_SIZES,
  type SpeedCase,
  type TimingResult,
} from "../../lib/experiments/mod.ts";
import { selectCases } from "./_cases.ts";
import { type Request, runProgram } from "./_program.ts";
import { printTiming } from "./_timed.ts";

/** So many steps in the place of a round: they are short. */
const STEPS = 4;

const CASES: readonly SpeedCase[] = SPEED_SIZES.slice(0, 2).flatMap((size) =>
  SPEED_FAMILIES.map((family) => ({ family, kind: "CLM", size }))
);

async function measure({ threads, rounds, compiler, words }: Request): Promise<TimingResult[]> {
  await initEngine({ threads, log: () => {} });
  const results: TimingResult[] = [];
  for (const one of selectCases(CASES, words)) {
    const result = await measurePhases(one, STEPS * rounds, compiler ?? undefined);
    printTiming(result);
    results.push(result);
  }
  return results;
}

await runProgram(measure);
