/** The rows of notebook 08's figures. */

import type { BarRow, CurveRow } from "../figures/mod.ts";
import { mean } from "../measure/mod.ts";
import { valueOverSeeds } from "./arm_summary.ts";
import type { ClassicalRecord } from "./classical_compressors.ts";
import type { CompressionPart } from "./compression_arms.ts";
import type { CompressionPreset } from "./compression_presets.ts";
import type { CompressedFileRecord } from "./compression_records.ts";
import {
  bestFiles,
  type ClassicalPart,
  fileBpb,
  modelPairs,
  type Overlap,
  pairFiles,
} from "./compression_summary.ts";
import type { RunResult } from "./run.ts";

const KINDS = ["clm", "eem"] as const;

/**
 * Bits per byte of a part's text under every compressor and model, each model with the overlap that
 * suits it best, the shortest files last.
 */
export function compressorBars(
  results: readonly RunResult[],
  preset: CompressionPreset,
  part: CompressionPart,
  { records, primed, originalBytes }: ClassicalPart,
): BarRow[] {
  const pairs = modelPairs(results, preset).filter((pair) => pair.part === part);
  const models = pairs.flatMap((pair) =>
    KINDS.map((kind): BarRow => {
      const { overlap, files } = bestFiles(preset, pair, kind);
      return {
        group: `${pair.family} ${pair[kind].arm}, ${OVERLAP_NAMES[overlap]}`,
        arm: kind === "clm" ? "CLM" : "EEM, embedding paid for",
        ...valueOverSeeds(files.map(fileBpb)),
      };
    })
  );
  const bars = (records: readonly ClassicalRecord[], arm: string, after = "") =>
    records.map(({ name, bytes }): BarRow => ({
      group: `${name}${after}`,
      arm,
      value: 8 * bytes / originalBytes,
    }));
  const others = [
    ...bars(records, "no model"),
    ...bars(primed, "no model, training text read before", ", primed"),
  ];
  return [...others, ...models].sort((a, b) => b.value - a.value);
}

/** What a window has from the one before. */
export const OVERLAP_NAMES: Readonly<Record<Overlap, string>> = {
  none: "no overlap",
  one: "one token overlaps",
  eighth: "an eighth of a window overlaps",
  half: "half a window overlaps",
};

/** What the bits of files are for, bits per byte, mean over seeds; windows without overlap. */
export function bitPartBars(
  results: readonly RunResult[],
  preset: CompressionPreset,
): BarRow[] {
  return modelPairs(results, preset).flatMap((pair) =>
    KINDS.flatMap((kind) => {
      const files = pairFiles(preset, pair, "none")[kind];
      return Object.entries(PARTS).map(([arm, bits]): BarRow => ({
        group: `${pair.part}, ${pair.family} ${kind === "clm" ? "CLM" : "EEM"}`,
        arm,
        value: mean(files.map((file) => bits(file.bits) / file.originalBytes)),
      }));
    })
  );
}

type Bits = CompressedFileRecord["bits"];

const PARTS: Readonly<Record<string, (bits: Bits) => number>> = {
  "tokens": ({ tokens, raw }) => tokens + raw,
  "first tokens of windows": ({ firstTokens }) => firstTokens,
  "embeddings, scales": ({ embeddings, scales }) => embeddings + scales,
  "header, flags, ending": ({ header, flags, ending }) => header + flags + ending,
};

/** Mean bits of a token by its position in the window, windows without overlap. */
export function bitsByPosition(
  results: readonly RunResult[],
  preset: CompressionPreset,
): CurveRow[] {
  return modelPairs(results, preset).flatMap((pair) =>
    KINDS.flatMap((kind) =>
      pairFiles(preset, pair, "none")[kind].flatMap((file, at) =>
        file.bitsByPosition.flatMap((bits, position): CurveRow[] => {
          const count = file.countByPosition[position]!;
          if (count === 0) return [];
          return [{
            arm: kind === "clm" ? "CLM" : "EEM, embedding not counted",
            facet: `${pair.part}, ${pair.family}`,
            seed: pair[kind].seeds[at]!,
            x: position,
            y: bits / count,
          }];
        })
      )
    )
  );
}
