/** Some windows of many, by their numbers: those that are trained on, and those that are evaluated. */

import { UserError } from "../errors.ts";
import { gatherRows, isStored, type Windows } from "../text/mod.ts";
import type { TrainWindows } from "../train/mod.ts";
import type { TrainSubset } from "./corpus_data.ts";

/** A quarter of a gigabyte of ids. */
const MOST_TOKENS_IN_MEMORY = 2 ** 26;

/** @throws UserError when there are fewer windows than asked for, or two subsets are. */
export function trainSubset(windows: Windows, subset: TrainSubset): Windows;
export function trainSubset(windows: TrainWindows, subset: TrainSubset): TrainWindows;
export function trainSubset(
  windows: TrainWindows,
  { trainWindows, trainHalf, trainWithout }: TrainSubset,
): TrainWindows {
  if (trainWithout !== undefined) {
    if (trainWindows !== undefined || trainHalf !== undefined) {
      throw new UserError("trainWithout: expected no trainWindows and trainHalf beside it");
    }
    checkSubset("trainWithout", trainWithout, windows, windows.count - 1);
    const left = new Set(evenRows(windows, trainWithout));
    return pickTrain(windows, [...Array(windows.count).keys()].filter((row) => !left.has(row)));
  }
  const count = trainWindows ?? windows.count;
  checkSubset("trainWindows", count, windows, windows.count);
  const subset = everyNth(windows, count);
  return trainHalf === undefined ? subset : pickTrain(subset, halfRows(subset, trainHalf));
}

/** Few stored windows are read now, many when they are asked for. */
function pickTrain(windows: TrainWindows, rows: readonly number[]): TrainWindows {
  if (!isStored(windows)) return pickWindows(windows, rows);
  const { contextLength } = windows;
  if (rows.length * contextLength <= MOST_TOKENS_IN_MEMORY) return windows.read(rows);
  return {
    ...windows,
    count: rows.length,
    read: (numbers) => windows.read(Array.from(numbers, (number) => rows[number]!)),
  };
}

/** `count` windows at even distances; all of them where there are no more. */
export function everyNth(windows: Windows, count: number): Windows;
export function everyNth(windows: TrainWindows, count: number): TrainWindows;
export function everyNth(windows: TrainWindows, count: number): TrainWindows {
  if (count >= windows.count) return windows;
  return pickTrain(windows, evenRows(windows, count));
}

/** The first windows, `count` or as many as there are. */
export function firstWindows(windows: TrainWindows, count: number): Windows {
  const rows = Array.from({ length: Math.min(count, windows.count) }, (_, row) => row);
  return isStored(windows) ? windows.read(rows) : pickWindows(windows, rows);
}

/** @throws UserError when so many of the windows, which a teacher is to rate, cannot be held. */
export function checkRatable(windows: TrainWindows, count = windows.count): void {
  const most = Math.floor(MOST_TOKENS_IN_MEMORY / windows.contextLength);
  if (!isStored(windows) || Math.min(count, windows.count) <= most) return;
  throw new UserError(
    `teacher: expected at most ${most} training windows of ${windows.contextLength} tokens to be ` +
      `rated, found ${Math.min(count, windows.count)}; train on fewer (trainWindows)`,
  );
}

/**
 * All of the windows, which are to be rated and kept.
 *
 * @throws UserError when they are too many.
 */
export function inMemory(windows: TrainWindows): Windows {
  checkRatable(windows);
  return isStored(windows) ? firstWindows(windows, windows.count) : windows;
}

function checkSubset(
  field: "trainWindows" | "trainWithout",
  count: number,
  windows: TrainWindows,
  most: number,
): void {
  checkCount(field, count);
  if (count <= most) return;
  throw new UserError(
    `${field}: expected at most ${most} of the ${windows.count} training windows of ` +
      `${windows.contextLength} tokens that there are, found ${count}; ask for fewer or add text`,
  );
}

/** The numbers of every other window. */
export function halfRows({ count }: Pick<Windows, "count">, half: "even" | "odd"): number[] {
  return [...Array(count).keys()].filter((row) => row % 2 === (half === "even" ? 0 : 1));
}

/** The targets that are scored: not the first position, not a pad. */
export function scoredTokens(windows: Windows, padId: number): number {
  let scored = 0;
  for (let at = 0; at < windows.ids.length; at++) {
    if (at % windows.contextLength !== 0 && windows.ids[at] !== padId) scored++;
  }
  return scored;
}

/** The numbers of `count` windows at even distances. */
export function evenRows(windows: Pick<Windows, "count">, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(i * windows.count / count));
}

export function checkCount(
  field: "heldOutWindows" | "trainWindows" | "trainWithout",
  count: number,
): void {
  if (!Number.isInteger(count) || count < 1) {
    throw new UserError(`${field}: expected a positive integer, found ${count}`);
  }
}

/** The windows of the given numbers, in their order. */
export function pickWindows(windows: Windows, rows: readonly number[]): Windows {
  const pick = (values: Int32Array) => Int32Array.from(rows, (row) => values[row]!);
  return {
    ...windows,
    ...gatherRows(windows, rows),
    count: rows.length,
    realTokens: pick(windows.realTokens),
    byteCounts: pick(windows.byteCounts),
  };
}
