/** Timing for the benchmarks: medians, in one place. */

/** The median of `values`. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median milliseconds of `count` calls; `prepare` runs before each and is not timed. */
export function medianMilliseconds<T>(
  count: number,
  prepare: () => T,
  run: (prepared: T) => void,
): number {
  const times = Array.from({ length: count }, () => {
    const prepared = prepare();
    const start = performance.now();
    run(prepared);
    return performance.now() - start;
  });
  return median(times);
}
