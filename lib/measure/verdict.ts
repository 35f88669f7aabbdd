import { UserError } from "../errors.ts";
import { requireFinite } from "./_checks.ts";
import type { Interval } from "./statistics.ts";

/** What a table says of one of the paper's claims. */
export type Verdict = "reproduced" | "trend only" | "not reproduced" | "not comparable";

/** One claim as a signed effect: the difference, slope or correlation that the paper asserts. */
export interface ClaimEvidence {
  /** The sign the paper gives the effect; `none` where it says that there is hardly any. */
  readonly paperDirection: "positive" | "negative" | "none";
  /**
   * How far 0 is moved against the paper's sign, e.g. for "best or tied"; with `none`, the size that
   * counts as hardly any, which must then be given. 0 by default.
   */
  readonly margin?: number;
  /** False when the quantity does not exist at this scale: then nothing else is looked at. */
  readonly comparable: boolean;
  /** Our effect, with the sign convention of `paperDirection`. */
  readonly mean: number;
  /** Our interval for it; null where there is none (one seed). */
  readonly interval: Pick<Interval, "low" | "high"> | null;
}

/**
 * Judges a claim by rule, so that no table's wording is a matter of taste:
 *
 * 1. `not comparable`: the quantity does not exist at this scale, whatever the numbers are.
 * 2. `reproduced`: the whole interval lies on the paper's side of 0; for `none`, within the margin.
 * 3. `trend only`: the mean does, but the interval reaches or touches the other side, or there is
 *    no interval.
 * 4. `not reproduced`: everything else, a mean of exactly 0 included.
 *
 * The size of the effect plays no part: the paper's runs are far larger, and the table shows both
 * numbers beside the verdict.
 *
 * @throws {UserError} for a comparable claim with a mean that is not finite or lies outside its
 *   interval.
 */
export function judgeClaim(evidence: ClaimEvidence): Verdict {
  if (!evidence.comparable) return "not comparable";
  const { paperDirection, margin = 0, interval } = evidence;
  const mean = requireFinite("the mean of a claim's effect", evidence.mean);
  if (paperDirection === "none" && !(margin > 0)) {
    throw new UserError(`a claim of hardly any effect: expected a margin above 0, found ${margin}`);
  }
  if (interval !== null && !(interval.low <= mean && mean <= interval.high)) {
    throw new UserError(
      `a claim's interval must contain its mean, found ${mean} and ` +
        `[${interval.low}, ${interval.high}]; ` +
        "check that both describe the same effect with the same sign",
    );
  }
  const isOnSide = (effect: number) =>
    paperDirection === "none"
      ? Math.abs(effect) < margin
      : (paperDirection === "positive" ? effect : -effect) > -margin;
  if (interval !== null && isOnSide(interval.low) && isOnSide(interval.high)) return "reproduced";
  return isOnSide(mean) ? "trend only" : "not reproduced";
}
