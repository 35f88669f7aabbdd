/** Training runs, or taking stored ones; many runs share data and compiled functions. */

import { countElements, engineStatus } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { embeddingSize } from "../models/mod.ts";
import { largestCode } from "../qat/mod.ts";
import { formatTokenizer } from "../tokenizer/mod.ts";
import {
  checkSchedule,
  compilePrograms,
  disposeSession,
  formatCheckpoint,
  formatWeights,
  parseCheckpoint,
  type Programs,
  type Session,
  startSession,
  train,
} from "../train/mod.ts";
import { prepareData, type PreparedData } from "./data.ts";
import { measureEmbedding, measureFullWindows } from "./measurements.ts";
import { gitCommit } from "./provenance.ts";
import { runId, type RunSpec } from "./run_spec.ts";
import {
  OpenRun,
  readFinishedRun,
  readPublishedRun,
  type RunFacts,
  type RunRecord,
  type StoredRun,
  type StoreFolders,
} from "./run_store.ts";

export type RunResult =
  & StoredRun
  & Readonly<{
    /** Where its numbers come from: this call, an earlier one on this machine, `data/runs`. */
    source: "trained" | "stored" | "published";
  }>;

/** What a caller that shows progress learns after every record. */
export type RunProgress = Readonly<{
  spec: RunSpec;
  record: RunRecord;
  /** Updates of all runs that are being trained: made so far, and in all. */
  stepsDone: number;
  steps: number;
}>;

export type RunOptions = Readonly<{
  folders: StoreFolders;
  cacheFolder: string;
  /** Trains anew, whatever is stored. */
  fresh?: boolean;
  /** Trains runs that are only published, which have no weights. */
  needWeights?: boolean;
  /** Aborting it ends training at the next step boundary, with a checkpoint. */
  signal?: AbortSignal | undefined;
  /** Seconds of training between checkpoints; 30 by default. */
  checkpointSeconds?: number;
  onProgress?: (progress: RunProgress) => Promise<void> | void;
  log?: (line: string) => void;
}>;

/**
 * Gives every run's records, in the order of `specs`: of a finished run in the store, of a
 * published one, or trained now. The engine must have been started.
 *
 * @throws UserError when a run is stopped or diverges: earlier runs are stored, and the same call
 *   goes on where it stopped.
 */
export async function runAll(
  specs: readonly RunSpec[],
  options: RunOptions,
): Promise<RunResult[]> {
  const { folders, cacheFolder, fresh = false, needWeights = false, log } = options;
  const data = new Map<string, PreparedData>();
  const planned: { spec: RunSpec; prepared: PreparedData; id: string; stored: RunResult | null }[] =
    [];
  for (const spec of specs) {
    const key = JSON.stringify(spec.data);
    let prepared = data.get(key);
    if (prepared === undefined) {
      prepared = await prepareData(spec.data, { cacheFolder, ...(log && { log }) });
      data.set(key, prepared);
    }
    checkRun(spec, prepared);
    const id = runId(spec, prepared.corpusKey);
    const isWanted = !fresh || startedAnew.has(`${folders.runs} ${id}`);
    const stored = isWanted ? await findRun(folders, id, spec, needWeights || fresh) : null;
    planned.push({ spec, prepared, id, stored });
  }

  const steps = planned.filter((run) => run.stored === null)
    .reduce((sum, { spec }) => sum + spec.training.schedule.steps, 0);
  let stepsBefore = 0;
  const results: RunResult[] = [];
  let programs = null as { key: string; value: Programs } | null;
  try {
    for (const { spec, prepared, id, stored } of planned) {
      if (stored !== null) {
        results.push(stored);
        continue;
      }
      const { model, optimizer, batchSize, schedule } = spec.training;
      const { padId } = prepared.training;
      const key = JSON.stringify([model, optimizer, batchSize, padId]);
      if (programs?.key !== key) {
        programs?.value.dispose();
        programs = { key, value: compilePrograms({ model, optimizer }, { padId }) };
      }
      const onRecord = async (record: RunRecord) => {
        const stepsDone = stepsBefore + ("step" in record ? record.step : schedule.steps);
        await options.onProgress?.({ spec, record, stepsDone, steps });
      };
      const run = await trainRun(spec, prepared, id, programs.value, { ...options, onRecord });
      results.push({ ...run, source: "trained" });
      stepsBefore += schedule.steps;
    }
  } finally {
    programs?.value.dispose();
  }
  return results;
}

/** @throws UserError for what would stop the run only after work was done. */
function checkRun({ training, quantizedBits }: RunSpec, { training: data }: PreparedData): void {
  checkSchedule(training.schedule);
  for (const bits of quantizedBits) largestCode(bits);
  const { batchSize } = training;
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > data.train.count) {
    throw new UserError(
      `a batch of ${batchSize} does not fit the ${data.train.count} training windows of ` +
        `${data.train.contextLength} tokens; lower the batch size or the context, or add text`,
    );
  }
}

/** Runs that this process began anew: with `fresh`, the same call again goes on with them. */
const startedAnew = new Set<string>();

async function findRun(
  folders: StoreFolders,
  id: string,
  spec: RunSpec,
  needWeights: boolean,
): Promise<RunResult | null> {
  // Labels are the caller's: the run may have been stored under others.
  const relabelled = ({ config, records }: StoredRun) => ({ config: { ...config, spec }, records });
  const finished = await readFinishedRun(folders, id);
  if (finished !== null) return { ...relabelled(finished), source: "stored" };
  if (needWeights) return null;
  const published = await readPublishedRun(folders, id);
  return published === null ? null : { ...relabelled(published), source: "published" };
}

type TrainRunOptions = RunOptions & { onRecord: (record: RunRecord) => Promise<void> };

async function trainRun(
  spec: RunSpec,
  prepared: PreparedData,
  id: string,
  programs: Programs,
  { folders, fresh = false, signal, checkpointSeconds = 30, onRecord }: TrainRunOptions,
): Promise<StoredRun> {
  const backend = engineStatus()?.backend;
  if (backend === undefined) throw new Error("initEngine() must be called before runAll()");
  const { training, quantizedBits } = spec;
  let session: Session = startSession(training);
  let run: OpenRun | null = null;
  try {
    const facts = runFacts(spec, prepared, session);
    const config = { id, spec, facts, backend, git: await gitCommit() };
    const startKey = `${folders.runs} ${id}`;
    run = await OpenRun.open(folders, config, { fresh: fresh && !startedAnew.has(startKey) });
    if (fresh) startedAnew.add(startKey);
    const checkpoint = await run.readCheckpoint();
    if (checkpoint !== null) {
      const resumed = parseCheckpoint(checkpoint, training, run.checkpointPath());
      disposeSession(session);
      session = resumed;
    }
    await run.rewindTo(checkpoint === null ? null : session);

    let lastSaved = performance.now();
    const openRun = run;
    const save = async () => {
      await openRun.writeCheckpoint(await formatCheckpoint(session));
      lastSaved = performance.now();
    };
    for await (const record of train(training, prepared.training, session, programs, { signal })) {
      if (record.type !== "end") {
        await run.append(record);
        await onRecord(record);
        if (performance.now() - lastSaved > 1000 * checkpointSeconds) await save();
        continue;
      }
      if (record.reason !== "finished") {
        await save();
        throw interruption(spec, record.step, record.reason, run.checkpointPath());
      }
      await save(); // measuring takes a while, and may be what fails
      const { params } = session.state;
      const { model, batchSize } = training;
      const { training: windows } = prepared;
      const measured = [
        ...await measureFullWindows(programs.evaluator, params, windows, batchSize),
        ...await measureEmbedding(model, params, windows, { batchSize, quantizedBits }),
      ];
      const weights = await formatWeights(session);
      const tokenizer = formatTokenizer(prepared.tokenizer);
      return await run.finish({ weights, tokenizer }, [...measured, record]);
    }
    throw new Error("training ended without an end record");
  } finally {
    run?.close();
    disposeSession(session);
  }
}

function interruption(
  { family, arm, training }: RunSpec,
  step: number,
  reason: "stopped" | "diverged",
  checkpointPath: string,
): UserError {
  const run = `${family} ${arm}, seed ${training.seed}`;
  return new UserError(
    reason === "stopped"
      ? `stopped ${run} after step ${step}; run the same again to go on from ${checkpointPath}`
      : `${run} diverged at step ${step + 1}; the last good state is in ${checkpointPath}; ` +
        `lower the learning rate (${training.schedule.peakRate})`,
  );
}

function runFacts(spec: RunSpec, prepared: PreparedData, session: Session): RunFacts {
  const { train, heldOut } = prepared.training;
  const realTokens = heldOut.realTokens.reduce((sum, count) => sum + count, 0);
  return {
    parameterCount: countElements(session.state.params),
    embeddingSize: embeddingSize(spec.training.model),
    bytesPerToken: prepared.bytesPerToken,
    meanRealTokens: realTokens / heldOut.count,
    trainWindows: train.count,
    heldOutWindows: heldOut.count,
  };
}
