/** From the start of a process to the end of its first training step, compilation included. */

import { dirname } from "node:path";
import { initEngine } from "../../lib/engine/mod.ts";
import {
  SPEED_FAMILIES,
  SPEED_SIZES,
  type SpeedCase,
  speedCaseName,
  speedModel,
  type TimingResult,
} from "../../lib/experiments/mod.ts";
import { selectCases } from "./_cases.ts";
import { killContestants, startContestant } from "./_contestant.ts";
import { contestantsOf, factsOf, type Request, runProgram } from "./_program.ts";
import { prepareWork } from "./_race.ts";
import { timeTurns } from "./_timed.ts";

const CASES: readonly SpeedCase[] = SPEED_FAMILIES.map((family) => ({
  family,
  kind: "CLM",
  size: SPEED_SIZES[0]!,
}));

async function measure(request: Request): Promise<TimingResult[]> {
  const { threads, rounds, words } = request;
  await initEngine({ threads, log: () => {} });
  const results: TimingResult[] = [];
  for (const one of selectCases(CASES, words)) {
    const work = await prepareWork({
      task: "training",
      model: speedModel(one),
      batch: one.size.batch,
      threads,
      folder: dirname(request.part),
    });
    const turns = contestantsOf(request, factsOf(request)).map((contestant) => ({
      name: contestant.name,
      run: async () => {
        const { startMs, end } = await startContestant(contestant, work);
        await end();
        return startMs;
      },
    }));
    const name = speedCaseName(one);
    try {
      results.push(
        await timeTurns({ bench: "start-up", case: name, amount: 1, unit: "start", rounds }, turns),
      );
    } finally {
      killContestants();
    }
  }
  return results;
}

await runProgram(measure);
