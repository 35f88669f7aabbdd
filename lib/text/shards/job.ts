/**
 * Tokenizing in jobs: consecutive parts of a source, always the same ones, whose documents become
 * consecutive shards. A job's shards depend on nothing but its documents, so that any number of
 * threads, interrupted anywhere, leaves the same files; a job goes on behind its last whole shard.
 */

import { Buffer } from "node:buffer";
import { join } from "node:path";
import { UserError } from "../../errors.ts";
import { writeFileAtomically } from "../../files.ts";
import type { Tokenizer } from "../../tokenizer/mod.ts";
import type { TextDocument } from "../document.ts";
import type { DocumentSource, SourcePart } from "../document_source.ts";
import { splitParagraphs, splitSentences } from "../paragraphs.ts";
import type { TextUnit } from "../tokenized_corpus.ts";
import { ShardBuilder } from "./builder.ts";
import { outlineOf } from "./files.ts";
import { formatShard, idBytesOf, type JobPosition, type ShardOutline } from "./format.ts";
import { sideOf, type Split } from "./split.ts";

/** A shard is written when it has so many tokens: seconds of work, 16 MB of ids. */
export const SHARD_TOKENS = 1 << 23;
/** A job takes parts until they have so many bytes as they are stored. */
export const JOB_BYTES = 1 << 25;

export type Job = Readonly<{
  number: number;
  parts: readonly SourcePart[];
  /** The number of the first document in the source; 0 where it is not known nor needed. */
  firstDocument: number;
}>;

/** The jobs of a source, all its parts in order. */
export function jobsOf(parts: readonly SourcePart[], jobBytes: number): Job[] {
  const jobs: { number: number; parts: SourcePart[]; firstDocument: number }[] = [];
  let bytes = Infinity, documents = 0;
  for (const part of parts) {
    if (bytes >= jobBytes) {
      jobs.push({ number: jobs.length, parts: [], firstDocument: documents });
      bytes = 0;
    }
    jobs.at(-1)!.parts.push(part);
    bytes += part.bytes;
    documents += part.documents ?? 0;
  }
  return jobs;
}

/** The name of a job's shard in its folder. */
export function shardName(job: number, number: number): string {
  return `${String(job).padStart(5, "0")}.${String(number).padStart(3, "0")}.shard`;
}

export type JobOptions = Readonly<{
  source: Pick<DocumentSource, "name" | "read">;
  tokenizer: Tokenizer;
  unit: TextUnit;
  split: Split;
  folder: string;
  /** Of the set of shards. */
  key: string;
  shardTokens: number;
  onProgress?: (progress: JobProgress) => void;
}>;

/** What was done since the last time. */
export type JobProgress = Readonly<{
  /** Of the source, as they are stored. */
  sourceBytes: number;
  textBytes: number;
  tokens: number;
}>;

const CUTTERS: Readonly<Record<TextUnit, (documents: TextDocument[]) => readonly TextDocument[]>> =
  {
    document: (documents) => documents,
    paragraph: splitParagraphs,
    sentence: splitSentences,
  };

/** The whole shards that a job has already. */
export function shardsOf(folder: string, key: string, job: number): ShardOutline[] {
  const found: ShardOutline[] = [];
  while (found.at(-1)?.head.next !== null) {
    const outline = outlineOf(join(folder, shardName(job, found.length)));
    const head = outline?.head;
    // What is not this job's is written anew, as is what comes behind it.
    if (!head || head.key !== key || head.job !== job || head.number !== found.length) break;
    found.push(outline);
  }
  return found;
}

/**
 * Does what is left of a job.
 *
 * @throws UserError when a part has more or fewer documents than its source said.
 */
export async function runJob(job: Job, options: JobOptions): Promise<void> {
  const { source, tokenizer, unit, split, folder, key, shardTokens, onProgress } = options;
  const done = shardsOf(folder, key, job.number);
  let start = done.at(-1)?.head.next ?? { part: 0, document: 0 };
  if (done.at(-1)?.head.next === null) return;
  const builder = new ShardBuilder(tokenizer.vocabSize);
  let number = done.length, read = 0;
  const write = async (next: JobPosition | null) => {
    const idBytes = idBytesOf(tokenizer.vocabSize);
    const head = { key, job: job.number, number, idBytes, read, next };
    const bytes = formatShard(head, builder.content());
    await writeFileAtomically(join(folder, shardName(job.number, number)), bytes);
    builder.clear();
    [number, read] = [number + 1, 0];
  };

  let documents = job.firstDocument +
    job.parts.slice(0, start.part).reduce((sum, part) => sum + (part.documents ?? 0), 0);
  for (let p = start.part; p < job.parts.length; p++) {
    const part = job.parts[p]!;
    let count = 0, partBytes = 0;
    for await (const document of source.read(part)) {
      count++;
      documents++;
      if (count <= start.document) continue;
      read++;
      const side = sideOf(split, documents - 1, document.text);
      let textBytes = 0, tokens = 0;
      for (const { text } of CUTTERS[unit]([document])) {
        const ids = tokenizer.encode(text);
        const bytes = Buffer.byteLength(text);
        builder.add(side, ids, bytes);
        textBytes += bytes;
        tokens += ids.length;
      }
      // As much of the part as its text would be if it were stored as it is, but never all of it.
      const sourceBytes = Math.min(textBytes, Math.max(0, part.bytes - partBytes));
      partBytes += sourceBytes;
      onProgress?.({ sourceBytes, textBytes, tokens });
      if (builder.tokens >= shardTokens) await write({ part: p, document: count });
    }
    checkCount(source.name, part, count);
    onProgress?.({ sourceBytes: part.bytes - partBytes, textBytes: 0, tokens: 0 });
    start = { part: p + 1, document: 0 };
  }
  await write(null);
}

function checkCount(source: string, { name, documents }: SourcePart, found: number): void {
  if (documents === undefined || documents === found) return;
  throw new UserError(
    `${source}: expected ${documents} documents in ${name}, found ${found}; fetch it anew`,
  );
}
