/** Notebook 05's tables and the rows of its figures. */

import { corpusEntropy, type EstimatorName, isInNats } from "../entropy/mod.ts";
import type { BarRow, CurveRow, PointRow } from "../figures/mod.ts";
import { embeddingLossNats, mean, overContext } from "../measure/mod.ts";
import {
  finalLosses,
  findArm,
  foreignLosses,
  minus,
  roundedLosses,
  summarizeArms,
} from "./arm_summary.ts";
import type { KnownEntropyPreset } from "./entropy_presets.ts";
import { type EstimateSet, estimateSets, tokenPairs } from "./estimate_sets.ts";
import { knownArm, PAID_BITS } from "./known_entropy_arms.ts";
import {
  type AccuracyRow,
  ESTIMATOR_LABELS,
  exactEntropy,
  exactOf,
  exactSurprisal,
  isSized,
  longestTrained,
  type SurprisalErrors,
  type Truth,
} from "./known_entropy_summary.ts";
import type { RunResult } from "./run.ts";
import { positionMeans } from "./token_entropy_summary.ts";

/** What each source's entropy is, and how near a causal model's loss comes to it, nats per token. */
export function sourceTable(
  results: readonly RunResult[],
  { sources, trainingSteps }: KnownEntropyPreset,
): Record<string, string | number>[] {
  const arms = summarizeArms(results);
  return Object.entries(sources).map(([name, { kind }]) => {
    const arm = findArm(arms, name, knownArm.after(knownArm.causal, trainingSteps.at(-1)!));
    const exact = mean(arm.runs.map(exactSurprisal));
    const loss = mean(finalLosses(arm));
    return {
      source: name,
      kind,
      "exact entropy": mean(arm.runs.map(exactEntropy)),
      "exact surprisal of the held-out tokens": exact,
      "CLM's loss on them": loss,
      excess: loss - exact,
    };
  });
}

/**
 * One column of the accuracies against exact entropy, after the longest training, by source and
 * estimator: mean, smallest and largest of the seeds. `surprisal` has that of the exact surprisal, a
 * control.
 */
export function accuracyBars(
  rows: readonly AccuracyRow[],
  preset: KnownEntropyPreset,
  column: "bias" | "rmse",
  surprisal: SurprisalErrors,
): BarRow[] {
  const counted = longestTrained(rows, "entropy").filter((row) => !isSized(row, preset));
  const sources = Object.keys(preset.sources);
  return [
    ...Object.entries(ESTIMATOR_LABELS).flatMap(([estimator, label]) =>
      sources.flatMap((source) => {
        const found = counted.filter((row) => row.estimator === estimator && row.source === source);
        const bar = { group: source, arm: label };
        const values = found.map((row) => row[column]);
        if (values.length === 0) return [];
        const range = values.length > 1
          ? { interval: [Math.min(...values), Math.max(...values)] as const }
          : {};
        return [{ ...bar, value: mean(values), ...range }];
      })
    ),
    ...sources.map((source) => ({
      group: source,
      arm: "exact surprisal (control)",
      value: surprisal[source]![column],
    })),
  ];
}

/** Means over the sources of bias, RMSE, rank correlation and the ensemble's RMSE, a row an estimator. */
export function accuracyTable(
  rows: readonly AccuracyRow[],
  preset: KnownEntropyPreset,
): Record<string, string | number | null>[] {
  const longest = preset.trainingSteps.at(-1)!;
  const counted = rows.filter((row) => row.steps === longest && !isSized(row, preset));
  return Object.entries(ESTIMATOR_LABELS).flatMap(([estimator, label]) => {
    const of = (truth: Truth, isEnsemble = false) =>
      counted.filter((row) =>
        row.estimator === estimator && row.truth === truth && (row.seed === null) === isEnsemble
      );
    const members = of("entropy");
    if (members.length === 0) return [];
    const rank = (found: readonly AccuracyRow[]) => {
      const known = found.map((row) => row.rankCorrelation).filter((value) => value !== null);
      return known.length === 0 ? null : mean(known);
    };
    const average = (found: readonly AccuracyRow[], column: "bias" | "rmse") =>
      found.length === 0 ? null : mean(found.map((row) => row[column]));
    const best = (found: readonly AccuracyRow[]) => {
      const seeds = [...Map.groupBy(found, ({ seed }) => seed).values()];
      return Math.min(...seeds.map((rows) => mean(rows.map(({ rmse }) => rmse))));
    };
    const hasUnit = isInNats(estimator as EstimatorName);
    return [{
      estimator: label,
      "tokens a source": members[0]!.count,
      "bias, nats": hasUnit ? average(members, "bias") : null,
      "RMSE, nats": hasUnit ? average(members, "rmse") : null,
      "RMSE of the best seed": hasUnit ? best(members) : null,
      "of the ensemble": hasUnit ? average(of("entropy", true), "rmse") : null,
      "rank correlation with entropy": rank(members),
      "with surprisal": rank(of("surprisal")),
      "RMSE against surprisal": hasUnit ? average(of("surprisal"), "rmse") : null,
    }];
  });
}

/**
 * What a neighbour's embedding costs the EEMs that pad-shift read, nats per token, and how far its
 * estimates lie from exact surprisal: a point a run.
 */
export function embeddingUse(
  results: readonly RunResult[],
  rows: readonly AccuracyRow[],
  { trainingSteps }: KnownEntropyPreset,
): PointRow[] {
  return summarizeArms(results).flatMap((arm) => {
    const found = rows.filter((row) =>
      row.source === arm.family && row.arm === arm.arm && row.estimator === "pad-shift" &&
      row.steps === trainingSteps.at(-1)! && row.truth === "surprisal" && row.seed !== null
    );
    if (found.length === 0) return [];
    const costs = minus(foreignLosses(arm), finalLosses(arm));
    return found.map(({ seed, rmse }) => ({
      arm: arm.family,
      x: costs[arm.seeds.indexOf(seed!)]!,
      y: rmse,
      label: `${arm.arm}, seed ${seed}`,
    }));
  });
}

/** Bounds on the entropy of a corpus from embeddings of several sizes (paper §4.1), nats a token. */
export function boundTable(
  results: readonly RunResult[],
  preset: KnownEntropyPreset,
): Record<string, string | number>[] {
  const { shortfall, contextLength } = preset;
  const tokens = contextLength - 1;
  const arms = summarizeArms(results);
  const sized = sizedArms(preset).map(({ numbers, name }) => ({
    numbers,
    arm: findArm(arms, shortfall.source, name, "padded"),
  }));
  const { bounds, tightest } = corpusEntropy(
    sized.map(({ numbers, arm }) => ({
      embeddingBits: numbers * PAID_BITS,
      sequenceNats: tokens * mean(roundedLosses(arm, PAID_BITS)),
      tokens,
    })),
    { tolerance: 0.01 },
  );
  const exact = mean(sized[0]!.arm.runs.map(exactSurprisal));
  return bounds.map((bound) => ({
    "bits of the embedding": bound.embeddingBits,
    "loss, rounded": bound.sequenceNats / tokens,
    "bound, loss + |e| ln 2": bound.natsPerToken,
    "exact surprisal": exact,
    tightest: bound === tightest ? "yes" : "",
  }));
}

/** The EEMs of the source on which sizes are varied, smallest first. */
function sizedArms({ shortfall, embeddingSize, trainingSteps }: KnownEntropyPreset) {
  const sizes = [...new Set([embeddingSize, ...shortfall.embeddingSizes])].sort((a, b) => a - b);
  return sizes.map((numbers) => ({
    numbers,
    name: numbers === embeddingSize
      ? knownArm.after(knownArm.augmented, trainingSteps.at(-1)!)
      : knownArm.sized(numbers),
  }));
}

/** RMSE against training steps, the mean over the sources, seed by seed. */
export function trainingCurves(
  rows: readonly AccuracyRow[],
  preset: KnownEntropyPreset,
  estimators: readonly EstimatorName[],
): CurveRow[] {
  return estimators.flatMap((estimator) =>
    preset.trainingSteps.flatMap((steps) =>
      preset.seeds.map((seed) => {
        const found = rows.filter((row) =>
          row.estimator === estimator && row.steps === steps && row.seed === seed &&
          row.truth === "entropy" && !isSized(row, preset)
        );
        return {
          arm: ESTIMATOR_LABELS[estimator]!,
          seed,
          x: steps,
          y: mean(found.map(({ rmse }) => rmse)),
        };
      })
    )
  );
}

/**
 * How far the mean pad-shift estimate lies below the exact surprisal of its tokens, against the
 * embedding's size: what the embedding tells; and what it costs at {@linkcode PAID_BITS}.
 */
export function shortfallCurves(
  rows: readonly AccuracyRow[],
  preset: KnownEntropyPreset,
): CurveRow[] {
  const { shortfall, trainingSteps, seeds, contextLength } = preset;
  const longest = trainingSteps.at(-1)!;
  return sizedArms(preset).flatMap(({ numbers, name: arm }) => {
    return seeds.flatMap((seed) => {
      const row = rows.find((one) =>
        one.source === shortfall.source && one.arm === arm && one.seed === seed &&
        one.estimator === "pad-shift" && one.truth === "surprisal" && one.steps === longest
      );
      if (row === undefined) {
        throw new RangeError(`no pad-shift estimates by "${arm}", seed ${seed}`);
      }
      const price = embeddingLossNats({
        parameterCount: numbers,
        bitsPerParameter: PAID_BITS,
        amortization: overContext(contextLength - 1), // as the mean estimate: over scored tokens
      });
      return [
        { arm: "exact surprisal − mean estimate", seed, x: numbers, y: -row.bias },
        { arm: `|e| ln 2 / (N − 1) at ${PAID_BITS} bits a number`, seed, x: numbers, y: price },
      ];
    });
  });
}

/** Exact entropy and mean estimates by place in the sequence, for one source. */
export async function knownPositionCurves(
  results: readonly RunResult[],
  source: string,
  preset: KnownEntropyPreset,
  estimators: readonly EstimatorName[],
): Promise<CurveRow[]> {
  const exact = await exactOf(results);
  const estimatedBy = longestSets(results, source, preset);
  const curve = (label: string, set: EstimateSet) =>
    positionMeans(set).map(({ position, mean }) => ({
      arm: label,
      seed: set.seed,
      x: position,
      y: mean,
    }));
  return [
    ...estimatedBy(estimators[0]!).flatMap((set) =>
      curve("exact entropy", { ...set, values: exact(set).entropy }).filter(({ x }) => x > 0)
    ),
    ...estimators.flatMap((estimator) =>
      estimatedBy(estimator).flatMap((set) => curve(ESTIMATOR_LABELS[estimator]!, set))
    ),
  ];
}

/** Tokens of one source: estimates of the first seed against exact entropy. */
export async function knownPoints(
  results: readonly RunResult[],
  source: string,
  preset: KnownEntropyPreset,
  estimators: readonly EstimatorName[],
): Promise<PointRow[]> {
  const exact = await exactOf(results);
  const estimatedBy = longestSets(results, source, preset);
  return estimators.flatMap((estimator) => {
    const set = estimatedBy(estimator)[0]!;
    return tokenPairs(exact(set).entropy, set.values).map(({ x, y }) => ({
      arm: ESTIMATOR_LABELS[estimator]!,
      x,
      y,
    }));
  });
}

/** Gives the estimates of one source after the longest training, one set a seed. */
function longestSets(
  results: readonly RunResult[],
  source: string,
  preset: KnownEntropyPreset,
): (estimator: EstimatorName) => EstimateSet[] {
  const longest = preset.trainingSteps.at(-1)!;
  const sets = estimateSets(results).filter((set) =>
    set.family === source && set.steps === longest && !isSized(set, preset)
  );
  return (estimator) => {
    const found = sets.filter((set) => set.estimator === estimator);
    if (found.length > 0) return found;
    throw new RangeError(`no estimates of ${estimator} on source "${source}"`);
  };
}
