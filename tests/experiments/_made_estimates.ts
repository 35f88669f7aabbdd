/** Estimates of planned runs that were never trained, and how good they are: as a test says. */

import type { EstimatorName, WindowEstimates } from "../../lib/entropy/mod.ts";
import type { DataSpec } from "../../lib/experiments/data.ts";
import type { AccuracyRow, Truth } from "../../lib/experiments/known_entropy_summary.ts";
import type { SourceRecord } from "../../lib/experiments/measurements.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import type { EstimatesRecord } from "../../lib/experiments/token_estimates.ts";
import type { Accuracy } from "../../lib/measure/mod.ts";

/** What is estimated of a token by one run. */
export type MadeEstimate = (
  token: Readonly<{
    family: string;
    arm: string;
    estimator: EstimatorName;
    seed: number;
    data: DataSpec;
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
  const { family, arm, data, training: { seed }, estimates } = spec;
  const { contextLength } = data;
  const first = estimator === "two-window" ? contextLength - 1 : 1;
  return Array.from({ length: estimates!.windows }, (_, window) =>
    Array.from(
      { length: contextLength },
      (_, position) =>
        position < first ? null : made({ family, arm, estimator, seed, data, window, position }),
    ));
}

/** The results with what is known of the tokens that their losses are of. */
export function withSourceEntropy(
  results: readonly RunResult[],
  made: (family: string) => Pick<SourceRecord, "entropyNats" | "surprisalNats">,
): RunResult[] {
  return results.map((result) => {
    const record: SourceRecord = {
      type: "measurement",
      what: "source entropy",
      ...made(result.config.spec.family),
      rateNats: null,
    };
    return { ...result, records: [...result.records, record] };
  });
}

/** Whose accuracy it is; the seed of an ensemble is null. */
type AccuracyKey = Pick<AccuracyRow, "source" | "arm" | "estimator" | "steps" | "seed" | "truth">;

/** How good estimates are; what no table or claim may read is not a number. */
export type MadeAccuracy = (
  key: AccuracyKey,
) => Partial<Accuracy & Pick<AccuracyRow, "surprisalCorrelation">>;

const UNREAD = {
  bias: NaN,
  rmse: NaN,
  spread: NaN,
  rankCorrelation: NaN,
  count: NaN,
  surprisalCorrelation: NaN,
};

/** The rows of all estimators that runs ask for: every seed's, and the ensemble's. */
export function madeAccuracies(specs: readonly RunSpec[], made: MadeAccuracy): AccuracyRow[] {
  const arms = Map.groupBy(specs, ({ family, arm }) => JSON.stringify([family, arm]));
  return [...arms.values()].flatMap((runs) => {
    const { family: source, arm, training, estimates } = runs[0]!;
    const seeds = [...runs.map(({ training }) => training.seed), null];
    const { steps } = training.schedule;
    return estimates!.of.flatMap((estimator) =>
      seeds.flatMap((seed) =>
        (["entropy", "surprisal"] as const satisfies readonly Truth[]).map((truth) => {
          const key = { source, arm, estimator, steps, seed, truth };
          return { ...key, label: estimator, ...UNREAD, ...made(key) };
        })
      )
    );
  });
}
