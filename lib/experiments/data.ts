/** The data of a run: a corpus by name, made into windows once for all runs that share it. */

import { createHash } from "node:crypto";
import { UserError } from "../errors.ts";
import { createRandom, type Random } from "../random.ts";
import {
  type ExactValues,
  exactValues,
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
  type Windows,
} from "../text/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { TrainingData } from "../train/mod.ts";
import type { CorpusData, TrainSubset } from "./corpus_data.ts";
import { storedText, type StoredTextOptions, type TextWindows, usesShards } from "./stored_data.ts";
import { checkCount, everyNth, pickWindows, scoredTokens, trainSubset } from "./window_subsets.ts";

export type { CorpusData, TextPlace, TrainSubset } from "./corpus_data.ts";
export { everyNth, halfRows, pickWindows, scoredTokens } from "./window_subsets.ts";

export type DataSpec = CorpusData | LatentData | SourceData;

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
/** Made sequences, which are held in memory. */
export type PreparedSequences = PreparedData & Readonly<{ training: TrainingData<Windows> }>;

export type PrepareDataOptions = StoredTextOptions;

export function prepareData(spec: CorpusData, options: PrepareDataOptions): Promise<PreparedText>;
export function prepareData(
  spec: LatentData | SourceData,
  options: PrepareDataOptions,
): Promise<PreparedSequences>;
export function prepareData(spec: DataSpec, options: PrepareDataOptions): Promise<PreparedData>;
export async function prepareData(
  spec: DataSpec,
  options: PrepareDataOptions,
): Promise<PreparedData> {
  if ("source" in spec) return prepareSequences(spec);
  if ("known" in spec) return prepareSource(spec);
  checkCount("heldOutWindows", spec.heldOutWindows);
  const { corpusKey, tokenizer, train, heldOut } = await usesShards(spec)
    ? await storedText(spec, options)
    : await textInMemory(spec, options);
  const bytes = heldOut.byteCounts.reduce((sum, count) => sum + count, 0);
  const padId = spec.layout === "padded" ? tokenizer.padId : null;
  return {
    corpusKey,
    tokenizer,
    training: { train: trainSubset(train, spec), heldOut, padId },
    bytesPerToken: bytes / scoredTokens(heldOut, tokenizer.padId),
    exact: null,
    entropyRateNats: null,
  };
}

async function textInMemory(
  { corpus: name, textField, vocabSize, unit, contextLength, layout, heldOutWindows }: CorpusData,
  options: PrepareDataOptions,
): Promise<TextWindows> {
  const corpus = await loadCorpus(name, textField === undefined ? {} : { textField });
  const tokenized = await prepareCorpus(corpus, { vocabSize, unit, ...options });
  const { tokenizer } = tokenized;
  return {
    corpusKey: tokenized.key,
    tokenizer,
    train: makeWindows(tokenized.train, tokenizer, { contextLength, layout }),
    heldOut: everyNth(
      makeWindows(tokenized.heldOut, tokenizer, { contextLength, layout }),
      heldOutWindows,
    ),
  };
}

function prepareSequences(
  { source, trainWindows, heldOutWindows, sequenceSeed }: LatentData,
): PreparedSequences {
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
): PreparedSequences {
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
