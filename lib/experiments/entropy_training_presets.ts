/** The sizes of notebook 06: training towards entropies (paper §5, §9 E23 and E24). */

import type { Source } from "../text/mod.ts";
import type { TrainingSizes } from "./arms.ts";
import type { CorpusData } from "./data.ts";
import { KNOWN_ENTROPY_PRESETS } from "./entropy_presets.ts";
import { PACKED, PAPER_TEXT, type PresetName } from "./presets.ts";

/** A causal transformer, and how it is trained. */
export type CausalTraining = Readonly<{
  width: number;
  layerCount: number;
  headCount: number;
  peakRate: number;
  batchSize: number;
  steps: number;
  warmupSteps: number;
}>;

/** A small part of the data, over and over. */
export type SmallDataTraining =
  & CausalTraining
  & Readonly<{
    trainWindows: number;
    logEvery: number;
    evaluateEvery: number;
  }>;

/** The same text once over, or a few times. */
export type LargeDataTraining = Pick<CausalTraining, "batchSize" | "steps" | "warmupSteps">;

export type EntropyTrainingPreset = Readonly<{
  seeds: TrainingSizes["seeds"];
  /** Attention dropout of the arms that have it (paper §5.2). */
  dropout: number;
  /** The share of label smoothing. */
  smoothing: number;
  /** E24: a part of a text; the teacher reads all of it. */
  text: Readonly<{
    /** Documents that fill a window, so that a window is one document. */
    data: CorpusData;
    small: SmallDataTraining;
    large: LargeDataTraining;
    /** Steps of teachers that read nothing but the small part: about where held-out loss is least. */
    subsetSteps: number;
    /** Steps of plain training whose learning rate comes down to 0 in time. */
    earlySteps: number;
    /** As `subsetSteps`, for teachers that read half of it. */
    halfSteps: number;
    /** Factors of the penalties: of those tried with seed 1, the ones of the least final loss. */
    l1: number;
    l2: number;
  }>;
  /** The same on a source whose entropies are known. */
  known: SourceTraining;
  /** How many sequences of it are read, and how often the models are evaluated. */
  amounts: Readonly<{ trainWindows: readonly number[]; evaluateEvery: number }>;
  /** The noisy copy (paper §5.1, form 5). */
  copy: SourceTraining;
  /**
   * E23: all of the text, or so many of its samples, with weights from an EEM's attributions, which
   * are held in memory.
   */
  full: Readonly<
    {
      trainWindows?: number;
      embeddingSize: number;
      encoderWidth: number;
      training: LargeDataTraining;
    }
  >;
}>;

export type SourceTraining = Readonly<{
  source: Source;
  contextLength: number;
  heldOutWindows: number;
  small: SmallDataTraining;
  large: LargeDataTraining;
}>;

/** All paragraphs of the built-in corpus fill a window of 64 tokens: nothing is padded. */
const PARAGRAPHS: CorpusData = {
  ...PACKED,
  unit: "paragraph",
  layout: "padded",
  heldOutWindows: 256,
};

/** Rates as in notebooks 03 to 05, for models of this size and runs of this length. */
const TRANSFORMER = { width: 64, layerCount: 2, headCount: 4, peakRate: 5e-3 };

const SMALL_TEXT: SmallDataTraining = {
  ...TRANSFORMER,
  trainWindows: 512,
  batchSize: 32,
  steps: 600,
  warmupSteps: 30,
  logEvery: 50,
  evaluateEvery: 25,
};

const SMALL_SOURCE: SmallDataTraining = {
  ...SMALL_TEXT,
  trainWindows: 256,
};

const { sources } = KNOWN_ENTROPY_PRESETS.small;

const SOURCE = { contextLength: 32, heldOutWindows: 512, small: SMALL_SOURCE };

const LARGE_TEXT: LargeDataTraining = { batchSize: 64, steps: 600, warmupSteps: 50 };

const SMALL: EntropyTrainingPreset = {
  seeds: [2, 3, 4, 5, 6],
  dropout: 0.1,
  smoothing: 0.1,
  text: {
    data: PARAGRAPHS,
    small: SMALL_TEXT,
    large: LARGE_TEXT,
    subsetSteps: 100,
    earlySteps: 150,
    halfSteps: 75,
    l1: 3e-4,
    l2: 1e-2,
  },
  known: {
    ...SOURCE,
    source: sources["Markov, order 2"]!,
    large: { batchSize: 64, steps: 400, warmupSteps: 30 },
  },
  amounts: { trainWindows: [64, 128, 256, 512, 1024], evaluateEvery: 10 },
  copy: {
    ...SOURCE,
    source: sources["corrupted copy"]!,
    large: { batchSize: 64, steps: 400, warmupSteps: 30 },
  },
  full: { embeddingSize: 4, encoderWidth: 32, training: LARGE_TEXT },
};

const QUICK_SMALL = { trainWindows: 128, steps: 150, warmupSteps: 10, logEvery: 25 };
const QUICK_LARGE: LargeDataTraining = { batchSize: 64, steps: 100, warmupSteps: 10 };

const quickSource = (training: SourceTraining): SourceTraining => ({
  ...training,
  heldOutWindows: 128,
  small: { ...training.small, ...QUICK_SMALL },
  large: QUICK_LARGE,
});

export const ENTROPY_TRAINING_PRESETS: Readonly<Record<PresetName, EntropyTrainingPreset>> = {
  quick: {
    ...SMALL,
    seeds: [2],
    text: {
      ...SMALL.text,
      data: { ...PARAGRAPHS, heldOutWindows: 128 },
      small: { ...SMALL_TEXT, ...QUICK_SMALL },
      large: QUICK_LARGE,
      subsetSteps: 40,
      earlySteps: 60,
      halfSteps: 30,
    },
    known: quickSource(SMALL.known),
    amounts: { trainWindows: [64, 256], evaluateEvery: 25 },
    copy: quickSource(SMALL.copy),
    full: { ...SMALL.full, training: QUICK_LARGE },
  },
  small: SMALL,
  paper: {
    ...SMALL,
    seeds: [42, 43, 44, 45, 46],
    text: {
      ...SMALL.text,
      data: {
        ...PARAGRAPHS,
        ...PAPER_TEXT,
        unit: "document",
        contextLength: 1024,
        heldOutWindows: 50_000,
      },
      small: {
        width: 512,
        layerCount: 16,
        headCount: 4,
        peakRate: 2e-4,
        trainWindows: 50_000,
        batchSize: 128,
        steps: 200_000,
        warmupSteps: 500,
        logEvery: 500,
        evaluateEvery: 500,
      },
      large: { batchSize: 128, steps: 500_000, warmupSteps: 500 },
      subsetSteps: 10_000,
      earlySteps: 15_000,
      halfSteps: 7500,
    },
    full: {
      trainWindows: 65_536,
      embeddingSize: 64,
      encoderWidth: 256,
      training: { batchSize: 128, steps: 200_000, warmupSteps: 500 },
    },
  },
};
