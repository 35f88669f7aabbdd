/** Counts from configurations against the matrix products that really run. */

import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs";
import { tensor } from "../../lib/engine/mod.ts";
import { padShiftEntropies } from "../../lib/entropy/pad_shift.ts";
import { padShiftCost } from "../../lib/entropy/pad_shift_cost.ts";
import {
  type AugmentedDecoderConfig,
  type BackboneConfig,
  initModel,
  type Join,
  PAPER_MODELS,
  tokenLosses,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { lstm, mixer, PAD, type StackOf, transformer } from "../models/_tiny.ts";

type Eem = AugmentedDecoderConfig & { memory: "embedding" };

function eem(
  length: number,
  [encoder, join, decoder]: readonly [StackOf, Join, StackOf],
  options: Partial<Pick<Eem, "embeddingSize" | "readPosition">> = { embeddingSize: 3 },
  decoderWidth = 12,
): Eem {
  return {
    kind: "augmented",
    memory: "embedding",
    join,
    encoder: encoder(length),
    decoder: { ...decoder(length + (join === "token" ? 1 : 0)), width: decoderWidth },
    ...options,
  };
}

const heads: StackOf = (length) => mixer(length, { headCount: 2, kernelSize: 3 });
const learned: StackOf = (length) => transformer(length, { positions: "learned" });
const unmasked: StackOf = (length) => transformer(length, { causal: false });

/** Lengths that the fast form's batches divide, and do not. */
const WITH_FAST_FORM: Readonly<Record<string, Eem>> = {
  "token join": eem(11, [transformer, "token", transformer]),
  "token join, a batch for every length": eem(5, [transformer, "token", transformer]),
  "token join, lengths that divide": eem(16, [transformer, "token", transformer]),
  "equal widths": eem(9, [transformer, "token", transformer], { embeddingSize: 3 }, 8),
  "linear join": eem(9, [transformer, "linear", transformer]),
  "linear join, no compression": eem(9, [transformer, "linear", transformer], {}),
  "embedding join": eem(9, [transformer, "embedding", transformer]),
};
const WITHOUT: Readonly<Record<string, Eem>> = {
  "mixers": eem(5, [mixer, "token", mixer]),
  "mixing heads and kernels": eem(5, [heads, "embedding", heads]),
  "mixer and transformer": eem(5, [mixer, "linear", transformer]),
  "transformer and mixer": eem(5, [transformer, "token", mixer], {}),
  "LSTMs": eem(5, [lstm, "token", lstm]),
  "learned positions": eem(5, [transformer, "token", learned]),
  "unmasked encoder": eem(5, [unmasked, "token", transformer]),
  "earlier state": eem(5, [transformer, "token", transformer], {
    embeddingSize: 3,
    readPosition: -2,
  }),
};

/** Multiply–adds of every matrix product that `run` makes, from the kernels' shapes. */
async function multiplyAdds(run: () => unknown): Promise<number> {
  const { kernels } = await tf.profile(async () => {
    await run();
    return [];
  });
  const size = (shape: number[]) => shape.reduce((product, side) => product * side, 1);
  return kernels.filter(({ name }) => name === "BatchMatMul").reduce((sum, kernel) => {
    const [left, right] = kernel.inputShapes as [number[], number[]];
    const [product] = kernel.outputShapes as [number[]];
    // G matrices M×K times K×N: |left| |right| |product| = G³ M² K² N².
    const count = size(product.slice(0, -2));
    return sum + Math.sqrt(size(left) * size(right) * size(product) / count);
  }, 0);
}

/** What a padded evaluation's masks take: one product of B×S and S×S in each transformer. */
function padMasks({ encoder, decoder }: Eem): number {
  return [encoder, decoder].reduce(
    (sum, { architecture, contextLength }) =>
      sum + (architecture === "transformer" ? contextLength ** 2 : 0),
    0,
  );
}

/** One window without pads, in batches that nothing fills up. */
function oneWindow(length: number) {
  const ids = Int32Array.from({ length }, (_, at) => PAD + 1 + at % 3);
  return { contextLength: length, count: 1, ids };
}

for (const [name, config] of Object.entries({ ...WITH_FAST_FORM, ...WITHOUT })) {
  onEveryBackend(`padShiftCost() of ${name} counts the matrix products that run`, async () => {
    const windows = oneWindow(config.encoder.contextLength);
    const { contextLength } = windows;
    const params = initModel(config, createRandom(1));
    const model = { config, params, padId: PAD };
    const count = (form: "plain" | "fast") =>
      multiplyAdds(() => padShiftEntropies(model, windows, { form, batchSize: 1 }));
    const idsBN = tensor(windows.ids, [1, contextLength], "int32");
    const evaluation = await multiplyAdds(() => tokenLosses(config, params, idsBN, { padId: PAD }));

    const cost = padShiftCost(config);
    const masks = padMasks(config);
    assert.equal(cost.reference, 2 * contextLength * (evaluation - masks), "reference");
    assert.equal(cost.plain, await count("plain") - (contextLength - 1) * masks, "plain");
    assert.equal(cost.fast, name in WITH_FAST_FORM ? await count("fast") : null, "fast");
  }, { only: ["cpu"] });
}

Deno.test("padShiftCost() of the fast form at N = 256 is less than a quarter of the reference's", () => {
  const contextLength = 256;
  const { config } = PAPER_MODELS["eem-t"]!;
  assert.ok(config.kind === "augmented" && config.memory === "embedding");
  const decoder: BackboneConfig = { ...config.decoder, contextLength: contextLength + 1 };
  const encoders: Readonly<Record<string, BackboneConfig>> = {
    "the paper's sizes": { ...config.encoder, contextLength },
    "equal sizes": { ...decoder, contextLength },
  };
  for (const [sizes, encoder] of Object.entries(encoders)) {
    const { reference, plain, fast } = padShiftCost({ ...config, encoder, decoder });
    assert.ok(fast !== null);
    assert.ok(reference / fast > 4, `${sizes}: found ${reference / fast}`);
    assert.ok(Math.abs(reference / plain - 2) < 0.01, `${sizes}: found ${reference / plain}`);
  }
});
