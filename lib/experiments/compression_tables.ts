/** Notebook 08's tables. */

import { HEADER_BYTES } from "../codec/mod.ts";
import { mean } from "../measure/mod.ts";
import { decodingParameterCount } from "../models/mod.ts";
import { parseQuantization, storedBits } from "../qat/mod.ts";
import { type ArmSummary, withHalfWidth } from "./arm_summary.ts";
import { type CompressionPart, RANDOM_BYTES } from "./compression_arms.ts";
import { OVERLAP_NAMES } from "./compression_figures.ts";
import type { CompressionPreset } from "./compression_presets.ts";
import type { CompressedFileRecord } from "./compression_records.ts";
import {
  bestFiles,
  type ClassicalPart,
  compressedFiles,
  fileBpb,
  lossNats,
  modelPairs,
  OVERLAPS,
  pairFiles,
  paperBpb,
  predictedBits,
  predictionGap,
  tokenBits,
} from "./compression_summary.ts";
import type { RunResult } from "./run.ts";

/** What ran, with its command, and what it makes of the texts, bits per byte. */
export function classicalTable(
  { prose, code }: Readonly<Record<CompressionPart, ClassicalPart>>,
): Record<string, string>[] {
  const bpb = ({ records, originalBytes }: ClassicalPart, name: string) => {
    const found = records.find((record) => record.name === name);
    return found === undefined ? "–" : (8 * found.bytes / originalBytes).toFixed(4);
  };
  const primed = (part: ClassicalPart, name: string) =>
    bpb({ ...part, records: part.primed }, name);
  return prose.records.map(({ name, version, command }) => ({
    compressor: name,
    version,
    command,
    "prose, BPB": bpb(prose, name),
    "primed": primed(prose, name),
    "code, BPB": bpb(code, name),
    "primed ": primed(code, name),
  }));
}

/**
 * Each model's best files, and what they come to with the float32 weights that a reader needs: an
 * EEM's without its encoder, whose embeddings are in the file.
 */
export function modelSizeTable(
  results: readonly RunResult[],
  preset: CompressionPreset,
): Record<string, string>[] {
  return modelPairs(results, preset).flatMap((pair) =>
    (["clm", "eem"] as const).map((kind) => {
      const { overlap, files } = bestFiles(preset, pair, kind);
      const modelBytes = 4 * decodingParameterCount(
        pair[kind].runs[0]!.config.spec.training.model,
      );
      const { originalBytes } = files[0]!;
      return {
        text: preset[pair.part].textName,
        model: `${pair.family} ${pair[kind].arm}`,
        "best overlap": OVERLAP_NAMES[overlap],
        "file, bytes": mean(files.map(({ fileBytes }) => fileBytes)).toFixed(0),
        "file, BPB": withHalfWidth(files.map(fileBpb), 4),
        "weights, bytes": `${modelBytes}`,
        "file and weights, BPB": mean(
          files.map(({ fileBytes }) => 8 * (fileBytes + modelBytes) / originalBytes),
        ).toFixed(2),
      };
    })
  );
}

/** Bits per byte of each overlap. */
export function overlapTable(
  results: readonly RunResult[],
  preset: CompressionPreset,
): Record<string, string>[] {
  return modelPairs(results, preset).flatMap((pair) =>
    (["clm", "eem"] as const).map((kind) => ({
      text: preset[pair.part].textName,
      model: `${pair.family} ${pair[kind].arm}`,
      ...Object.fromEntries(
        OVERLAPS.map((overlap) => [
          OVERLAP_NAMES[overlap],
          withHalfWidth(pairFiles(preset, pair, overlap)[kind].map(fileBpb), 4),
        ]),
      ),
    }))
  );
}

/**
 * The paper's accounting beside real files (paper §3.1, E17), bits per byte, windows without overlap:
 * its formula, what it leaves out, the sum, and what the file takes.
 */
export function accountingTable(
  results: readonly RunResult[],
  preset: CompressionPreset,
): Record<string, string>[] {
  return modelPairs(results, preset).flatMap((pair) =>
    (["clm", "eem"] as const).map((kind) => {
      const files = pairFiles(preset, pair, "none")[kind];
      const over = (value: (file: CompressedFileRecord) => number, digits = 4) =>
        mean(files.map(value)).toFixed(digits);
      return {
        text: preset[pair.part].textName,
        model: `${pair.family} ${pair[kind].arm}`,
        "the paper's formula": over((file) => paperBpb(file, pair[kind])),
        "tokens not predicted": over((file) =>
          perByte(file, predictedBits(file).firstTokens + predictedBits(file).raw) -
          unscoredShare(file)
        ),
        "scales, header": over((file) =>
          perByte(file, predictedBits(file).scales + predictedBits(file).header)
        ),
        "last windows": over((file) => lastWindows(file, pair[kind])),
        predicted: over((file) => perByte(file, 8 * file.predicted!.fileBytes)),
        "real file": over(fileBpb),
        "difference, %": over((file) => 100 * predictionGap(file), 3),
      };
    })
  );
}

function perByte({ originalBytes }: CompressedFileRecord, bits: number): number {
  return bits / originalBytes;
}

/** The formula gives tokens that no model predicts the mean loss of the others. */
function unscoredShare(file: CompressedFileRecord): number {
  return perByte(file, (file.tokens - file.modelTokens) * lossNats(file) / Math.LN2);
}

/**
 * The formula has one embedding for N tokens; the last window of a part of the text is moved back, so
 * that it has fewer new ones.
 */
function lastWindows(file: CompressedFileRecord, arm: ArmSummary): number {
  if (file.embedding === null) return 0;
  const { spec: { data: { contextLength } }, facts: { embeddingSize } } = arm.runs[0]!.config;
  const one = storedBits(embeddingSize, parseQuantization(file.embedding));
  return perByte(file, predictedBits(file).embeddings - one * file.tokens / contextLength);
}

/**
 * The embedding at each of the preset's formats: its price, what the rest of the file takes, and the
 * bound on the text's entropy that the whole file is (paper §4.1); windows without overlap.
 */
export function formatPriceTable(
  results: readonly RunResult[],
  preset: CompressionPreset,
): Record<string, string>[] {
  return modelPairs(results, preset).flatMap((pair) => {
    const line = (name: string, files: readonly CompressedFileRecord[]) => ({
      text: preset[pair.part].textName,
      model: pair.family,
      embedding: name,
      "|e| a window, bits": mean(
        files.map(({ bits, windows, rawWindows }) =>
          bits.embeddings / Math.max(1, windows - rawWindows)
        ),
      ).toFixed(0),
      "embeddings, BPB": mean(files.map((file) => perByte(file, file.bits.embeddings))).toFixed(4),
      "tokens, BPB": withHalfWidth(files.map((file) => perByte(file, tokenBits(file))), 4),
      "file, BPB": withHalfWidth(files.map(fileBpb), 4),
      "bound, nats a token": withHalfWidth(
        files.map((file) => 8 * file.fileBytes * Math.LN2 / file.tokens),
      ),
    });
    return [
      line("none (CLM)", pairFiles(preset, pair, "none").clm),
      ...preset.embeddings.map((embedding) =>
        line(embedding, pairFiles(preset, pair, "none", embedding).eem)
      ),
    ];
  });
}

/** Statements that must hold for the files to mean anything; none is the paper's. */
export function compressionControls(
  results: readonly RunResult[],
): Record<string, string>[] {
  const files = results.flatMap(compressedFiles);
  const predicted = files.filter((file) => file.predicted !== null);
  const decoded = files.filter(({ isDecoded }) => isDecoded).length;
  const gap = Math.max(...predicted.map((file) => Math.abs(predictionGap(file))));
  const growth = Math.max(
    ...files.filter(({ text }) => text === RANDOM_BYTES)
      .map(({ fileBytes, originalBytes }) => fileBytes - originalBytes),
  );
  const coder = Math.max(...predicted.map((file) => file.bits.tokens / file.modelBits - 1));
  const line = (control: string, found: string, holds: boolean) => ({
    control,
    found,
    holds: holds ? "yes" : "no",
  });
  return [
    line(
      "every file decodes to the original, bit for bit",
      `${decoded} of ${files.length} files`,
      decoded === files.length,
    ),
    line(
      "a file is as long as the losses of a full pass say, within 0.1 %",
      `largest difference ${(100 * gap).toFixed(3)} %`,
      gap < 0.001,
    ),
    line(
      "the range coder costs less than 0.1 % over −log₂ p of the same logits",
      `at most ${(100 * coder).toFixed(4)} %`,
      coder < 0.001,
    ),
    line(
      `random bytes grow by the header alone, ${HEADER_BYTES} bytes`,
      `at most ${growth} bytes`,
      growth <= HEADER_BYTES,
    ),
  ];
}
