/** What notebook 08 compares: sizes of real files, in bits per byte of the original, seed by seed. */

import { Buffer } from "node:buffer";
import { bitsPerByte, bpbOfEem, mean, overContext } from "../measure/mod.ts";
import { parseQuantization, storedBits } from "../qat/mod.ts";
import { type ArmSummary, findArm, summarizeArms } from "./arm_summary.ts";
import { CLM, eemArm, type Family } from "./baseline_arms.ts";
import {
  classicalCompressors,
  type ClassicalRecord,
  type ClassicalResults,
} from "./classical_compressors.ts";
import {
  COMPRESSION_PARTS,
  compressionFamilies,
  compressionFamily,
  type CompressionPart,
  overlapsOf,
  textOf,
} from "./compression_arms.ts";
import type { CompressionPreset } from "./compression_presets.ts";
import {
  compressedBytes,
  type CompressedFileRecord,
  trainingBytes,
} from "./compression_records.ts";
import type { PrepareDataOptions } from "./data.ts";
import { onProjectText, projectData } from "./notebook.ts";
import type { RunResult } from "./run.ts";
import { usesShards } from "./stored_data.ts";

/** One of an arm's files; the embedding's format is null for causal models. */
export type FileQuery = Readonly<{ text: string; overlap: number; embedding: string | null }>;

/**
 * An arm's files, seed by seed.
 *
 * @throws RangeError when a run made no such file.
 */
export function filesOf(
  { runs }: ArmSummary,
  { text, overlap, embedding }: FileQuery,
): CompressedFileRecord[] {
  return runs.map((run) => {
    const files = compressedFiles(run).filter((file) =>
      file.text === text && file.overlap === overlap
    );
    // A stored file is the same whatever the embedding was to be.
    const found = files.find((file) => !file.isStored && file.embedding === embedding) ??
      files.find(({ isStored }) => isStored);
    if (found !== undefined) return found;
    throw new RangeError(`no file of ${text} by ${run.config.id} with overlap ${overlap}`);
  });
}

/** All files that a run made. */
export function compressedFiles({ records }: Pick<RunResult, "records">): CompressedFileRecord[] {
  return records.flatMap((record) =>
    record.type === "measurement" && record.what === "compressed file" ? [record] : []
  );
}

/** Bits per byte of the original, everything in the file counted. */
export function fileBpb({ fileBytes, originalBytes }: CompressedFileRecord): number {
  return 8 * fileBytes / originalBytes;
}

/** What the tokens of a file take, those without the model included. */
export function tokenBits({ bits }: CompressedFileRecord): number {
  return bits.tokens + bits.raw;
}

/** The two kinds of model of a part and an architecture. */
export type ModelPair = Readonly<{
  part: CompressionPart;
  family: Family;
  clm: ArmSummary;
  eem: ArmSummary;
}>;

export function modelPairs(
  results: readonly RunResult[],
  preset: CompressionPreset,
): ModelPair[] {
  const arms = summarizeArms(results);
  return COMPRESSION_PARTS.flatMap((part) =>
    compressionFamilies(preset[part]).map((family) => {
      const find = (arm: string) => findArm(arms, compressionFamily(part, family), arm);
      return { part, family, clm: find(CLM), eem: find(eemArm(preset[part].embeddingSize)) };
    })
  );
}

export type Overlap = keyof ReturnType<typeof overlapsOf>;

/** Files of a part's text by both kinds of model, the embedding in `embedding`. */
export function pairFiles(
  preset: CompressionPreset,
  { part, clm, eem }: ModelPair,
  overlap: Overlap,
  embedding = preset.embeddings[0]!,
): Readonly<Record<"clm" | "eem", CompressedFileRecord[]>> {
  const query = { text: preset[part].textName, overlap: overlapsOf(preset[part])[overlap] };
  return {
    clm: filesOf(clm, { ...query, embedding: null }),
    eem: filesOf(eem, { ...query, embedding }),
  };
}

export const OVERLAPS: readonly Overlap[] = ["none", "one", "eighth", "half"];

/** The overlap of these four that makes an arm's files shortest, on the mean over seeds. */
export function bestFiles(
  preset: CompressionPreset,
  pair: ModelPair,
  kind: "clm" | "eem",
): Readonly<{ overlap: Overlap; files: CompressedFileRecord[] }> {
  const tried = OVERLAPS.map((overlap) => ({
    overlap,
    files: pairFiles(preset, pair, overlap)[kind],
  }));
  return tried.reduce((best, other) =>
    mean(other.files.map(fileBpb)) < mean(best.files.map(fileBpb)) ? other : best
  );
}

/**
 * The file's length by its losses, part by part, bits.
 *
 * @throws RangeError where a part of it was written without the model.
 */
export function predictedBits({ predicted, text }: CompressedFileRecord) {
  if (predicted === null) throw new RangeError(`no prediction of the file of ${text}`);
  return predicted.bits;
}

/** The mean loss of the file's predicted tokens, nats. */
export function lossNats(file: CompressedFileRecord): number {
  return predictedBits(file).tokens * Math.LN2 / file.modelTokens;
}

/** `BPB = (L_t/L_b) (L + n_p b_p ln 2 / N) / ln 2` (paper §3.1), with this text's mean loss L. */
export function paperBpb(file: CompressedFileRecord, arm: ArmSummary): number {
  const bytesPerToken = file.originalBytes / file.tokens;
  const { spec: { data }, facts: { embeddingSize: P } } = arm.runs[0]!.config;
  if (file.embedding === null) return bitsPerByte(lossNats(file), bytesPerToken);
  return bpbOfEem(lossNats(file), bytesPerToken, {
    parameterCount: P,
    bitsPerParameter: storedBits(P, parseQuantization(file.embedding)) / P,
    amortization: overContext(data.contextLength),
  });
}

/** How much longer the file is than its losses say, as a share; shorter if below 0. */
export function predictionGap({ fileBytes, predicted, text }: CompressedFileRecord): number {
  if (predicted === null) throw new RangeError(`no prediction of the file of ${text}`);
  return fileBytes / predicted.fileBytes - 1;
}

/** What compressors without a model make of a part's text. */
export type ClassicalPart =
  & ClassicalResults
  & Readonly<{
    originalBytes: number;
    /**
     * What the text adds to the training text, some compressors having read that: a control, since
     * models have read it, too.
     */
    primed: readonly ClassicalRecord[];
  }>;

/** Two that remember as much as the training text is. */
const WITH_MEMORY = ["xz -9e", "7-Zip PPMd o=10"];

/** Runs the compressors that are on this machine on the text of each part. */
export async function classicalParts(
  preset: CompressionPreset,
  options: PrepareDataOptions = projectData(),
): Promise<Readonly<Record<CompressionPart, ClassicalPart>>> {
  const run = async (part: CompressionPart): Promise<ClassicalPart> => {
    const data = onProjectText(preset[part].data);
    const original = await compressedBytes(textOf(preset[part]), data, options);
    const results = await classicalCompressors(original);
    // Text that is read from shards is too much for a compressor's memory.
    const canPrime = preset.primed && !await usesShards(data);
    const primed = canPrime ? await primedRecords(await trainingBytes(data), original) : [];
    return { ...results, primed, originalBytes: original.length };
  };
  return { prose: await run("prose"), code: await run("code") };
}

async function primedRecords(prime: Uint8Array, original: Uint8Array): Promise<ClassicalRecord[]> {
  const only = WITH_MEMORY;
  const alone = await classicalCompressors(prime, { only });
  const both = await classicalCompressors(Buffer.concat([prime, original]), { only });
  return both.records.map((record, index) => ({
    ...record,
    bytes: record.bytes - alone.records[index]!.bytes,
  }));
}
