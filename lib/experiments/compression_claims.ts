/**
 * Notebook 08's claims: what the paper says of compression, judged by the bytes of real files.
 *
 * The paper's margins are in nats per token of its text; here they are in bits per byte of it, so
 * that texts and tokenizers can be compared.
 */

import { bitsPerByte } from "../measure/mod.ts";
import { minus } from "./arm_summary.ts";
import { type ClaimContext, claimRow, type ClaimText } from "./claim_row.ts";
import type { ClaimRow } from "./claims.ts";
import type { CompressionPart } from "./compression_arms.ts";
import type { CompressionPreset } from "./compression_presets.ts";
import type { CompressedFileRecord } from "./compression_records.ts";
import { bestFiles, fileBpb, modelPairs, pairFiles, tokenBits } from "./compression_summary.ts";
import type { RunResult } from "./run.ts";

/** The paper's text has so many bytes a token (paper §1). */
const PAPER_BYTES_PER_TOKEN = 3.92;

/** CLM − EEM on packed text after 7 billion tokens, nats per token (paper §3.3). */
const PAPER_MARGINS = { raw: 0.107, bits4: -0.066, bits8: -0.24 } as const;

/** Every claim that the notebook tests, judged by rule (lib/measure/verdict.ts). */
export function compressionClaims(
  results: readonly RunResult[],
  preset: CompressionPreset,
  context: ClaimContext,
): ClaimRow[] {
  const pairs = modelPairs(results, preset);
  const [fourBits, eightBits] = preset.embeddings;
  const rowOf = (part: CompressionPart) => (text: ClaimText, differences: readonly number[]) =>
    claimRow(
      { metric: "bits per byte of real files, CLM − EEM", unit: "bits/byte", ...text },
      differences,
      preset[part].seeds,
      context,
    );
  const bpb = (files: readonly CompressedFileRecord[]) => files.map(fileBpb);
  const rows = pairs.flatMap((pair) => {
    const { part, family } = pair;
    const row = rowOf(part);
    const where = `${part}, ${family}`;
    const isPaper = part === "prose" && family === "transformer";
    const paper = (nats: number) => isPaper ? ofPaperText(nats) : null;
    // The paper's raw losses are unrounded. 4 bits round next to nothing away here, and hardly any
    // window with so cheap an embedding is shorter without the model.
    const bare = pairFiles(preset, pair, "none", fourBits);
    const lead = (embedding: string) => {
      const { clm, eem } = pairFiles(preset, pair, "none", embedding);
      return minus(bpb(clm), bpb(eem));
    };
    const best = minus(
      bpb(bestFiles(preset, pair, "clm").files),
      bpb(bestFiles(preset, pair, "eem").files),
    );
    return [
      row({
        experiment: "E17",
        claim: `${where}: tokens alone, the EEM's take less than the CLM's`,
        paper: paper(PAPER_MARGINS.raw),
      }, minus(bare.clm.map(tokenBpb), bare.eem.map(tokenBpb))),
      row({
        experiment: "E17",
        claim: `${where}: whole files, the embedding in 4 bits a number: the EEM's are longer`,
        paper: paper(PAPER_MARGINS.bits4),
        direction: "negative",
      }, lead(fourBits!)),
      row({
        experiment: "E17",
        claim: `${where}: whole files, the embedding in 8 bits a number: the EEM's are longer`,
        paper: paper(PAPER_MARGINS.bits8),
        direction: "negative",
      }, lead(eightBits!)),
      row({
        experiment: "E15",
        claim:
          `${where}: whole files, each with the best of four overlaps: the EEM's are shorter (the paper: after 33 billion tokens)`,
        paper: isPaper ? "shorter" : null,
        comparable: false,
      }, best),
    ];
  });
  const prose = pairs.filter(({ part }) => part === "prose");
  const [mixer, transformer] = (["mixer", "transformer"] as const).map((family) =>
    prose.find((pair) => pair.family === family)
  );
  if (mixer === undefined || transformer === undefined) return rows;
  const lead = (pair: typeof mixer) => {
    const { clm, eem } = pairFiles(preset, pair, "none");
    return minus(bpb(clm), bpb(eem));
  };
  return [
    ...rows,
    rowOf("prose")({
      experiment: "E13",
      claim: "prose: mixers gain more by the embedding, paid for, than transformers",
      paper: "more",
      metric: "bits per byte of real files, (CLM − EEM) of mixers − of transformers",
    }, minus(lead(mixer), lead(transformer))),
  ];
}

/** Nats a token of the paper's text as bits a byte of it. */
function ofPaperText(nats: number): number {
  return bitsPerByte(nats, PAPER_BYTES_PER_TOKEN);
}

function tokenBpb(file: CompressedFileRecord): number {
  return tokenBits(file) / file.originalBytes;
}
