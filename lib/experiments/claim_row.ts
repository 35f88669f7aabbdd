/** A claim of the paper, judged by rule from differences over seeds. */

import { judgeClaim, mean } from "../measure/mod.ts";
import { differenceOf } from "./arm_summary.ts";
import type { ClaimRow } from "./claims.ts";

/** Where the claims were measured. */
export type ClaimContext = Readonly<{ preset: string; backend: string; git: string }>;

export type ClaimText =
  & Pick<ClaimRow, "experiment" | "claim" | "paper">
  & Readonly<{
    /** What the difference is of; held-out loss, in nats per token, by default. */
    metric?: string;
    unit?: string;
    /** The sign that the paper gives the difference; positive by default. */
    direction?: "positive" | "negative" | "none";
    /** See `ClaimEvidence.margin`. */
    margin?: number;
    /** False where the quantity needs what this scale does not have. */
    comparable?: boolean;
  }>;

/** What counts as hardly any difference: a share of the loss. */
export const CLOSE_SHARE = 0.02;

/** A share of the mean loss of arms, the margin within which they are close. */
export function closeMargin(losses: readonly (readonly number[])[], share = CLOSE_SHARE): number {
  return share * mean(losses.flat());
}

/** One row of a claims table (lib/measure/verdict.ts has the rule); `differences` one a seed. */
export function claimRow(
  text: ClaimText,
  differences: readonly number[],
  seeds: readonly number[],
  context: ClaimContext,
): ClaimRow {
  const { experiment, claim, paper, direction = "positive", margin = 0, comparable = true } = text;
  const difference = differenceOf(differences, differences.map(() => 0));
  const interval = differences.length > 1 ? [difference.low, difference.high] as const : null;
  return {
    experiment,
    claim,
    metric: text.metric ?? "difference of held-out loss",
    unit: text.unit ?? "nats/token",
    paper,
    ours: difference.mean,
    interval,
    seeds,
    verdict: judgeClaim({
      paperDirection: direction,
      margin,
      comparable,
      mean: difference.mean,
      interval: interval && difference,
    }),
    ...context,
  };
}
