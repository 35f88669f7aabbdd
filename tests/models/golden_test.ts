/** The models and the optimizer against an independent PyTorch implementation in float64. */

import assert from "node:assert/strict";
import {
  disposeTree,
  namedLeaves,
  type Tensor,
  transpose,
  valueAndGradient,
} from "../../lib/engine/mod.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  joinedSize,
  meanLoss,
  type Model,
  type ModelConfig,
  modelLogits,
  needsValues,
  secondOrderEstimates,
  type SecondOrderModel,
  tokenLosses,
  visibleTokens,
} from "../../lib/models/mod.ts";
import { initTrainState, stepScalars, type TrainState } from "../../lib/train/adamw.ts";
import type { Batch } from "../../lib/train/batch.ts";
import { learningRate } from "../../lib/train/schedule.ts";
import { type Frozen, joinModel, type Trainable } from "../../lib/train/step.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { type Golden, GOLDEN_NAMES, loadGolden, shapesOf, trainStepOf } from "./_golden.ts";

/** XLA takes seconds to compile a training step: these together have every layer. */
const WITH_XLA = [
  "llama_2eem",
  "llama_eem",
  "lstm_clm",
  "mixer_ae_unroll",
  "mixer_clm_heads_kernel_2",
  "mixer_eem_embedding_join",
  "transformer_mixer_ae",
];
/** These together have every operation; what they lack are other combinations of the same. */
const IN_EVERY_MODE = [
  ...WITH_XLA,
  "mixer_eem_linear_join",
  "transformer_ae_unmasked",
  "transformer_clm_learned_positions",
  "transformer_eem_frozen",
];
const UNCOMPILED = ["tensorflow eager", "webgpu", "wasm", "cpu"];

/** What the golden file has as `[B, slots, …]`, of the S scored tokens alone, as our `[S, B, …]`. */
function tokensFirst(golden: Golden, name: string, { first = 0 } = {}): number[] {
  const [batch, slots, width = 1] = golden.shape(name) as [number, number, number?];
  const [, rows] = golden.shape("tokenLosses") as [number, number];
  const numbers = golden.numbers(name);
  return Array.from({ length: rows }, (_, t) =>
    Array.from({ length: batch }, (_, b) => {
      const from = (b * slots + first + t) * width;
      return [...numbers.subarray(from, from + width)];
    })).flat(2);
}

/** What the model gives to its loss: logits, or estimates of second-order models. */
function outputOf(config: ModelConfig, params: Model, idsNB: Tensor, padId: number): Tensor {
  return needsValues(config)
    ? secondOrderEstimates(config, params as SecondOrderModel, idsNB, visibleTokens(idsNB, padId))
    : modelLogits(config, params, idsNB, { padId });
}

Deno.test("the golden models that run in every mode are there", () => {
  assert.deepEqual(IN_EVERY_MODE.filter((name) => !GOLDEN_NAMES.includes(name)), []);
});

for (const name of GOLDEN_NAMES) {
  const withoutXla = ["tensorflow graph", ...(IN_EVERY_MODE.includes(name) ? UNCOMPILED : [])];

  onEveryBackend(`initModel() of ${name} has PyTorch's names and shapes`, () => {
    const golden = loadGolden(name);
    assert.deepEqual(shapesOf(golden.weights()), golden.parameters);
  }, { only: ["cpu"] });

  onEveryBackend(
    `output, tokenLosses() and gradient of ${name} agree with PyTorch`,
    async (mode) => {
      const golden = loadGolden(name);
      const { config, padId } = golden;
      const run = mode.compile((trainable: Trainable, frozen: Frozen, batch: Batch) => {
        const { idsBN, ...values } = batch;
        const model = joinModel(trainable, frozen);
        const losses = (params: Trainable) =>
          tokenLosses(config, joinModel(params, frozen), idsBN, { padId, ...values });
        return {
          output: outputOf(config, model, transpose(idsBN), padId),
          ...losses(trainable),
          ...valueAndGradient((params) => meanLoss(losses(params)), trainable),
        };
      });
      const { trainable, frozen } = golden.trainingWeights();
      const result = run(trainable, frozen, golden.batch(0));
      // The memory slot of a token join stands before the first token.
      const first = config.kind === "augmented" && (config.join ?? "token") === "token" ? 1 : 0;
      const outputs = tokensFirst(golden, needsValues(config) ? "estimates" : "logits", { first });
      assertClose(await read(result.output), outputs, 3e-6, "output");
      assertClose(await read(result.lossTB), tokensFirst(golden, "tokenLosses"), 3e-6, "losses");
      assert.deepEqual([...await read(result.scoredTB)], tokensFirst(golden, "scored"));
      assertClose(await read(result.value), golden.numbers("loss"), 1e-6, "mean loss");
      for (const { name, tensor } of namedLeaves(result.gradient)) {
        const expected = golden.numbers(`gradients/${name}`);
        assertClose(await read(tensor), expected, 1e-6, `gradient of ${name}`);
      }
      run.dispose();
    },
    { only: withoutXla },
  );

  onEveryBackend(`compileTrainStep() of ${name} follows PyTorch's training`, async (mode) => {
    const golden = loadGolden(name);
    const { steps, warmupSteps, curveSteps, curveWarmupSteps, learningRate: peakRate } =
      golden.training;
    const step = trainStepOf(mode, golden);
    const train = async (
      schedule: { peakRate: number; steps: number; warmupSteps: number },
      count: number,
      batchOf: (index: number) => number,
    ) => {
      const { trainable, frozen } = golden.trainingWeights();
      let state: TrainState<Trainable> = initTrainState(trainable);
      const losses: number[] = [];
      const norms: number[] = [];
      for (let index = 0; index < count; index++) {
        const scalars = stepScalars(learningRate(schedule, index), index);
        const next = step(state, frozen, scalars, golden.batch(batchOf(index)));
        disposeTree(state);
        state = next.state;
        losses.push((await read(next.loss))[0]!);
        norms.push((await read(next.gradientNorm))[0]!);
      }
      return { state, losses, norms };
    };

    const few = await train({ peakRate, steps, warmupSteps }, steps, () => 0);
    assertClose(few.losses, golden.numbers("stepLosses"), 1e-6, "losses");
    assertClose(few.norms, golden.numbers("stepGradientNorms"), 2e-6, "gradient norms");
    for (const { name, tensor } of namedLeaves(few.state.params)) {
      const [before, after, gradient] = ["weights", "afterSteps", "gradients"].map((what) =>
        golden.numbers(`${what}/${name}`)
      );
      (await read(tensor)).forEach((weight, i) => {
        const size = Math.abs(gradient![i]!);
        if (size === 0) assert.equal(weight, before![i], `${name} ${i} must not move`);
        // Gradients between are rounding noise, which AdamW turns into whole steps.
        if (size > golden.training.negligibleGradient) {
          assertClose([weight], [after![i]!], 5e-6, `${name} ${i} after ${steps} steps`);
        }
      });
    }

    // Long runs where steps are fast; all modes agreed on the short one.
    if (mode.name.startsWith("tensorflow") && mode.name !== "tensorflow eager") {
      const schedule = { peakRate, steps: curveSteps, warmupSteps: curveWarmupSteps };
      const curve = await train(schedule, curveSteps, (index) => index % 5);
      assertClose(curve.losses, golden.numbers("curveLosses"), 1e-5, "loss curve");
    }
    step.dispose();
  }, {
    only: [...withoutXla, ...(WITH_XLA.includes(name) ? ["tensorflow xla"] : [])],
  });

  if (loadGolden(name).config.kind !== "augmented") continue;

  onEveryBackend(
    `tokenLosses() of ${name} make PyTorch's embedding, and its losses without one`,
    async (mode) => {
      const golden = loadGolden(name);
      const { padId } = golden;
      const config = golden.config as AugmentedDecoderConfig & { memory: "embedding" };
      const { join = "token", decoder } = config;
      const twin: AugmentedDecoderConfig = {
        kind: "augmented",
        memory: "zeros",
        decoder,
        join,
        ...(join === "embedding" ? { embeddingSize: joinedSize(config) } : {}),
      };
      const run = mode.compile((params: AugmentedDecoder, idsBN: Tensor) => {
        const options = { padId };
        let zBP: Tensor | undefined;
        tokenLosses(config, params, idsBN, { ...options, hook: (seen) => zBP = seen });
        return {
          seen: zBP!,
          ...tokenLosses(twin, { decoder: params.decoder }, idsBN, options),
        };
      });
      const params = golden.weights() as AugmentedDecoder;
      const result = run(params, golden.batch(0).idsBN);
      assertClose(await read(result.seen), golden.numbers("embedding"), 3e-6, "embedding");
      assertClose(
        await read(result.lossTB),
        tokensFirst(golden, "zeroMemoryTokenLosses"),
        3e-6,
        "zero-memory losses",
      );
      const mean = meanLoss({ lossTB: result.lossTB, scoredTB: result.scoredTB });
      assertClose(await read(mean), golden.numbers("zeroMemoryLoss"), 1e-6, "zero-memory loss");
      run.dispose();
    },
    { only: withoutXla },
  );
}
