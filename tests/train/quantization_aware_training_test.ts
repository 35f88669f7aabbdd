/** Training for quantization (paper §6.2): steps against PyTorch in float64. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { disposeTree, namedLeaves, tensor } from "../../lib/engine/mod.ts";
import type { QuantizationAwareTraining } from "../../lib/qat/mod.ts";
import { ADAMW_DEFAULTS, initTrainState, stepScalars } from "../../lib/train/adamw.ts";
import { checkLossOptions, compileTrainStep } from "../../lib/train/step.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { loadGolden } from "../models/_golden.ts";

/** What tests/reference/qat_training_golden.py wrote. */
type TrainingGolden = Readonly<{
  /** The golden model of tests/golden/models. */
  weights: string;
  seed: number;
  cases: Readonly<
    Record<
      string,
      Readonly<{
        qat?: QuantizationAwareTraining;
        learningRate: number;
        losses: readonly number[];
        gradientNorms: readonly number[];
        afterSteps: Readonly<Record<string, readonly number[]>>;
      }>
    >
  >;
}>;

const golden: TrainingGolden = JSON.parse(
  readFileSync(new URL("../golden/qat/training.json", import.meta.url), "utf8"),
);

/** XLA takes seconds to compile a step: this one has noise everywhere. */
const WITH_XLA = "all outputs";

for (const [name, one] of Object.entries(golden.cases)) {
  onEveryBackend(`compileTrainStep() with ${name} follows PyTorch's training`, async (mode) => {
    const { config, padId, trainingWeights, batch } = loadGolden(golden.weights);
    const options = one.qat === undefined ? {} : { qat: one.qat };
    checkLossOptions(config, options);
    const compiler = mode.name === "tensorflow xla" ? "xla" : "graph";
    const step = compileTrainStep(config, { padId }, ADAMW_DEFAULTS, compiler, options);
    let state = initTrainState(trainingWeights().trainable);
    const losses: number[] = [], norms: number[] = [];
    for (let index = 0; index < one.losses.length; index++) {
      const scalars = stepScalars(one.learningRate, index);
      const noiseSeed = tensor([golden.seed, index], [2], "int32");
      const inputs = { ...batch(index), ...(one.qat?.method === "noise" && { noiseSeed }) };
      const next = step(state, {}, scalars, inputs);
      disposeTree(state);
      state = next.state;
      losses.push((await read(next.loss))[0]!);
      norms.push((await read(next.gradientNorm))[0]!);
    }
    assertClose(losses, one.losses, 3e-6, "losses");
    assertClose(norms, one.gradientNorms, 1e-5, "gradient norms");
    const found = new Map(namedLeaves(state.params).map(({ name, tensor }) => [name, tensor]));
    assert.equal(Object.keys(one.afterSteps).length, 7);
    for (const [name, expected] of Object.entries(one.afterSteps)) {
      assertClose(await read(found.get(name)!), expected, 5e-6, name);
    }
    step.dispose();
  }, {
    only: ["tensorflow graph", "wasm", ...(name === WITH_XLA ? ["tensorflow xla"] : [])],
  });
}
