import { UserError } from "../errors.ts";
import { requireFinite } from "./_checks.ts";
import type { Interval } from "./statistics.ts";

/** What a table says of one of the paper's claims. */
export type Verdict = "reproduced" | "trend only" | "not reproduced" | "not comparable";

/** One claim as a signed effect: the difference, slope or correlation that the paper asserts. */
export interface ClaimEvidence {
  /** The sign the paper gives the effect. */
  readonly paperDirection: "positive" | "negative";
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
 * 2. `reproduced`: the whole interval lies on the paper's side of 0.
 * 3. `trend only`: the mean lies on the paper's side, but the interval includes or touches 0, or
 *    there is no interval.
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
  const sign = evidence.paperDirection === "positive" ? 1 : -1;
  const mean = requireFinite("the mean of a claim's effect", evidence.mean);
  if (evidence.interval !== null) {
    const { low, high } = evidence.interval;
    if (!(low <= mean && mean <= high)) {
      throw new UserError(
        `a claim's interval must contain its mean, found ${mean} and [${low}, ${high}]; ` +
          "check that both describe the same effect with the same sign",
      );
    }
    const nearestToZero = sign > 0 ? low : -high;
    if (nearestToZero > 0) return "reproduced";
  }
  return sign * mean > 0 ? "trend only" : "not reproduced";
}
