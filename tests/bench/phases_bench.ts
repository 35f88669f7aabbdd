/** Where the time of a training step goes, in this library. */

import { initEngine } from "../../lib/engine/mod.ts";
import {
  measurePhases,
  SPEED_FAMILIES,
  SPEED_SIZES,
  type TimingResult,
} from "../../lib/experiments/mod.ts";
import { type Request, runProgram } from "./_program.ts";
import { printTiming } from "./_timed.ts";

/** So many steps in the place of a round: they are short. */
const STEPS = 4;

async function measure({ threads, rounds, compiler }: Request): Promise<TimingResult[]> {
  await initEngine({ threads, log: () => {} });
  const results: TimingResult[] = [];
  for (const size of SPEED_SIZES.slice(0, 2)) {
    for (const family of SPEED_FAMILIES) {
      const one = { family, kind: "CLM", size } as const;
      const result = await measurePhases(one, STEPS * rounds, compiler ?? undefined);
      printTiming(result);
      results.push(result);
    }
  }
  return results;
}

await runProgram(measure);
