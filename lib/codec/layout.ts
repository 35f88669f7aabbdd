/**
 * Which tokens of a file are read together: lanes, windows, and what each window has from the one
 * before.
 *
 * The T tokens are cut into L lanes of equal length, which are read in lock step as one batch. In a
 * lane, windows of N tokens follow each other. Each begins with the last tokens of the one before,
 * its context, which are known already and cost nothing; a first window has none. The last window of
 * a lane is moved back until it is full, so that no model meets a window unlike those it was trained
 * on, unless the whole lane is shorter than one.
 *
 * Both sides work this out from the header alone.
 */

import { UserError } from "../errors.ts";

export type LayoutSizes = Readonly<{
  tokenCount: number;
  laneCount: number;
  /** N, tokens a window. */
  contextLength: number;
  /** Tokens that a window has from the one before; 0 … N − 1. */
  overlap: number;
}>;

/** A window by its tokens in the file: [start, known) is context, [known, end) is coded. */
export type Window = Readonly<{ lane: number; start: number; known: number; end: number }>;

/**
 * The windows round by round; in a round there is at most one a lane, in the order of lanes.
 *
 * @throws UserError for an overlap that leaves nothing to code, and for more lanes than tokens.
 */
export function layoutRounds(sizes: LayoutSizes): Window[][] {
  return [...eachRound(sizes)];
}

/**
 * The same, one round at a time: a damaged header may promise more tokens than there is memory for
 * their windows, and the bytes behind it end before.
 */
export function* eachRound(sizes: LayoutSizes): Generator<Window[], void> {
  checkSizes(sizes);
  const { tokenCount, laneCount } = sizes;
  const laneStart = (lane: number) => Math.floor(lane * tokenCount / laneCount);
  const knownOfLane = Array.from({ length: laneCount }, (_, lane) => laneStart(lane));
  for (;;) {
    const round: Window[] = [];
    for (const [lane, known] of knownOfLane.entries()) {
      const laneEnd = laneStart(lane + 1);
      if (known === laneEnd) continue;
      const window = nextWindow(sizes, lane, laneStart(lane), laneEnd, known);
      round.push(window);
      knownOfLane[lane] = window.end;
    }
    if (round.length === 0) return;
    yield round;
  }
}

function nextWindow(
  { contextLength, overlap }: LayoutSizes,
  lane: number,
  laneStart: number,
  laneEnd: number,
  known: number,
): Window {
  const wanted = known === laneStart ? known : known - overlap;
  const start = Math.max(laneStart, Math.min(wanted, laneEnd - contextLength));
  return { lane, start, known, end: Math.min(start + contextLength, laneEnd) };
}

/** @throws UserError for an overlap that leaves nothing to code. */
export function checkOverlap(overlap: number, contextLength: number): void {
  if (Number.isInteger(overlap) && overlap >= 0 && overlap < contextLength) return;
  throw new UserError(
    `overlap: expected 0 … ${contextLength - 1} tokens, less than the model's context, ` +
      `found ${overlap}`,
  );
}

function checkSizes({ tokenCount, laneCount, contextLength, overlap }: LayoutSizes): void {
  checkOverlap(overlap, contextLength);
  if (Number.isInteger(laneCount) && laneCount >= 1 && laneCount <= Math.max(1, tokenCount)) return;
  throw new UserError(
    `lanes: expected 1 … ${Math.max(1, tokenCount)}, no more than there are tokens, ` +
      `found ${laneCount}`,
  );
}
