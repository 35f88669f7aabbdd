/**
 * The runs that a run needs: one whose encoder it takes over (paper §2.7), one whose estimates it is
 * trained on (§4.6), one of windows that are a token shorter (§4.2).
 */

import { disposeTree } from "../engine/mod.ts";
import { checkEstimator, checkWindowPair, type EstimatedModel } from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import { type Backbone, needsValues, sampleLength } from "../models/mod.ts";
import type { TrainingData } from "../train/mod.ts";
import {
  prepareData,
  type PrepareDataOptions,
  type PreparedData,
  type PreparedText,
} from "./data.ts";
import { runId, type RunSpec } from "./run_spec.ts";
import type { StoreFolders } from "./run_store.ts";
import { withTeacher } from "./token_estimates.ts";
import { checkEncoder, encoderConfig, loadEncoder, loadWeights } from "./weights.ts";

/** @throws UserError when a model that is trained on estimates has none, or another has some. */
export function checkTeacher(
  { training: { model }, teacher }: RunSpec,
  { padId }: TrainingData,
): void {
  if (needsValues(model) !== (teacher !== undefined)) {
    throw new UserError(
      needsValues(model)
        ? "teacher: expected the run whose estimates the model is trained on, found none"
        : `teacher: expected none for a ${model.kind} model, found one`,
    );
  }
  if (teacher === undefined) return;
  checkEstimator(teacher.estimator, teacher.run.training.model, { padId });
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
  const role = source === frozenEncoder
    ? "frozenEncoder"
    : source === teacher?.run
    ? "teacher"
    : "shorter";
  if (source === frozenEncoder) checkEncoder(name(role), other, encoderConfig(model));
  if (source === teacher?.run && sampleLength(other) !== sampleLength(model)) {
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
  /** The run's data, with the teacher's estimates. */
  data: TrainingData;
  dispose: () => void;
}>;

/** Loads what finished runs give to another. */
export async function loadNeeded(
  folders: StoreFolders,
  { training, frozenEncoder: encoderRun, teacher, estimates }: RunSpec,
  prepared: PreparedData,
  options: PrepareDataOptions,
): Promise<NeededParts> {
  const { corpusKey, training: data } = prepared;
  const { padId } = data;
  const named = (spec: RunSpec) => ({ id: runId(spec, corpusKey), spec });
  const load = async (spec: RunSpec): Promise<EstimatedModel> => ({
    config: spec.training.model,
    params: await loadWeights(folders, named(spec)),
    padId,
  });
  const rated = async ({ run, estimator }: NonNullable<RunSpec["teacher"]>) => {
    const model = await load(run);
    try {
      return await withTeacher(data, estimator, model, training);
    } finally {
      disposeTree(model.params);
    }
  };
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
    const ratedData = teacher === undefined ? data : await rated(teacher);
    return { frozenEncoder, shorter, onto, data: ratedData, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
