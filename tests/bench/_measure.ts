/** Timing for the benchmarks: medians, in one place. */

/** The median of `values`. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A median with what it is the median of. */
export type Spread = Readonly<{ median: number; min: number; max: number }>;

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** `1.31 (1.28–1.40)` */
export function formatSpread({ median, min, max }: Spread, digits = 2): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

/** Milliseconds of each of `count` calls; `prepare` runs before each and is not timed. */
export function millisecondsOf<T>(
  count: number,
  prepare: () => T,
  run: (prepared: T) => void,
): number[] {
  return Array.from({ length: count }, () => {
    const prepared = prepare();
    const start = performance.now();
    run(prepared);
    return performance.now() - start;
  });
}

/** The most memory that this process has held, bytes; null where there is no /proc. */
export function peakBytes(): number | null {
  try {
    const [, kilobytes] = /^VmHWM:\s*(\d+)/m.exec(Deno.readTextFileSync("/proc/self/status"))!;
    return 1024 * Number(kilobytes);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
