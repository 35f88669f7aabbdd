/** Losses of 2 and 4 workers against those of one process, over 50 steps. */

import { CASES, XLA_CASES } from "../train/_parallel_cases.ts";
import { compareWorkers } from "../train/_parallel_comparison.ts";

for (const count of [2, 4]) {
  Deno.test(`${count} workers have the losses of one process`, async () => {
    await compareWorkers(count, { ...CASES, ...XLA_CASES });
  });
}
