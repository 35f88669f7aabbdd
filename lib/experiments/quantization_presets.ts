/** The sizes of notebook 07: quantization and training for it (paper §6, §9 E18 and E19). */

import type { TrainingSizes } from "./arms.ts";
import { type DataSpec, latentData } from "./data.ts";
import { PACKED, PAPER_TEXT, type PresetName, QUICK } from "./presets.ts";

/** An encoder-augmented decoder, both of one architecture, and how it is trained. */
export type QuantizedTraining =
  & TrainingSizes
  & Readonly<{
    architecture: "mixer" | "transformer";
    data: DataSpec;
    width: number;
    encoderWidth: number;
    layerCount: number;
    /** Of transformers. */
    headCount: number;
    embeddingSize: number;
    peakRate: number;
    /** Widths w of uniform noise on the embedding; the paper's are 2⁻¹ … 2⁻⁴. */
    noiseWidths: readonly number[];
    /**
     * Widths of noise that is a share of each number or of their deviation; 2⁻³ has at most the
     * relative error of three mantissa bits, 2⁻² of two.
     */
    shares: readonly number[];
  }>;

export type QuantizationPreset = Readonly<{
  /** The paper's subject. */
  text: QuantizedTraining;
  /** Sequences of a known number of random bits, which the embedding has to carry. */
  known: QuantizedTraining;
  /** The width that the paper settles on, for arms of which there is one. */
  noiseWidth: number;
  /** Of the residual variant. */
  residualWidth: number;
  /** Bits to which each number is rounded, with scales from training samples. */
  bits: readonly number[];
  /** Formats to which the embedding is rounded. */
  formats: readonly string[];
  /** The format in which modules are compared with each other. */
  sweepFormat: string;
}>;

/**
 * Short sequences, few numbers and many steps, so that a number comes to carry more than a bit: an
 * embedding that carries nothing loses nothing by rounding. Chosen by a look at plain training with
 * seed 1, which is not among the seeds below: with 16 tokens, 4 numbers and 3,000 steps rounding to
 * 3 bits cost 0.33 nats, with 32 tokens, 16 numbers and 600 steps 0.001. Notebook 07 says so.
 */
const TEXT: QuantizedTraining = {
  architecture: "transformer",
  data: { ...PACKED, contextLength: 16, heldOutWindows: 1024 },
  width: 64,
  encoderWidth: 32,
  layerCount: 2,
  headCount: 4,
  embeddingSize: 4,
  peakRate: 5e-3,
  noiseWidths: [2, 2 ** -1, 2 ** -2, 2 ** -3, 2 ** -4],
  shares: [],
  batchSize: 64,
  steps: 3000,
  warmupSteps: 50,
  logEvery: 100,
  evaluateEvery: 500,
  seeds: [2, 3, 4],
};

/**
 * The paper's 64 numbers carry about 16 bits each, those of the text part about 2. Here 4 numbers
 * must carry 16 bits. Mixers, because transformers of this size hand on 4 bits of them in as many
 * steps (seed 1).
 */
const KNOWN: QuantizedTraining = {
  ...TEXT,
  architecture: "mixer",
  data: latentData(
    { latentBits: 16, blockCount: 8, blockLength: 2 },
    { trainWindows: 32_768, heldOutWindows: 512, sequenceSeed: 11 },
  ),
  width: 32,
  noiseWidths: [2, 1, 2 ** -1, 2 ** -2, 2 ** -3, 2 ** -4],
  shares: [2 ** -5, 2 ** -3, 2 ** -2],
  seeds: [2, 3, 4, 5, 6],
};

const SMALL: QuantizationPreset = {
  text: TEXT,
  known: KNOWN,
  noiseWidth: 2 ** -3,
  residualWidth: 2 ** -2,
  bits: [16, 12, 10, 8, 7, 6, 5, 4, 3, 2],
  formats: [
    "fp16",
    "bf16",
    "int8/row",
    "llm.int8",
    "e4m3fn",
    "e3m2",
    "e5m2",
    "int4/row",
    "nf4/row",
  ],
  sweepFormat: "e4m3fn",
};

const FEW_WIDTHS = [2 ** -1, 2 ** -3];

export const QUANTIZATION_PRESETS: Readonly<Record<PresetName, QuantizationPreset>> = {
  quick: {
    ...SMALL,
    text: {
      ...TEXT,
      ...QUICK,
      data: { ...TEXT.data, heldOutWindows: 128 },
      layerCount: 1,
      noiseWidths: FEW_WIDTHS,
    },
    known: { ...KNOWN, ...QUICK, layerCount: 1, noiseWidths: FEW_WIDTHS, shares: [2 ** -3] },
  },
  small: SMALL,
  paper: {
    ...SMALL,
    text: {
      ...TEXT,
      data: { ...PACKED, ...PAPER_TEXT, contextLength: 1024, heldOutWindows: 1024 },
      width: 512,
      encoderWidth: 256,
      layerCount: 16,
      embeddingSize: 64,
      peakRate: 2e-4,
      noiseWidths: [2 ** -1, 2 ** -2, 2 ** -3, 2 ** -4],
      steps: 200_000,
      warmupSteps: 500,
      logEvery: 500,
      evaluateEvery: 4000,
      seeds: [42, 43, 44],
    },
    known: { ...KNOWN, steps: 20_000, warmupSteps: 500, seeds: [42, 43, 44] },
  },
};
