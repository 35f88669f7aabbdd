/** The loss forms: closed forms by hand, and training steps against PyTorch in float64. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  type Compiler,
  disposeTree,
  namedLeaves,
  type Tensor,
  tensor,
  type Tree,
  valueAndGradient,
} from "../../lib/engine/mod.ts";
import { tokenLosses } from "../../lib/models/mod.ts";
import { ADAMW_DEFAULTS, initTrainState, stepScalars } from "../../lib/train/adamw.ts";
import {
  checkObjective,
  needsEstimates,
  type Objective,
  OBJECTIVE_FORMS,
  objectiveLosses,
  PAPER_SCALE,
} from "../../lib/train/objectives.ts";
import { checkLossOptions, compileTrainStep, type LossOptions } from "../../lib/train/step.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { type Golden, loadGolden } from "../models/_golden.ts";
import { AUGMENTED, CAUSAL, refusal, TINY_MODELS } from "../models/_tiny.ts";

/** One number a token, `[B][N]`. */
type Rows = readonly (readonly number[])[];

type ObjectivesGolden = Readonly<{
  /** The golden model of tests/golden/models. */
  weights: string;
  learningRate: number;
  /** Of each of the five batches: nats, and numbers from 0 to 1. */
  estimates: readonly Rows[];
  shares: readonly Rows[];
  cases: Readonly<
    Record<
      string,
      Readonly<{
        objective: Objective;
        penalties: NonNullable<LossOptions["penalties"]>;
        losses: readonly number[];
        gradientNorms: readonly number[];
        /** Of the first step. */
        gradients: Readonly<Record<string, readonly number[]>>;
        afterSteps: Readonly<Record<string, readonly number[]>>;
      }>
    >
  >;
}>;

const golden: ObjectivesGolden = JSON.parse(
  readFileSync(new URL("../golden/train/objectives.json", import.meta.url), "utf8"),
);

/** XLA takes seconds to compile a step. */
const WITH_XLA = ["absolute, both penalties", "label-smoothing"];
const COMPILED = ["tensorflow graph", "webgpu", "wasm", "cpu"];

const THRESHOLD = 2.5;
const SHARE = 0.25;

/** Every form by hand: its value, and its gradient as a multiple of the gradient of CE. */
const FORMS: readonly Readonly<{
  objective: Objective;
  value: (ce: number, e: number) => number;
  factor: (ce: number, e: number) => number;
}>[] = [
  { objective: { form: "plain" }, value: (ce) => ce, factor: () => 1 },
  { objective: { form: "weight" }, value: (ce, e) => ce - e * ce, factor: (_, e) => 1 - e },
  {
    objective: { form: "excess-weight" },
    value: (ce, e) => ce ** 2 - e * ce,
    factor: (ce, e) => 2 * ce - e,
  },
  { objective: { form: "signed" }, value: (ce, e) => ce - e, factor: () => 1 },
  { objective: { form: "flooding" }, value: (ce, e) => ce - e, factor: () => 1 },
  {
    objective: { form: "absolute", scale: PAPER_SCALE },
    value: (ce, e) => ce > e ? 2.5 * (ce - e) : 2.5 * (e - ce),
    factor: (ce, e) => ce > e ? 2.5 : -2.5,
  },
  {
    objective: { form: "one-sided" },
    value: (ce, e) => Math.max(ce, e),
    factor: (ce, e) => ce > e ? 1 : 0,
  },
  {
    objective: { form: "below", threshold: THRESHOLD },
    value: (ce, e) => e < THRESHOLD ? ce : 0,
    factor: (_, e) => e < THRESHOLD ? 1 : 0,
  },
  {
    objective: { form: "above" },
    value: (ce, e) => ce > e ? ce : 0,
    factor: (ce, e) => ce > e ? 1 : 0,
  },
];

/** Losses on both sides of estimates: two of each, and of the threshold. */
const CROSS_ENTROPIES = [0.125, 1, 2.25, 3.5, 6, 0.5];
const ESTIMATES = [0, 0.75, THRESHOLD, 4, 5.5, 1];
/** The last is not scored. */
const SCORED = [1, 1, 1, 1, 1, 0];
const SHAPE: [number, number] = [3, 2];

for (const { objective, value, factor } of FORMS) {
  onEveryBackend(
    `objectiveLosses() of ${objective.form} have the value and gradient of paper §5.1`,
    async (mode) => {
      // A weight needs estimates from 0 to 1.
      const estimates = ESTIMATES.map((e) => objective.form === "weight" ? e / 8 : e);
      const run = mode.compile((lossTB: Tensor, scoredTB: Tensor, estimatesTB: Tensor) => {
        const losses = (lossTB: Tensor) =>
          objectiveLosses(objective, { lossTB, scoredTB }, estimatesTB);
        return {
          losses: losses(lossTB),
          ...valueAndGradient((lossTB) => losses(lossTB).sum(), lossTB),
        };
      });
      const tensors = [CROSS_ENTROPIES, SCORED, estimates].map((values) => tensor(values, SHAPE));
      const result = run(...tensors as [Tensor, Tensor, Tensor]);
      const byHand = (form: typeof value) =>
        CROSS_ENTROPIES.map((ce, i) => SCORED[i]! * form(ce, estimates[i]!));
      assertClose(await read(result.losses), byHand(value), 1e-6, "value");
      assertClose(await read(result.gradient), byHand(factor), 1e-6, "gradient");
      run.dispose();
    },
  );
}

onEveryBackend("objectiveLosses() of one-sided and above do not descend at the tie", async () => {
  const tie = tensor([2], [1, 1]);
  for (const form of ["one-sided", "above"] as const) {
    const { gradient } = valueAndGradient(
      (lossTB) => objectiveLosses({ form }, { lossTB, scoredTB: tensor([1], [1, 1]) }, tie).sum(),
      tie.clone(),
    );
    assert.deepEqual([...await read(gradient)], [0], form);
  }
}, { oncePerBackend: true });

onEveryBackend("objectiveLosses() of label-smoothing mix the targets' losses and all", async () => {
  const objective: Objective = { form: "label-smoothing", share: SHARE };
  const scoredTB = tensor([1, 1, 0], [3, 1]);
  const inputs = { lossTB: tensor([1, 4, 7], [3, 1]), uniformTB: tensor([2, 0.5, 9], [3, 1]) };
  const losses = (inputs: { lossTB: Tensor; uniformTB: Tensor }) =>
    objectiveLosses(objective, { ...inputs, scoredTB });
  const { gradient } = valueAndGradient((inputs) => losses(inputs).sum(), inputs);
  assertClose(await read(losses(inputs)), [0.75 + 0.5, 3 + 0.125, 0], 1e-6, "value");
  assertClose(await read(gradient.lossTB), [0.75, 0.75, 0], 1e-6, "gradient of the targets'");
  assertClose(await read(gradient.uniformTB), [0.25, 0.25, 0], 1e-6, "gradient of all");
}, { oncePerBackend: true });

Deno.test("needsEstimates() of the forms that have an e", () => {
  const objectives = [...FORMS.map(({ objective }) => objective), smoothing(SHARE)];
  assert.deepEqual(
    objectives.map(({ form }) => form).toSorted(),
    [...OBJECTIVE_FORMS].toSorted(),
    "this file knows every form",
  );
  const without = objectives.filter((objective) => !needsEstimates(objective));
  assert.deepEqual(without.map(({ form }) => form), ["plain", "label-smoothing"]);
});

function smoothing(share: number): Objective {
  return { form: "label-smoothing", share };
}

onEveryBackend("objectiveLosses() without what its form compares with is a RangeError", () => {
  const losses = { lossTB: tensor([1], [1, 1]), scoredTB: tensor([1], [1, 1]) };
  for (const { objective } of FORMS.slice(1)) {
    assert.throws(() => objectiveLosses(objective, losses), {
      name: "RangeError",
      message: "a loss form: expected estimates, found none",
    });
  }
  assert.throws(() => objectiveLosses(smoothing(SHARE), losses), RangeError);
}, { only: ["cpu"] });

for (
  const [objective, message] of [
    [{ form: "absolute", scale: 0 }, "scale: expected a positive number, found 0"],
    [{ form: "absolute", scale: -2.5 }, "scale: expected a positive number, found -2.5"],
    [{ form: "absolute", scale: Infinity }, "scale: expected a positive number, found Infinity"],
    [{ form: "absolute", scale: NaN }, "scale: expected a positive number, found NaN"],
    [{ form: "below", threshold: NaN }, "threshold: expected a number of nats, found NaN"],
    [
      { form: "below", threshold: Infinity },
      "threshold: expected a number of nats, found Infinity",
    ],
    [
      { form: "focal" } as unknown as Objective,
      `objective: expected one of ${OBJECTIVE_FORMS.join(", ")}, found focal`,
    ],
    [smoothing(-0.1), "share: expected 0 or more and less than 1, found -0.1"],
    [smoothing(1), "share: expected 0 or more and less than 1, found 1"],
    [smoothing(NaN), "share: expected 0 or more and less than 1, found NaN"],
  ] as const
) {
  Deno.test(`checkObjective() refuses ${JSON.stringify(objective)}: ${message}`, () => {
    assert.equal(refusal(() => checkObjective(objective)), message);
    assert.equal(refusal(() => checkLossOptions(CAUSAL["mixer CLM"], { objective })), message);
  });
}

Deno.test("checkObjective() takes every form with options in range", () => {
  for (const { objective } of FORMS) checkObjective(objective);
  for (const share of [0, SHARE, 0.99]) checkObjective(smoothing(share));
  checkObjective({ form: "below", threshold: 0 });
});

Deno.test("checkLossOptions() refuses loss forms of models that are no causal ones", () => {
  for (const [name, model] of Object.entries(TINY_MODELS)) {
    for (const { objective } of FORMS) {
      const check = () => checkLossOptions(model, { objective });
      if (model.kind === "causal" || objective.form === "plain") check();
      else assert.match(refusal(check), /^objective \S+: expected a causal model, found/, name);
    }
  }
});

Deno.test("checkLossOptions() refuses penalties that are none", () => {
  const model = AUGMENTED["mixer EEM"];
  checkLossOptions(model, {});
  checkLossOptions(model, { penalties: { l1: 1e-4, l2: 0.1 } });
  for (const factor of [0, -0.1, NaN, Infinity]) {
    for (const name of ["l1", "l2"] as const) {
      assert.equal(
        refusal(() => checkLossOptions(model, { penalties: { [name]: factor } })),
        `penalties.${name}: expected a positive number, found ${factor}`,
      );
    }
  }
});

type Trained = Readonly<{
  losses: number[];
  norms: number[];
  /** AdamW's first moments after the first step: a tenth of the clipped gradients. */
  moments: Map<string, Float32Array>;
  params: Map<string, Float32Array>;
}>;

/** Trains the golden model by AdamW without a schedule, a step on each of `batches`. */
async function trainOn(
  batches: readonly Readonly<{ ids: Rows; values?: Rows | undefined }>[],
  lossOptions: LossOptions,
  { mode, padId, clipNorm = 1 }: { mode: Mode; padId: number | null; clipNorm?: number },
): Promise<Trained> {
  const model = loadGolden(golden.weights);
  const compiler: Compiler = mode.name === "tensorflow xla" ? "xla" : "graph";
  const optimizer = { ...ADAMW_DEFAULTS, clipNorm };
  const step = compileTrainStep(model.config, { padId }, optimizer, compiler, lossOptions);
  let state = initTrainState(model.weights());
  const [losses, norms]: [number[], number[]] = [[], []];
  let moments: Trained["moments"] | undefined;
  for (const [index, { ids, values }] of batches.entries()) {
    const shape: [number, number] = [ids.length, ids[0]!.length];
    const batch = {
      idsBN: tensor(Int32Array.from(ids.flat()), shape, "int32"),
      ...(values === undefined
        ? {}
        : { valuesBN: tensor(Float32Array.from(values.flat()), shape) }),
    };
    const next = step(state, {}, stepScalars(golden.learningRate, index), batch);
    disposeTree(state);
    state = next.state as typeof state;
    losses.push((await read(next.loss))[0]!);
    norms.push((await read(next.gradientNorm))[0]!);
    moments ??= await valuesOf(state.firstMoment);
  }
  const params = await valuesOf(state.params);
  step.dispose();
  return { losses, norms, moments: moments!, params };
}

async function valuesOf(tree: Tree): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const { name, tensor } of namedLeaves(tree)) values.set(name, await read(tensor));
  return values;
}

/** The ids of batch `index` of the golden model; batches 0 and 3 are left padded. */
function idsOf(model: Golden, index: number): number[][] {
  const [, rows, length] = model.shape("batches") as [number, number, number];
  const ids = model.numbers("batches");
  return Array.from({ length: rows }, (_, row) => {
    const from = (index * rows + row) * length;
    return [...ids.subarray(from, from + length)];
  });
}

for (const [name, expected] of Object.entries(golden.cases)) {
  onEveryBackend(`compileTrainStep() of ${name}, follows PyTorch's training`, async (mode) => {
    const { objective, penalties, losses, gradientNorms, gradients, afterSteps } = expected;
    const model = loadGolden(golden.weights);
    const numbers = objective.form === "weight" ? golden.shares : golden.estimates;
    const batches = numbers.map((rows, index) => ({
      ids: idsOf(model, index),
      values: needsEstimates(objective) ? rows : undefined,
    }));
    const options = { objective, ...(Object.keys(penalties).length > 0 ? { penalties } : {}) };
    const found = await trainOn(batches, options, { mode, padId: model.padId });
    assertClose(found.losses, losses, 1e-6, "losses");
    assertClose(found.norms, gradientNorms, 3e-6, "gradient norms");
    const clipped = Math.min(1, 1 / (gradientNorms[0]! + 1e-6));
    for (const [name, gradient] of Object.entries(gradients)) {
      const moments = gradient.map((one) => 0.1 * clipped * one);
      assertClose(found.moments.get(name)!, moments, 3e-7, `first moment of ${name}`);
    }
    for (const [name, weights] of Object.entries(afterSteps)) {
      assertClose(found.params.get(name)!, weights, 5e-6, `${name} after ${losses.length} steps`);
    }
  }, { only: [...COMPILED, ...(WITH_XLA.includes(name) ? ["tensorflow xla"] : [])] });
}

/** Batches in which every target follows a token, and estimates on both sides of the losses. */
const PACKED = [1, 2, 4];

function packed(change: (e: number) => number = (e) => e) {
  const model = loadGolden(golden.weights);
  return PACKED.map((index) => ({
    ids: idsOf(model, index),
    values: golden.estimates[index]!.map((row) => row.map(change)),
  }));
}

const exact = { only: ["tensorflow graph", "wasm", "cpu"] };

onEveryBackend(
  "compileTrainStep() of signed trains as on plain losses, bit by bit",
  async (mode) => {
    const how = { mode, padId: null };
    const withoutValues = packed().map(({ ids }) => ({ ids }));
    const plain = await trainOn(withoutValues, {}, how);
    const same: readonly (readonly [Objective, (e: number) => number])[] = [
      [{ form: "plain" }, (e) => e],
      [{ form: "signed" }, (e) => e],
      [{ form: "weight" }, () => 0],
      [{ form: "absolute", scale: 1 }, () => 0],
      [{ form: "above" }, () => 0],
      [{ form: "below", threshold: 6 }, (e) => Math.min(e, 5)],
    ];
    for (const [objective, change] of same) {
      const batches = objective.form === "plain" ? withoutValues : packed(change);
      const found = await trainOn(batches, { objective }, how);
      assert.deepEqual(found.params, plain.params, objective.form);
      assert.deepEqual(found.norms, plain.norms, objective.form);
    }
  },
  exact,
);

onEveryBackend(
  "compileTrainStep() of one-sided and above is the same, bit by bit",
  async (mode) => {
    const [maximum, indicator] = await Promise.all(
      (["one-sided", "above"] as const).map((form) =>
        trainOn(packed(), { objective: { form } }, { mode, padId: null })
      ),
    );
    assert.deepEqual(maximum!.params, indicator!.params);
    assert.notDeepEqual(maximum!.losses, indicator!.losses);
  },
  exact,
);

onEveryBackend("compileTrainStep() of absolute ascends below the estimate", async (mode) => {
  // A clip norm that never clips.
  const how = { mode, padId: null, clipNorm: 1e6 };
  const descending = await trainOn(packed().slice(0, 1), {}, how);
  const objective: Objective = { form: "absolute", scale: 3 };
  const ascending = await trainOn(packed(() => 50).slice(0, 1), { objective }, how);
  for (const [name, moments] of descending.moments) {
    assertClose(ascending.moments.get(name)!, moments.map((one) => -3 * one), 1e-6, name);
  }
  assertClose(ascending.losses, [3 * (50 - descending.losses[0]!)], 1e-6, "loss");
}, exact);

onEveryBackend("compileTrainStep() of flooding holds the mean over the batch", async (mode) => {
  const how = { mode, padId: null, clipNorm: 1e6 };
  const objective: Objective = { form: "flooding" };
  const batches = (e: number) => packed((_) => e).slice(0, 1);
  const [batch] = batches(0);
  const descending = await trainOn([{ ids: batch!.ids }], {}, how);
  const mean = descending.losses[0]!;
  // Some tokens are above the level and some below, and all go the same way.
  for (const [level, sign] of [[mean - 0.01, 1], [mean + 0.01, -1]] as const) {
    const held = await trainOn(batches(level), { objective }, how);
    assertClose(held.losses, [0.01], 1e-5, "loss");
    for (const [name, moments] of descending.moments) {
      assertClose(held.moments.get(name)!, moments.map((one) => sign * one), 1e-6, name);
    }
  }
}, exact);

onEveryBackend(
  "compileTrainStep() of forms that let nothing through moves nothing",
  async (mode) => {
    const start = await valuesOf(loadGolden(golden.weights).weights());
    const forms = [{ form: "below", threshold: 0 }, { form: "above" }] as const;
    for (const objective of forms) {
      const found = await trainOn(packed(() => 50), { objective }, { mode, padId: null });
      assert.deepEqual(found.losses, [0, 0, 0]);
      assert.deepEqual(found.norms, [0, 0, 0]);
      assert.deepEqual(found.params, start);
    }
  },
  exact,
);

onEveryBackend("compileTrainStep() trains on no token without an estimate", async (mode) => {
  const model = loadGolden(golden.weights);
  const { padId } = model;
  const ids = idsOf(model, 0);
  const values = golden.estimates[0]!;
  // Tokens that follow a token: 4 of row 0, 2 behind two pads and 1 behind three.
  const isCompared = ids.map((row) =>
    row.map((id, t) => t > 0 && id !== padId && row[t - 1] !== padId)
  );
  assert.deepEqual(isCompared.map((row) => row.filter((one) => one).length), [4, 2, 1]);

  const { lossTB } = tokenLosses(model.config, model.weights(), model.batch(0).idsBN, { padId });
  const ce = await read(lossTB);
  const excesses = ids.flatMap((row, b) =>
    row.flatMap((_, t) =>
      isCompared[b]![t] ? [Math.abs(ce[(t - 1) * ids.length + b]! - values[b]![t]!)] : []
    )
  );
  const mean = excesses.reduce((sum, one) => sum + one, 0) / 7;
  const objective: Objective = { form: "absolute", scale: 1 };
  const found = await trainOn([{ ids, values }], { objective }, { mode, padId });
  assertClose(found.losses, [mean], 1e-6, "loss");

  // Their numbers have no effect at all.
  const others = values.map((row, b) => row.map((e, t) => isCompared[b]![t] ? e : -30 * (t + 1)));
  assert.notDeepEqual(others, values);
  const same = await trainOn([{ ids, values: others }], { objective }, { mode, padId });
  assert.deepEqual(same, found);

  // Rows of a single token: nothing to train on.
  const single = ids.map((row) => row.map((id, t) => t < row.length - 1 ? padId : id));
  const start = await valuesOf(model.weights());
  for (const { objective } of FORMS.slice(1)) {
    const { form } = objective;
    const nothing = await trainOn([{ ids: single, values }], { objective }, { mode, padId });
    assert.deepEqual([nothing.losses, nothing.norms], [[0], [0]], form);
    assert.deepEqual(nothing.params, start, form);
  }
}, exact);

onEveryBackend(
  "compileTrainStep() adds penalties over weights, and not gains and biases",
  async (mode) => {
    const start = await valuesOf(loadGolden(golden.weights).weights());
    const isWeight = (name: string) => !/norm|bias/i.test(name);
    const weights = [...start].flatMap(([name, all]) => isWeight(name) ? [...all] : []);
    const sumOf = (of: (weight: number) => number) =>
      weights.reduce((sum, one) => sum + of(one), 0);
    const how = { mode, padId: null, clipNorm: 1e6 };
    const batches = packed().slice(0, 1).map(({ ids }) => ({ ids }));
    const plain = await trainOn(batches, {}, how);
    const penalized = await trainOn(batches, { penalties: { l1: 0.02, l2: 0.05 } }, how);
    const penalty = 0.02 * sumOf(Math.abs) + 0.05 * sumOf((one) => one ** 2) / 2;
    assertClose(penalized.losses, [plain.losses[0]! + penalty], 1e-6, "loss");
    for (const [name, moments] of plain.moments) {
      const expected = moments.map((one, i) => {
        const weight = start.get(name)![i]!;
        return one + (isWeight(name) ? 0.1 * (0.02 * Math.sign(weight) + 0.05 * weight) : 0);
      });
      assertClose(penalized.moments.get(name)!, expected, 1e-6, name);
    }
  },
  exact,
);
