/** Estimates per token of planned runs that were never trained: whatever a test says they are. */

import type { EstimatorName, WindowEstimates } from "../../lib/entropy/mod.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import type { EstimatesRecord } from "../../lib/experiments/token_estimates.ts";

/** What is estimated of a token by one run. */
export type MadeEstimate = (
  token: Readonly<{
    family: string;
    arm: string;
    estimator: EstimatorName;
    seed: number;
    window: number;
    position: number;
  }>,
) => number;

/** The results with the estimates that their runs ask for, behind their other records. */
export function withEstimates(results: readonly RunResult[], made: MadeEstimate): RunResult[] {
  return results.map((result) => {
    const { spec } = result.config;
    const records = spec.estimates?.of.map((estimator): EstimatesRecord => ({
      type: "measurement",
      what: "token estimates",
      estimator,
      values: valuesOf(spec, estimator, made),
    }));
    return { ...result, records: [...result.records, ...records ?? []] };
  });
}

/** Of two-window the last token of a window alone, of others all but the first. */
function valuesOf(spec: RunSpec, estimator: EstimatorName, made: MadeEstimate): WindowEstimates {
  const { family, arm, data: { contextLength }, training: { seed }, estimates } = spec;
  const first = estimator === "two-window" ? contextLength - 1 : 1;
  return Array.from({ length: estimates!.windows }, (_, window) =>
    Array.from(
      { length: contextLength },
      (_, position) =>
        position < first ? null : made({ family, arm, estimator, seed, window, position }),
    ));
}
