/** The data of a run: a corpus by name, made into windows once for all runs that share it. */

import { createHash } from "node:crypto";
import { UserError } from "../errors.ts";
import { createRandom, type Random } from "../random.ts";
import {
  type ExactValues,
  exactValues,
  gatherRows,
  latentLength,
  latentSequences,
  type LatentSource,
  latentVocabSize,
  type Layout,
  loadCorpus,
  makeWindows,
  prepareCorpus,
  type Source,
  SOURCE_PAD_ID,
  sourceProcess,
  sourceSequences,
  sourceVocabSize,
  type TextUnit,
  type Windows,
} from "../text/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { TrainingData } from "../train/mod.ts";

export type DataSpec = CorpusData | LatentData | SourceData;

/** A fixed part of the training windows (paper §5.2); all of them without these. */
export type TrainSubset = Readonly<{
  /** How many windows, at even distances over all there are. */
  trainWindows?: number;
  /** Every other one of those: for models that rate what they have not seen. */
  trainHalf?: "even" | "odd";
  /** All but the subset that has this number of windows: for the same. */
  trainWithout?: number;
}>;

/** Windows of a text. */
export type CorpusData =
  & TrainSubset
  & Readonly<{
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

/** Made sequences that carry a known number of bits; see lib/text/latent_sequences.ts. */
export type LatentData = Readonly<{
  source: LatentSource;
  vocabSize: number;
  layout: "packed";
  contextLength: number;
  trainWindows: number;
  heldOutWindows: number;
  /** Of the sequences themselves; runs of all seeds share them. */
  sequenceSeed: number;
}>;

export function latentData(
  source: LatentSource,
  counts: Pick<LatentData, "trainWindows" | "heldOutWindows" | "sequenceSeed">,
): LatentData {
  return {
    source,
    vocabSize: latentVocabSize(source),
    layout: "packed",
    contextLength: latentLength(source),
    ...counts,
  };
}

/** Sequences of a source whose entropy is known; see lib/text/sources/source.ts. */
export type SourceData =
  & TrainSubset
  & Readonly<{
    /** The description itself, so that a run is known by its content, not by a path. */
    known: Source;
    vocabSize: number;
    layout: Layout;
    contextLength: number;
    /** A tenth of the sequences is held out; no more than these are evaluated. */
    heldOutWindows: number;
  }>;

export function sourceData(
  known: Source,
  sizes: Omit<SourceData, "known" | "vocabSize">,
): SourceData {
  return { known, vocabSize: sourceVocabSize(known), ...sizes };
}

export type PreparedData = Readonly<{
  /** Changes with corpus, tokenizer, unit and encoding. */
  corpusKey: string;
  /** Null for made sequences, whose tokens are no text. */
  tokenizer: Tokenizer | null;
  training: TrainingData;
  /** Mean bytes of a scored held-out token, L_b/L_t of paper §3.1; 1 for made sequences. */
  bytesPerToken: number;
  /** What is known of a window's tokens, given without pads; null where the source is not known. */
  exact: ((ids: ArrayLike<number>) => ExactValues) | null;
  /** The source's entropy rate, nats a token; null where it is not known. */
  entropyRateNats: number | null;
}>;

export type PreparedText = PreparedData & Readonly<{ tokenizer: Tokenizer }>;

export type PrepareDataOptions = { cacheFolder: string; log?: (line: string) => void };

export function prepareData(spec: CorpusData, options: PrepareDataOptions): Promise<PreparedText>;
export function prepareData(spec: DataSpec, options: PrepareDataOptions): Promise<PreparedData>;
export async function prepareData(
  spec: DataSpec,
  options: PrepareDataOptions,
): Promise<PreparedData> {
  if ("source" in spec) return prepareSequences(spec);
  if ("known" in spec) return prepareSource(spec);
  const { textField } = spec;
  checkCount("heldOutWindows", spec.heldOutWindows);
  const corpus = await loadCorpus(spec.corpus, textField === undefined ? {} : { textField });
  const { vocabSize, unit, contextLength, layout, heldOutWindows } = spec;
  const tokenized = await prepareCorpus(corpus, { vocabSize, unit, ...options });
  const { tokenizer } = tokenized;
  const train = trainSubset(
    makeWindows(tokenized.train, tokenizer, { contextLength, layout }),
    spec,
  );
  const all = makeWindows(tokenized.heldOut, tokenizer, { contextLength, layout });
  const heldOut = everyNth(all, heldOutWindows);
  const bytes = heldOut.byteCounts.reduce((sum, count) => sum + count, 0);
  const padId = layout === "padded" ? tokenizer.padId : null;
  return {
    corpusKey: tokenized.key,
    tokenizer,
    training: { train, heldOut, padId },
    bytesPerToken: bytes / scoredTokens(heldOut, tokenizer.padId),
    exact: null,
    entropyRateNats: null,
  };
}

function prepareSequences(
  { source, trainWindows, heldOutWindows, sequenceSeed }: LatentData,
): PreparedData {
  checkCount("trainWindows", trainWindows);
  checkCount("heldOutWindows", heldOutWindows);
  const random = createRandom(sequenceSeed);
  const train = latentSequences(source, trainWindows, random.stream("train"));
  const heldOut = unseenSequences(source, train, heldOutWindows, random.stream("held out"));
  return {
    corpusKey: "latent sequences",
    tokenizer: null,
    training: { train, heldOut, padId: null },
    bytesPerToken: 1,
    exact: null,
    entropyRateNats: null,
  };
}

/**
 * Held-out sequences are independent of those of training, and may by chance be among them: leaving
 * those out would give the rest another distribution than the source's.
 */
function prepareSource(
  { known, layout, contextLength, heldOutWindows, ...subset }: SourceData,
): PreparedData {
  checkCount("heldOutWindows", heldOutWindows);
  const count = Math.floor(known.length / contextLength);
  if (count < 2) {
    throw new UserError(
      `length: expected tokens for two windows of ${contextLength}, one of them held out, found ` +
        `${known.length}; use more or a shorter context`,
    );
  }
  const heldOutCount = Math.max(1, Math.floor(count / 10));
  const process = sourceProcess(known);
  const random = createRandom(known.seed);
  const train = trainSubset(
    sourceSequences(process, {
      count: count - heldOutCount,
      contextLength,
      layout,
      random: random.stream("train"),
    }),
    subset,
  );
  const heldOut = sourceSequences(process, {
    count: Math.min(heldOutCount, heldOutWindows),
    contextLength,
    layout,
    random: random.stream("held out"),
    fullRows: "first half",
  });
  return {
    corpusKey: `source ${createHash("sha256").update(JSON.stringify(known)).digest("hex")}`,
    tokenizer: null,
    training: { train, heldOut, padId: layout === "padded" ? SOURCE_PAD_ID : null },
    bytesPerToken: 1,
    exact: (ids) => exactValues(process, ids, contextLength),
    entropyRateNats: process.entropyRateNats,
  };
}

/** @throws UserError when there are fewer windows than asked for, or two subsets are. */
function trainSubset(
  windows: Windows,
  { trainWindows, trainHalf, trainWithout }: TrainSubset,
): Windows {
  if (trainWithout !== undefined) {
    if (trainWindows !== undefined || trainHalf !== undefined) {
      throw new UserError("trainWithout: expected no trainWindows and trainHalf beside it");
    }
    checkSubset("trainWithout", trainWithout, windows, windows.count - 1);
    const left = new Set(evenRows(windows, trainWithout));
    return pickWindows(windows, [...Array(windows.count).keys()].filter((row) => !left.has(row)));
  }
  const count = trainWindows ?? windows.count;
  checkSubset("trainWindows", count, windows, windows.count);
  const subset = everyNth(windows, count);
  return trainHalf === undefined ? subset : pickWindows(subset, halfRows(subset, trainHalf));
}

function checkSubset(
  field: "trainWindows" | "trainWithout",
  count: number,
  windows: Windows,
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

/**
 * Sequences that training does not have, so that nothing learned by heart helps.
 *
 * @throws UserError when most of all possible sequences are in the training data.
 */
function unseenSequences(
  source: LatentSource,
  train: Windows,
  count: number,
  random: Random,
): Windows {
  const textOf = (windows: Windows, row: number) => {
    const start = row * windows.contextLength;
    return windows.ids.subarray(start, start + windows.contextLength).join(" ");
  };
  const seen = new Set(Array.from({ length: train.count }, (_, row) => textOf(train, row)));
  const drawn = latentSequences(source, 2 * count, random);
  const rows = [...Array(drawn.count).keys()].filter((row) => !seen.has(textOf(drawn, row)));
  if (rows.length < count) {
    throw new UserError(
      `${source.latentBits} latent bits: expected ${count} held-out sequences that are not among ` +
        `the ${train.count} of training, found ${rows.length} in ${drawn.count}; ` +
        "use more bits or fewer training sequences",
    );
  }
  return pickWindows(drawn, rows.slice(0, count));
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
export function everyNth(windows: Windows, count: number): Windows {
  if (count >= windows.count) return windows;
  return pickWindows(windows, evenRows(windows, count));
}

/** The numbers of `count` windows at even distances. */
function evenRows(windows: Pick<Windows, "count">, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(i * windows.count / count));
}

function checkCount(
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
