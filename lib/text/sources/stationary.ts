/** The stationary distribution of a chain with finitely many states. */

import { UserError } from "../../errors.ts";

/** A step that is possible, and its probability. */
export type ChainStep = readonly [from: number, to: number, probability: number];

/** The steps of a chain, grouped by where they lead: those to j are starts[j] … starts[j + 1] − 1. */
type StepsByTarget = Readonly<{
  starts: Int32Array;
  from: Int32Array;
  probabilities: Float64Array;
}>;

/** Steps are made until this much arithmetic has been done, a few seconds. */
const MOST_WORK = 2e9;
/** The change of one step, summed over the states, at which a distribution counts as settled. */
const SETTLED = 1e-14;
/** How far apart distributions from two starts may have settled, summed over the states. */
const AGREED = 1e-8;

/**
 * The distribution over states that a step leaves as it is.
 *
 * @throws UserError when there are several, or when the chain forgets its start so slowly that it
 *   is not found.
 */
export function stationaryDistribution(
  stateCount: number,
  steps: Iterable<ChainStep>,
): Float64Array {
  const byTarget = groupByTarget(stateCount, steps);
  // From a state that all others lead to, those that are left for good never get a share.
  const one = new Float64Array(stateCount);
  one[stateThatAllLeadTo(stateCount, byTarget)] = 1;
  const found = settle(one, byTarget);
  // Parts that are hardly ever left look settled from within.
  const other = settle(new Float64Array(stateCount).fill(1 / stateCount), byTarget);
  if (found !== null && other !== null && distance(found, other) < AGREED) return found;
  throw new UserError(
    "expected a chain that forgets where it started, found one that stays in a part of its " +
      "states for too long; make leaving it more probable",
  );
}

function distance(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, share, state) => sum + Math.abs(share - b[state]!), 0);
}

/** The shares of states after enough steps that one more changes nothing; null if it takes long. */
function settle(
  start: Float64Array,
  { starts, from, probabilities }: StepsByTarget,
): Float64Array | null {
  let shares = start;
  let next: Float64Array = new Float64Array(start.length);
  for (let work = 0; work < MOST_WORK; work += probabilities.length + start.length) {
    let change = 0;
    for (let state = 0; state < start.length; state++) {
      let arriving = 0;
      for (let at = starts[state]!; at < starts[state + 1]!; at++) {
        arriving += shares[from[at]!]! * probabilities[at]!;
      }
      // Half of every share stays, so that chains of a period settle too.
      next[state] = (shares[state]! + arriving) / 2;
      change += Math.abs(next[state]! - shares[state]!);
    }
    [shares, next] = [next, shares];
    if (change < SETTLED) return shares;
  }
  return null;
}

function groupByTarget(stateCount: number, steps: Iterable<ChainStep>): StepsByTarget {
  const possible = [...steps].filter(([, , probability]) => probability > 0);
  const starts = new Int32Array(stateCount + 1);
  for (const [, to] of possible) starts[to + 1]!++;
  for (let state = 0; state < stateCount; state++) starts[state + 1]! += starts[state]!;
  const next = starts.slice();
  const from = new Int32Array(possible.length);
  const probabilities = new Float64Array(possible.length);
  for (const [source, to, probability] of possible) {
    const at = next[to]!++;
    from[at] = source;
    probabilities[at] = probability;
  }
  return { starts, from, probabilities };
}

/**
 * A state that can be reached from every other. There is one just when the stationary distribution
 * is unique; the last state from which a search backwards finds new states is one if any is.
 */
function stateThatAllLeadTo(stateCount: number, steps: StepsByTarget): number {
  const seen = new Uint8Array(stateCount);
  let candidate = 0;
  for (let state = 0; state < stateCount; state++) {
    if (seen[state] === 1) continue;
    candidate = state;
    searchBackwards(state, steps, seen);
  }
  const leading = searchBackwards(candidate, steps, new Uint8Array(stateCount));
  if (leading === stateCount) return candidate;
  throw new UserError(
    "expected a chain with one stationary distribution, found parts that are never left for each " +
      "other; make steps between them possible",
  );
}

/** Marks the states that lead to one, and counts those newly marked. */
function searchBackwards(
  state: number,
  { starts, from }: StepsByTarget,
  seen: Uint8Array,
): number {
  const open = [state];
  seen[state] = 1;
  let found = 0;
  while (open.length > 0) {
    const here = open.pop()!;
    found++;
    for (let at = starts[here]!; at < starts[here + 1]!; at++) {
      const before = from[at]!;
      if (seen[before] === 1) continue;
      seen[before] = 1;
      open.push(before);
    }
  }
  return found;
}
