import assert from "node:assert/strict";
import { memory, tensor, transpose } from "../../lib/engine/mod.ts";
import {
  gradientTimesInput,
  type WindowEstimates,
  windowEstimates,
} from "../../lib/entropy/mod.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  decoderLogits,
  encodeSequence,
  JOINS,
  memoryOf,
  memoryWidth,
  visibleTokens,
} from "../../lib/models/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";
import {
  AUGMENTED,
  augmented,
  CAUSAL,
  leftPadded,
  lstm,
  mixer,
  PAD,
  tinyIds,
  transformer,
  VOCABULARY,
} from "../models/_tiny.ts";
import { assertEstimates, estimated, joined, refusalOf } from "./_estimated.ts";

const windows = joined(tinyIds(), leftPadded(2));

/** Small for the curvature, large for float32: differences of s are right to some 1e-3. */
const STEP = 2e-3;

/** The attributions by central differences: every number of the memory moved both ways. */
async function byDifferences(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
): Promise<WindowEstimates> {
  const { count, contextLength } = windows;
  const width = memoryWidth(config);
  const idsOf = (copies: number) => {
    const ids = new Array(copies).fill([...windows.ids]).flat();
    return transpose(tensor(ids, [copies * count, contextLength], "int32"));
  };
  const zBP = encodeSequence(config, params, idsOf(1), visibleTokens(idsOf(1), PAD));
  const memoryBM = await read(memoryOf(params, zBP));
  const moved = Array.from(
    { length: width },
    (_, j) =>
      [STEP, -STEP].flatMap((step) =>
        Array.from(memoryBM, (one, at) => at % width === j ? one + step : one)
      ),
  );
  const rows = 2 * width * count;
  const idsNR = idsOf(2 * width);
  const memoryRM = tensor(moved.flat(), [rows, width]);
  const logits = await read(
    decoderLogits(config, params, memoryRM, idsNR, visibleTokens(idsNR, PAD)),
  );
  const norm = (output: number, row: number) => {
    const at = (output * rows + row) * VOCABULARY;
    return logits.subarray(at, at + VOCABULARY).reduce((sum, one) => sum + Math.abs(one), 0);
  };
  return windowEstimates(windows, PAD, (window, position) => {
    const products = Array.from({ length: width }, (_, j) => {
      const [above, below] = [0, 1].map((side) =>
        norm(position - 1, (2 * j + side) * count + window)
      );
      return (above! - below!) / (2 * STEP) * memoryBM[window * width + j]!;
    });
    return products.reduce((sum, product) => sum + Math.abs(product), 0);
  });
}

onEveryBackend("gradientTimesInput() is the slope of each output's L1 norm", async () => {
  for (const join of JOINS) {
    for (const decoder of [mixer, transformer, lstm]) {
      const config = augmented(transformer, decoder, join);
      const model = estimated(config, PAD);
      const expected = await byDifferences(config, model.params as AugmentedDecoder);
      const found = await gradientTimesInput(model, windows, { batchSize: 3 });
      assertEstimates(found, expected, 1e-2, `${join} join, ${decoder.name}`);
      assert.ok(found.flat().some((one) => one! > 0.1), "something hangs on the memory");
    }
  }
}, { oncePerBackend: true });

onEveryBackend("gradientTimesInput() does not depend on the rows of a pass", async () => {
  for (const join of JOINS) {
    const model = estimated(augmented(mixer, transformer, join), PAD);
    const alone = await gradientTimesInput(model, windows, { batchSize: 1 });
    for (const batchSize of [3, undefined]) {
      const found = await gradientTimesInput(model, windows, { batchSize });
      assertEstimates(found, alone, 1e-5, `${join} join, ${batchSize} rows`);
    }
  }
}, { oncePerBackend: true });

onEveryBackend("gradientTimesInput() frees what it made", async () => {
  const model = estimated(AUGMENTED["mixer EEM"]);
  const before = memory().numTensors;
  await gradientTimesInput(model, windows);
  assert.equal(memory().numTensors, before);
}, { only: ["tensorflow graph", "wasm"] });

onEveryBackend("gradientTimesInput() refuses what has no memory", async () => {
  const { decoder } = AUGMENTED["mixer EEM"];
  const zeros = estimated({ kind: "augmented", memory: "zeros", decoder });
  const causal = estimated(CAUSAL["mixer CLM"]);
  assert.match(
    await refusalOf(() => gradientTimesInput(zeros, windows)),
    /^gradient-input: expected an encoder-augmented model.*found one of zeros$/,
  );
  assert.match(await refusalOf(() => gradientTimesInput(causal, windows)), /found kind causal$/);
  const model = estimated(AUGMENTED["mixer EEM"]);
  const longer = { ...windows, contextLength: 10, count: 2 };
  assert.match(await refusalOf(() => gradientTimesInput(model, longer)), /windows of 5 tokens/);
}, { only: ["cpu"] });
