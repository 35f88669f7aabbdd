/** Files that a trained run makes of texts: real bytes, decoded again, and what they are for. */

import { createHash } from "node:crypto";
import {
  type CodecModel,
  compress,
  type CompressionReport,
  decompress,
  layoutRounds,
  planFile,
} from "../codec/mod.ts";
import { UserError } from "../errors.ts";
import { type PredictedFile, predictFile } from "../measure/mod.ts";
import { type Model, sampleLength } from "../models/mod.ts";
import { parseQuantization } from "../qat/mod.ts";
import { createRandom } from "../random.ts";
import { loadCorpus } from "../text/mod.ts";
import { timed } from "./timed.ts";
import type { DataSpec, PreparedData } from "./data.ts";
import type { CompressedFileSpec, CompressedText, RunSpec } from "./run_spec.ts";

export type CompressedFileRecord =
  & Readonly<{
    type: "measurement";
    what: "compressed file";
    /** The text's name. */
    text: string;
    /** By the losses alone; null where the file, or a part of it, was written without the model. */
    predicted: PredictedFile | null;
    /** The file decoded to the original, bit for bit; another outcome is an error. */
    isDecoded: true;
    encodeSeconds: number;
    decodeSeconds: number;
  }>
  & CompressionReport;

/** Digits after the point that records keep of bits. */
const DIGITS = 2;

/**
 * The bytes of a text.
 *
 * @throws UserError where the corpus has less held-out documents.
 */
export async function compressedBytes(
  text: CompressedText,
  data: DataSpec,
): Promise<Uint8Array<ArrayBuffer>> {
  if ("randomBytes" in text) {
    const random = createRandom(text.seed);
    return Uint8Array.from({ length: text.randomBytes }, () => random.bits() & 0xff);
  }
  if (!("corpus" in data)) {
    throw new UserError(
      `${text.name}: expected a run on a corpus, whose documents can be compressed, found one on ` +
        "made sequences",
    );
  }
  const { textField } = data;
  const { heldOut } = await loadCorpus(data.corpus, textField === undefined ? {} : { textField });
  const { heldOutDocuments: count } = text;
  if (!Number.isInteger(count) || count < 1 || count > heldOut.length) {
    throw new UserError(
      `${text.name}: expected 1 … ${heldOut.length} held-out documents, found ${count}`,
    );
  }
  return new TextEncoder().encode(heldOut.slice(-count).map(({ text }) => text).join("\n\n"));
}

/**
 * Checks what `compression` asks for, before anything is trained.
 *
 * @throws UserError for texts that there are not, and options that do not fit the model.
 */
export async function checkCompression({ compression, data, training }: RunSpec): Promise<void> {
  const { files = [] } = compression ?? {};
  const contextLength = sampleLength(training.model);
  for (const file of files) {
    planFile(training.model, 1, fileOptions(file));
    layoutRounds({ tokenCount: 1, laneCount: 1, contextLength, overlap: file.overlap });
  }
  const texts = new Map(files.map(({ text }) => [text.name, text]));
  for (const text of texts.values()) await compressedBytes(text, data);
}

/** What `compression` of the run's specification asks for; nothing without it. */
export async function measureCompression(
  params: Model,
  weights: Uint8Array,
  { tokenizer }: PreparedData,
  { compression, data, training }: RunSpec,
): Promise<CompressedFileRecord[]> {
  const records: CompressedFileRecord[] = [];
  for (const file of compression?.files ?? []) {
    const model: CodecModel = {
      config: training.model,
      params,
      tokenizer: tokenizer!,
      hash: createHash("sha256").update(weights).digest("hex"),
    };
    records.push(await measureFile(model, await compressedBytes(file.text, data), file, training));
  }
  return records;
}

async function measureFile(
  model: CodecModel,
  original: Uint8Array,
  file: CompressedFileSpec,
  { batchSize }: RunSpec["training"],
): Promise<CompressedFileRecord> {
  const options = fileOptions(file);
  const encoded = await timed(() => compress(model, original, options));
  // It throws unless the original comes out.
  const decoded = await timed(() => decompress(model, encoded.value.file));
  const { report } = encoded.value;
  const { config, params, tokenizer } = model;
  const isWhole = !report.isStored && report.rawWindows === 0;
  const ids = tokenizer.encodeBytes(original);
  const predicted = isWhole
    ? await predictFile({ config, params }, ids, planFile(config, ids.length, options), {
      padId: tokenizer.padId,
      batchSize,
    })
    : null;
  return {
    type: "measurement",
    what: "compressed file",
    text: file.text.name,
    ...report,
    bits: shortened(report.bits),
    modelBits: short(report.modelBits),
    bitsByPosition: report.bitsByPosition.map(short),
    predicted: predicted &&
      { bits: shortened(predicted.bits), fileBytes: short(predicted.fileBytes) },
    isDecoded: true,
    encodeSeconds: short(encoded.seconds),
    decodeSeconds: short(decoded.seconds),
  };
}

function fileOptions({ overlap, embedding }: CompressedFileSpec) {
  return { overlap, ...(embedding !== undefined && { embedding: parseQuantization(embedding) }) };
}

function short(value: number): number {
  return Number(value.toFixed(DIGITS));
}

function shortened<Name extends string>(
  bits: Readonly<Record<Name, number>>,
): Readonly<Record<Name, number>> {
  const entries = Object.entries<number>(bits).map(([name, value]) => [name, short(value)]);
  return Object.fromEntries(entries);
}
