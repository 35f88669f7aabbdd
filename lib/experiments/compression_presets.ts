/** The sizes of notebook 08: models as compressors, by real files (paper §3, §4.1, §9 E13–E17). */

import { scaleSteps, type TrainingSizes } from "./arms.ts";
import type { CorpusData } from "./data.ts";
import { type FamilySizes, PACKED, PAPER_TEXT, type PresetName, QUICK } from "./presets.ts";

/** One corpus, its models, and the text that they compress. */
export type CompressionTraining =
  & TrainingSizes
  & Readonly<{
    data: CorpusData;
    families: Readonly<Partial<Record<"mixer" | "transformer", FamilySizes>>>;
    /** Numbers that an encoder-augmented decoder is handed. */
    embeddingSize: number;
    /** What the compressed text is called. */
    textName: string;
    /** The last of the held-out documents: these are compressed. */
    heldOutDocuments: number;
  }>;

export type CompressionPreset = Readonly<{
  prose: CompressionTraining;
  /** Text of lower entropy. */
  code: CompressionTraining;
  /** Formats of the embedding, the paper's 4, 8 and 16 bits a number; the first is the main one. */
  embeddings: readonly string[];
  /** Bytes that nothing can compress. */
  randomBytes: number;
  /** Compressors without a model are also tried behind the training text, as a control. */
  primed: boolean;
}>;

const FAMILIES = {
  mixer: { width: 128, encoderWidth: 64, layerCount: 3, headCount: 4, peakRate: 6e-3 },
  transformer: { width: 128, encoderWidth: 64, layerCount: 3, headCount: 4, peakRate: 3e-3 },
} as const;

/**
 * Larger models than notebook 01's, with more context: the length of files counts here. Vocabulary,
 * context, batch and rates are the best of a few that were tried with causal models and seed 1, which
 * is not among the seeds below, by their loss on all held-out addresses. That favours causal models,
 * if anything, and text like that of the files: notebook 08 says so.
 */
const PROSE: CompressionTraining = {
  data: { ...PACKED, vocabSize: 1024, contextLength: 128, heldOutWindows: 256 },
  families: FAMILIES,
  embeddingSize: 8,
  textName: "addresses since 2010",
  heldOutDocuments: 12,
  batchSize: 16,
  steps: 2000,
  warmupSteps: 50,
  logEvery: 50,
  evaluateEvery: 500,
  seeds: [2, 3, 4],
};

const CODE: CompressionTraining = {
  ...PROSE,
  data: { ...PROSE.data, corpus: "tfjs" },
  families: { transformer: FAMILIES.transformer },
  textName: "held-out modules",
  heldOutDocuments: 80,
  steps: 600,
  evaluateEvery: 200,
};

const SMALL: CompressionPreset = {
  prose: PROSE,
  code: CODE,
  embeddings: ["int4/channel", "int8/channel", "fp16"],
  randomBytes: 20_000,
  primed: true,
};

/** A width and a text that take seconds. */
function quick(training: CompressionTraining): CompressionTraining {
  const families = Object.fromEntries(
    Object.entries(training.families).map(([family, sizes]) => [family, {
      ...sizes,
      width: 32,
      encoderWidth: 16,
      layerCount: 1,
    }]),
  );
  const data = { ...training.data, vocabSize: 512, heldOutWindows: 64 };
  return { ...training, ...QUICK, families, data, heldOutDocuments: 1 };
}

export const COMPRESSION_PRESETS: Readonly<Record<PresetName, CompressionPreset>> = {
  quick: {
    ...SMALL,
    prose: { ...quick(PROSE), textName: "the address of 2021" },
    code: { ...quick(CODE), heldOutDocuments: 8, textName: "eight held-out modules" },
    randomBytes: 2000,
    primed: false,
  },
  small: SMALL,
  // The paper has no code: that part stays as it is.
  paper: {
    ...SMALL,
    primed: false,
    prose: {
      ...PROSE,
      data: { ...PACKED, ...PAPER_TEXT, contextLength: 1024, heldOutWindows: 1024 },
      textName: "held-out documents",
      heldOutDocuments: 100,
      families: {
        mixer: { width: 1024, encoderWidth: 256, layerCount: 16, headCount: 4, peakRate: 5e-4 },
        transformer: {
          width: 512,
          encoderWidth: 256,
          layerCount: 16,
          headCount: 4,
          peakRate: 2e-4,
        },
      },
      embeddingSize: 64,
      steps: 200_000,
      warmupSteps: 500,
      logEvery: 500,
      evaluateEvery: 4000,
      seeds: [42, 43, 44],
    },
  },
};

/** Both parts with a share of their steps, see {@linkcode scaleSteps}. */
export function scaleCompression(preset: CompressionPreset, share: number): CompressionPreset {
  const { prose, code } = preset;
  return { ...preset, prose: scaleSteps(prose, share), code: scaleSteps(code, share) };
}
