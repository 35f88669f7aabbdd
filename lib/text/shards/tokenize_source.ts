/** A source as shards: tokenized once, in worker threads, and found again by its content. */

import { createHash } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { StoppedError, UserError } from "../../errors.ts";
import { TEMPORARY_ENDING, writeFileAtomically } from "../../files.ts";
import { formatTokenizer, type Tokenizer } from "../../tokenizer/mod.ts";
import type { DocumentSource, OpenSourceOptions } from "../document_source.ts";
import type { TextUnit } from "../tokenized_corpus.ts";
import { SIDES } from "./format.ts";
import {
  JOB_BYTES,
  type JobProgress,
  jobsOf,
  runJob,
  SHARD_TOKENS,
  shardName,
  shardsOf,
} from "./job.ts";
import { readManifest, type ShardManifest, totalOf, writeManifest } from "./manifest.ts";
import { splitOf } from "./split.ts";
import type { WorkerStart } from "./tokenize_worker.ts";
import { runInWorkers } from "./worker_pool.ts";

/** Raised whenever shards of the same text and tokenizer would have other bytes. */
const FORMAT_VERSION = 1;
/** Threads by default, at most: each takes about 300 MB, and a gigabyte is to be enough. */
const MOST_WORKERS = 3;

export type TokenizeProgress =
  & JobProgress
  & Readonly<{
    /** Bytes of the source, as they are stored, and how many of them were done before. */
    totalBytes: number;
    bytesBefore: number;
  }>;

export type TokenizeOptions = Readonly<{
  /** Sets of shards lie here, each in a folder named by its key. */
  shardsFolder: string;
  unit?: TextUnit;
  /** How workers open the source again. */
  open: Omit<OpenSourceOptions, "parts" | "signal" | "log">;
  /** Threads; as many as there are processors by default, at most 3. With 0 this one does it. */
  workers?: number;
  /** Tokens a shard; for tests. */
  shardTokens?: number;
  /** Stored bytes a job; for tests. */
  jobBytes?: number;
  signal?: AbortSignal | undefined;
  log?: (line: string) => void;
  /** The sums so far; called several times a second. */
  onProgress?: (progress: TokenizeProgress) => void;
}>;

export type TokenizedSource = Readonly<{ folder: string; manifest: ShardManifest }>;

/** The key of the shards that a source gives with a tokenizer: what decides their bytes. */
export function shardsKey(
  source: DocumentSource,
  tokenizer: Pick<Tokenizer, "hash">,
  { unit = "document", shardTokens = SHARD_TOKENS, jobBytes = JOB_BYTES }: Pick<
    TokenizeOptions,
    "unit" | "shardTokens" | "jobBytes"
  > = {},
): string {
  const { parts } = source;
  const content = [
    [FORMAT_VERSION, shardTokens, jobBytes],
    parts.map(({ name, version, documents }) => [name, version, documents ?? null]),
    "textField" in source.descriptor ? source.descriptor.textField : null,
    splitOf(source),
    tokenizer.hash,
    unit,
  ];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

/**
 * Tokenizes a source, goes on where an earlier call was interrupted, or finds the finished shards.
 * The shards are the same for any number of workers and any interruptions; memory does not grow
 * with the source.
 *
 * @throws UserError for what cannot be read, when another process tokenizes the same, and when it
 *   is stopped by its signal.
 */
export async function tokenizeSource(
  source: DocumentSource,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): Promise<TokenizedSource> {
  const { shardsFolder, unit = "document", log = () => {} } = options;
  const key = shardsKey(source, tokenizer, options);
  const folder = join(shardsFolder, key.slice(0, 16));
  const finished = await readManifest(folder);
  if (finished?.key === key) return { folder, manifest: finished };
  await mkdir(folder, { recursive: true });
  using lock = await Deno.open(join(folder, "lock"), { create: true, write: true });
  if (!await lock.tryLock(true)) {
    throw new UserError(`${folder}: another process is tokenizing this; wait for its end`);
  }
  await removeUnfinished(folder);
  log(`tokenizing ${source.name} to ${folder}`);
  await writeFileAtomically(join(folder, "tokenizer.json"), formatTokenizer(tokenizer));
  await runJobs(source, tokenizer, { ...options, unit, folder, key });
  const manifest = makeManifest(source, tokenizer, { unit, folder, key }, options.jobBytes);
  await writeManifest(folder, manifest);
  return { folder, manifest };
}

/** What a process that was killed while it wrote has left. */
async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.endsWith(TEMPORARY_ENDING)) await rm(join(folder, name));
  }
}

type Target = Readonly<{ unit: TextUnit; folder: string; key: string }>;

async function runJobs(
  source: DocumentSource,
  tokenizer: Tokenizer,
  options: TokenizeOptions & Target,
): Promise<void> {
  const { unit, folder, key, shardTokens = SHARD_TOKENS, signal, log } = options;
  const { jobBytes = JOB_BYTES } = options;
  const all = jobsOf(source.parts, jobBytes);
  const jobs = all.filter(({ number }) => shardsOf(folder, key, number).at(-1)?.head.next !== null);
  const bytesOf = (list: typeof all) =>
    list.reduce((sum, { parts }) => parts.reduce((sum, { bytes }) => sum + bytes, sum), 0);
  const totalBytes = bytesOf(all);
  const bytesBefore = totalBytes - bytesOf(jobs);
  const done = { sourceBytes: bytesBefore, textBytes: 0, tokens: 0 };
  const onProgress = (progress: JobProgress) => {
    for (const name of ["sourceBytes", "textBytes", "tokens"] as const) {
      done[name] += progress[name];
    }
    options.onProgress?.({ ...done, totalBytes, bytesBefore });
  };
  const settings = { unit, split: splitOf(source), folder, key, shardTokens };
  const workers = options.workers ?? Math.min(availableParallelism(), MOST_WORKERS);
  if (workers > 0) {
    const start: WorkerStart = {
      ...settings,
      descriptor: source.descriptor,
      open: options.open,
      parts: source.parts,
      tokenizer: formatTokenizer(tokenizer),
    };
    return await runInWorkers(start, jobs, { workers, signal, log, onProgress });
  }
  for (const job of jobs) {
    if (signal?.aborted) throw new StoppedError("stopped; the same again goes on from there");
    await runJob(job, { ...settings, source, tokenizer, onProgress });
  }
}

function makeManifest(
  { name, licence, parts }: DocumentSource,
  { hash, vocabSize }: Tokenizer,
  { unit, folder, key }: Target,
  jobBytes = JOB_BYTES,
): ShardManifest {
  const shards = jobsOf(parts, jobBytes).flatMap(({ number: job }) => {
    const outlines = shardsOf(folder, key, job);
    if (outlines.at(-1)?.head.next !== null) {
      throw new UserError(
        `${join(folder, shardName(job, outlines.length))}: expected the shard that was written, ` +
          "found none or a damaged one; is the disk sound? Tokenize again",
      );
    }
    return outlines.map(({ head: { number, read, train, heldOut }, hash }) => ({
      file: shardName(job, number),
      read,
      hash,
      train,
      heldOut,
    }));
  });
  const [train, heldOut] = SIDES.map((side) => totalOf(shards, side));
  return {
    key,
    source: {
      name,
      licence: licence ?? null,
      parts: parts.map(({ name, version, bytes }) => ({ name, version, bytes })),
    },
    tokenizer: { hash, vocabSize },
    unit,
    read: shards.reduce((sum, shard) => sum + shard.read, 0),
    shards,
    train: train!,
    heldOut: heldOut!,
  };
}
