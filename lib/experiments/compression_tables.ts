/** Notebook 08's tables. */

import { type EntropyBound, entropyBound } from "../entropy/mod.ts";
import { mean } from "../measure/mod.ts";
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
  type Overlap,
  pairFiles,
  paperBpb,
  predictedBits,
  predictionGap,
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
  return prose.records.map(({ name, version, command }) => ({
    compressor: name,
    version,
    command,
    "prose, BPB": bpb(prose, name),
    "code, BPB": bpb(code, name),
  }));
}

/** Each model's best files, and what they come to with the model's float32 weights added. */
export function modelSizeTable(
  results: readonly RunResult[],
  preset: CompressionPreset,
): Record<string, string>[] {
  return modelPairs(results, preset).flatMap((pair) =>
    (["clm", "eem"] as const).map((kind) => {
      const { overlap, files } = bestFiles(preset, pair, kind);
      const { parameterCount } = pair[kind].runs[0]!.config.facts;
      const modelBytes = 4 * parameterCount;
      const { originalBytes } = files[0]!;
      return {
        text: preset[pair.part].textName,
        model: `${pair.family} ${pair[kind].arm}`,
        "best overlap": OVERLAP_NAMES[overlap],
        "file, bytes": mean(files.map(({ fileBytes }) => fileBytes)).toFixed(0),
        "file, BPB": withHalfWidth(files.map(fileBpb), 4),
        "model, bytes": `${modelBytes}`,
        "file and model, BPB": mean(
          files.map(({ fileBytes }) => 8 * (fileBytes + modelBytes) / originalBytes),
        ).toFixed(2),
      };
    })
  );
}

/** BPB of each overlap, and how fast the files are made and read. */
export function overlapTable(
  results: readonly RunResult[],
  preset: CompressionPreset,
): Record<string, string>[] {
  return modelPairs(results, preset).flatMap((pair) =>
    (["clm", "eem"] as const).map((kind) => {
      const files = (overlap: Overlap) => pairFiles(preset, pair, overlap)[kind];
      const speed = (seconds: (file: CompressedFileRecord) => number) =>
        mean(files("one").map((file) => file.originalBytes / 1000 / seconds(file))).toFixed(0);
      return {
        text: preset[pair.part].textName,
        model: `${pair.family} ${pair[kind].arm}`,
        "no overlap": withHalfWidth(files("none").map(fileBpb)),
        "one token": withHalfWidth(files("one").map(fileBpb)),
        "half a window": withHalfWidth(files("half").map(fileBpb)),
        "KB/s, encode": speed(({ encodeSeconds }) => encodeSeconds),
        "KB/s, decode": speed(({ decodeSeconds }) => decodeSeconds),
      };
    })
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
        "first tokens": over((file) =>
          perByte(file, predictedBits(file).firstTokens) - unscoredShare(file)
        ),
        "scales, header": over((file) =>
          perByte(file, predictedBits(file).scales + predictedBits(file).header)
        ),
        "short windows": over((file) => shortWindows(file, pair[kind])),
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

/** The formula gives a window's first token, which nothing predicts, the mean loss of the others. */
function unscoredShare(file: CompressedFileRecord): number {
  return perByte(file, (file.tokens - file.modelTokens) * lossNats(file) / Math.LN2);
}

/** The formula has one embedding for N tokens; where a part of the text ends, windows overlap. */
function shortWindows(file: CompressedFileRecord, arm: ArmSummary): number {
  const { data: { contextLength } } = arm.runs[0]!.config.spec;
  const { embeddings } = predictedBits(file);
  if (embeddings === 0) return 0;
  return perByte(file, embeddings * (1 - file.tokens / contextLength / file.windows));
}

/**
 * The embedding at each of the preset's formats: its price, what the rest of the file takes, and the
 * bound on the text's entropy that follows (paper §4.1), windows overlapping by one token: their
 * first ones are known.
 */
export function formatPriceTable(
  results: readonly RunResult[],
  preset: CompressionPreset,
): Record<string, string>[] {
  return modelPairs(results, preset).flatMap((pair) => {
    const clm = pairFiles(preset, pair, "one").clm;
    const line = (name: string, files: readonly CompressedFileRecord[]) => ({
      text: preset[pair.part].textName,
      model: pair.family,
      embedding: name,
      "|e| a window, bits": mean(files.map((file) => file.bits.embeddings / file.windows))
        .toFixed(0),
      "embeddings, BPB": mean(files.map((file) => perByte(file, file.bits.embeddings))).toFixed(4),
      "tokens, BPB": withHalfWidth(files.map((file) => perByte(file, file.bits.tokens)), 4),
      "file, BPB": withHalfWidth(files.map(fileBpb), 4),
      "bound, nats a token": withHalfWidth(files.map((file) => boundOf(file).natsPerToken)),
    });
    return [
      line("none (CLM)", clm),
      ...preset.embeddings.map((embedding) =>
        line(embedding, pairFiles(preset, pair, "one", embedding).eem)
      ),
    ];
  });
}

function boundOf({ bits, windows, modelTokens }: CompressedFileRecord): EntropyBound {
  return entropyBound({
    embeddingBits: bits.embeddings / windows,
    sequenceNats: bits.tokens * Math.LN2 / windows,
    tokens: modelTokens / windows,
  });
}

/** Statements that must hold for the files to mean anything; none is the paper's. */
export function compressionControls(
  results: readonly RunResult[],
): Record<string, string>[] {
  const files = results.flatMap(compressedFiles);
  const predicted = files.filter((file) => file.predicted !== null);
  const gap = Math.max(...predicted.map((file) => Math.abs(predictionGap(file))));
  const growth = Math.max(
    ...files.filter(({ text }) => text === RANDOM_BYTES)
      .map(({ fileBytes, originalBytes }) => fileBytes - originalBytes),
  );
  const coder = Math.max(...predicted.map((file) => file.bits.tokens / file.modelBits - 1));
  return [
    {
      control: "every file decodes to the original, bit for bit",
      found: `${files.filter(({ isDecoded }) => isDecoded).length} of ${files.length} files`,
    },
    {
      control: "a file is as long as the losses of a full pass say, within 0.1 %",
      found: `largest difference ${(100 * gap).toFixed(3)} %`,
    },
    {
      control: "the range coder costs less than 0.1 % over −log₂ p of the same logits",
      found: `at most ${(100 * coder).toFixed(4)} %`,
    },
    {
      control: "random bytes grow by the header alone, 64 bytes",
      found: `at most ${growth} bytes`,
    },
  ];
}
