import assert from "node:assert/strict";
import { namedLeaves, tensor, valueAndGradient } from "../../lib/engine/mod.ts";
import { type Model, tokenLosses } from "../../lib/models/mod.ts";
import { stepScalars } from "../../lib/train/adamw.ts";
import { batchTensors } from "../../lib/train/batch.ts";
import { startSession } from "../../lib/train/loop.ts";
import { joinModel, meanLoss } from "../../lib/train/step.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import {
  BACKENDS,
  BATCH,
  compile,
  DATA,
  LENGTH,
  trainedEncoder,
  valuesOf,
  WITH_ENCODER,
} from "./_tiny_training.ts";

onEveryBackend("meanLoss() is one mean over the batch, not a mean of sample means", async () => {
  const lossTB = tensor([1, 2, 4, 0], [2, 2]);
  assert.deepEqual([...await read(meanLoss({ lossTB, scoredTB: tensor([1, 1, 1, 0], [2, 2]) }))], [
    Math.fround(7 / 3),
  ]);
}, { oncePerBackend: true });

onEveryBackend("meanLoss() of a batch without targets is 0", async () => {
  const nothing = tensor([0, 0], [1, 2]);
  assert.deepEqual([...await read(meanLoss({ lossTB: nothing, scoredTB: nothing }))], [0]);
}, { oncePerBackend: true });

onEveryBackend("joinModel() puts a frozen encoder beside what is trained", () => {
  const encoder = trainedEncoder();
  const { params } = startSession(WITH_ENCODER.EEM!, encoder).state;
  assert.deepEqual(joinModel(params, { encoder }), { ...params, encoder });
  assert.deepEqual(joinModel(params, {}), params);
}, { only: ["cpu"] });

/** The first batch of the training windows. */
function firstBatch() {
  return batchTensors({ ids: DATA.train.ids.slice(0, BATCH * LENGTH) }, LENGTH);
}

for (const [name, config] of Object.entries(WITH_ENCODER)) {
  onEveryBackend(`compileTrainStep() moves all of an ${name} but a frozen encoder`, () => {
    const encoder = trainedEncoder();
    const values = valuesOf(encoder);
    for (const session of [startSession(config, encoder), startSession(config)]) {
      const { step } = compile(config);
      const before = valuesOf(session.state.params);
      let { state } = session;
      for (let update = 0; update < 3; update++) {
        state = step(state, session.frozen, stepScalars(0.01, update), firstBatch()).state;
      }
      const after = valuesOf(state.params);
      assert.deepEqual([...after.keys()], [...before.keys()]);
      for (const [leaf, moved] of after) assert.notDeepEqual(moved, before.get(leaf), leaf);
    }
    assert.deepEqual(valuesOf(encoder), values);
  }, BACKENDS);

  onEveryBackend(`compileTrainStep() of an ${name} clips by what is trained alone`, async () => {
    const clipNorm = 0.05;
    const optimizer = { ...config.optimizer, clipNorm };
    const { step } = compile({ ...config, optimizer });
    const encoder = trainedEncoder();
    const { state, frozen } = startSession(config, encoder);
    const result = step(state, frozen, stepScalars(0.01, 0), firstBatch());

    // By hand: the whole model's gradient, of which the encoder's part is left out.
    const whole = { ...state.params, encoder } as Model;
    const { value, gradient } = valueAndGradient(
      (model) => meanLoss(tokenLosses(config.model, model, firstBatch().idsBN, { padId: null })),
      whole,
    );
    const gradients = valuesOf(gradient);
    const normOf = (isCounted: (leaf: string) => boolean) =>
      Math.sqrt(
        [...gradients].filter(([leaf]) => isCounted(leaf)).flatMap(([, values]) => values)
          .reduce((sum, one) => sum + one ** 2, 0),
      );
    const norm = normOf((leaf) => !leaf.startsWith("encoder."));
    assert.ok(normOf(() => true) > 1.001 * norm && norm > clipNorm);
    assertClose(await read(result.gradientNorm), [norm], 1e-5, "norm");
    assertClose(await read(result.loss), await read(value), 1e-6, "loss");
    const share = clipNorm / (norm + 1e-6);
    for (const { name: leaf, tensor } of namedLeaves(result.state.firstMoment)) {
      const clipped = gradients.get(leaf)!.map((one) => 0.1 * share * one);
      assertClose(await read(tensor), clipped, 1e-7, `first moment of ${leaf}`);
    }
  }, BACKENDS);
}
