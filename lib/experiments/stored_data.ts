/**
 * Text that is too much to be held: tokenized once to shards (lib/text/shards) and read from them,
 * the training windows batch by batch. The built-in corpus and small local ones of plain text are
 * held in memory (data.ts), as they always were.
 */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  listLocalFiles,
  openSource,
  type OpenSourceOptions,
  parseSource,
  type PreparedSource,
  requireSides,
  type StoredWindows,
  storedWindows,
  type Windows,
} from "../text/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { TrainWindows } from "../train/mod.ts";
import type { CorpusData } from "./corpus_data.ts";
import { prepareShown } from "./prepare_shown.ts";
import { evenRows } from "./window_subsets.ts";

/** Local text up to so many bytes, as it is stored, is held in memory. */
const MOST_BYTES_IN_MEMORY = 64e6;

/** The windows of both sides of a text. */
export type TextWindows = Readonly<{
  /** Changes with the text, the tokenizer, the unit and the encoding. */
  corpusKey: string;
  tokenizer: Tokenizer;
  train: TrainWindows;
  heldOut: Windows;
}>;

export type StoredTextOptions = Readonly<{
  cacheFolder: string;
  /** How the Hub is reached. */
  hub?: Pick<OpenSourceOptions, "endpoint" | "token" | "retry">;
  /** Threads that tokenize; as many as there are processors by default. */
  workers?: number;
  /** Aborting it stops tokenizing, which the same call goes on with. */
  signal?: AbortSignal | undefined;
  log?: (line: string) => void;
}>;

/**
 * Whether a corpus is read from shards: one of the Hub, one with Parquet or Zstandard files, a large
 * one, and the first documents of any.
 */
export async function usesShards({ corpus, limit }: CorpusData): Promise<boolean> {
  if (limit !== undefined) return true;
  const { kind } = parseSource(corpus);
  if (kind !== "local") return kind === "hub";
  let files;
  try {
    files = await listLocalFiles(corpus);
  } catch {
    return false; // What is wrong with it is told where it is read.
  }
  let bytes = 0;
  for (const name of files.names) {
    if (/\.(parquet|zst)(\.gz)?$/i.test(name)) return true;
    bytes += (await stat(join(files.folder, name))).size;
    if (bytes > MOST_BYTES_IN_MEMORY) return true;
  }
  return false;
}

/**
 * Tokenizes a source, or finds its shards, and cuts them into windows.
 *
 * @throws UserError for what cannot be reached or read, or is too little text, and when it is
 *   stopped.
 */
export async function storedText(
  { heldOutWindows, contextLength, layout, ...text }: CorpusData,
  options: StoredTextOptions,
): Promise<TextWindows> {
  const { shards, tokenizer } = await storedShards(text, options);
  const sizes = { contextLength, layout };
  const held = storedWindows(shards, "heldOut", tokenizer, sizes);
  return {
    corpusKey: shards.manifest.key,
    tokenizer,
    train: storedWindows(shards, "train", tokenizer, sizes),
    heldOut: readEvenly(held, heldOutWindows),
  };
}

/**
 * The last held-out documents of such a text, at most so many, as bytes.
 *
 * @throws UserError as {@linkcode storedText}.
 */
export async function storedHeldOut(
  data: CorpusData,
  count: number,
  options: StoredTextOptions,
): Promise<Uint8Array[]> {
  const { shards, tokenizer } = await storedShards(data, options);
  const { documents } = shards.manifest.heldOut;
  const first = Math.max(0, documents - count);
  return Array.from(
    { length: documents - first },
    (_, i) => tokenizer.decodeBytes(shards.documentIds("heldOut", first + i)),
  );
}

async function storedShards(
  { corpus, textField, limit, vocabSize, unit }: Pick<
    CorpusData,
    "corpus" | "textField" | "limit" | "vocabSize" | "unit"
  >,
  { cacheFolder, hub = {}, workers, signal, log = () => {} }: StoredTextOptions,
): Promise<PreparedSource> {
  const open = { cacheFolder, ...hub };
  const descriptor = parseSource(corpus, {
    ...(textField !== undefined && { textField }),
    ...(limit !== undefined && { limit }),
  });
  const source = await openSource(descriptor, { ...open, log, ...(signal && { signal }) });
  const prepared = await prepareShown(source, {
    vocabSize,
    unit,
    open,
    signal,
    log,
    ...(workers !== undefined && { workers }),
  });
  const { train, heldOut } = prepared.shards.manifest;
  requireSides(source, { train: train.documents, heldOut: heldOut.documents });
  return prepared;
}

function readEvenly(windows: StoredWindows, count: number): Windows {
  return windows.read(evenRows(windows, Math.min(count, windows.count)));
}
