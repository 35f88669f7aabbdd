import assert from "node:assert/strict";
import {
  checkEstimator,
  type EstimatedModel,
  estimateWindows,
  type EstimatorName,
  ESTIMATORS,
  type EstimatorSetting,
  gradientTimesInput,
  isInNats,
  memoryOcclusion,
  memoryShift,
  padShiftEntropies,
  predictiveEntropies,
  secondOrderEntropies,
  tokenCrossEntropies,
  twoWindowEntropies,
  type WindowEstimates,
} from "../../lib/entropy/mod.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import {
  AUGMENTED,
  augmented,
  autoencoder,
  CAUSAL,
  leftPadded,
  LENGTH,
  mixer,
  PAD,
  refusal,
  tinyIds,
  transformer,
} from "../models/_tiny.ts";
import { assertEstimates, estimated, joined, refusalOf, windowsOf } from "./_estimated.ts";

const EEM = AUGMENTED["transformer EEM"];
/** A model of every kind. */
const KINDS = {
  causal: CAUSAL["transformer CLM"],
  augmented: EEM,
  zeros: { kind: "augmented", memory: "zeros", decoder: transformer(LENGTH + 1) },
  autoencoder: autoencoder(mixer, transformer, "unroll"),
  "second-order": { kind: "second-order", backbone: transformer(LENGTH), shift: true },
} as const satisfies Readonly<Record<string, ModelConfig>>;
type Kind = keyof typeof KINDS;

/** With the EEM a pair. */
const SHORTER = augmented(transformer, transformer, "token", LENGTH - 1);

const padded = joined(tinyIds(), leftPadded(2));
const packed = windowsOf(tinyIds());

/** What each name stands for. */
const DIRECT: Readonly<
  Record<EstimatorName, readonly [Kind, (model: EstimatedModel) => Promise<WindowEstimates>]>
> = {
  "loss": ["causal", (model) => tokenCrossEntropies(model, padded)],
  "predictive-entropy": ["causal", (model) => predictiveEntropies(model, padded)],
  "pad-shift": ["augmented", (model) => padShiftEntropies(model, padded, { form: "plain" })],
  "two-window": [
    "augmented",
    (model) => twoWindowEntropies(model, estimated(SHORTER), packed),
  ],
  "second-order": ["second-order", (model) => secondOrderEntropies(model, padded)],
  "occlusion-l1": ["augmented", async (model) => (await memoryOcclusion(model, padded)).l1],
  "occlusion-cosine": ["augmented", async (model) => (await memoryOcclusion(model, padded)).cosine],
  "occlusion-loss": ["augmented", async (model) => (await memoryOcclusion(model, padded)).loss],
  "shift-l1": ["augmented", async (model) => (await memoryShift(model, padded)).l1],
  "shift-cosine": ["augmented", async (model) => (await memoryShift(model, padded)).cosine],
  "shift-loss": ["augmented", async (model) => (await memoryShift(model, padded)).loss],
  "gradient-input": ["augmented", (model) => gradientTimesInput(model, padded)],
};

onEveryBackend("estimateWindows() runs the estimator of the name", async () => {
  assert.deepEqual(Object.keys(DIRECT).sort(), [...ESTIMATORS].sort());
  for (const name of ESTIMATORS) {
    const [kind, direct] = DIRECT[name];
    const isPair = name === "two-window";
    const model = estimated<ModelConfig>(KINDS[kind], isPair ? null : PAD);
    const found = await estimateWindows(name, model, isPair ? packed : padded, {
      batchSize: 3,
      ...(isPair && { shorter: estimated(SHORTER) }),
    });
    assertEstimates(found, await direct(model), 2e-5, name);
  }
}, { only: ["wasm"] });

Deno.test("isInNats() tells entropies and losses from attributions", () => {
  assert.deepEqual(ESTIMATORS.filter(isInNats), [
    "loss",
    "predictive-entropy",
    "pad-shift",
    "two-window",
    "second-order",
  ]);
});

/** What {@linkcode checkEstimator} says of each kind of model; null where it lets it through. */
function refusals(
  name: EstimatorName,
  setting: EstimatorSetting,
): Readonly<Record<string, string | null>> {
  return Object.fromEntries(
    Object.entries(KINDS).map(([kind, config]) => {
      const check = () => checkEstimator(name, config, setting);
      try {
        check();
        return [kind, null];
      } catch {
        return [kind, refusal(check)];
      }
    }),
  );
}

const memoryNeeded = (name: string) => {
  const expected = `${name}: expected an encoder-augmented model, whose memory is an embedding ` +
    "of the sample, found ";
  return {
    causal: `${expected}kind causal`,
    augmented: null,
    zeros: `${expected}one of zeros`,
    autoencoder: `${expected}kind autoencoder`,
    "second-order": `${expected}kind second-order`,
  };
};
const nextTokensNeeded = (name: string) => {
  const found = (kind: string) =>
    `${name}: expected a model of kind causal or augmented, found ${kind}; others do not predict ` +
    "next tokens";
  return {
    causal: null,
    augmented: null,
    zeros: null,
    autoencoder: found("autoencoder"),
    "second-order": found("second-order"),
  };
};
const causalNeeded = (kind: string) =>
  `predictive-entropy: expected a model of kind causal, found ${kind}; a model with a memory ` +
  "has been told the sequence that it predicts";
const secondOrderNeeded = (kind: string) =>
  `second-order: expected a model of kind second-order, found ${kind}; others learned no number ` +
  "of every token";

for (const padId of [PAD, null]) {
  const layout = padId === null ? "packed" : "padded";

  Deno.test(`checkEstimator() refuses models that an estimator is not for, ${layout}`, () => {
    assert.deepEqual(refusals("loss", { padId }), nextTokensNeeded("loss"));
    assert.deepEqual(refusals("predictive-entropy", { padId }), {
      causal: null,
      augmented: causalNeeded("augmented"),
      zeros: null,
      autoencoder: causalNeeded("autoencoder"),
      "second-order": causalNeeded("second-order"),
    });
    assert.deepEqual(refusals("second-order", { padId }), {
      causal: secondOrderNeeded("causal"),
      augmented: secondOrderNeeded("augmented"),
      zeros: secondOrderNeeded("augmented"),
      autoencoder: secondOrderNeeded("autoencoder"),
      "second-order": null,
    });
    const ofMemory = ESTIMATORS.filter((name) => !isInNats(name));
    assert.equal(ofMemory.length, 7);
    for (const name of ofMemory) assert.deepEqual(refusals(name, { padId }), memoryNeeded(name));
  });
}

Deno.test("checkEstimator() of pad-shift needs a memory, and pads in training", () => {
  const expected = memoryNeeded("pad-shift");
  assert.deepEqual(refusals("pad-shift", { padId: PAD }), expected);
  assert.deepEqual(refusals("pad-shift", { padId: 0 }), expected);
  assert.deepEqual(refusals("pad-shift", { padId: null }), {
    ...expected,
    augmented: "pad-shift: expected a model trained on left-padded samples, found one trained on " +
      "packed ones, which has never seen a pad; train it with the padded layout, or use two-window",
  });
});

Deno.test("checkEstimator() of two-window needs a pair of models without pads", () => {
  const { autoencoder, "second-order": secondOrder, ...able } = nextTokensNeeded("two-window");
  const unable = { autoencoder, "second-order": secondOrder };
  const all = (message: string | null) => ({
    ...Object.fromEntries(Object.keys(able).map((kind) => [kind, message])),
    ...unable,
  });
  const inPads = "two-window: expected models trained on packed samples, found one trained on " +
    "left-padded ones; use pad-shift";
  assert.deepEqual(refusals("two-window", { padId: PAD, shorter: SHORTER }), all(inPads));
  const alone = "two-window: expected a second model, of windows that are one token shorter, " +
    "found none";
  assert.deepEqual(refusals("two-window", { padId: null }), all(alone));
  const length = "two-window: expected a second model of windows of 4 tokens, one fewer than the " +
    "first one's, found 5";
  assert.deepEqual(refusals("two-window", { padId: null, shorter: EEM }), all(length));
  const size = "two-window: expected embeddings of equal size, whose bits cancel, found 0 and 3 " +
    "numbers";
  assert.deepEqual(refusals("two-window", { padId: null, shorter: SHORTER }), {
    ...all(size),
    augmented: null,
  });
  // Models without an embedding are a pair, too.
  const shorter: ModelConfig = { kind: "causal", backbone: transformer(LENGTH - 1) };
  checkEstimator("two-window", KINDS.causal, { padId: null, shorter });
});

onEveryBackend("estimateWindows() refuses what checkEstimator() does", async () => {
  const causal = estimated(CAUSAL["mixer CLM"], PAD);
  assert.equal(
    await refusalOf(() => estimateWindows("shift-l1", causal, padded)),
    memoryNeeded("shift-l1").causal,
  );
  const eem = estimated(EEM);
  assert.match(
    await refusalOf(() => estimateWindows("pad-shift", eem, packed)),
    /^pad-shift: expected a model trained on left-padded samples/,
  );
  assert.match(
    await refusalOf(() => estimateWindows("two-window", eem, packed)),
    /^two-window: expected a second model, .* found none$/,
  );
  assert.match(
    await refusalOf(() => estimateWindows("two-window", eem, packed, { shorter: eem })),
    /^two-window: expected a second model of windows of 4 tokens/,
  );
  for (const name of ["loss", "shift-l1"] as const) {
    assert.match(
      await refusalOf(() => estimateWindows(name, eem, windowsOf(tinyIds(), 2))),
      /^expected windows of 5 tokens, the model's context, found 2; /,
    );
  }
}, { only: ["cpu"] });
