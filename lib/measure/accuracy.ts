/** How far estimates lie from what they estimate. */

import { requirePairs } from "./_checks.ts";
import { spearmanCorrelation } from "./statistics.ts";

/** Errors in the unit of the estimates. */
export interface Accuracy {
  /** Mean of estimate − truth. */
  readonly bias: number;
  /** √ mean of (estimate − truth)²; the bias is part of it. */
  readonly rmse: number;
  /** Spearman's; null where one side is constant and has no ranks. */
  readonly rankCorrelation: number | null;
  readonly count: number;
}

/** @throws {UserError} with fewer than 2 pairs, unequal lengths or values that are not finite. */
export function accuracy(estimates: ArrayLike<number>, truth: ArrayLike<number>): Accuracy {
  requirePairs("the accuracy of estimates", estimates, truth, 2);
  const count = estimates.length;
  let sum = 0, squares = 0;
  for (let i = 0; i < count; i++) {
    const error = estimates[i]! - truth[i]!;
    sum += error;
    squares += error ** 2;
  }
  const varies = (values: ArrayLike<number>) =>
    Array.from(values).some((value) => value !== values[0]);
  return {
    bias: sum / count,
    rmse: Math.sqrt(squares / count),
    rankCorrelation: varies(estimates) && varies(truth)
      ? spearmanCorrelation(estimates, truth)
      : null,
    count,
  };
}
