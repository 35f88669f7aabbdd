/** The thread that tokenizes jobs: it opens the source by its descriptor and writes shards itself. */

import { UserError } from "../../errors.ts";
import { parseTokenizer } from "../../tokenizer/mod.ts";
import type { OpenSourceOptions, SourceDescriptor, SourcePart } from "../document_source.ts";
import { openSource } from "../open_source.ts";
import type { TextUnit } from "../tokenized_corpus.ts";
import { type Job, type JobProgress, runJob } from "./job.ts";
import type { Split } from "./split.ts";

/** The first message to a worker; the others are jobs. */
export type WorkerStart = Readonly<{
  descriptor: SourceDescriptor;
  open: Omit<OpenSourceOptions, "parts" | "signal" | "log">;
  parts: readonly SourcePart[];
  /** A `tokenizer.json`. */
  tokenizer: string;
  unit: TextUnit;
  split: Split;
  folder: string;
  key: string;
  shardTokens: number;
}>;

export type WorkerReply =
  | Readonly<{ kind: "ready" | "done" }>
  | Readonly<{ kind: "progress" }> & JobProgress
  | Readonly<{ kind: "log"; line: string }>
  | Readonly<{ kind: "failed"; message: string; isUserError: boolean }>;

/** Milliseconds between reports of progress. */
const REPORT_MS = 200;

// The types of a worker's global scope exclude those of the main one, which this project has.
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<WorkerStart | Job>) => void;
  postMessage: (message: WorkerReply) => void;
};

function summedProgress(): (progress: JobProgress | null) => void {
  let sum = { sourceBytes: 0, textBytes: 0, tokens: 0 };
  let lastReport = performance.now();
  return (progress) => {
    if (progress !== null) {
      sum.sourceBytes += progress.sourceBytes;
      sum.textBytes += progress.textBytes;
      sum.tokens += progress.tokens;
      if (performance.now() - lastReport < REPORT_MS) return;
    }
    scope.postMessage({ kind: "progress", ...sum });
    sum = { sourceBytes: 0, textBytes: 0, tokens: 0 };
    lastReport = performance.now();
  };
}

async function start(
  { descriptor, open, parts, tokenizer, ...options }: WorkerStart,
): Promise<(job: Job) => Promise<void>> {
  const log = (line: string) => scope.postMessage({ kind: "log", line });
  const source = await openSource(descriptor, { ...open, parts, log });
  const parsed = parseTokenizer(tokenizer);
  return async (job) => {
    const onProgress = summedProgress();
    await runJob(job, { ...options, source, tokenizer: parsed, onProgress });
    onProgress(null);
  };
}

async function reply(work: () => Promise<WorkerReply>): Promise<void> {
  try {
    scope.postMessage(await work());
  } catch (error) {
    const { message, stack } = error as Error;
    const isUserError = error instanceof UserError;
    scope.postMessage({ kind: "failed", message: isUserError ? message : `${stack}`, isUserError });
  }
}

let run: (job: Job) => Promise<void>;

scope.onmessage = ({ data }) =>
  void reply(async () => {
    if ("descriptor" in data) {
      run = await start(data);
      return { kind: "ready" };
    }
    await run(data);
    return { kind: "done" };
  });
