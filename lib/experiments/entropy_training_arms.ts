/**
 * The arms of notebook 06: causal models trained towards entropies (paper §5), and those that tell
 * what a gain is made of.
 */

import { backboneConfig, type ModelConfig } from "../models/mod.ts";
import { type Objective, PAPER_SCALE, type Penalties } from "../train/mod.ts";
import { type Arm, seedSpecs, type TrainingSizes } from "./arms.ts";
import { type DataSpec, sourceData } from "./data.ts";
import type {
  CausalTraining,
  EntropyTrainingPreset,
  LargeDataTraining,
  SmallDataTraining,
  SourceTraining,
} from "./entropy_training_presets.ts";
import type { RunSpec, Teacher } from "./run_spec.ts";

/** What is compared with what. */
export const trainingFamily = {
  text: "text",
  full: "all of the text",
  known: "known source",
  knownFull: "known source, all data",
  amount: (sequences: number) => `known source, ${sequences} sequences`,
  copy: "corrupted copy",
} as const;

/** The arms by the names that figures, tables and claims use. */
export const trainingArm = {
  plain: "plain",
  dropout: "plain, dropout",
  entropy: "|CE − e|",
  entropyDropout: "|CE − e|, dropout",
  flooding: "flooding at mean e",
  constant: "e constant",
  shuffled: "e shuffled",
  predictive: "e predictive entropy",
  rest: "e from the other text",
  restPredictive: "e from the other text, predictive entropy",
  unscaled: "|CE − e|, scale 1",
  otherSeed: "e of another seed's teacher",
  subset: "e from the subset",
  subsetPredictive: "e from the subset, predictive entropy",
  crossFitted: "e cross-fitted",
  oneSided: "max(CE, e)",
  smoothing: "label smoothing",
  l1: "L1 penalty",
  l2: "L2 penalty",
  teacher: "teacher, all data",
  otherTeacher: "teacher, the other text",
  subsetTeacher: "teacher, the subset",
  early: "plain, few steps",
  exactEntropy: "e exact entropy",
  exactSurprisal: "e exact surprisal",
  oneSidedEntropy: "max(CE, e), e exact entropy",
  learned: "e from all data",
  below: "CE·[e < θ]",
  above: "CE·[CE > e]",
  corruption: "e knows the noise",
  weighted: "weight 1 − e",
  weightedShuffled: "weight 1 − e, e shuffled",
  attributed: "EEM of the weights",
} as const;

/** Form 4 of paper §5.1. */
const ABSOLUTE: Objective = { form: "absolute", scale: PAPER_SCALE };

/** All runs of the notebook, part by part. */
export function entropyTrainingSpecs(preset: EntropyTrainingPreset): RunSpec[] {
  const { known, copy } = preset;
  return [
    ...textSpecs(preset),
    ...fullSpecs(preset),
    ...knownSpecs(known, preset),
    ...amountSpecs(preset),
    ...copySpecs(copy, preset),
  ];
}

/** The preset with a share of its steps, for backends on which a step takes longer. */
export function scaleEntropyTraining(
  preset: EntropyTrainingPreset,
  share: number,
): EntropyTrainingPreset {
  if (share === 1) return preset;
  const stepsOf = (steps: number) => Math.max(12, Math.round(steps * share));
  const scaled = <Training extends LargeDataTraining>(training: Training): Training => ({
    ...training,
    steps: stepsOf(training.steps),
    warmupSteps: 1,
  });
  const small = (training: SmallDataTraining): SmallDataTraining => ({
    ...scaled(training),
    logEvery: 2,
    evaluateEvery: Math.ceil(stepsOf(training.steps) / 4),
  });
  const ofSource = (training: SourceTraining): SourceTraining => ({
    ...training,
    small: small(training.small),
    large: scaled(training.large),
  });
  const { text } = preset;
  return {
    ...preset,
    text: {
      ...text,
      small: small(text.small),
      large: scaled(text.large),
      subsetSteps: stepsOf(text.subsetSteps),
      earlySteps: stepsOf(text.earlySteps),
      halfSteps: stepsOf(text.halfSteps),
    },
    full: { ...preset.full, training: scaled(preset.full.training) },
    known: ofSource(preset.known),
    amounts: { ...preset.amounts, evaluateEvery: Math.ceil(stepsOf(preset.known.small.steps) / 4) },
    copy: ofSource(preset.copy),
  };
}

/** A treatment: its loss form or remedy, and what it compares with. */
type Treatment = Pick<Arm, "loss" | "teacher">;

/** Gives the runs of an arm; those of one family differ in their treatment alone. */
type Runs = (arm: string, treatment?: Treatment) => RunSpec[];

function runsOf(
  family: string,
  data: DataSpec,
  { peakRate }: CausalTraining,
  model: ModelConfig,
  sizes: TrainingSizes,
): Runs {
  return (arm, treatment = {}) =>
    seedSpecs({ family, arm, model, data, peakRate, ...treatment }, sizes);
}

/** Training on the small part of the data, evaluated on both sides. */
function smallRuns(
  family: string,
  all: DataSpec,
  small: SmallDataTraining,
  seeds: readonly number[],
): Runs {
  const data = { ...all, trainWindows: small.trainWindows } as DataSpec;
  const sizes = { ...small, evaluateTrain: true, seeds };
  return runsOf(family, data, small, causalModel(small, data), sizes);
}

/** Training of the same model, or of another one, on all data. */
function largeRuns(
  family: string,
  data: DataSpec,
  small: SmallDataTraining,
  large: LargeDataTraining,
  seeds: readonly number[],
  model = causalModel(small, data),
): Runs {
  const { logEvery } = small;
  const sizes = { ...large, logEvery, evaluateEvery: Math.ceil(large.steps / 4), seeds };
  return runsOf(family, data, small, model, sizes);
}

function textSpecs(
  { text, dropout, smoothing, seeds }: EntropyTrainingPreset,
): RunSpec[] {
  const { data, small, large, subsetSteps, earlySteps, halfSteps, l1, l2 } = text;
  const family = trainingFamily.text;
  const run = smallRuns(family, data, small, seeds);
  const teachers = largeRuns(family, data, small, large, seeds)(trainingArm.teacher);
  const fewer = (steps: number) => ({ ...small, steps });
  const subsetTeachers = smallRuns(family, data, fewer(subsetSteps), seeds)(
    trainingArm.subsetTeacher,
  );
  const others = largeRuns(
    family,
    { ...data, trainWithout: small.trainWindows },
    small,
    large,
    seeds,
  )(trainingArm.otherTeacher);
  const half = (trainHalf: "even" | "odd") =>
    smallRuns(family, { ...data, trainHalf }, fewer(halfSteps), seeds)(
      `teacher, ${trainHalf} half`,
    );
  const [even, odd] = [half("even"), half("odd")];
  const by = (
    raters: readonly RunSpec[],
    estimator: "loss" | "predictive-entropy",
    rest: Pick<Teacher, "transforms"> = {},
  ) =>
  (seed: number): Teacher => ({ run: ofSeed(raters, seed), estimator, ...rest });
  const teacher = by(teachers, "loss");
  const penalized = (penalties: Penalties) => ({ loss: { penalties } });
  const absolute = (teacher: (seed: number) => Teacher): Treatment => ({
    loss: { objective: ABSOLUTE },
    teacher,
  });
  return [
    ...teachers,
    ...others,
    ...subsetTeachers,
    ...run(trainingArm.plain),
    ...smallRuns(family, data, fewer(earlySteps), seeds)(trainingArm.early),
    ...run(trainingArm.dropout, { loss: { attentionDropout: dropout } }),
    ...run(trainingArm.entropy, absolute(teacher)),
    ...run(trainingArm.entropyDropout, {
      loss: { objective: ABSOLUTE, attentionDropout: dropout },
      teacher,
    }),
    ...run(trainingArm.unscaled, {
      loss: { objective: { form: "absolute", scale: 1 } },
      teacher,
    }),
    ...run(
      trainingArm.otherSeed,
      absolute((seed) => teacher(seeds[(seeds.indexOf(seed) + 1) % seeds.length]!)),
    ),
    ...run(trainingArm.flooding, {
      loss: { objective: { form: "flooding" } },
      teacher: by(teachers, "loss", { transforms: ["mean"] }),
    }),
    ...run(trainingArm.constant, absolute(by(teachers, "loss", { transforms: ["mean"] }))),
    ...run(trainingArm.shuffled, absolute(by(teachers, "loss", { transforms: ["shuffled"] }))),
    ...run(
      trainingArm.predictive,
      absolute(by(teachers, "predictive-entropy")),
    ),
    ...run(
      trainingArm.rest,
      absolute(by(others, "loss")),
    ),
    ...run(
      trainingArm.restPredictive,
      absolute(by(others, "predictive-entropy")),
    ),
    ...run(
      trainingArm.subset,
      absolute(by(subsetTeachers, "loss")),
    ),
    ...run(
      trainingArm.subsetPredictive,
      absolute(by(subsetTeachers, "predictive-entropy")),
    ),
    ...run(
      trainingArm.crossFitted,
      absolute((seed) => ({
        halves: { even: ofSeed(even, seed), odd: ofSeed(odd, seed) },
        estimator: "loss",
      })),
    ),
    ...run(trainingArm.oneSided, {
      loss: { objective: { form: "one-sided" } },
      teacher,
    }),
    ...run(trainingArm.smoothing, smoothed(smoothing)),
    ...run(trainingArm.l1, penalized({ l1 })),
    ...run(trainingArm.l2, penalized({ l2 })),
  ];
}

/** E23: at presets `quick` and `small` the plain model is the small part's teacher, too. */
function fullSpecs({ text, full, seeds }: EntropyTrainingPreset): RunSpec[] {
  const { small } = text;
  const { trainWindows, training, embeddingSize, encoderWidth } = full;
  const data = { ...text.data, ...(trainWindows && { trainWindows }) };
  const family = trainingFamily.full;
  const stack = (width: number, slots: number) =>
    backboneConfig("transformer", {
      vocabSize: data.vocabSize,
      contextLength: data.contextLength + slots,
      width,
      layerCount: small.layerCount,
      headCount: small.headCount,
    });
  const attributed = largeRuns(family, data, small, training, seeds, {
    kind: "augmented",
    memory: "embedding",
    encoder: stack(encoderWidth, 0),
    decoder: stack(small.width, 1),
    embeddingSize,
    outerInitialization: "causal",
  })(trainingArm.attributed);
  const weighted = (transforms: NonNullable<Teacher["transforms"]>): Treatment => ({
    loss: { objective: { form: "weight" } },
    teacher: (seed) => ({
      run: ofSeed(attributed, seed),
      estimator: "occlusion-l1",
      transforms,
    }),
  });
  const run = largeRuns(family, data, small, training, seeds);
  return [
    ...attributed,
    ...run(trainingArm.plain),
    ...run(trainingArm.weighted, weighted(["min-max"])),
    ...run(trainingArm.weightedShuffled, weighted(["min-max", "shuffled"])),
  ];
}

function knownSpecs(
  known: SourceTraining,
  { dropout, smoothing, seeds }: EntropyTrainingPreset,
): RunSpec[] {
  const { small, large } = known;
  const data = dataOf(known);
  const run = smallRuns(trainingFamily.known, data, small, seeds);
  const runOnAll = largeRuns(trainingFamily.knownFull, data, small, large, seeds);
  const plainOnAll = runOnAll(trainingArm.plain);
  const exact = (name: "entropy" | "surprisal", rest: Pick<Teacher, "transforms"> = {}) =>
    towards(ABSOLUTE, { exact: name, ...rest });
  return [
    ...plainOnAll,
    ...runOnAll(trainingArm.exactEntropy, exact("entropy")),
    ...runOnAll(trainingArm.exactSurprisal, exact("surprisal")),
    ...run(trainingArm.plain),
    ...run(trainingArm.dropout, { loss: { attentionDropout: dropout } }),
    ...run(trainingArm.exactEntropy, exact("entropy")),
    ...run(trainingArm.exactSurprisal, exact("surprisal")),
    ...run(trainingArm.constant, exact("entropy", { transforms: ["mean"] })),
    ...run(trainingArm.shuffled, exact("entropy", { transforms: ["shuffled"] })),
    ...run(trainingArm.oneSidedEntropy, towards({ form: "one-sided" }, { exact: "entropy" })),
    ...run(trainingArm.learned, {
      loss: { objective: ABSOLUTE },
      teacher: (seed) => ({ run: ofSeed(plainOnAll, seed), estimator: "loss" }),
    }),
    ...run(trainingArm.smoothing, smoothed(smoothing)),
  ];
}

/** More and less of the known source, with the exact entropies. */
function amountSpecs({ known, amounts, seeds }: EntropyTrainingPreset): RunSpec[] {
  const data = dataOf(known);
  const { evaluateEvery } = amounts;
  const arms: readonly (readonly [arm: string, treatment: Treatment])[] = [
    [trainingArm.plain, {}],
    [trainingArm.exactEntropy, towards(ABSOLUTE, { exact: "entropy" })],
    [
      trainingArm.constant,
      towards(ABSOLUTE, { exact: "entropy", transforms: ["mean"] }),
    ],
  ];
  // Arm by arm, since runs that differ in their data alone share compiled functions.
  return arms.flatMap(([arm, treatment]) =>
    amounts.trainWindows.flatMap((trainWindows) => {
      const small = { ...known.small, trainWindows, evaluateEvery };
      return smallRuns(trainingFamily.amount(trainWindows), data, small, seeds)(arm, treatment);
    })
  );
}

/** The threshold lies between a clean token's 0 and a corrupted one's ln V. */
function copySpecs(copy: SourceTraining, { seeds }: EntropyTrainingPreset): RunSpec[] {
  const run = smallRuns(trainingFamily.copy, dataOf(copy), copy.small, seeds);
  return [
    ...run(trainingArm.plain),
    ...run(
      trainingArm.below,
      towards({ form: "below", threshold: COPY_THRESHOLD }, { exact: "corruption" }),
    ),
    ...run(trainingArm.above, towards({ form: "above" }, { exact: "corruption" })),
    ...run(trainingArm.corruption, towards(ABSOLUTE, { exact: "corruption" })),
    ...run(trainingArm.exactEntropy, towards(ABSOLUTE, { exact: "entropy" })),
    ...run(trainingArm.exactSurprisal, towards(ABSOLUTE, { exact: "surprisal" })),
  ];
}

const COPY_THRESHOLD = 1;

function towards(objective: Objective, teacher: Teacher): Treatment {
  return { loss: { objective }, teacher: () => teacher };
}

function smoothed(share: number): Treatment {
  return { loss: { objective: { form: "label-smoothing", share } } };
}

function dataOf({ source, contextLength, heldOutWindows }: SourceTraining): DataSpec {
  return sourceData(source, { layout: "packed", contextLength, heldOutWindows });
}

/** The reference's head has a bias here (paper §5.1). */
function causalModel(
  { width, layerCount, headCount }: CausalTraining,
  { vocabSize, contextLength }: DataSpec,
): ModelConfig {
  const sizes = { vocabSize, contextLength, width, layerCount, headCount };
  return { kind: "causal", backbone: backboneConfig("transformer", sizes), headBias: true };
}

function ofSeed(specs: readonly RunSpec[], seed: number): RunSpec {
  return specs.find((spec) => spec.training.seed === seed)!;
}
