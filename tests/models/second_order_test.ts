import assert from "node:assert/strict";
import { type Tensor, tensor, transpose } from "../../lib/engine/mod.ts";
import {
  type Model,
  modelLogits,
  needsValues,
  type SecondOrderConfig,
  secondOrderEstimates,
  type SecondOrderModel,
  tokenLosses,
  visibleTokens,
} from "../../lib/models/mod.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { assertDependence, type LogitsOf, logitsWith } from "./_causality.ts";
import {
  BATCH,
  leftPadded,
  LENGTH,
  livelyModel,
  PAD,
  refusal,
  STACKS,
  TINY_MODELS,
  tinyIds,
  withOtherPad,
} from "./_tiny.ts";

const once = { oncePerBackend: true };

function configOf(architecture: keyof typeof STACKS, shift: boolean): SecondOrderConfig {
  return { kind: "second-order", backbone: STACKS[architecture](LENGTH), shift };
}

function estimatesOf(
  mode: Mode,
  config: SecondOrderConfig,
  params: Model,
  padId: number | null = null,
): LogitsOf {
  return logitsWith(
    mode,
    (idsNB) =>
      secondOrderEstimates(config, params as SecondOrderModel, idsNB, visibleTokens(idsNB, padId)),
  );
}

for (const architecture of Object.keys(STACKS) as (keyof typeof STACKS)[]) {
  for (const shift of [false, true]) {
    const what = `a ${architecture} ${shift ? "with" : "without"} shift`;
    const seen = shift ? "before it" : "up to it";
    onEveryBackend(
      `secondOrderEstimates() of ${what} rate a token by those ${seen}`,
      async (mode) => {
        const config = configOf(architecture, shift);
        // Column p is about token p + 1.
        const sees = (token: number, p: number) => token <= (shift ? p : p + 1);
        await assertDependence(estimatesOf(mode, config, livelyModel(config)), LENGTH - 1, sees);
      },
      once,
    );
  }
}

onEveryBackend(
  "secondOrderEstimates() with shift are those without it, a token later",
  async (mode) => {
    for (const architecture of Object.keys(STACKS) as (keyof typeof STACKS)[]) {
      const params = livelyModel(configOf(architecture, true));
      const [plain, shifted] = await Promise.all(
        [false, true].map((shift) =>
          estimatesOf(mode, configOf(architecture, shift), params)(tinyIds())
        ),
      );
      const shared = (LENGTH - 2) * BATCH;
      assert.equal(plain!.length, (LENGTH - 1) * BATCH);
      assert.deepEqual(shifted!.subarray(BATCH), plain!.subarray(0, shared));
    }
  },
  once,
);

onEveryBackend("secondOrderEstimates() of a transformer do not see what a pad is", async (mode) => {
  const config = configOf("transformer", false);
  const params = livelyModel(config);
  const ids = leftPadded(2);
  const before = await estimatesOf(mode, config, params, PAD)(ids);
  const after = await estimatesOf(mode, config, withOtherPad(params), PAD)(ids);
  const differs = Array.from(before, (one, i) => Math.abs(one - after[i]!) > 1e-5);
  // Rows of tokens 1 … 4, columns of samples: the second sample's token 1 is a pad itself.
  assert.deepEqual(differs, [false, true, false, false, false, false, false, false]);
}, once);

const VALUES = normals(BATCH * LENGTH, 5).map((value) => 2 + value);

function lossesOf(
  mode: Mode,
  config: SecondOrderConfig,
  params: Model,
  ids: Int32Array,
  values: Float32Array,
): { lossTB: Tensor; scoredTB: Tensor } {
  const run = mode.compile((idsBN: Tensor, valuesBN: Tensor) =>
    tokenLosses(config, params, idsBN, { padId: PAD, valuesBN })
  );
  const shape: [number, number] = [BATCH, LENGTH];
  return run(tensor(ids, shape, "int32"), tensor(values, shape));
}

for (const shift of [false, true]) {
  onEveryBackend(
    `tokenLosses() are squared errors, with${shift ? "" : "out"} shift of the estimates`,
    async (mode) => {
      const config = configOf("transformer", shift);
      const params = livelyModel(config);
      const ids = leftPadded(2);
      const estimates = await estimatesOf(mode, config, params, PAD)(ids);
      const { lossTB, scoredTB } = lossesOf(mode, config, params, ids, VALUES);
      // The second sample's first token, behind two pads, has no estimate to learn.
      const scored = [1, 0, 1, 0, 1, 1, 1, 1];
      assert.deepEqual([...await read(scoredTB)], scored);
      const expected = scored.map((isScored, at) => {
        const [t, b] = [1 + Math.floor(at / BATCH), at % BATCH];
        return isScored * (estimates[at]! - VALUES[b * LENGTH + t]!) ** 2;
      });
      assertClose(await read(lossTB), expected, 1e-5, "squared errors");
    },
  );
}

onEveryBackend("tokenLosses() do not look at values of what is not scored", async (mode) => {
  const config = configOf("mixer", false);
  const params = livelyModel(config);
  const ids = leftPadded(2);
  const isUnused = (at: number) => at % LENGTH === 0 || (at > LENGTH && at % LENGTH <= 2);
  const others = VALUES.map((value, at) => isUnused(at) ? 100 + at : value);
  const [before, after] = [VALUES, others].map((values) =>
    read(lossesOf(mode, config, params, ids, values).lossTB)
  );
  assert.deepEqual(await after, await before);
}, once);

onEveryBackend("tokenLosses() of a second-order model need values and its context", () => {
  const config = configOf("mixer", true);
  const params = livelyModel(config);
  const idsBN = tensor(tinyIds(), [BATCH, LENGTH], "int32");
  assert.throws(
    () => tokenLosses(config, params, idsBN, { padId: null }),
    new RangeError("a second-order model: expected valuesBN to learn, found none"),
  );
  const longIds = tensor(tinyIds(LENGTH + 1), [BATCH, LENGTH + 1], "int32");
  const valuesBN = tensor(normals(longIds.size, 5), longIds.shape);
  assert.equal(
    refusal(() => tokenLosses(config, params, longIds, { padId: null, valuesBN })),
    `expected samples of ${LENGTH} tokens, the model's context, found ${LENGTH + 1}`,
  );
}, { only: ["cpu"] });

onEveryBackend("modelLogits() refuse a second-order model, which has none", () => {
  const config = configOf("mixer", true);
  const idsNB = transpose(tensor(tinyIds(), [BATCH, LENGTH], "int32"));
  assert.equal(
    refusal(() => modelLogits(config, livelyModel(config), idsNB, { padId: null })),
    "logits: expected a model that predicts tokens, found a second-order one, which gives a " +
      "number of every token",
  );
}, { only: ["cpu"] });

Deno.test("needsValues() is true of second-order models alone", () => {
  for (const config of Object.values(TINY_MODELS)) assert.equal(needsValues(config), false);
  assert.equal(needsValues(configOf("lstm", true)), true);
});
