/** How long things take: medians with ranges, turns, and the machine's best matrix product. */

import { disposeTree, matMul, tensor } from "../engine/mod.ts";
import { createRandom } from "../random.ts";

/** The median of `values`, of which there is at least one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A median with the range of what it is the median of. */
export type Spread = Readonly<{ median: number; min: number; max: number }>;

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** `1.31 (1.28–1.40)` */
export function formatSpread({ median, min, max }: Spread, digits = 2): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

/** How many times the first one's time each of these took, round by round. */
export function ratiosToFirst(rounds: readonly (readonly number[])[]): Spread[] {
  return rounds.map((times) => spreadOf(times.map((time, round) => time / rounds[0]![round]!)));
}

/** Milliseconds of one call. */
export async function millisecondsOf(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Something that is measured: `run` does it once and gives the milliseconds that count. */
export type Turn = Readonly<{ name: string; run: () => Promise<number> }>;

/** What was measured in turns: milliseconds, one a round. */
export type TurnTimes = Readonly<
  { name: string; rounds: readonly number[]; medianMs: number; ratio: Spread }
>;

/**
 * Runs all of them one after the other, and that `rounds` times, so that whatever else the machine
 * does meets each. Ratios are to the first one's milliseconds of the same round.
 */
export async function takeTurns(turns: readonly Turn[], rounds: number): Promise<TurnTimes[]> {
  const times = turns.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { run }] of turns.entries()) times[index]!.push(await run());
  }
  const ratios = ratiosToFirst(times);
  return turns.map(({ name }, index) => ({
    name,
    rounds: times[index]!,
    medianMs: median(times[index]!),
    ratio: ratios[index]!,
  }));
}

/**
 * GFLOP/s of float32 products of `[size, size]` with `[size, size]`, the best of some. The engine
 * must have been started.
 */
export function matmulGigaflops(size: number, repetitions = 10): number {
  const random = createRandom(size);
  const draw = () => tensor(random.uniforms(size * size, 0, 1), [size, size]);
  const [a, b] = [draw(), draw()];
  const times = Array.from({ length: repetitions }, () => {
    const start = performance.now();
    const product = matMul(a, b);
    product.dataSync();
    const milliseconds = performance.now() - start;
    product.dispose();
    return milliseconds;
  });
  disposeTree([a, b]);
  return 2 * size ** 3 / Math.min(...times) / 1e6;
}
