/**
 * Estimates of several models, e.g. of different seeds, as one: their mean, and how far it may be
 * off, standard deviation / √n with divisor n − 1. A token has one if all models give one; of a
 * single model there is no standard error.
 */

import { UserError } from "../errors.ts";
import { meanOf } from "./_mean.ts";
import type { TokenEstimate } from "./token_estimate.ts";
import type { WindowEstimates } from "./window_estimates.ts";

/** An estimate and its standard error, in the same unit. */
type Combined = Readonly<{ mean: number | null; standardError: number | null }>;

function combine(estimates: readonly (number | null)[]): Combined {
  const present = estimates.filter((estimate) => estimate !== null);
  return present.length < estimates.length ? { mean: null, standardError: null } : meanOf(present);
}

/**
 * The mean of several models' estimates of the same windows, and its standard error.
 *
 * @throws UserError without models, or when they are of different windows.
 */
export function ensembleEstimates(
  members: readonly WindowEstimates[],
): { mean: WindowEstimates; standardError: WindowEstimates } {
  const first = firstOf(members);
  const shapeOf = (estimates: WindowEstimates) => estimates.map((window) => window.length).join();
  members.forEach((member, number) => {
    if (shapeOf(member) === shapeOf(first)) return;
    throw new UserError(
      `ensemble: expected estimates of the same windows from all models, found other numbers or ` +
        `lengths of windows in that of place ${number + 1}`,
    );
  });
  const combined = first.map((window, row) =>
    window.map((_, position) => combine(members.map((member) => member[row]![position]!)))
  );
  return {
    mean: combined.map((window) => window.map(({ mean }) => mean)),
    standardError: combined.map((window) => window.map(({ standardError }) => standardError)),
  };
}

/**
 * The same for several models' records of one text.
 *
 * @throws UserError without models, or when their records are not of the same tokens.
 */
export function ensembleRecords(
  members: readonly (readonly TokenEstimate[])[],
): TokenEstimate[] {
  const first = firstOf(members);
  members.forEach((member, number) => {
    const place = first.findIndex(({ id, position }, at) =>
      member[at]?.id !== id || member[at].position !== position
    );
    if (place < 0 && member.length === first.length) return;
    throw new UserError(
      `ensemble: expected records of the same tokens from all models, found others in that of ` +
        `place ${number + 1}, from token ${place < 0 ? first.length : place} on; ` +
        `use models of one tokenizer`,
    );
  });
  return first.map((record, at) => {
    const { mean, standardError } = combine(members.map((member) => member[at]!.estimate));
    return { ...record, estimate: mean, standardError };
  });
}

function firstOf<Member>(members: readonly Member[]): Member {
  if (members.length === 0) throw new UserError("ensemble: expected one model or more, found none");
  return members[0]!;
}
