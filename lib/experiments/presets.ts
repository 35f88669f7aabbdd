/**
 * The sizes of the experiments: data, not code. `quick` is for a first look and for tests, `small`
 * for the committed results on two CPU cores, `paper` has sizes of the paper's, one an experiment,
 * for a GPU, on the paper's corpus; lib/models/paper_models.ts has each of its models.
 */

import { UserError } from "../errors.ts";
import type { TrainingSizes } from "./arms.ts";
import type { CorpusData } from "./data.ts";

export const PRESETS = ["quick", "small", "paper"] as const;
export type PresetName = (typeof PRESETS)[number];

/** @throws UserError for a name that is no preset. */
export function checkPreset(name: string): PresetName {
  if (!(PRESETS as readonly string[]).includes(name)) {
    throw new UserError(`unknown preset "${name}"; expected one of ${PRESETS.join(", ")}`);
  }
  return name as PresetName;
}

/** The length of the paper's runs and what is logged of them (paper §7), here with three seeds. */
export const PAPER_SCHEDULE: Omit<TrainingSizes, "batchSize"> = {
  steps: 200_000,
  warmupSteps: 500,
  logEvery: 500,
  evaluateEvery: 4000,
  seeds: [42, 43, 44],
};

/** Where the paper's text is: FineWeb-edu, sample-10BT, its first 50,000 rows held out (paper §7). */
export const PAPER_TEXT: Pick<CorpusData, "corpus" | "vocabSize"> = {
  corpus: "fineweb-edu",
  vocabSize: 8000,
};

/** The sizes of one family's causal model, which are its decoder's too, and of its encoder. */
export type FamilySizes = Readonly<{
  width: number;
  encoderWidth: number;
  layerCount: number;
  /** Of transformers. */
  headCount: number;
  peakRate: number;
}>;

/** Notebook 01: causal against encoder-augmented models (paper §9 E13–E15, E17). */
export type BaselinePreset =
  & TrainingSizes
  & Readonly<{
    packed: CorpusData;
    /** The same text in left-padded samples of one document each; null leaves that part out. */
    padded: CorpusData | null;
    families: Readonly<Record<"mixer" | "transformer", FamilySizes>>;
    /** Numbers handed to the decoder; the first is the one used where only one is. */
    embeddingSizes: readonly number[];
  }>;

const FAMILIES: BaselinePreset["families"] = {
  mixer: { width: 64, encoderWidth: 32, layerCount: 3, headCount: 4, peakRate: 2e-3 },
  transformer: { width: 64, encoderWidth: 32, layerCount: 3, headCount: 4, peakRate: 2e-3 },
};

/**
 * Few entries and a short context, so that a minute of CPU sees millions of tokens: a lead needs
 * long training more than it needs a large model. Chosen by a look at mixers with seed 1, which is
 * not among the seeds below, on the same held-out text: with 2,048 entries and 4 layers the
 * embedding was worth 0.011 nats after 6 million tokens, with 512 entries and 3 layers 0.038 after
 * 8 million. Notebook 01 says so.
 */
export const PACKED: CorpusData = {
  corpus: "sotu",
  vocabSize: 512,
  unit: "document",
  layout: "packed",
  contextLength: 64,
  heldOutWindows: 512,
};

/** A sentence a sample: about as long as the context, so that some are cut and many are filled up. */
const PADDED: CorpusData = { ...PACKED, unit: "sentence", layout: "padded" };

export const BASELINE_PRESETS: Readonly<Record<PresetName, BaselinePreset>> = {
  quick: {
    packed: PACKED,
    padded: null,
    families: FAMILIES,
    embeddingSizes: [4],
    batchSize: 64,
    steps: 300,
    warmupSteps: 30,
    logEvery: 10,
    evaluateEvery: 50,
    seeds: [2],
  },
  small: {
    packed: PACKED,
    padded: PADDED,
    families: FAMILIES,
    embeddingSizes: [4, 1],
    batchSize: 64,
    steps: 1000,
    warmupSteps: 50,
    logEvery: 50,
    evaluateEvery: 100,
    seeds: [2, 3, 4],
  },
  paper: {
    packed: { ...PACKED, ...PAPER_TEXT, contextLength: 1024, heldOutWindows: 1024 },
    padded: {
      ...PADDED,
      ...PAPER_TEXT,
      unit: "document",
      contextLength: 1024,
      heldOutWindows: 1024,
    },
    families: {
      mixer: { width: 1024, encoderWidth: 256, layerCount: 16, headCount: 4, peakRate: 5e-4 },
      transformer: { width: 512, encoderWidth: 256, layerCount: 16, headCount: 4, peakRate: 2e-4 },
    },
    embeddingSizes: [64],
    batchSize: 64,
    ...PAPER_SCHEDULE,
  },
};

/** Notebook 02: autoencoders (paper §2.5, §9 E2–E11). */
export type AutoencoderPreset =
  & TrainingSizes
  & Readonly<{
    data: CorpusData;
    /** Narrow, base and wide; every comparison at one width is at the base. */
    widths: readonly [number, number, number];
    layerCount: number;
    /** Attention heads where their number is not what is compared. */
    headCount: number;
    attentionHeads: readonly number[];
    mixingHeads: readonly number[];
    kernelSizes: readonly [small: number, middle: number, large: number];
    /** Numbers between encoder and decoder where they are few (E11). */
    embeddingSize: number;
    peakRates: Readonly<Record<"mixer" | "transformer", number>>;
  }>;

/**
 * Sequences of 16 tokens, a quarter of the width: the paper's are as long as its models are wide,
 * and take billions of tokens to learn. The learning rate is the middle one of three (0.002, 0.005,
 * 0.01) tried with seed 1 on the plain mixer and transformer: lower losses than the first, farther
 * from divergence than the last. Seed 1 is not among the seeds below.
 */
const SHORT: AutoencoderPreset = {
  data: { ...PACKED, contextLength: 16 },
  widths: [32, 64, 128],
  layerCount: 2,
  headCount: 4,
  attentionHeads: [2, 4, 8, 16],
  mixingHeads: [1, 2, 4, 8, 16],
  kernelSizes: [4, 8, 16],
  embeddingSize: 4,
  peakRates: { mixer: 5e-3, transformer: 5e-3 },
  batchSize: 64,
  steps: 600,
  warmupSteps: 50,
  logEvery: 20,
  evaluateEvery: 100,
  seeds: [2, 3, 4],
};

export const AUTOENCODER_PRESETS: Readonly<Record<PresetName, AutoencoderPreset>> = {
  quick: {
    ...SHORT,
    data: { ...SHORT.data, heldOutWindows: 128 },
    steps: 80,
    warmupSteps: 8,
    logEvery: 10,
    evaluateEvery: 20,
    seeds: [2],
  },
  small: SHORT,
  paper: {
    ...SHORT,
    data: { ...PACKED, ...PAPER_TEXT, contextLength: 512, heldOutWindows: 1024 },
    widths: [256, 512, 1024],
    layerCount: 8,
    embeddingSize: 128,
    peakRates: { mixer: 5e-4, transformer: 2e-4 },
    batchSize: 128,
    ...PAPER_SCHEDULE,
  },
};

/** Notebook 03: ways to hand the embedding over (paper §2.6, §2.7, §9 E12, E13, E16). */
export type HandoverPreset = Readonly<{
  /** Joins, pairings, heads and kernels, and the LSTM. */
  joins:
    & TrainingSizes
    & Readonly<{
      data: CorpusData;
      width: number;
      encoderWidth: number;
      layerCount: number;
      headCount: number;
      embeddingSize: number;
      mixingHeads: number;
      kernelSizes: readonly [small: number, large: number];
      peakRates: Readonly<Record<"mixer" | "transformer", number>>;
      /** Of the causal models that are compared with the LSTM, each at a rate of its own. */
      causalRates: Readonly<Record<"mixer" | "transformer" | "lstm", number>>;
    }>;
  /** Frozen encoders, from this preset's autoencoders and causal models. */
  frozen: AutoencoderPreset;
  /** Loss against the embedding's size, on text. */
  scan: AutoencoderPreset & Readonly<{ embeddingSizes: readonly number[] }>;
  /** The same on sequences of a known number of bits. */
  latent:
    & TrainingSizes
    & Readonly<{
      latentBits: readonly number[];
      blockCount: number;
      blockLength: number;
      embeddingSizes: readonly number[];
      width: number;
      layerCount: number;
      peakRate: number;
      trainWindows: number;
      heldOutWindows: number;
    }>;
}>;

/**
 * Notebook 01's sizes with two layers and higher learning rates, since training is shorter: of
 * 0.002, 0.005, 0.01 and 0.02, tried on causal models with seed 1, transformers did best at 0.005
 * and 0.01, mixers at 0.02, half of which leaves room before divergence. `causalRates` are the best
 * ones, the LSTM's of 0.002 to 0.04, so that none of the three is beaten by a poor choice.
 */
const JOINS: HandoverPreset["joins"] = {
  data: PACKED,
  width: 64,
  encoderWidth: 32,
  layerCount: 2,
  headCount: 4,
  embeddingSize: 4,
  mixingHeads: 4,
  kernelSizes: [4, 8],
  peakRates: { mixer: 1e-2, transformer: 5e-3 },
  causalRates: { mixer: 2e-2, transformer: 1e-2, lstm: 4e-2 },
  batchSize: 64,
  steps: 600,
  warmupSteps: 50,
  logEvery: 50,
  evaluateEvery: 100,
  seeds: [2, 3, 4],
};

const LATENT: HandoverPreset["latent"] = {
  latentBits: [16, 24, 32],
  blockCount: 8,
  blockLength: 2,
  embeddingSizes: [1, 2, 4, 8, 16],
  width: 32,
  layerCount: 2,
  peakRate: 5e-3,
  trainWindows: 16_384,
  heldOutWindows: 512,
  batchSize: 64,
  steps: 600,
  warmupSteps: 50,
  logEvery: 100,
  evaluateEvery: 150,
  seeds: [2, 3, 4],
};

export const QUICK = {
  steps: 80,
  warmupSteps: 8,
  logEvery: 10,
  evaluateEvery: 20,
  seeds: [2],
} as const;
const SHORT_QUICK = AUTOENCODER_PRESETS.quick;
const SHORT_PAPER = AUTOENCODER_PRESETS.paper;

export const HANDOVER_PRESETS: Readonly<Record<PresetName, HandoverPreset>> = {
  quick: {
    joins: { ...JOINS, ...QUICK, data: { ...JOINS.data, heldOutWindows: 128 } },
    frozen: SHORT_QUICK,
    scan: { ...SHORT_QUICK, embeddingSizes: [1, 4, 16] },
    latent: { ...LATENT, ...QUICK, latentBits: [24], embeddingSizes: [1, 4, 16] },
  },
  small: {
    joins: JOINS,
    frozen: SHORT,
    scan: { ...SHORT, embeddingSizes: [1, 2, 4, 8, 16, 32] },
    latent: LATENT,
  },
  paper: {
    joins: {
      ...JOINS,
      data: { ...PACKED, ...PAPER_TEXT, contextLength: 1024, heldOutWindows: 1024 },
      width: 512,
      encoderWidth: 256,
      layerCount: 16,
      embeddingSize: 64,
      peakRates: { mixer: 5e-4, transformer: 2e-4 },
      causalRates: { mixer: 5e-4, transformer: 2e-4, lstm: 1e-3 },
      ...PAPER_SCHEDULE,
    },
    frozen: SHORT_PAPER,
    scan: { ...SHORT_PAPER, embeddingSizes: [8, 16, 32, 64, 128, 256] },
    latent: { ...LATENT, seeds: PAPER_SCHEDULE.seeds, steps: 20_000, warmupSteps: 500 },
  },
};
