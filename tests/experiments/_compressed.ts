/** Made-up runs of notebook 08, with the files that a test gives them. */

import { compressionSpecs, RANDOM_BYTES } from "../../lib/experiments/compression_arms.ts";
import {
  COMPRESSION_PRESETS,
  type CompressionPreset,
} from "../../lib/experiments/compression_presets.ts";
import type { CompressedFileRecord } from "../../lib/experiments/compression_records.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import type { CompressedFileSpec, RunSpec } from "../../lib/experiments/run_spec.ts";
import { makeResults } from "./_made_results.ts";

export const PRESET: CompressionPreset = COMPRESSION_PRESETS.small;
export const SPECS: readonly RunSpec[] = compressionSpecs(PRESET);

/** Bits per byte of a file's tokens, and of its embeddings. */
export type MadeFile = Readonly<{ tokens: number; embeddings: number }>;
export type MakeFile = (spec: RunSpec, file: CompressedFileSpec) => MadeFile;

export const ORIGINAL_BYTES = 10_000;
export const TOKENS = 4000;
export const FIRST_TOKENS = 100;

/** Every run with its files; only what tables, figures and claims read is filled in. */
export function compressedResults(make: MakeFile, specs = SPECS): RunResult[] {
  return makeResults(specs, () => 1).map((result) => {
    const { spec } = result.config;
    const files = spec.compression!.files.map((file) => recordOf(spec, file, make(spec, file)));
    return { ...result, records: [...result.records, ...files] };
  });
}

function recordOf(
  spec: RunSpec,
  { text, overlap, embedding }: CompressedFileSpec,
  { tokens, embeddings }: MadeFile,
): CompressedFileRecord {
  const isStored = text.name === RANDOM_BYTES;
  const { contextLength } = spec.data;
  const bits = {
    header: 512,
    scales: embedding === undefined ? 0 : 64,
    embeddings: ORIGINAL_BYTES * embeddings,
    flags: 20,
    firstTokens: 1000,
    tokens: ORIGINAL_BYTES * tokens,
    raw: 0,
    ending: 4,
  };
  const { flags: _, ending: __, ...predicted } = bits;
  const sum = (parts: Readonly<Record<string, number>>) =>
    Object.values(parts).reduce((sum, part) => sum + part, 0);
  return {
    type: "measurement",
    what: "compressed file",
    text: text.name,
    originalBytes: ORIGINAL_BYTES,
    fileBytes: isStored ? ORIGINAL_BYTES + 64 : sum(bits) / 8,
    tokens: TOKENS,
    overlap,
    lanes: 1,
    embedding: embedding ?? null,
    isStored,
    bits,
    windows: TOKENS / contextLength,
    rawWindows: 0,
    modelTokens: TOKENS - FIRST_TOKENS,
    modelBits: ORIGINAL_BYTES * tokens * 0.9999,
    bitsByPosition: Array.from({ length: contextLength }, (_, at) => at === 0 ? 0 : 10 * at),
    countByPosition: Array.from({ length: contextLength }, (_, at) => at === 0 ? 0 : 5),
    predicted: isStored ? null : { bits: predicted, fileBytes: sum(predicted) / 8 },
    isDecoded: true,
  };
}
