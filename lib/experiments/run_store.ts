/**
 * Runs on disk. `runs/<id>/` holds one run:
 *
 *   config.json            what it is: specification, facts, backend, engine, commit
 *   records.jsonl          what happened, a record a line
 *   checkpoint.safetensors where it stands, until it has ended
 *   model.safetensors      the weights, once it has ended
 *   tokenizer.json         the tokenizer, in Hugging Face's format; none for made sequences
 *
 * `data/runs/<id>.json` is a published run: its config and records, no weights. Every file is
 * written whole or not at all, records are cut back to the checkpoint when a run goes on.
 */

import { join } from "node:path";
import { UserError } from "../errors.ts";
import { readFileIfPresent, TEMPORARY_ENDING, writeFileAtomically } from "../files.ts";
import { checkModelConfig } from "../models/mod.ts";
import { parseTokenizer, type Tokenizer } from "../tokenizer/mod.ts";
import type { Session, TrainingRecord } from "../train/mod.ts";
import type { CompressedFileRecord } from "./compression_records.ts";
import type { MeasurementRecord } from "./measurements.ts";
import type { RoundingRecord } from "./rounding_records.ts";
import type { RunSpec } from "./run_spec.ts";
import type { EstimatesRecord } from "./token_estimates.ts";

export type RunRecord =
  | TrainingRecord
  | MeasurementRecord
  | RoundingRecord
  | CompressedFileRecord
  | EstimatesRecord;

export type RunConfig = Readonly<{
  id: string;
  spec: RunSpec;
  facts: RunFacts;
  backend: string;
  /** Where it was begun; runs that were published before it was kept have none. */
  engine?: RunEngine;
  /** The commit that trained it, `-dirty` if files differed from it. */
  git: string;
}>;

/** What computes a run. The last bits of its numbers depend on each of these. */
export type RunEngine = Readonly<{
  /** Of the engine's status, e.g. `CPU`. */
  device: string;
  threads: number;
  /** Processes that train it together. */
  workers: number;
}>;

/** Measured properties of model and data that tables need. */
export type RunFacts = Readonly<{
  parameterCount: number;
  /** Numbers handed to the decoder per window, 0 without a channel. */
  embeddingSize: number;
  bytesPerToken: number;
  /** Mean tokens of a held-out window that are no padding. */
  meanRealTokens: number;
  trainWindows: number;
  heldOutWindows: number;
}>;

export type StoredRun = Readonly<{ config: RunConfig; records: readonly RunRecord[] }>;

export type StoreFolders = Readonly<{
  /** Where runs are trained, e.g. `runs`. */
  runs: string;
  /** Where published runs are read from, e.g. `data/runs`. */
  published: string;
}>;

const CONFIG = "config.json";
const RECORDS = "records.jsonl";
const CHECKPOINT = "checkpoint.safetensors";
const WEIGHTS = "model.safetensors";
export const TOKENIZER = "tokenizer.json";
const LOCK = "lock";

/** The path of a finished run's weights. */
export function weightsPath({ runs }: Pick<StoreFolders, "runs">, id: string): string {
  return join(runs, id, WEIGHTS);
}

/**
 * The configuration in a run's folder, or null where there is none.
 *
 * @throws UserError when the file describes no model.
 */
export async function readRunConfig(folder: string): Promise<RunConfig | null> {
  const path = join(folder, CONFIG);
  const config = await readJson<RunConfig>(path);
  if (config === null) return null;
  checkModelConfig(config.spec?.training?.model, `${path}: spec.training.model`);
  return config;
}

/** The tokenizer in a run's folder, or null where there is none. */
export async function readRunTokenizer(folder: string): Promise<Tokenizer | null> {
  const path = join(folder, TOKENIZER);
  const bytes = await readFileIfPresent(path);
  return bytes && parseTokenizer(new TextDecoder().decode(bytes), path);
}

/** Whether a run has weights, which it gets when it has ended. */
export async function hasWeights(
  folders: Pick<StoreFolders, "runs">,
  id: string,
): Promise<boolean> {
  try {
    return (await Deno.stat(weightsPath(folders, id))).isFile;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotADirectory)) ignoreMissing(error);
    return false;
  }
}

/** The names of runs that have weights, in alphabetical order. */
export async function runsWithWeights(folders: Pick<StoreFolders, "runs">): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folders.runs)) {
      if (await hasWeights(folders, name)) names.push(name);
    }
  } catch (error) {
    ignoreMissing(error);
  }
  return names.sort();
}

/** A run that has ended, with its weights, or null. */
export async function readFinishedRun(
  { runs }: StoreFolders,
  id: string,
): Promise<StoredRun | null> {
  const config = await readJson<RunConfig>(join(runs, id, CONFIG));
  if (config === null) return null;
  const records = await readRecords(join(runs, id, RECORDS));
  const last = records.at(-1);
  return last?.type === "end" && last.reason === "finished" ? { config, records } : null;
}

/** A published run, or null. */
export async function readPublishedRun(
  { published }: StoreFolders,
  id: string,
): Promise<StoredRun | null> {
  return await readJson<StoredRun>(join(published, `${id}.json`));
}

/** Publishes a finished run: config and records in one small file. */
export async function publishRun(
  { published }: StoreFolders,
  { config: runConfig, records }: StoredRun,
): Promise<void> {
  const lines = records.map((record) => `    ${JSON.stringify(record)}`).join(",\n");
  const config = JSON.stringify(runConfig, null, 2).replaceAll("\n", "\n  ");
  const text = `{\n  "config": ${config},\n  "records": [\n${lines}\n  ]\n}\n`;
  await writeFileAtomically(join(published, `${runConfig.id}.json`), text);
}

/** A run being trained: its folder, and the records that it has so far. */
export class OpenRun {
  readonly #folder: string;
  readonly #lock: Deno.FsFile;
  #records: RunRecord[];
  readonly config: RunConfig;

  private constructor(
    folder: string,
    lock: Deno.FsFile,
    config: RunConfig,
    records: RunRecord[],
  ) {
    this.#folder = folder;
    this.#lock = lock;
    this.config = config;
    this.#records = records;
  }

  get records(): readonly RunRecord[] {
    return this.#records;
  }

  /**
   * Starts a run, or takes up the folder of one that was interrupted; `log` gets a line when that
   * was begun on another device or with other numbers of threads or workers.
   *
   * @throws UserError when another process trains the run, or when it was interrupted on another
   *   backend: going on would give numbers that no backend gives.
   */
  static async open(
    { runs }: StoreFolders,
    config: RunConfig,
    { fresh, log }: { fresh: boolean; log?: ((line: string) => void) | undefined },
  ): Promise<OpenRun> {
    const folder = join(runs, config.id);
    await Deno.mkdir(folder, { recursive: true });
    const lock = await Deno.open(join(folder, LOCK), { create: true, write: true });
    try {
      if (!await lock.tryLock(true)) {
        throw new UserError(`${folder}: another process is training this run; wait for its end`);
      }
      await removeUnfinishedFiles(folder);
      const stored = await readJson<RunConfig>(join(folder, CONFIG));
      if (fresh || stored === null) {
        for (const name of [CONFIG, RECORDS, CHECKPOINT, WEIGHTS, TOKENIZER]) {
          await Deno.remove(join(folder, name)).catch(ignoreMissing);
        }
        await writeFileAtomically(join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
        return new OpenRun(folder, lock, config, []);
      }
      if (stored.backend !== config.backend) {
        throw new UserError(
          `${folder}: interrupted on backend ${stored.backend}, cannot go on with ${config.backend}; ` +
            `use that backend (KYL_BACKEND=${stored.backend}) or train anew (--fresh)`,
        );
      }
      const [begun, now] = [stored, config].map(({ engine }) => engine && engineText(engine));
      if (begun !== undefined && now !== undefined && begun !== now) {
        log?.(
          `${folder}: begun on ${begun}; goes on with ${now}: the last bits of its numbers may differ`,
        );
      }
      return new OpenRun(folder, lock, stored, await readRecords(join(folder, RECORDS)));
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** Lets other processes have the run. */
  close(): void {
    this.#lock.close();
  }

  checkpointPath(): string {
    return join(this.#folder, CHECKPOINT);
  }

  /** The bytes of the checkpoint, or null when the run has none yet. */
  async readCheckpoint(): Promise<Uint8Array | null> {
    return await readFileIfPresent(this.checkpointPath());
  }

  async writeCheckpoint(bytes: Uint8Array): Promise<void> {
    // The records before it must not reach the disk after it.
    using records = await Deno.open(join(this.#folder, RECORDS), { append: true });
    await records.syncData();
    await writeFileAtomically(this.checkpointPath(), bytes);
  }

  /** Drops records that were written after the checkpoint; the run will write them again. */
  async rewindTo(session: Session | null): Promise<void> {
    this.#records = session === null
      ? []
      : this.#records.filter((record) => isBefore(record, session));
    const text = this.#records.map((record) => `${JSON.stringify(record)}\n`).join("");
    await writeFileAtomically(join(this.#folder, RECORDS), text);
  }

  async append(record: RunRecord): Promise<void> {
    this.#records.push(record);
    const line = `${JSON.stringify(record)}\n`;
    await Deno.writeTextFile(join(this.#folder, RECORDS), line, { append: true });
  }

  /** Ends the run: weights and tokenizer, then its last records, then the checkpoint goes. */
  async finish(
    { weights, tokenizer }: { weights: Uint8Array; tokenizer: string | null },
    last: readonly RunRecord[],
  ): Promise<StoredRun> {
    if (tokenizer !== null) await writeFileAtomically(join(this.#folder, TOKENIZER), tokenizer);
    await writeFileAtomically(join(this.#folder, WEIGHTS), weights);
    for (const record of last) await this.append(record);
    await Deno.remove(this.checkpointPath()).catch(ignoreMissing);
    return { config: this.config, records: this.#records };
  }
}

function engineText({ device, threads, workers }: RunEngine): string {
  return `${device}, threads ${threads}, workers ${workers}`;
}

/** Whether a session's checkpoint was taken after the record. */
function isBefore(record: RunRecord, session: Session): boolean {
  if (record.type === "measurement" || record.type === "end") return false;
  if (record.step !== session.step) return record.step < session.step;
  return record.type === "train" ? session.pendingSteps === 0 : !session.evaluationDue;
}

/** What a process that was killed while it wrote has left; as large as a checkpoint each. */
async function removeUnfinishedFiles(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (name.endsWith(TEMPORARY_ENDING)) await Deno.remove(join(folder, name));
  }
}

async function readJson<T>(path: string): Promise<T | null> {
  const bytes = await readFileIfPresent(path);
  if (bytes === null) return null;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  } catch {
    throw new UserError(`${path}: expected JSON, found a damaged file; delete it and run again`);
  }
}

/** Complete lines only: a line cut by a crash is the last one and is dropped. */
async function readRecords(path: string): Promise<RunRecord[]> {
  const bytes = await readFileIfPresent(path);
  if (bytes === null) return [];
  const lines = new TextDecoder().decode(bytes).split("\n").slice(0, -1);
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as RunRecord;
    } catch {
      throw new UserError(
        `${path}:${index + 1}: expected a record, found a damaged line; delete the run's folder`,
      );
    }
  });
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
