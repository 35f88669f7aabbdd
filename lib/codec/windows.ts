/**
 * The order in which the tokens of a file are coded, which both sides share: round by round, in a
 * round position by position, at a position lane by lane.
 *
 * Legend: L lanes, N tokens a window, V vocabulary, P embedding size.
 */

import { type Frequencies, frequenciesOf } from "./frequencies.ts";
import type { Window } from "./layout.ts";
import type { Predictor } from "./predictor.ts";
import { takeTurn } from "./stream.ts";

/** A token that is to be coded. */
export type Place = Readonly<{
  window: Window;
  /** Of the token in the file. */
  index: number;
  /** Of the token in its window. */
  position: number;
}>;

/** Codes one token, or finds it out; gives its id. */
export type Visit = (place: Place, frequencies: Frequencies) => number;

export type RoundOptions = Readonly<{
  /** All tokens of the file; those of context must be there, the others are filled in. */
  ids: Int32Array;
  /** Stands where a lane has no token. */
  padId: number;
  /** `[L, P]`, empty without embeddings. */
  embeddingsLP: Float32Array;
  /** Of windows that the model codes; the others are coded by `raw`. */
  isModelled: (window: Window) => boolean;
  raw: Frequencies;
  /** Of a window's first token that has no context. */
  first: Frequencies;
  signal?: AbortSignal | undefined;
}>;

/** Every token to be coded of one window a lane, in order. */
export async function codeRound(
  predictor: Predictor,
  windows: readonly Window[],
  { ids, padId, embeddingsLP, isModelled, raw, first, signal }: RoundOptions,
  visit: Visit,
): Promise<void> {
  const { laneCount, vocabSize } = predictor;
  const needsModel = windows.some(isModelled);
  const length = Math.max(...windows.map(({ start, end }) => end - start));
  if (needsModel) predictor.begin(embeddingsLP);
  const codedAt = (position: number) =>
    windows.filter(({ start, known, end }) => start + position >= known && start + position < end);
  let logitsLV: Float32Array | null = null;
  for (let position = 0; position < length; position++) {
    await takeTurn(signal);
    for (const window of codedAt(position)) {
      const { lane, start } = window;
      const index = start + position;
      const frequencies = !isModelled(window)
        ? raw
        : position === 0
        ? first
        : frequenciesOf(logitsLV!.subarray(lane * vocabSize, (lane + 1) * vocabSize));
      ids[index] = visit({ window, index, position }, frequencies);
    }
    if (!needsModel || position + 1 === length) continue;
    const idsL = new Int32Array(laneCount).fill(padId);
    for (const { lane, start, end } of windows) {
      if (start + position < end) idsL[lane] = ids[start + position]!;
    }
    if (codedAt(position + 1).length > 0) logitsLV = await predictor.next(idsL);
    else predictor.advance(idsL);
  }
}
