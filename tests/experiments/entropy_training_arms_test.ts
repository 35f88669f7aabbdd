import assert from "node:assert/strict";
import { type DataSpec, sourceData } from "../../lib/experiments/data.ts";
import {
  entropyTrainingSpecs,
  scaleEntropyTraining,
  trainingArm,
  trainingFamily,
} from "../../lib/experiments/entropy_training_arms.ts";
import {
  ENTROPY_TRAINING_PRESETS,
  type EntropyTrainingPreset,
  type LargeDataTraining,
  type SmallDataTraining,
} from "../../lib/experiments/entropy_training_presets.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import { runId, type RunSpec, type Teacher, teacherRuns } from "../../lib/experiments/run_spec.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import { ADAMW_DEFAULTS } from "../../lib/train/mod.ts";
import {
  assertSameModelForAllSeeds,
  assertTrainable,
  modelsOf,
  withoutSubset,
} from "./_planned_runs.ts";

/** Paper §5.1, form 4. */
const ABSOLUTE = { form: "absolute", scale: 2.5 };
const exact = (name: string, ...transforms: string[]) => ({
  exact: name,
  ...(transforms.length > 0 && { transforms }),
});
/** A teacher with its run's arm for the run itself. */
const by = (run: string, estimator: string, ...transforms: string[]) => ({
  run,
  estimator,
  ...(transforms.length > 0 && { transforms }),
});
const ALL_DATA = by("teacher, all data", "loss");
const towards = (teacher: object) => ({ objective: ABSOLUTE, teacher });

/** What is compared on each amount of the known source. */
const AMOUNT_ARMS = {
  plain: {},
  "e exact entropy": towards(exact("entropy")),
  "e constant": towards(exact("entropy", "mean")),
};
const amountFamily = (sequences: number) => `known source, ${sequences} sequences`;

/** By family and arm, in the order of training but for amounts: what sets the arm apart from plain training. */
function treatmentsOf(
  { dropout, smoothing, text: { l1, l2 }, amounts }: EntropyTrainingPreset,
): Readonly<Record<string, Readonly<Record<string, object>>>> {
  const smoothed = { objective: { form: "label-smoothing", share: smoothing } };
  return {
    text: {
      "teacher, all data": {},
      "teacher, the other text": {},
      "teacher, the subset": {},
      plain: {},
      "plain, few steps": {},
      "plain, dropout": { attentionDropout: dropout },
      "|CE − e|": towards(ALL_DATA),
      "|CE − e|, dropout": { ...towards(ALL_DATA), attentionDropout: dropout },
      "|CE − e|, scale 1": { objective: { form: "absolute", scale: 1 }, teacher: ALL_DATA },
      "e of another seed's teacher": towards(ALL_DATA),
      "flooding at mean e": {
        objective: { form: "flooding" },
        teacher: by("teacher, all data", "loss", "mean"),
      },
      "e constant": towards(by("teacher, all data", "loss", "mean")),
      "e shuffled": towards(by("teacher, all data", "loss", "shuffled")),
      "e predictive entropy": towards(by("teacher, all data", "predictive-entropy")),
      "e from the other text": towards(by("teacher, the other text", "loss")),
      "e from the other text, predictive entropy": towards(
        by("teacher, the other text", "predictive-entropy"),
      ),
      "e from the subset": towards(by("teacher, the subset", "loss")),
      "e from the subset, predictive entropy": towards(
        by("teacher, the subset", "predictive-entropy"),
      ),
      "e cross-fitted": towards({
        halves: { even: "teacher, even half", odd: "teacher, odd half" },
        estimator: "loss",
      }),
      "max(CE, e)": { objective: { form: "one-sided" }, teacher: ALL_DATA },
      "label smoothing": smoothed,
      "L1 penalty": { penalties: { l1 } },
      "L2 penalty": { penalties: { l2 } },
    },
    "all of the text": {
      "EEM of the weights": {},
      plain: {},
      "weight 1 − e": {
        objective: { form: "weight" },
        teacher: by("EEM of the weights", "occlusion-l1", "min-max"),
      },
      "weight 1 − e, e shuffled": {
        objective: { form: "weight" },
        teacher: by("EEM of the weights", "occlusion-l1", "min-max", "shuffled"),
      },
    },
    "known source, all data": {
      plain: {},
      "e exact entropy": towards(exact("entropy")),
      "e exact surprisal": towards(exact("surprisal")),
    },
    "known source": {
      plain: {},
      "plain, dropout": { attentionDropout: dropout },
      "e exact entropy": towards(exact("entropy")),
      "e exact surprisal": towards(exact("surprisal")),
      "e constant": towards(exact("entropy", "mean")),
      "e shuffled": towards(exact("entropy", "shuffled")),
      "max(CE, e), e exact entropy": {
        objective: { form: "one-sided" },
        teacher: exact("entropy"),
      },
      "e from all data": towards(by("plain", "loss")),
      "label smoothing": smoothed,
    },
    ...Object.fromEntries(
      amounts.trainWindows.map((sequences) => [amountFamily(sequences), AMOUNT_ARMS]),
    ),
    "corrupted copy": {
      plain: {},
      "CE·[e < θ]": { objective: { form: "below", threshold: 1 }, teacher: exact("corruption") },
      "CE·[CE > e]": { objective: { form: "above" }, teacher: exact("corruption") },
      "e knows the noise": towards(exact("corruption")),
      "e exact entropy": towards(exact("entropy")),
      "e exact surprisal": towards(exact("surprisal")),
    },
  };
}

function named(teacher: Teacher): object {
  if ("run" in teacher) return { ...teacher, run: teacher.run.arm };
  if ("exact" in teacher) return teacher;
  const { even, odd } = teacher.halves;
  return { ...teacher, halves: { even: even.arm, odd: odd.arm } };
}

/** On all windows, or on all but those of the small part. */
const isOnMuchData = ({ family, arm }: RunSpec) =>
  ["all of the text", "known source, all data"].includes(family) ||
  ["teacher, all data", "teacher, the other text"].includes(arm);

/** All windows of a family, and how its models are trained. */
function benchesOf({ text, full, known, amounts, copy }: EntropyTrainingPreset) {
  type Bench = Readonly<{ data: DataSpec; small: SmallDataTraining; large: LargeDataTraining }>;
  const ofSource = (
    { source, contextLength, heldOutWindows, ...training }: typeof known,
  ): Bench => ({
    ...training,
    data: sourceData(source, { layout: "packed", contextLength, heldOutWindows }),
  });
  return {
    text,
    "all of the text": { ...text, large: full.training },
    "known source, all data": ofSource(known),
    "known source": ofSource(known),
    ...Object.fromEntries(amounts.trainWindows.map((trainWindows) => {
      const small = { ...known.small, trainWindows, evaluateEvery: amounts.evaluateEvery };
      return [amountFamily(trainWindows), ofSource({ ...known, small })];
    })),
    "corrupted copy": ofSource(copy),
  } as Readonly<Record<string, Bench>>;
}

Deno.test("trainingFamily and trainingArm have a name for everything that is planned", () => {
  const { quick } = ENTROPY_TRAINING_PRESETS;
  const specs = entropyTrainingSpecs(quick);
  const namesOf = (field: "family" | "arm") => [...new Set(specs.map((spec) => spec[field]))];
  const families = Object.values(trainingFamily).flatMap((name) =>
    typeof name === "string" ? [name] : quick.amounts.trainWindows.map(name)
  );
  assert.deepEqual(families.sort(), namesOf("family").sort());
  assert.deepEqual(Object.values(trainingArm).sort(), namesOf("arm").sort());
});

for (const name of PRESETS) {
  const preset = ENTROPY_TRAINING_PRESETS[name];
  const { seeds, text, full, amounts } = preset;
  const specs = entropyTrainingSpecs(preset);
  const families = Map.groupBy(specs, ({ family }) => family);
  const benches = benchesOf(preset);
  const idOf = (spec: RunSpec) => runId(spec, "key");
  /** Teachers that read the small part alone stop early, and so does one plain arm. */
  const stepsOf = ({ family, arm }: RunSpec, steps: number) => {
    if (family !== "text") return steps;
    if (/^teacher, (even|odd) half$/.test(arm)) return text.halfSteps;
    if (arm === "teacher, the subset") return text.subsetSteps;
    return arm === "plain, few steps" ? text.earlySteps : steps;
  };

  /** Fails unless the run is of its family's data and sizes. */
  const assertOfFamily = (spec: RunSpec, trainHalf?: "even" | "odd") => {
    const { family, arm, training, data } = spec;
    const { small, large, data: all } = benches[family]!;
    const { trainWindows, peakRate, logEvery } = small;
    const { model: _, seed: __, optimizer, schedule, ...others } = training;
    const { objective: ___, attentionDropout: ____, penalties: _____, ...sizes } = others;
    assert.equal(optimizer, ADAMW_DEFAULTS);
    if (isOnMuchData(spec)) {
      const { steps, warmupSteps, batchSize } = large;
      const isFull = family === "all of the text" && full.trainWindows !== undefined;
      const rest = arm === "teacher, the other text"
        ? { trainWithout: trainWindows }
        : isFull
        ? { trainWindows: full.trainWindows }
        : {};
      assert.deepEqual(data, { ...all, ...rest }, arm);
      assert.deepEqual(schedule, { peakRate, warmupSteps, steps }, arm);
      assert.deepEqual(sizes, { batchSize, logEvery, evaluateEvery: Math.ceil(steps / 4) }, arm);
      return;
    }
    const { warmupSteps, batchSize, evaluateEvery } = small;
    assert.deepEqual(data, { ...all, trainWindows, ...(trainHalf && { trainHalf }) }, arm);
    assert.deepEqual(schedule, { peakRate, warmupSteps, steps: stepsOf(spec, small.steps) }, arm);
    assert.deepEqual(sizes, { batchSize, logEvery, evaluateEvery, evaluateTrain: true }, arm);
  };

  Deno.test(`entropyTrainingSpecs() of ${name}: every arm of every part, every seed`, () => {
    const amountFamilies = amounts.trainWindows.map(amountFamily);
    const { "corrupted copy": copy, ...others } = treatmentsOf(preset);
    const armsOf = ([family, arms]: [string, object]) =>
      Object.keys(arms).map((arm) => [family, arm]);
    const planned = [
      ...Object.entries(others).filter(([family]) => !amountFamilies.includes(family))
        .flatMap(armsOf),
      // Arm by arm: what differs in its data alone shares compiled functions.
      ...Object.keys(AMOUNT_ARMS).flatMap((arm) => amountFamilies.map((family) => [family, arm])),
      ...armsOf(["corrupted copy", copy!]),
    ];
    assert.deepEqual(
      specs.map(({ family, arm, training }) => [family, arm, training.seed]),
      planned.flatMap((names) => seeds.map((seed) => [...names, seed])),
    );
    for (const { quantizedBits, frozenEncoder, estimates } of specs) {
      assert.deepEqual([quantizedBits, frozenEncoder, estimates], [[], undefined, undefined]);
    }
  });

  Deno.test(`entropyTrainingSpecs() of ${name}: no run twice but plain E23, and a lone seed's other teacher`, () => {
    const byId = Map.groupBy(specs, idOf);
    const doubles = [...byId.values()].filter((runs) => runs.length > 1);
    const isPlainTeacher = name !== "paper";
    const isLoneSeed = name === "quick";
    assert.deepEqual(doubles.map((runs) => runs.map(({ family, arm }) => `${family}, ${arm}`)), [
      ...isPlainTeacher
        ? seeds.map(() => ["text, teacher, all data", "all of the text, plain"])
        : [],
      ...isLoneSeed ? [["text, |CE − e|", "text, e of another seed's teacher"]] : [],
    ]);
  });

  Deno.test(`entropyTrainingSpecs() of ${name}: loss forms, remedies and teachers`, () => {
    const treatments = treatmentsOf(preset);
    for (const { family, arm, training, teacher } of specs) {
      const { objective, attentionDropout, penalties } = training;
      assert.deepEqual(
        {
          ...(objective && { objective }),
          ...(attentionDropout !== undefined && { attentionDropout }),
          ...(penalties && { penalties }),
          ...(teacher && { teacher: named(teacher) }),
        },
        treatments[family]![arm],
        `${family}, ${arm}`,
      );
    }
  });

  Deno.test(`entropyTrainingSpecs() of ${name}: part or all of the same data, same sizes`, () => {
    for (const spec of specs) assertOfFamily(spec);
    // What is held out is the same in parts that are compared, so that losses can be.
    for (
      const compared of [
        ["text", "all of the text"],
        ["known source", "known source, all data", ...amounts.trainWindows.map(amountFamily)],
      ]
    ) {
      const runs = compared.flatMap((family) => families.get(family)!);
      const all = runs.flatMap(({ data, teacher }) => [
        withoutSubset(data),
        ...teacherRuns(teacher).map((run) => withoutSubset(run.data)),
      ]);
      assert.equal(new Set(all.map((data) => JSON.stringify(data))).size, 1);
    }
    assert.equal(text.data.layout, "padded");
  });

  Deno.test(`entropyTrainingSpecs() of ${name}: transformers with a biased head, and an EEM`, () => {
    const stackOf = ({ data, small }: typeof benches[string], slots = 0) =>
      ({
        architecture: "transformer",
        vocabSize: data.vocabSize,
        contextLength: data.contextLength + slots,
        width: small.width,
        layerCount: small.layerCount,
        headCount: small.headCount,
      }) as const;
    for (const [family, runs] of families) {
      const bench = benches[family]!;
      const causal: ModelConfig = { kind: "causal", backbone: stackOf(bench), headBias: true };
      const augmented: ModelConfig = {
        kind: "augmented",
        memory: "embedding",
        encoder: { ...stackOf(bench), width: full.encoderWidth },
        decoder: stackOf(bench, 1),
        embeddingSize: full.embeddingSize,
        outerInitialization: "causal",
      };
      assertSameModelForAllSeeds(runs);
      for (const [arm, model] of Object.entries(modelsOf(runs))) {
        assert.deepEqual(model, arm === "EEM of the weights" ? augmented : causal, arm);
      }
    }
  });

  Deno.test(`entropyTrainingSpecs() of ${name}: teachers are of the same seed but in one arm, trained before`, () => {
    const ids = specs.map(idOf);
    specs.forEach(({ family, arm, teacher, training }, i) => {
      for (const run of teacherRuns(teacher)) {
        const place = seeds.indexOf(training.seed);
        const isOther = arm === "e of another seed's teacher";
        const seed = isOther ? [...seeds.slice(1), seeds[0]!][place] : training.seed;
        assert.equal(run.training.seed, seed, arm);
        if ("halves" in teacher!) continue;
        const at = ids.indexOf(idOf(run));
        assert.ok(0 <= at && at < i, `${family}, ${arm}`);
      }
    });
    // On the known source it is the one on all data that knows more.
    for (const { arm, teacher } of families.get("known source")!) {
      for (const run of teacherRuns(teacher)) {
        assert.deepEqual([arm, run.family], [
          "e from all data",
          "known source, all data",
        ]);
      }
    }
  });

  Deno.test(`entropyTrainingSpecs() of ${name}: the other text is all that students do not read`, () => {
    const students = specs.filter(({ arm }) => arm.startsWith("e from the other text"));
    assert.equal(students.length, 2 * seeds.length);
    for (const { data, teacher } of students) {
      const [run] = teacherRuns(teacher);
      assert.ok("corpus" in data && "corpus" in run!.data && data.trainWindows !== undefined);
      const { trainWindows, ...all } = data;
      assert.deepEqual(run!.data, { ...all, trainWithout: trainWindows });
    }
  });

  Deno.test(`entropyTrainingSpecs() of ${name}: halves are rated by who has not seen them`, () => {
    const fitted = specs.filter(({ teacher }) => teacher !== undefined && "halves" in teacher);
    assert.deepEqual(fitted.map(({ training }) => training.seed), seeds);
    for (const { teacher, training: { seed } } of fitted) {
      assert.ok("halves" in teacher!);
      const { even, odd } = teacher.halves;
      assertOfFamily(even, "even");
      assertOfFamily(odd, "odd");
      const whole = specs.find((spec) =>
        spec.arm === "teacher, the subset" && spec.training.seed === seed
      )!;
      for (const half of [even, odd]) {
        const schedule = { ...whole.training.schedule, steps: text.halfSteps };
        assert.deepEqual(half.training, { ...whole.training, schedule });
        // Of no use but to rate the other half.
        assert.ok(specs.every(({ arm }) => arm !== half.arm));
      }
    }
  });

  Deno.test(`entropyTrainingSpecs() of ${name}: the threshold is between clean and corrupted`, () => {
    const { source } = preset.copy;
    assert.ok(source.kind === "corrupted-copy");
    for (const { training: { objective }, teacher, data } of specs) {
      const isOfNoise = teacher !== undefined && "exact" in teacher &&
        teacher.exact === "corruption";
      if (isOfNoise) assert.ok("known" in data && data.known === source);
      if (objective?.form !== "below") continue;
      assert.ok(0 < objective.threshold && objective.threshold < Math.log(source.symbols));
    }
  });

  Deno.test(`entropyTrainingSpecs() of ${name} can be trained, and there are windows enough`, () => {
    specs.forEach(assertTrainable);
    for (const { source, contextLength, heldOutWindows, small } of [preset.known, preset.copy]) {
      const windows = Math.floor(source.length / contextLength);
      const most = Math.max(small.trainWindows, ...amounts.trainWindows);
      assert.ok(heldOutWindows <= windows / 10 && most <= windows * 9 / 10);
    }
  });

  Deno.test(`scaleEntropyTraining() of ${name} shortens all runs, which can still be trained`, () => {
    assert.equal(scaleEntropyTraining(preset, 1), preset);
    for (const share of [1 / 2, 1 / 20, 1e-6]) {
      const shortSpecs = entropyTrainingSpecs(scaleEntropyTraining(preset, share));
      assert.equal(shortSpecs.length, specs.length);
      shortSpecs.forEach((short, i) => {
        const spec = specs[i]!;
        const { schedule, logEvery, evaluateEvery, ...others } = short.training;
        const { schedule: full, logEvery: _, evaluateEvery: __, ...expected } = spec.training;
        assert.deepEqual([short.family, short.arm], [spec.family, spec.arm]);
        assert.deepEqual([short.data, others], [spec.data, expected]);
        const shorten = (steps: number) => Math.max(12, Math.round(share * steps));
        const { small, large } = benches[spec.family]!;
        const quarter = Math.ceil(shorten((isOnMuchData(spec) ? large : small).steps) / 4);
        assert.deepEqual([logEvery, evaluateEvery], [2, quarter], short.arm);
        assert.deepEqual(
          schedule,
          { ...full, steps: shorten(full.steps), warmupSteps: 1 },
          short.arm,
        );
        assertTrainable(short);
      });
    }
  });
}
