/** Benchmarks of other things than a model's steps: turns, and a table of them. */

import type { TimingResult } from "../../lib/experiments/mod.ts";
import { formatSpread, takeTurns, type Turn } from "../../lib/measure/mod.ts";

export type Timing = Readonly<
  Pick<TimingResult, "bench" | "case" | "amount" | "unit"> & { rounds: number }
>;

/** Measures and prints; `amount` of `unit` is what is done in one round. */
export async function timeTurns(
  { rounds, ...about }: Timing,
  turns: readonly Turn[],
): Promise<TimingResult> {
  const result = { ...about, contestants: await takeTurns(turns, rounds) };
  printTiming(result);
  return result;
}

export function printTiming({ case: name, amount, unit, contestants }: TimingResult): void {
  const counted = amount === 1 ? `a ${unit}` : `${amount} ${unit}s`;
  console.log(`${name}: ${counted}`);
  console.log(`${"".padEnd(28)}        ms   times the first   ${unit}s/s`);
  for (const { name, medianMs, ratio } of contestants) {
    const rate = 1000 * amount / medianMs;
    console.log(
      `${name.padEnd(28)}${medianMs.toPrecision(4).padStart(10)}${
        formatSpread(ratio).padStart(20)
      }${rate.toPrecision(4).padStart(12)}`,
    );
  }
}
