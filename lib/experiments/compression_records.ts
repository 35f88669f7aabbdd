/** Files that a trained run makes of texts: real bytes, decoded again, and what they are for. */

import { Buffer } from "node:buffer";
import {
  type CodecModel,
  compress,
  type CompressionReport,
  decompress,
  planFile,
} from "../codec/mod.ts";
import { UserError } from "../errors.ts";
import { type PredictedFile, predictFile } from "../measure/mod.ts";
import type { Model } from "../models/mod.ts";
import { parseQuantization } from "../qat/mod.ts";
import { createRandom } from "../random.ts";
import { type Corpus, loadCorpus } from "../text/mod.ts";
import { codecHash, hashWeights } from "./weights_hash.ts";
import type { CorpusData, DataSpec, PreparedData } from "./data.ts";
import { storedHeldOut, type StoredTextOptions, usesShards } from "./stored_data.ts";
import type { CompressedFileSpec, CompressedText, RunSpec } from "./run_spec.ts";

export type CompressedFileRecord =
  & Readonly<{
    type: "measurement";
    what: "compressed file";
    /** The text's name. */
    text: string;
    /** By the losses alone; null of a file that was stored as it was. */
    predicted: PredictedFile | null;
    /** The file decoded to the original, bit for bit; another outcome is an error. */
    isDecoded: true;
  }>
  & CompressionReport;

/** Digits after the point that records keep of bits. */
const DIGITS = 2;

/**
 * The bytes of a text.
 *
 * @throws UserError for a number of documents that is none, and for a run on made sequences.
 */
export async function compressedBytes(
  text: CompressedText,
  data: DataSpec,
  options: StoredTextOptions,
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
  const { heldOutDocuments: count } = text;
  if (!Number.isInteger(count) || count < 1) {
    throw new UserError(`${text.name}: expected 1 document or more, found ${count}`);
  }
  if (await usesShards(data)) return joined(await storedHeldOut(data, count, options));
  const { heldOut } = await corpusOf(data);
  return bytesOf(heldOut.slice(-count));
}

/** All training documents of a corpus that is held in memory, with a blank line between two. */
export async function trainingBytes(data: CorpusData): Promise<Uint8Array<ArrayBuffer>> {
  return bytesOf((await corpusOf(data)).train);
}

async function corpusOf({ corpus, textField }: CorpusData): Promise<Corpus> {
  return await loadCorpus(corpus, textField === undefined ? {} : { textField });
}

function bytesOf(documents: Corpus["train"]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  return joined(documents.map(({ text }) => encoder.encode(text)));
}

function joined(documents: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const blankLine = new TextEncoder().encode("\n\n");
  const parts = documents.flatMap((bytes, index) => index === 0 ? [bytes] : [blankLine, bytes]);
  return Uint8Array.from(Buffer.concat(parts));
}

/**
 * Checks what `compression` asks for, before anything is trained.
 *
 * @throws UserError for texts that there are not, and options that do not fit the model.
 */
export async function checkCompression(
  { compression, data, training }: RunSpec,
  options: StoredTextOptions,
): Promise<void> {
  const { files = [] } = compression ?? {};
  for (const file of files) planFile(training.model, 1, fileOptions(file));
  const texts = new Map(files.map(({ text }) => [text.name, text]));
  for (const text of texts.values()) await compressedBytes(text, data, options);
}

/** What `compression` of the run's specification asks for; nothing without it. */
export async function measureCompression(
  params: Model,
  weights: Uint8Array,
  { tokenizer }: PreparedData,
  { compression, data, training, family, arm }: RunSpec,
  options: StoredTextOptions,
): Promise<CompressedFileRecord[]> {
  const { signal, log } = options;
  const { files = [] } = compression ?? {};
  if (files.length === 0) return [];
  log?.(`${family} ${arm}, seed ${training.seed}: making ${files.length} files`);
  const { model: config, batchSize } = training;
  const hash = codecHash(hashWeights(weights), config);
  const model: CodecModel = { config, params, tokenizer: tokenizer!, hash };
  const texts = new Map<string, Uint8Array>();
  const records: CompressedFileRecord[] = [];
  for (const file of files) {
    const { name } = file.text;
    const original = texts.get(name) ?? await compressedBytes(file.text, data, options);
    texts.set(name, original);
    records.push(await measureFile(model, original, file, { batchSize, signal }));
  }
  return records;
}

async function measureFile(
  model: CodecModel,
  original: Uint8Array,
  spec: CompressedFileSpec,
  { batchSize, signal }: Readonly<{ batchSize: number; signal: AbortSignal | undefined }>,
): Promise<CompressedFileRecord> {
  const options = fileOptions(spec);
  const { file, report } = await compress(model, original, { ...options, signal });
  // It throws unless the original comes out.
  await decompress(model, file, { signal });
  const ids = model.tokenizer.encodeBytes(original);
  const plan = planFile(model.config, ids.length, options);
  const predicted = report.isStored ? null : await predictFile(model, ids, plan, { batchSize });
  return {
    type: "measurement",
    what: "compressed file",
    text: spec.text.name,
    ...report,
    bits: shortened(report.bits),
    modelBits: short(report.modelBits),
    bitsByPosition: report.bitsByPosition.map(short),
    predicted: predicted &&
      { bits: shortened(predicted.bits), fileBytes: short(predicted.fileBytes) },
    isDecoded: true,
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
