/**
 * A text as a file, and the file as the text again, bit for bit: what "bits per byte" means
 * (paper §3.1).
 *
 *     bytes → tokens → windows (layout.ts) → logits (predictor.ts) → frequencies → range coder
 *
 * An encoder-augmented model's embeddings are in the file, rounded to a number format, before the
 * tokens of their windows, and both sides make the decoder's memory of the rounded numbers. Nothing
 * else is handed over but the model and its tokenizer.
 *
 * A window whose tokens the model makes longer than its bytes is coded without the model, and a file
 * that would not become shorter is stored as it is: nothing grows by more than the header.
 *
 * Both sides must compute the same logits to the bit. They do on one kind of machine, backend and
 * release, with as many threads (predictor.ts); elsewhere sums may be rounded otherwise. The header
 * names backend and threads, and the checksum tells the rest.
 */

import { runningBackend, runningThreads } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  checkReadsTokens,
  embeddingSize,
  type Model,
  type ModelConfig,
  sampleLength,
  stacksOf,
} from "../models/mod.ts";
import { formatQuantization } from "../qat/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import {
  checkLength,
  checksumOf,
  type FileHeader,
  formatFile,
  HEADER_BYTES,
  readHeader,
  shortHash,
} from "./container.ts";
import { decodeStream } from "./decode_stream.ts";
import { type EncodedStream, encodeStream, type StreamBits } from "./encode_stream.ts";
import { type FileOptions, planFile } from "./file_plan.ts";
import { LARGEST_VOCABULARY } from "./frequencies.ts";
import { eachRound, layoutRounds } from "./layout.ts";
import { createPredictor } from "./predictor.ts";
import type { CodecProgress } from "./stream.ts";

export type CodecModel = Readonly<{
  config: ModelConfig;
  params: Model;
  tokenizer: Tokenizer;
  /** SHA-256 of weights and configuration, hexadecimal: a file is read by the model that wrote it. */
  hash: string;
}>;

export type CodecOptions = Readonly<{
  /** Aborting it ends the work with the signal's reason. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: CodecProgress) => Promise<void> | void) | undefined;
}>;

export type CompressionReport =
  & Omit<EncodedStream, "payload" | "bits">
  & Readonly<{
    originalBytes: number;
    fileBytes: number;
    /** Of the original. */
    tokens: number;
    overlap: number;
    lanes: number;
    /** By name; null for a model without embeddings, and of a stored file. */
    embedding: string | null;
    /** The whole file is as it was, behind a header. */
    isStored: boolean;
    /** What the bits of the file are for; their sum is the file. */
    bits: Readonly<StreamBits & { header: number }>;
  }>;

/**
 * Compresses bytes, whatever they are. The engine must have been started.
 *
 * @throws UserError as {@linkcode planFile}, for another tokenizer than the model's, and for a model
 *   that gives numbers that are not finite.
 */
export async function compress(
  { config, params, tokenizer, hash }: CodecModel,
  original: Uint8Array,
  { signal, onProgress, ...fileOptions }: CodecOptions & FileOptions = {},
): Promise<{ file: Uint8Array<ArrayBuffer>; report: CompressionReport }> {
  checkLength(original.length);
  const ids = tokenizer.encodeBytes(original);
  const { overlap, lanes, embedding } = planFile(config, ids.length, fileOptions);
  checkVocabulary(tokenizer, config);
  const contextLength = sampleLength(config);
  const rounds = layoutRounds({ tokenCount: ids.length, laneCount: lanes, contextLength, overlap });
  const header: FileHeader = {
    kind: embedding === null ? "causal" : "augmented",
    backend: runningBackend(),
    threads: runningThreads(),
    embedding,
    modelHash: shortHash(hash),
    tokenizerHash: shortHash(tokenizer.hash),
    contextLength,
    overlap,
    laneCount: lanes,
    originalBytes: original.length,
    tokenCount: ids.length,
    checksum: checksumOf(original),
  };
  const predictor = createPredictor(config, params, lanes);
  try {
    const stream = { predictor, tokenizer, rounds, embedding, signal, onProgress };
    const { payload, bits, ...encoded } = await encodeStream(ids, stream);
    const isStored = payload.length >= original.length;
    const file = isStored
      ? formatFile({ ...header, kind: "stored", embedding: null }, original)
      : formatFile(header, payload);
    const report: CompressionReport = {
      ...(isStored ? withoutModel(encoded) : encoded),
      originalBytes: original.length,
      fileBytes: file.length,
      tokens: ids.length,
      overlap,
      lanes,
      embedding: isStored ? null : embedding && formatQuantization(embedding),
      isStored,
      bits: { header: 8 * HEADER_BYTES, ...(isStored ? storedBitsOf(original) : bits) },
    };
    return { file, report };
  } finally {
    predictor.dispose();
  }
}

/**
 * The original of a compressed file. The engine must have been started, on the header's backend
 * and threads.
 *
 * @param model As it compressed the file; null if there is none, which does for stored files.
 * @throws UserError for what is no such file, for one that is damaged or of another model, and for a
 *   result that is not the original.
 */
export async function decompress(
  model: CodecModel | null,
  file: Uint8Array,
  { signal, onProgress }: CodecOptions = {},
): Promise<Uint8Array> {
  const header = readHeader(file);
  const payload = file.subarray(HEADER_BYTES);
  if (header.kind === "stored") {
    if (isOriginal(header, payload)) return payload.slice();
    throw new UserError(
      "expected the original's checksum, found another: the file is damaged; copy it anew",
    );
  }
  if (model === null) {
    throw new UserError("expected the model that wrote the file, found none; name it");
  }
  const { config, params, tokenizer } = model;
  checkModel(header, model);
  const { contextLength, overlap, laneCount, tokenCount, embedding } = header;
  const rounds = eachRound({ tokenCount, laneCount, contextLength, overlap });
  const ids = new Int32Array(tokenCount);
  const predictor = createPredictor(config, params, laneCount);
  try {
    const stream = { predictor, tokenizer, rounds, embedding, signal, onProgress };
    await decodeStream(payload, ids, stream);
  } catch (error) {
    // The file is whole and of this model: what cannot be read was written by other logits.
    if (error instanceof UserError && !signal?.aborted) throw otherLogits();
    throw error;
  } finally {
    predictor.dispose();
  }
  const bytes = tokenizer.decodeBytes(ids);
  if (!isOriginal(header, bytes)) throw otherLogits();
  return bytes;
}

/** Of a stored file, which no window of the attempt is in. */
function withoutModel(
  { bitsByPosition }: Omit<EncodedStream, "payload" | "bits">,
): Omit<EncodedStream, "payload" | "bits"> {
  const none = bitsByPosition.map(() => 0);
  return {
    windows: 0,
    rawWindows: 0,
    modelTokens: 0,
    modelBits: 0,
    bitsByPosition: none,
    countByPosition: none,
  };
}

function storedBitsOf(original: Uint8Array): StreamBits {
  const raw = 8 * original.length;
  return { scales: 0, embeddings: 0, flags: 0, firstTokens: 0, tokens: 0, raw, ending: 0 };
}

function checkVocabulary({ vocabSize }: Tokenizer, config: ModelConfig): void {
  if (vocabSize > LARGEST_VOCABULARY) {
    throw new UserError(
      `vocabulary: expected at most ${LARGEST_VOCABULARY} tokens, found ${vocabSize}; ` +
        "choose a model with fewer",
    );
  }
  const predicted = stacksOf(config).at(-1)!.vocabSize;
  if (vocabSize !== predicted) {
    throw new UserError(
      `vocabulary: expected the model's ${predicted} tokens, found a tokenizer of ${vocabSize}; ` +
        "give the one that it was trained with",
    );
  }
}

function checkModel(
  { modelHash, tokenizerHash, backend, threads, contextLength, kind, embedding }: FileHeader,
  { hash, tokenizer, config }: CodecModel,
): void {
  if (modelHash !== shortHash(hash)) {
    throw new UserError(
      `expected the model that wrote the file, ${modelHash}…, found ${shortHash(hash)}…; ` +
        "name the run that compressed it (trained anew it has other weights)",
    );
  }
  if (tokenizerHash !== shortHash(tokenizer.hash)) {
    throw new UserError(
      `expected the tokenizer that wrote the file, ${tokenizerHash}…, found ${
        shortHash(tokenizer.hash)
      }…; put the run's tokenizer.json back`,
    );
  }
  if (backend !== runningBackend() || threads !== runningThreads()) {
    throw new UserError(
      `expected the engine that wrote the file, ${backend} (threads: ${threads}), found ` +
        `${runningBackend()} (threads: ${runningThreads()}), whose numbers are rounded otherwise; ` +
        "start it so",
    );
  }
  checkReadsTokens(config);
  const expected = embeddingSize(config) > 0 ? "augmented" : "causal";
  if (
    kind !== expected || (kind === "augmented") !== (embedding !== null) ||
    contextLength !== sampleLength(config)
  ) {
    throw new UserError(
      "expected a header that fits the model it names, found another context or kind; " +
        "the file was not written by deno task compress",
    );
  }
}

function isOriginal({ originalBytes, checksum }: FileHeader, bytes: Uint8Array): boolean {
  return bytes.length === originalBytes && checksumOf(bytes) === checksum;
}

function otherLogits(): UserError {
  return new UserError(
    "expected the original's checksum, found another: the logits here are not those of the machine " +
      "that wrote the file; decompress it on one like that, with the same release of this library",
  );
}
