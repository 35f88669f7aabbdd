/** Two-window estimates from losses summed here; PyTorch's numbers are in golden_test.ts. */

import assert from "node:assert/strict";
import { memory, tensor } from "../../lib/engine/mod.ts";
import { checkWindowPair, type EstimatedModel, twoWindowEntropies } from "../../lib/entropy/mod.ts";
import { type ModelConfig, sampleLength, tokenLosses } from "../../lib/models/mod.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";
import {
  augmented,
  EMBEDDING_SIZE,
  LENGTH,
  mixer,
  PAD,
  refusal,
  type StackOf,
  tinyIds,
  transformer,
} from "../models/_tiny.ts";
import { assertEstimates, estimated, joined, refusalOf, windowsOf } from "./_estimated.ts";

const once = { only: ["tensorflow graph", "wasm"] };

function eem(stack: StackOf, length: number, embeddingSize = EMBEDDING_SIZE): ModelConfig {
  return { ...augmented(stack, stack, "token", length), embeddingSize };
}

function clm(stack: StackOf, length: number): ModelConfig {
  return { kind: "causal", backbone: stack(length) };
}

const PAIRS: Readonly<Record<string, readonly [longer: ModelConfig, shorter: ModelConfig]>> = {
  "EEMs": [eem(transformer, LENGTH), eem(transformer, LENGTH - 1)],
  "EEMs of different stacks": [eem(mixer, LENGTH), eem(transformer, LENGTH - 1)],
  "causal models": [clm(mixer, LENGTH), clm(mixer, LENGTH - 1)],
};

const windows = joined(tinyIds(), tinyIds(LENGTH, 8));

/** Σ CE of a model, nats, over the beginning of a window that fills its context. */
async function summedLoss(
  { config, params }: EstimatedModel,
  { contextLength, ids }: WindowIds,
  window: number,
): Promise<number> {
  const length = sampleLength(config);
  const start = window * contextLength;
  const idsBN = tensor(ids.subarray(start, start + length), [1, length], "int32");
  const losses = await read(tokenLosses(config, params, idsBN, { padId: null }).lossTB);
  assert.equal(losses.length, length - 1);
  return losses.reduce((sum, loss) => sum + loss, 0);
}

for (const [name, configs] of Object.entries(PAIRS)) {
  onEveryBackend(`twoWindowEntropies() of ${name} are what the last token adds`, async () => {
    const [longer, shorter] = [estimated(configs[0]), estimated(configs[1])];
    const expected: (number | null)[][] = [];
    for (let window = 0; window < windows.count; window++) {
      const nats = await summedLoss(longer, windows, window) -
        await summedLoss(shorter, windows, window);
      expected.push([...new Array<null>(LENGTH - 1).fill(null), nats]);
    }
    for (const batchSize of [1, 3, undefined]) {
      const found = await twoWindowEntropies(longer, shorter, windows, { batchSize });
      assertEstimates(found, expected, 1e-5, `${batchSize} at once`);
    }
  }, once);
}

onEveryBackend("twoWindowEntropies() frees its tensors", async () => {
  const [longer, shorter] = PAIRS["EEMs"]!.map((config) => estimated(config));
  await twoWindowEntropies(longer!, shorter!, windows);
  const before = memory().numTensors;
  await twoWindowEntropies(longer!, shorter!, windows);
  assert.equal(memory().numTensors, before);
}, once);

onEveryBackend("twoWindowEntropies() refuses models and windows that do not fit", async () => {
  const [longer, shorter] = PAIRS["EEMs"]!;
  const onPads = /^two-window: expected models trained on packed samples, .*; use pad-shift$/;
  for (const padIds of [[PAD, null], [null, PAD], [0, 0]] as const) {
    const models = [estimated(longer, padIds[0]), estimated(shorter, padIds[1])] as const;
    assert.match(await refusalOf(() => twoWindowEntropies(...models, windows)), onPads);
  }
  const pair = [estimated(longer), estimated(shorter)] as const;
  assert.match(
    await refusalOf(() => twoWindowEntropies(...pair, windowsOf(tinyIds(LENGTH - 1), LENGTH - 1))),
    /^expected windows of 5 tokens, the model's context, found 4; /,
  );
  assert.match(
    await refusalOf(() => twoWindowEntropies(pair[1], pair[0], windows)),
    /^two-window: expected a second model of windows of 3 tokens, .* found 5$/,
  );
}, { only: ["cpu"] });

Deno.test("checkWindowPair() wants N and N − 1 tokens, and embeddings of one size", () => {
  for (const [longer, shorter] of Object.values(PAIRS)) checkWindowPair(longer, shorter);
  const [longer, shorter] = PAIRS["EEMs"]!;
  for (const length of [LENGTH - 2, LENGTH, LENGTH + 1]) {
    assert.equal(
      refusal(() => checkWindowPair(longer, eem(transformer, length))),
      "two-window: expected a second model of windows of 4 tokens, one fewer than the first " +
        `one's, found ${length}`,
    );
  }
  const sizes = (first: number, second: number) =>
    `two-window: expected embeddings of equal size, whose bits cancel, found ${first} and ` +
    `${second} numbers`;
  const size4 = eem(transformer, LENGTH - 1, 4);
  assert.equal(refusal(() => checkWindowPair(longer, size4)), sizes(3, 4));
  assert.equal(
    refusal(() => checkWindowPair(clm(mixer, LENGTH), shorter)),
    sizes(0, 3),
  );
});
