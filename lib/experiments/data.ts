/** The data of a run: a corpus by name, made into windows once for all runs that share it. */

import { UserError } from "../errors.ts";
import {
  type Layout,
  loadCorpus,
  makeWindows,
  prepareCorpus,
  type TextUnit,
  type Windows,
} from "../text/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { TrainingData } from "../train/mod.ts";

export type DataSpec = Readonly<{
  /** `sotu`, or the path of a file or folder. */
  corpus: string;
  /** The field of a .jsonl line that holds the text; `text` by default. */
  textField?: string;
  vocabSize: number;
  unit: TextUnit;
  layout: Layout;
  /** N, tokens a window. */
  contextLength: number;
  /** How many held-out windows are evaluated, spread evenly over the held-out text. */
  heldOutWindows: number;
}>;

export type PreparedData = Readonly<{
  spec: DataSpec;
  /** Changes with corpus, tokenizer, unit and encoding. */
  corpusKey: string;
  tokenizer: Tokenizer;
  training: TrainingData;
  /** Mean bytes of a scored held-out token, L_b/L_t of paper §3.1. */
  bytesPerToken: number;
}>;

export async function prepareData(
  spec: DataSpec,
  options: { cacheFolder: string; log?: (line: string) => void },
): Promise<PreparedData> {
  const { textField } = spec;
  const corpus = await loadCorpus(spec.corpus, textField === undefined ? {} : { textField });
  const { vocabSize, unit, contextLength, layout, heldOutWindows } = spec;
  const tokenized = await prepareCorpus(corpus, { vocabSize, unit, ...options });
  const { tokenizer } = tokenized;
  const train = makeWindows(tokenized.train, tokenizer, { contextLength, layout });
  const all = makeWindows(tokenized.heldOut, tokenizer, { contextLength, layout });
  const heldOut = everyNth(all, heldOutWindows);
  const bytes = heldOut.byteCounts.reduce((sum, count) => sum + count, 0);
  const padId = layout === "padded" ? tokenizer.padId : null;
  return {
    spec,
    corpusKey: tokenized.key,
    tokenizer,
    training: { train, heldOut, padId },
    bytesPerToken: bytes / scoredTokens(heldOut, tokenizer.padId),
  };
}

/** The targets that are scored: not the first position, not a pad. */
export function scoredTokens(windows: Windows, padId: number): number {
  let scored = 0;
  for (let at = 0; at < windows.ids.length; at++) {
    if (at % windows.contextLength !== 0 && windows.ids[at] !== padId) scored++;
  }
  return scored;
}

/** `count` windows at even distances; all of them where there are no more. */
function everyNth(windows: Windows, count: number): Windows {
  if (!Number.isInteger(count) || count < 1) {
    throw new UserError(`heldOutWindows: expected a positive integer, found ${count}`);
  }
  if (count >= windows.count) return windows;
  return pickWindows(
    windows,
    Array.from({ length: count }, (_, i) => Math.floor(i * windows.count / count)),
  );
}

/** The windows of the given numbers, in their order. */
export function pickWindows(windows: Windows, rows: readonly number[]): Windows {
  const { contextLength } = windows;
  const ids = new Int32Array(rows.length * contextLength);
  rows.forEach((row, at) => {
    const start = row * contextLength;
    ids.set(windows.ids.subarray(start, start + contextLength), at * contextLength);
  });
  const pick = (values: Int32Array) => Int32Array.from(rows, (row) => values[row]!);
  return {
    ...windows,
    count: rows.length,
    ids,
    realTokens: pick(windows.realTokens),
    byteCounts: pick(windows.byteCounts),
  };
}
