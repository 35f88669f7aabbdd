/**
 * The runs that a run needs: one whose encoder it takes over (paper §2.7), one whose estimates it is
 * trained on (§4.6) or compared with (§5.1), one of windows that are a token shorter (§4.2).
 */

import { disposeTree } from "../engine/mod.ts";
import { checkEstimator, checkWindowPair, type EstimatedModel } from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import { type Backbone, sampleLength } from "../models/mod.ts";
import { needsTokenValues, type TrainingData } from "../train/mod.ts";
import {
  prepareData,
  type PrepareDataOptions,
  type PreparedData,
  type PreparedText,
  type TrainSubset,
} from "./data.ts";
import { type ExactValueName, runId, type RunSpec, teacherRuns } from "./run_spec.ts";
import type { StoreFolders } from "./run_store.ts";
import { withTeacher } from "./token_values.ts";
import { checkRatable } from "./window_subsets.ts";
import { checkEncoder, encoderConfig, loadEncoder, loadWeights, weightsHash } from "./weights.ts";

/**
 * @throws UserError when a run that is trained on numbers per token has no teacher, or another has
 *   one, and when the teacher cannot give them, or there are more than can be held.
 */
export function checkTeacher(
  { training, teacher, data }: RunSpec,
  { padId, train }: TrainingData,
): void {
  const { model, objective } = training;
  const isNeeded = needsTokenValues(model, training);
  if (isNeeded !== (teacher !== undefined)) {
    const what = `a ${model.kind} model` + (objective ? ` with objective ${objective.form}` : "");
    throw new UserError(
      isNeeded
        ? `teacher: expected the run whose estimates ${what} is trained on, found none`
        : `teacher: expected none for ${what}, found one`,
    );
  }
  if (teacher === undefined) return;
  if ("exact" in teacher) return checkExact(teacher.exact, data);
  checkRatable(
    train,
    "run" in teacher ? training.schedule.steps * training.batchSize : train.count,
  );
  for (const run of teacherRuns(teacher)) {
    checkEstimator(teacher.estimator, run.training.model, { padId });
    const { trainWithout } = run.data as TrainSubset;
    const { trainWindows } = data as TrainSubset;
    if (trainWithout === undefined || trainWithout === trainWindows) continue;
    throw new UserError(
      `teacher (${run.family} ${run.arm}): expected a run without this one's ` +
        `${trainWindows ?? "all"} training windows, found one without ${trainWithout} others`,
    );
  }
  if (!("halves" in teacher)) return;
  for (const half of ["even", "odd"] as const) {
    const expected = saySubset({ ...data as TrainSubset, trainHalf: half });
    const found = saySubset(teacher.halves[half].data as TrainSubset);
    if (found === expected) continue;
    throw new UserError(
      `teacher.halves.${half}: expected a run on ${expected}, found one on ${found}`,
    );
  }
}

function saySubset({ trainHalf, trainWindows }: TrainSubset): string {
  return `the ${trainHalf ?? "even and odd"} ones of ${trainWindows ?? "all"} training windows`;
}

function checkExact(name: ExactValueName, data: RunSpec["data"]): void {
  const found = "known" in data ? data.known.kind : "no source of known entropy";
  if ("known" in data && (name !== "corruption" || found === "corrupted-copy")) return;
  const expected = name === "corruption" ? "a corrupted copy" : "a source of known entropy";
  throw new UserError(`teacher: expected ${expected} for its exact ${name}, found ${found}`);
}

/** @throws UserError when a run that another needs, one of `neededRuns`, does not fit it. */
export function checkNeededRun(
  { training: { model }, frozenEncoder, teacher, estimates }: RunSpec,
  prepared: PreparedData,
  source: RunSpec,
  sourceData: PreparedData,
): void {
  const other = source.training.model;
  const name = (role: string) => `${role} (${source.family} ${source.arm})`;
  const isTeacher = teacherRuns(teacher).includes(source);
  const role = source === frozenEncoder ? "frozenEncoder" : isTeacher ? "teacher" : "shorter";
  if (source === frozenEncoder) checkEncoder(name(role), other, encoderConfig(model));
  if (isTeacher && sampleLength(other) !== sampleLength(model)) {
    throw new UserError(
      `${name(role)}: expected a model of ${sampleLength(model)} tokens a sample, found ${
        sampleLength(other)
      }`,
    );
  }
  if (source === estimates?.shorter) checkWindowPair(model, other);
  const layoutOf = ({ training: { padId } }: PreparedData) => padId === null ? "packed" : "padded";
  if (source !== frozenEncoder && layoutOf(sourceData) !== layoutOf(prepared)) {
    throw new UserError(
      `${name(role)}: expected a run on ${layoutOf(prepared)} samples, as this one's, found ${
        layoutOf(sourceData)
      }`,
    );
  }
  if (sourceData.corpusKey !== prepared.corpusKey) {
    throw new UserError(
      `${
        name(role)
      }: expected a run on the same corpus, vocabulary and unit of text, found another`,
    );
  }
}

/** What a run takes from the runs it needs. */
export type NeededParts = Readonly<{
  frozenEncoder: Backbone | undefined;
  shorter: EstimatedModel | undefined;
  onto: PreparedText | undefined;
  /** The run's data, with the teacher's numbers. */
  data: TrainingData;
  /** The mean of those numbers over the training tokens; null without a teacher. */
  meanValue: number | null;
  dispose: () => void;
}>;

/** Loads what finished runs give to another. */
export async function loadNeeded(
  folders: StoreFolders,
  { training, frozenEncoder: encoderRun, teacher, estimates }: RunSpec,
  prepared: PreparedData,
  options: PrepareDataOptions,
): Promise<NeededParts> {
  const { corpusKey, training: { padId } } = prepared;
  const named = (spec: RunSpec) => ({ id: runId(spec, corpusKey), spec });
  const load = async (spec: RunSpec): Promise<EstimatedModel> => ({
    config: spec.training.model,
    params: await loadWeights(folders, named(spec)),
    padId,
  });
  let frozenEncoder: Backbone | undefined;
  let shorter: EstimatedModel | undefined;
  const dispose = () => {
    if (frozenEncoder !== undefined) disposeTree(frozenEncoder);
    if (shorter !== undefined) disposeTree(shorter.params);
  };
  try {
    frozenEncoder = encoderRun &&
      await loadEncoder(folders, named(encoderRun), encoderConfig(training.model));
    shorter = estimates?.shorter && await load(estimates.shorter);
    const onto = estimates?.onto && await prepareData(estimates.onto, options);
    const { data, meanValue } = teacher === undefined
      ? { data: prepared.training, meanValue: null }
      : await withTeacher({ training }, teacher, prepared, {
        cacheFolder: options.cacheFolder,
        keyOf: async (run) => `${named(run).id} ${await weightsHash(folders, named(run))}`,
        load,
      });
    return { frozenEncoder, shorter, onto, data, meanValue, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
