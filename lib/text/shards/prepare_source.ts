/** A source as `prepareCorpus` makes a corpus: its own tokenizer and its shards, both cached. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { UserError } from "../../errors.ts";
import type { Tokenizer } from "../../tokenizer/mod.ts";
import type { DocumentSource } from "../document_source.ts";
import { cachedTokenizer } from "../cached.ts";
import { ShardSet } from "./shard_set.ts";
import { SAMPLE_BYTES, type SampleProgress, trainSourceTokenizer } from "./source_tokenizer.ts";
import { splitOf } from "./split.ts";
import { type TokenizeOptions, tokenizeSource } from "./tokenize_source.ts";

export type PrepareSourceOptions =
  & Omit<TokenizeOptions, "shardsFolder">
  & Readonly<{
    /** Entries of the tokenizer to be trained; that of `tokenizer` if one is given. */
    vocabSize: number;
    /** Used instead of training one. */
    tokenizer?: Tokenizer | undefined;
    /** Bytes of text that a tokenizer is trained on; 100 MB by default. */
    sampleBytes?: number;
    onSample?: (progress: SampleProgress) => Promise<void> | void;
  }>;

export type PreparedSource = Readonly<{ shards: ShardSet; tokenizer: Tokenizer }>;

/** Where the shards of sources lie in a cache. */
export function shardsFolderIn(cacheFolder: string): string {
  return join(cacheFolder, "shards");
}

/** Trains the tokenizer of a source, or takes it from the cache. */
export async function prepareSourceTokenizer(
  source: DocumentSource,
  options: Omit<PrepareSourceOptions, "tokenizer">,
): Promise<Tokenizer> {
  const { vocabSize, sampleBytes = SAMPLE_BYTES, signal, onSample, log = () => {} } = options;
  const parts = source.parts.map(({ name, version, documents }) => [name, version, documents]);
  const textField = "textField" in source.descriptor ? source.descriptor.textField : null;
  const identity = [vocabSize, sampleBytes, splitOf(source), textField, parts];
  const key = createHash("sha256").update(JSON.stringify(identity)).digest("hex");
  const path = join(options.open.cacheFolder, `tokenizer-${key}.json`);
  return await cachedTokenizer(
    path,
    { name: source.name, vocabSize, log },
    () =>
      trainSourceTokenizer(source, {
        vocabSize,
        sampleBytes,
        signal,
        ...(onSample && { onProgress: onSample }),
      }),
  );
}

/**
 * Trains a tokenizer on a source (unless one is given) and tokenizes it, or takes up both where they
 * are.
 *
 * @throws UserError for what cannot be read, when it is stopped, and for a vocabulary size that fits
 *   no tokenizer, or not the one given.
 */
export async function prepareSource(
  source: DocumentSource,
  options: PrepareSourceOptions,
): Promise<PreparedSource> {
  const { vocabSize, open: { cacheFolder } } = options;
  if (options.tokenizer !== undefined && options.tokenizer.vocabSize !== vocabSize) {
    throw new UserError(
      `expected a tokenizer of ${vocabSize} entries, found ${options.tokenizer.vocabSize}: ` +
        "ask for the vocabulary size of the tokenizer given",
    );
  }
  const tokenizer = options.tokenizer ?? await prepareSourceTokenizer(source, options);
  const shardsFolder = shardsFolderIn(cacheFolder);
  const { folder } = await tokenizeSource(source, tokenizer, { ...options, shardsFolder });
  return { shards: await ShardSet.open(folder), tokenizer };
}
