/** A finished run as a codec's model, and the file that it makes of a text. */

import { Buffer } from "node:buffer";
import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  type CodecModel,
  type CodecProgress,
  compress,
  type CompressionReport,
  decompress,
  type FileOptions,
} from "../codec/mod.ts";
import { UserError } from "../errors.ts";
import { decodingParameterCount } from "../models/mod.ts";
import { findRun, type FoundRun, loadFoundRun } from "./load_run.ts";
import { PROJECT_FOLDERS } from "./notebook.ts";
import { type StoreFolders, TOKENIZER } from "./run_store.ts";
import { timed } from "./timed.ts";
import { weightsHash } from "./weights.ts";
import { codecHash } from "./weights_hash.ts";

export type LoadedCodecModel =
  & CodecModel
  & Readonly<{
    /** The run's. */
    id: string;
    /**
     * What a reader of its files must have besides them: the weights in float32, without those of an
     * encoder, whose embeddings are in the file, and `tokenizer.json`.
     */
    modelBytes: number;
  }>;

/**
 * Loads a finished run on text for the codec. The engine must have been started. Dispose its `params`
 * with `disposeTree`.
 *
 * @param run As `findRun` found it, or its folder, or its id.
 * @throws UserError as `findRun` does, and when the weights are not those of the model.
 */
export async function loadCodecModel(
  run: string | FoundRun,
  folders: StoreFolders = PROJECT_FOLDERS,
): Promise<LoadedCodecModel> {
  const found = typeof run === "string" ? await findRun(run, folders) : run;
  const { folder } = found;
  const [id, runs] = [basename(folder), dirname(folder)];
  const { model: { config, params }, tokenizer } = await loadFoundRun(found);
  const { size: tokenizerBytes } = await stat(join(folder, TOKENIZER));
  return {
    id,
    config,
    params,
    tokenizer,
    hash: codecHash(await weightsHash({ runs }, { id }), config),
    modelBytes: 4 * decodingParameterCount(config) + tokenizerBytes,
  };
}

export type ModelFileOptions =
  & FileOptions
  & Readonly<{
    /** Decompress the file at once and compare; true by default. */
    verify?: boolean;
    /** Aborting it ends the work with the signal's reason. */
    signal?: AbortSignal | undefined;
    onProgress?:
      | ((progress: CodecProgress & Readonly<{ phase: CodecPhase }>) => Promise<void> | void)
      | undefined;
  }>;

export type CodecPhase = "compressing" | "decompressing";

/** The file that a model makes of a text. */
export type ModelFile = Readonly<{
  /** The run's id. */
  name: string;
  file: Uint8Array<ArrayBuffer>;
  /** Of the file. */
  bytes: number;
  /** As {@linkcode LoadedCodecModel} counts them; they are not in the file. */
  modelBytes: number;
  /** Wall-clock time with the compilation of the model, without loading it. */
  encodeSeconds: number;
  /** Null for a file that was not verified. */
  decodeSeconds: number | null;
  report: CompressionReport;
}>;

/**
 * Compresses bytes and proves that they come back. The engine must have been started.
 *
 * @throws UserError as `compress` and `decompress` do, and when other bytes come back.
 */
export async function makeModelFile(
  model: LoadedCodecModel,
  original: Uint8Array,
  { verify = true, signal, onProgress, ...fileOptions }: ModelFileOptions = {},
): Promise<ModelFile> {
  const during = (phase: CodecPhase) => ({
    signal,
    onProgress: onProgress && ((progress: CodecProgress) => onProgress({ ...progress, phase })),
  });
  const encoded = await timed(() =>
    compress(model, original, { ...fileOptions, ...during("compressing") })
  );
  const { file, report } = encoded.value;
  const decoded = verify
    ? await timed(() => decompress(model, file, during("decompressing")))
    : null;
  if (decoded !== null && Buffer.compare(decoded.value, original) !== 0) {
    throw new UserError(
      `${model.id}: expected the original to come back, found other bytes; report it with the text`,
    );
  }
  return {
    name: model.id,
    file,
    bytes: file.length,
    modelBytes: model.modelBytes,
    encodeSeconds: encoded.seconds,
    decodeSeconds: decoded && decoded.seconds,
    report,
  };
}

/** 8 file bytes / original bytes; null of nothing. */
export function fileBitsPerByte(fileBytes: number, originalBytes: number): number | null {
  return originalBytes === 0 ? null : 8 * fileBytes / originalBytes;
}
