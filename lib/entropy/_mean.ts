/** A mean of estimates, in their unit. */
export type Mean = Readonly<{
  mean: number;
  /** Of the mean: sample standard deviation / √count; null for a single value. */
  standardError: number | null;
  count: number;
}>;

/** The mean of one value or more. */
export function meanOf(values: readonly number[]): Mean {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { mean, standardError: null, count };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, standardError: Math.sqrt(squares / (count - 1) / count), count };
}
