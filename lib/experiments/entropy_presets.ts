/** The sizes of notebooks 04 and 05: token entropies of text, and of sources that are known. */

import type { Source } from "../text/mod.ts";
import type { TrainingSizes } from "./arms.ts";
import type { CorpusData } from "./data.ts";
import { PACKED, PAPER_SCHEDULE, PAPER_TEXT, type PresetName, QUICK } from "./presets.ts";

/** Notebook 04: token entropies of text (paper §4, §9 E20–E22). */
export type TokenEntropyPreset =
  & TrainingSizes
  & Readonly<{
    /** Left-padded, as pad-shift needs it (paper §4.3). */
    data: CorpusData;
    width: number;
    encoderWidth: number;
    layerCount: number;
    headCount: number;
    /** Of the EEMs: the one that is estimated with, a large and the largest embedding. */
    embeddingSizes: readonly [base: number, large: number, largest: number];
    peakRate: number;
    /** The larger causal model, of another tokenizer, trained longer (paper §4.5). */
    large: Readonly<{
      vocabSize: number;
      width: number;
      layerCount: number;
      peakRate: number;
      /** Times the steps of the others. */
      stepsFactor: number;
    }>;
    /** Full held-out windows whose tokens are estimated. */
    windows: number;
    /**
     * Training samples of second-order models, all by default: what a teacher says of them is held
     * in memory.
     */
    ratedWindows?: number;
  }>;

const SENTENCES: CorpusData = { ...PACKED, unit: "sentence", layout: "padded" };

/** The learning rate that notebook 03 chose for transformers of this size and length. */
const TOKENS: TokenEntropyPreset = {
  data: SENTENCES,
  width: 64,
  encoderWidth: 32,
  layerCount: 2,
  headCount: 4,
  embeddingSizes: [4, 16, 64],
  peakRate: 5e-3,
  large: { vocabSize: 1024, width: 128, layerCount: 2, peakRate: 5e-3, stepsFactor: 1.5 },
  windows: 32,
  batchSize: 64,
  steps: 600,
  warmupSteps: 50,
  logEvery: 50,
  evaluateEvery: 200,
  seeds: [2, 3, 4],
};

export const TOKEN_ENTROPY_PRESETS: Readonly<Record<PresetName, TokenEntropyPreset>> = {
  quick: {
    ...TOKENS,
    ...QUICK,
    data: { ...SENTENCES, heldOutWindows: 128 },
    large: { ...TOKENS.large, stepsFactor: 1 },
    windows: 8,
  },
  small: TOKENS,
  paper: {
    ...TOKENS,
    data: {
      ...SENTENCES,
      ...PAPER_TEXT,
      unit: "document",
      contextLength: 1024,
      heldOutWindows: 1024,
    },
    width: 512,
    encoderWidth: 256,
    layerCount: 16,
    embeddingSizes: [64, 256, 512],
    peakRate: 2e-4,
    large: { vocabSize: 32000, width: 2048, layerCount: 16, peakRate: 2e-4, stepsFactor: 1 },
    windows: 64,
    ratedWindows: 65_536,
    ...PAPER_SCHEDULE,
  },
};

/** Notebook 05: every estimator against exact values. */
export type KnownEntropyPreset =
  & Omit<TrainingSizes, "steps">
  & Readonly<{
    /** By the name that tables and figures show. */
    sources: Readonly<Record<string, Source>>;
    contextLength: number;
    heldOutWindows: number;
    width: number;
    layerCount: number;
    headCount: number;
    embeddingSize: number;
    /** How long models are trained, shortest first; the last is what tables compare. */
    trainingSteps: readonly number[];
    peakRate: number;
    /** Full held-out windows whose tokens are estimated. */
    windows: number;
    /** The same for the two-window form, which estimates one token of a window. */
    pairWindows: number;
    /** The source on which the embedding's size is varied, and its sizes. */
    shortfall: Readonly<{ source: string; embeddingSizes: readonly number[] }>;
  }>;

/** About 2 million tokens a source: a few epochs at preset small. */
const LENGTH = 2_000_000;

const SOURCES: KnownEntropyPreset["sources"] = {
  "i.i.d.": {
    kind: "iid",
    probabilities: [0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05],
    length: LENGTH,
    seed: 21,
  },
  "Markov, order 2": {
    kind: "markov",
    symbols: 8,
    order: 2,
    concentration: 0.4,
    tableSeed: 1,
    length: LENGTH,
    seed: 22,
  },
  "hidden Markov": {
    kind: "hidden-markov",
    states: 4,
    symbols: 8,
    concentration: 0.1,
    tableSeed: 2,
    length: LENGTH,
    seed: 23,
  },
  "topic of 4 bits": {
    kind: "topic",
    topicBits: 4,
    symbols: 8,
    concentration: 0.3,
    tableSeed: 1,
    length: LENGTH,
    seed: 24,
  },
  "corrupted copy": {
    kind: "corrupted-copy",
    symbols: 8,
    corruption: 0.5,
    length: LENGTH,
    seed: 25,
  },
};

/**
 * Two numbers a sequence of 32 tokens: at 4 bits the paper's quarter of a bit per token. Tables were
 * drawn until tokens of a source differ in entropy, by 0.3 nats in standard deviation, before any
 * model was trained on them.
 */
const KNOWN: KnownEntropyPreset = {
  sources: SOURCES,
  contextLength: 32,
  heldOutWindows: 512,
  width: 32,
  layerCount: 2,
  headCount: 4,
  embeddingSize: 2,
  trainingSteps: [75, 200, 600],
  peakRate: 1e-2,
  windows: 32,
  pairWindows: 128,
  shortfall: { source: "topic of 4 bits", embeddingSizes: [1, 2, 4, 8] },
  batchSize: 64,
  warmupSteps: 30,
  logEvery: 50,
  evaluateEvery: 100,
  seeds: [2, 3, 4],
};

export const KNOWN_ENTROPY_PRESETS: Readonly<Record<PresetName, KnownEntropyPreset>> = {
  quick: {
    ...KNOWN,
    sources: pick(SOURCES, ["Markov, order 2", "topic of 4 bits"]),
    heldOutWindows: 128,
    trainingSteps: [40, 120],
    warmupSteps: 8,
    windows: 16,
    pairWindows: 32,
    shortfall: { source: "topic of 4 bits", embeddingSizes: [2, 8] },
    logEvery: 10,
    evaluateEvery: 40,
    seeds: [2],
  },
  small: KNOWN,
  paper: {
    ...KNOWN,
    contextLength: 256,
    heldOutWindows: 1024,
    width: 256,
    layerCount: 8,
    embeddingSize: 16,
    trainingSteps: [2000, 10_000, 50_000],
    peakRate: 5e-4,
    warmupSteps: 500,
    windows: 64,
    pairWindows: 256,
    shortfall: { source: "topic of 4 bits", embeddingSizes: [4, 16, 64] },
    logEvery: 500,
    evaluateEvery: 2000,
    seeds: PAPER_SCHEDULE.seeds,
  },
};

function pick(
  sources: KnownEntropyPreset["sources"],
  names: readonly string[],
): KnownEntropyPreset["sources"] {
  return Object.fromEntries(names.map((name) => [name, sources[name]!]));
}
