/** What a run is, and the name under which it is stored. */

import { createHash } from "node:crypto";
import { embeddingSize, type ModelConfig } from "../models/mod.ts";
import type { EstimatorName } from "../entropy/mod.ts";
import type { Condition, Site } from "../measure/mod.ts";
import type { TrainingConfig } from "../train/mod.ts";
import type { CorpusData, DataSpec, TextPlace } from "./data.ts";

/**
 * Where the numbers per token come from that a model is trained on (paper §4.6) or that its losses
 * are compared with (paper §5.1).
 */
export type Teacher =
  & (
    /** Another run's estimates. */
    | Readonly<{ run: RunSpec; estimator: EstimatorName }>
    /** Each window is rated by the run that was trained on the other half of the windows. */
    | Readonly<{ halves: Readonly<{ even: RunSpec; odd: RunSpec }>; estimator: EstimatorName }>
    /** The truth about a source of known entropy. */
    | Readonly<{ exact: ExactValueName }>
  )
  & Readonly<{
    /** What is done with the training windows' numbers, one after another; nothing by default. */
    transforms?: readonly ValueTransform[];
  }>;

/**
 * A token's exact entropy; its exact surprisal; the entropy for one who knows which tokens of a
 * corrupted copy are corrupted, all nats.
 */
export type ExactValueName = "entropy" | "surprisal" | "corruption";

/**
 * Shuffled within each window; all tokens' mean in the place of each; put on a scale of 0 to 1
 * window by window (paper §4.4).
 */
export type ValueTransform = "shuffled" | "mean" | "min-max";

/** A text that files are made of. */
export type CompressedText =
  /** The last of the corpus's held-out documents, at most so many, with a blank line between two. */
  | Readonly<{ name: string; heldOutDocuments: number }>
  | Readonly<{ name: string; randomBytes: number; seed: number }>;

/** A file: what it is made of, and how. */
export type CompressedFileSpec = Readonly<{
  text: CompressedText;
  /** Tokens that a window has from the one before. */
  overlap: number;
  /** The format of an encoder-augmented model's embeddings. */
  embedding?: string;
}>;

export type RunSpec = Readonly<{
  /** What is compared, e.g. `EEM, 4 numbers`; runs of an arm differ by seed only. */
  arm: string;
  /** Arms are compared within a family, e.g. `mixer`. */
  family: string;
  data: DataSpec;
  training: TrainingConfig;
  /** Bits a number at which the embedding is also evaluated. */
  quantizedBits: readonly number[];
  /** The run whose trained encoder the model takes over and leaves as it is (paper §2.7). */
  frozenEncoder?: RunSpec;
  teacher?: Teacher;
  /** What is rounded once the run has ended (paper §6.1). */
  rounding?: Readonly<{
    /** Losses with some modules rounded. */
    conditions?: readonly Condition[];
    /** A loss for every module and site that a quantization applies to. */
    sweep?: Readonly<{ quantization: string; sites: readonly Site[] }>;
    /** Formats of the embedding with which one temperature of the logits is fitted; null for none. */
    tempered?: readonly (string | null)[];
    /** Modules whose activations are described. */
    activations?: readonly string[];
  }>;
  /** Files that are made of texts once the run has ended, and decoded again. */
  compression?: Readonly<{
    /** Of the files' layout, so that records of another one are not taken for this one's. */
    fileVersion: number;
    files: readonly CompressedFileSpec[];
  }>;
  /** Estimates per token that are made once the run has ended. */
  estimates?: Readonly<{
    /** How many held-out windows, all without padding. */
    windows: number;
    of: readonly EstimatorName[];
    /** The model of windows of N − 1 tokens, for `two-window` (paper §4.2). */
    shorter?: RunSpec;
    /**
     * The text of this data's windows is read by the run's own tokenizer, and the estimates are
     * handed on to this data's tokens (paper §4.5).
     */
    onto?: CorpusData;
  }>;
}>;

/** The runs that must have been trained before a run. */
export function neededRuns({ frozenEncoder, teacher, estimates }: RunSpec): RunSpec[] {
  return [frozenEncoder, ...teacherRuns(teacher), estimates?.shorter]
    .filter((run) => run !== undefined);
}

/** The runs whose estimates a teacher gives. */
export function teacherRuns(teacher: Teacher | undefined): RunSpec[] {
  if (teacher === undefined || "exact" in teacher) return [];
  return "run" in teacher ? [teacher.run] : [teacher.halves.even, teacher.halves.odd];
}

/** The same run, and those that it needs, on another text. Runs on made sequences stay as they are. */
export function withText(spec: RunSpec, text: TextPlace): RunSpec {
  return JSON.parse(JSON.stringify(spec), (key, value) => {
    if ((key !== "data" && key !== "onto") || value?.corpus === undefined) return value;
    const { corpus: _corpus, textField: _field, limit: _limit, ...windows } = value;
    return { ...windows, ...text };
  });
}

/**
 * The version of everything that turns a specification into numbers: raised with each change that
 * gives other losses, so that stored runs of older code are not taken for this code's. A golden
 * loss curve in the tests fails when the losses change and this number does not.
 */
export const TRAINING_VERSION = 1;

/**
 * The name of a run in the store: readable words, then a hash of everything that decides its
 * numbers. Labels (`arm`, `family`) are not part of it: equal runs of two notebooks are one.
 */
export function runId(spec: RunSpec, corpusKey: string): string {
  const { data, training, quantizedBits, frozenEncoder: source, teacher } = spec;
  const { rounding, compression, estimates } = spec;
  const idOf = (run: RunSpec) => runId(run, corpusKey);
  const content = JSON.stringify(sorted({
    version: TRAINING_VERSION,
    corpusKey,
    windows: windowsOf(data),
    training,
    quantizedBits,
    ...(source && { frozenEncoder: idOf(source) }),
    ...(teacher && { teacher: { ...teacher, ...teacherIds(teacher, idOf) } }),
    ...(rounding && { rounding }),
    ...(compression && { compression }),
    ...(estimates && {
      estimates: {
        ...estimates,
        ...(estimates.shorter && { shorter: idOf(estimates.shorter) }),
        ...(estimates.onto && { onto: windowsOf(estimates.onto) }),
      },
    }),
  }));
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
  const frozen = source === undefined ? "" : "-frozen";
  return `${words(training.model)}${frozen}-seed-${training.seed}-${hash}`;
}

/** The runs of a teacher by their ids, which hold no labels. */
function teacherIds(teacher: Teacher, idOf: (run: RunSpec) => string): object {
  if ("run" in teacher) return { run: idOf(teacher.run) };
  if ("exact" in teacher) return {};
  const { even, odd } = teacher.halves;
  return { halves: { even: idOf(even), odd: idOf(odd) } };
}

/** A corpus counts by its content, which the key covers, not by where it lies. */
function windowsOf(data: DataSpec): object {
  if (!("corpus" in data)) return data;
  const { corpus: _path, textField: _field, limit: _limit, ...windows } = data;
  return windows;
}

function words(model: ModelConfig): string {
  if (model.kind === "causal") return `${model.backbone.architecture}-clm`;
  if (model.kind === "second-order") return `${model.backbone.architecture}-2eem`;
  const decoder = model.decoder.architecture;
  if (model.kind === "augmented" && model.memory === "zeros") return `${decoder}-zeros`;
  const encoder = model.encoder.architecture;
  const stacks = encoder === decoder ? decoder : `${encoder}-${decoder}`;
  return `${stacks}-${model.kind === "autoencoder" ? "ae" : "eem"}-${embeddingSize(model)}`;
}

/** The same value with every object's keys in order, so that equal content gives equal text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, child]) => [key, sorted(child)]));
}
