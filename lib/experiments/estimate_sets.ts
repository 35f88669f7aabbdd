/** The estimates per token that runs have recorded, and pairs of two of them. */

import type { EstimatorName, WindowEstimates } from "../entropy/mod.ts";
import type { DataSpec } from "./data.ts";
import type { RunResult } from "./run.ts";

/** What one run's estimator says of every token of some windows. */
export type EstimateSet = Readonly<{
  family: string;
  arm: string;
  seed: number;
  steps: number;
  data: DataSpec;
  estimator: EstimatorName;
  values: WindowEstimates;
}>;

/** All recorded estimates, in the order of the runs. */
export function estimateSets(results: readonly RunResult[]): EstimateSet[] {
  return results.flatMap(({ config: { spec }, records }) =>
    records.flatMap((record) =>
      record.type === "measurement" && record.what === "token estimates"
        ? [{
          family: spec.family,
          arm: spec.arm,
          seed: spec.training.seed,
          steps: spec.training.schedule.steps,
          data: spec.data,
          estimator: record.estimator,
          values: record.values,
        }]
        : []
    )
  );
}

/** The sets of an arm and estimator, one a seed; of all families, or of one. */
export function setsOf(
  sets: readonly EstimateSet[],
  arm: string,
  estimator: EstimatorName,
  family?: string,
): EstimateSet[] {
  const found = sets.filter((set) =>
    set.arm === arm && set.estimator === estimator && (family ?? set.family) === set.family
  );
  if (found.length === 0) throw new RangeError(`no estimates of ${estimator} by arm "${arm}"`);
  return found;
}

/** The set of one seed among those of an arm and estimator, or an error that names it. */
export function ofSeed(sets: readonly EstimateSet[], seed: number): EstimateSet {
  const found = sets.find((set) => set.seed === seed);
  if (found !== undefined) return found;
  const { estimator, arm } = sets[0]!;
  throw new RangeError(`no estimates of ${estimator} by arm "${arm}" with seed ${seed}`);
}

/** Where two estimates of a token are both there. */
export type TokenPair = Readonly<{ window: number; position: number; x: number; y: number }>;

/**
 * Two estimates of the same windows, token by token.
 *
 * @param from The first position that counts.
 */
export function tokenPairs(x: WindowEstimates, y: WindowEstimates, from = 0): TokenPair[] {
  const count = Math.min(x.length, y.length);
  return Array.from({ length: count }, (_, window) =>
    x[window]!.flatMap((first, position) => {
      const second = y[window]![position] ?? null;
      if (first === null || second === null || position < from) return [];
      return [{ window, position, x: first, y: second }];
    })).flat();
}
