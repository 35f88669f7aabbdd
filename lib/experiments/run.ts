/** Training runs, or taking stored ones; many runs share data and compiled functions. */

import { countElements, engineStatus, type Workers } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { checkModelSizes, embeddingSize, needsValues } from "../models/mod.ts";
import { largestCode } from "../qat/mod.ts";
import { formatTokenizer } from "../tokenizer/mod.ts";
import {
  checkLossOptions,
  checkMatmulPrecision,
  checkSchedule,
  compilePrograms,
  disposeSession,
  formatCheckpoint,
  formatWeights,
  joinModel,
  parseCheckpoint,
  type Programs,
  type Session,
  startSession,
  train,
} from "../train/mod.ts";
import { checkCompression, measureCompression } from "./compression_records.ts";
import { type DataSpec, prepareData, type PrepareDataOptions, type PreparedData } from "./data.ts";
import { measureEmbedding, measureFullWindows, measureSource } from "./measurements.ts";
import { interruption } from "./interruption.ts";
import { gitCommit } from "./provenance.ts";
import { checkRounding, measureRounding } from "./rounding_records.ts";
import { neededRuns, runId, type RunSpec } from "./run_spec.ts";
import { checkNeededRun, checkTeacher, loadNeeded } from "./needed_runs.ts";
import {
  OpenRun,
  readFinishedRun,
  readPublishedRun,
  type RunFacts,
  type RunRecord,
  type StoredRun,
  type StoreFolders,
} from "./run_store.ts";
import { checkEstimates, measureTokens } from "./token_estimates.ts";
import {
  afterWorker0,
  agreeOnRuns,
  awaitStored,
  followRecords,
  followSession,
  leadRecords,
  leadSession,
} from "./worker_runs.ts";

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

export type RunOptions =
  & PrepareDataOptions
  & Readonly<{
    folders: StoreFolders;
    /** Trains anew, whatever is stored. */
    fresh?: boolean;
    /** With `fresh`: runs that others need are taken as stored all the same. */
    keepNeeded?: boolean;
    /** Trains runs that are only published, which have no weights. */
    needWeights?: boolean;
    /** Aborting it ends tokenizing, or training at the next step boundary with a checkpoint. */
    signal?: AbortSignal | undefined;
    /** Seconds of training between checkpoints; 30 by default. */
    checkpointSeconds?: number;
    /** All processes that train these runs together, this one among them; worker 0 stores them. */
    cluster?: Workers | undefined;
    onProgress?: (progress: RunProgress) => Promise<void> | void;
  }>;

/** A run that is taken from where it is stored or, if null, trained. */
type PlannedRun = Readonly<{
  spec: RunSpec;
  prepared: PreparedData;
  id: string;
  stored: (StoredRun & Pick<RunResult, "source">) | null;
}>;

/**
 * Gives every run's records, in the order of `specs`: of a finished run in the store, of a
 * published one, or trained now, after the runs that it needs (needed_runs.ts). The engine must have
 * been started.
 *
 * Of several workers only worker 0 stores and measures runs; the others give what it left them.
 *
 * @throws UserError when a run is stopped or diverges: earlier runs are stored, and the same call
 *   goes on where it stopped; and when a worker is lost or does not fit the others.
 */
export async function runAll(
  specs: readonly RunSpec[],
  options: RunOptions,
): Promise<RunResult[]> {
  const { cluster: workers } = options;
  const plan = () => planRuns(specs, options);
  const { sources, asked } = await (workers === undefined ? plan() : afterWorker0(workers, plan));
  const planned = workers === undefined
    ? [...sources, ...asked]
    : await agreeOnRuns(workers, [...sources, ...asked]);
  const toTrain = new Map(
    planned.flatMap(({ id, spec, stored }) => stored === null ? [[id, spec.training]] : []),
  );
  const steps = [...toTrain.values()].reduce((sum, { schedule }) => sum + schedule.steps, 0);
  let stepsBefore = 0;
  const trained = new Map<string, StoredRun>();
  let programs = null as { key: string; value: Programs } | null;
  try {
    for (const { spec, prepared, id, stored } of planned) {
      if (stored !== null || trained.has(id)) continue;
      const { model, optimizer, batchSize, schedule, ...training } = spec.training;
      const { padId } = prepared.training;
      const isFrozen = spec.frozenEncoder !== undefined;
      const { objective, attentionDropout, qat, penalties } = training;
      const loss = [objective, attentionDropout, qat, penalties];
      const key = JSON.stringify(
        [model, isFrozen, optimizer, batchSize, padId, schedule.steps, loss],
      );
      if (programs?.key !== key) {
        programs?.value.dispose();
        programs = { key, value: compilePrograms(spec.training, { padId }, workers) };
      }
      const onRecord = async (record: RunRecord) => {
        const stepsDone = stepsBefore + ("step" in record ? record.step : schedule.steps);
        await options.onProgress?.({ spec, record, stepsDone, steps });
      };
      const run = await trainRun(spec, prepared, id, programs.value, { ...options, onRecord });
      trained.set(id, run);
      if (workers !== undefined) await awaitStored(workers);
      stepsBefore += schedule.steps;
    }
  } finally {
    programs?.value.dispose();
  }
  return asked.flatMap(({ spec, id, stored }) => {
    const now = trained.get(id);
    if (now === undefined && stored === null) return []; // worker 0 has it, and this one has not
    const run = now === undefined ? stored! : { ...now, source: "trained" as const };
    // Labels are the caller's: the run may have been stored under others.
    return [{ ...run, config: { ...run.config, spec } }];
  });
}

/** The runs that are asked for, and those that they need before them, in the order of training. */
async function planRuns(
  specs: readonly RunSpec[],
  { folders, fresh = false, keepNeeded = false, needWeights = false, ...options }: RunOptions,
): Promise<{ sources: PlannedRun[]; asked: PlannedRun[] }> {
  const data = new Map<string, PreparedData>();
  const prepare = async (spec: DataSpec): Promise<PreparedData> => {
    const key = JSON.stringify(spec);
    const prepared = data.get(key) ?? await prepareData(spec, options);
    data.set(key, prepared);
    return prepared;
  };
  // A check makes a model, and runs of an arm would all make the same.
  const checked = new Set<string>();
  const checkMeasuresOnce = async (spec: RunSpec, prepared: PreparedData) => {
    const { data, training: { model }, rounding, compression } = spec;
    const key = JSON.stringify([data, model, rounding, compression]);
    if (checked.has(key)) return;
    checkRounding(spec, prepared.training);
    await checkCompression(spec, options);
    checked.add(key);
  };
  const sources: PlannedRun[] = [];
  const plan = async (
    spec: RunSpec,
    { fresh, needWeights }: { fresh: boolean; needWeights: boolean },
  ): Promise<PlannedRun> => {
    checkPrecision(spec);
    const prepared = await prepare(spec.data);
    const { onto } = spec.estimates ?? {};
    checkRun(spec, prepared, onto && await prepare(onto));
    await checkMeasuresOnce(spec, prepared);
    const needed = neededRuns(spec);
    for (const source of needed) checkNeededRun(spec, prepared, source, await prepare(source.data));
    const id = runId(spec, prepared.corpusKey);
    const isWanted = !fresh || startedAnew.has(`${folders.runs} ${id}`);
    const stored = isWanted ? await findRun(folders, id, needWeights || fresh) : null;
    if (stored === null) {
      checkMatmulPrecision(spec.training);
      const options = { fresh: fresh && !keepNeeded, needWeights: true };
      for (const source of needed) sources.push(await plan(source, options));
    }
    return { spec, prepared, id, stored };
  };
  const asked: PlannedRun[] = [];
  for (const spec of specs) asked.push(await plan(spec, { fresh, needWeights }));
  return { sources, asked };
}

/** @throws UserError for what would stop the run only after work was done. */
function checkRun(
  spec: RunSpec,
  prepared: PreparedData,
  onto: PreparedData | undefined,
): void {
  const { training, quantizedBits } = spec;
  const { training: data } = prepared;
  checkModelSizes(training.model);
  checkSchedule(training.schedule);
  checkLossOptions(training.model, training);
  checkTeacher(spec, data);
  checkEstimates(spec, prepared, onto);
  for (const bits of quantizedBits) largestCode(bits);
  const { batchSize } = training;
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > data.train.count) {
    throw new UserError(
      `a batch of ${batchSize} does not fit the ${data.train.count} training windows of ` +
        `${data.train.contextLength} tokens; lower the batch size or the context, or add text`,
    );
  }
}

/** @throws UserError for what must not depend on the precision of training. */
function checkPrecision({ training, ...spec }: RunSpec): void {
  if ((training.matmulPrecision ?? "float32") === "float32") return;
  const others = ["teacher", "frozenEncoder", "estimates", "rounding", "compression"] as const;
  const other = others.find((name) => spec[name] !== undefined);
  if (other === undefined) return;
  throw new UserError(
    `products in ${training.matmulPrecision} are for training and its evaluations: expected no ` +
      `${other} in the same run, found one; train in float32`,
  );
}

/** Runs that this process began anew: with `fresh`, the same call again goes on with them. */
const startedAnew = new Set<string>();

async function findRun(
  folders: StoreFolders,
  id: string,
  needWeights: boolean,
): Promise<PlannedRun["stored"]> {
  const finished = await readFinishedRun(folders, id);
  if (finished !== null) return { ...finished, source: "stored" };
  if (needWeights) return null;
  const published = await readPublishedRun(folders, id);
  return published === null ? null : { ...published, source: "published" };
}

type TrainRunOptions = RunOptions & { onRecord: (record: RunRecord) => Promise<void> };

async function trainRun(
  spec: RunSpec,
  prepared: PreparedData,
  id: string,
  programs: Programs,
  {
    folders,
    fresh = false,
    signal,
    checkpointSeconds = 30,
    onRecord,
    cluster: workers,
    ...options
  }: TrainRunOptions,
): Promise<StoredRun> {
  const status = engineStatus();
  if (status === null) throw new Error("initEngine() must be called before runAll()");
  const { training, quantizedBits } = spec;
  const needed = await loadNeeded(folders, spec, prepared, options);
  const { frozenEncoder, data } = needed;
  let session: Session | null = null;
  let run: OpenRun | null = null;
  try {
    session = startSession(training, frozenEncoder);
    const facts = runFacts(spec, prepared, session);
    const { backend, device, threads } = status;
    const engine = { device, threads, workers: workers?.count ?? 1 };
    const config = { id, spec, facts, backend, engine, git: await gitCommit() };
    if (workers !== undefined && workers.index > 0) {
      session = await followSession(workers, session);
      const records = train(training, data, session, programs, { signal });
      noteCheckpoint(programs, session);
      const { reason, step } = await followRecords(records, programs.parallel!);
      if (reason === "finished") return { config, records: [] };
      throw interruption(spec, step, reason, "worker 0's checkpoint");
    }
    const startKey = `${folders.runs} ${id}`;
    const isAnew = fresh && !startedAnew.has(startKey);
    run = await OpenRun.open(folders, config, { fresh: isAnew, log: options.log });
    if (fresh) startedAnew.add(startKey);
    const checkpoint = await run.readCheckpoint();
    if (checkpoint !== null) {
      const path = run.checkpointPath();
      const resumed = parseCheckpoint(checkpoint, training, path, frozenEncoder);
      disposeSession(session);
      session = resumed;
    }
    await run.rewindTo(checkpoint === null ? null : session);
    if (workers !== undefined) session = await leadSession(workers, session, checkpoint !== null);
    noteCheckpoint(programs, session);

    let lastSaved = performance.now();
    const [openRun, openSession] = [run, session];
    const save = async () => {
      await openRun.writeCheckpoint(await formatCheckpoint(openSession));
      lastSaved = performance.now();
      noteCheckpoint(programs, openSession);
    };
    const records = train(training, data, session, programs, { signal });
    const path = openRun.checkpointPath();
    for await (
      const record of workers === undefined ? records : leadRecords(records, session, save, path)
    ) {
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
      const params = joinModel(session.state.params, session.frozen);
      const { model: config, batchSize } = training;
      const parts = workers?.count ?? 1; // the evaluator is compiled for a worker's batches
      const estimated = { config, params, padId: data.padId };
      const { meanValue } = needed;
      const weights = await formatWeights(session);
      const checkpointPath = run.checkpointPath();
      const measured = [
        ...measureSource(prepared),
        ...meanValue === null || needsValues(config)
          ? []
          : [{ type: "measurement", what: "token values", meanValue } as const],
        ...await measureFullWindows(programs.evaluator, params, data, batchSize / parts),
        ...await measureEmbedding(config, params, data, { batchSize, quantizedBits }),
        ...await measureRounding(estimated, data, spec),
        ...await measureCompression(params, weights, prepared, spec, { ...options, signal })
          .catch((error) => {
            if (!signal?.aborted || error !== signal.reason) throw error;
            throw interruption(spec, record.step, "stopped", checkpointPath);
          }),
        ...await measureTokens(spec, estimated, { ...prepared, ...needed, heldOut: data.heldOut }),
      ];
      const tokenizer = prepared.tokenizer && formatTokenizer(prepared.tokenizer);
      return await run.finish({ weights, tokenizer }, [...measured, record]);
    }
    throw new Error("training ended without an end record");
  } finally {
    run?.close();
    if (session !== null) disposeSession(session);
    needed.dispose();
  }
}

/** What workers say of the last checkpoint when one of them is lost; there is none of step 0. */
function noteCheckpoint({ parallel }: Programs, { step }: Session): void {
  if (parallel !== undefined) parallel.saved.step = step === 0 ? null : step;
}

function runFacts(spec: RunSpec, prepared: PreparedData, session: Session): RunFacts {
  const { train, heldOut } = prepared.training;
  const realTokens = heldOut.realTokens.reduce((sum, count) => sum + count, 0);
  return {
    parameterCount: countElements(joinModel(session.state.params, session.frozen)),
    embeddingSize: embeddingSize(spec.training.model),
    bytesPerToken: prepared.bytesPerToken,
    meanRealTokens: realTokens / heldOut.count,
    trainWindows: train.count,
    heldOutWindows: heldOut.count,
  };
}
