import assert from "node:assert/strict";
import { add, mapTree, slice, type Tensor, tensor } from "../../lib/engine/mod.ts";
import { linear, lstm, moduleNames } from "../../lib/layers/mod.ts";
import { activationStatistics, type QuantizedModel } from "../../lib/measure/mod.ts";
import {
  type AugmentedDecoder,
  type CausalModel,
  embedTokens,
  encodeSequence,
  modelLogits,
  visibleTokens,
} from "../../lib/models/mod.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend, onTensorFlow } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { estimated, refusalOf, windowsOf } from "../entropy/_estimated.ts";
import {
  AUGMENTED,
  CAUSAL,
  EMBEDDING_SIZE,
  leftPadded,
  LENGTH,
  PAD,
  tinyIds,
  transformer,
  WIDTH,
} from "../models/_tiny.ts";
import { countFunctions, idsOf, PADDED, tensorCounts, WINDOWS } from "./_rounded.ts";

const once = { oncePerBackend: true } as const;

/** Moments by their definitions, histogram and trend by looking each number up. */
function describeNumbers(numbers: readonly number[], bins: number) {
  const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  const moment = (power: number) =>
    numbers.reduce((sum, x) => sum + (x - mean) ** power, 0) / numbers.length;
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const edges = Array.from({ length: bins + 1 }, (_, i) => low + (high - low) * i / bins);
  const counts = edges.slice(1).map((edge, i) =>
    numbers.filter((x) => x >= edges[i]! && (x < edge || i === bins - 1)).length
  );
  return {
    count: numbers.length,
    mean,
    deviation: Math.sqrt(moment(2)),
    low,
    high,
    excessKurtosis: moment(4) / moment(2) ** 2 - 3,
    outlierShare: numbers.filter((x) => Math.abs(x) >= 6).length / numbers.length,
    histogram: { edges, counts },
  };
}

async function assertStatistics(
  model: QuantizedModel,
  windows: WindowIds,
  module: string,
  numbers: readonly number[],
): Promise<void> {
  const expected = describeNumbers(numbers, 8);
  for (const batchSize of [1, 2, 3, 7]) {
    const [found] = await activationStatistics(model, windows, [module], { batchSize, bins: 8 });
    const what = `${module}, ${batchSize} at once`;
    assert.equal(found!.module, module);
    assert.equal(found!.count, expected.count, what);
    for (
      const name of ["mean", "deviation", "low", "high", "excessKurtosis", "outlierShare"] as const
    ) {
      assertClose([found![name]], [expected[name]], 1e-5, `${what}: ${name}`);
    }
    assertClose(found!.histogram.edges, expected.histogram.edges, 1e-6, `${what}: edges`);
    assert.deepEqual(found!.histogram.counts, expected.histogram.counts, what);
  }
}

/** A tensor `[S, B, C]` as lists of numbers by slot and window. */
async function slotsOf(output: Tensor): Promise<number[][][]> {
  const [slots, batch, width] = output.shape as [number, number, number];
  const values = await read(output);
  return Array.from({ length: slots }, (_, s) =>
    Array.from(
      { length: batch },
      (_, b) => Array.from(values.subarray((s * batch + b) * width, (s * batch + b + 1) * width)),
    ));
}

onEveryBackend("activationStatistics() is over all that a module gives", async () => {
  const model = estimated(AUGMENTED["transformer EEM"]);
  const params = model.params as AugmentedDecoder;
  const idsNB = idsOf(WINDOWS);
  const config = AUGMENTED["transformer EEM"];
  const zBP = await read(encodeSequence(config, params, idsNB, null));
  assert.equal(zBP.length, WINDOWS.count * EMBEDDING_SIZE);
  await assertStatistics(model, WINDOWS, "down", [...zBP]);
  const logits = await read(modelLogits(config, params, idsNB, { padId: null }));
  await assertStatistics(model, WINDOWS, "decoder.head", [...logits]);
  const embedded = await read(embedTokens(params.decoder, idsNB));
  await assertStatistics(model, WINDOWS, "decoder.embedding", [...embedded]);
}, once);

onEveryBackend("activationStatistics() leaves pads out, and counts a memory slot", async () => {
  const model = estimated(AUGMENTED["transformer EEM"], PAD);
  const { config, padId } = model;
  const params = model.params as AugmentedDecoder;
  const idsNB = idsOf(PADDED);
  const isPad = (row: number, token: number) => PADDED.ids[row * LENGTH + token] === PAD;
  assert.deepEqual([0, 1, 2].map((token) => isPad(1, token)), [true, true, false]);
  const atTokens = (slots: number[][][]) =>
    slots.flatMap((rows, token) => rows.flatMap((row, b) => isPad(b, token) ? [] : row));
  const embedded = await slotsOf(embedTokens(params.decoder, idsNB));
  await assertStatistics(model, PADDED, "decoder.embedding", atTokens(embedded));
  const logits = await slotsOf(modelLogits(config, params, idsNB, { padId }));
  await assertStatistics(model, PADDED, "decoder.head", atTokens(logits));
  const visibleBN = visibleTokens(idsNB, padId);
  const zBP = await read(
    encodeSequence(AUGMENTED["transformer EEM"], params, idsNB, visibleBN),
  );
  await assertStatistics(model, PADDED, "down", [...zBP]);
  const names = ["encoder.blocks.0.attention.query", "decoder.blocks.0.attention.query", "up"];
  const found = await activationStatistics(model, PADDED, names, { batchSize: 2 });
  assert.deepEqual(found.map(({ module, count }) => [module, count]), [
    [names[0], (3 * LENGTH - 2) * WIDTH],
    ["up", 3 * WIDTH],
    [names[1], (3 * LENGTH - 2 + 3) * 12],
  ]);
  const pads = windowsOf(new Int32Array(3 * LENGTH).fill(PAD));
  const [down] = await activationStatistics(model, pads, ["down"], { batchSize: 2 });
  assert.equal(down!.count, 3 * EMBEDDING_SIZE, "a window's vector is at no token");
}, once);

onEveryBackend(
  "activationStatistics() rates a second-order head at the token it reads",
  async () => {
    // The first window starts with two pads, the others have none.
    const ids = Int32Array.of(...leftPadded(2).slice(LENGTH), ...tinyIds());
    const windows = { ...windowsOf(ids), values: new Float32Array(ids.length) };
    for (const [shift, headTokens] of [[false, 3 + 4 + 4], [true, 2 + 4 + 4]] as const) {
      const model = estimated(
        { kind: "second-order", backbone: transformer(LENGTH), shift } as const,
        PAD,
      );
      const names = ["blocks.0.attention.query", "head"];
      const [query, head] = await activationStatistics(model, windows, names, { batchSize: 2 });
      assert.equal(head!.count, headTokens, `shift ${shift}`);
      assert.equal(query!.count, (3 + 5 + 5) * WIDTH, `shift ${shift}`);
    }
  },
  { only: ["cpu"] },
);

onEveryBackend("activationStatistics() sees every step of a recurrent layer", async () => {
  const model = estimated(CAUSAL["LSTM CLM"], PAD);
  const params = model.params as CausalModel & { blocks: Parameters<typeof lstm>[0][] };
  const [layer] = params.blocks;
  const statesNBD = lstm(layer!, embedTokens(params, idsOf(PADDED)));
  const before = add(slice(statesNBD, [0, 0, 0], [LENGTH - 1, 3, WIDTH]), 0);
  const later = await slotsOf(linear(layer!.hidden, before));
  // The first step reads a state of zeros, which leaves the bias.
  const first = Array.from({ length: 3 }, () => [...layer!.hidden.bias!.dataSync()]);
  const numbers = [first, ...later].flatMap((rows, token) =>
    rows.flatMap((row, b) => PADDED.ids[b * LENGTH + token] === PAD ? [] : row)
  );
  await assertStatistics(model, PADDED, "blocks.0.hidden", numbers);
}, once);

onEveryBackend("activationStatistics() takes a table of positions for every token", async () => {
  const model = estimated(
    { kind: "causal", backbone: transformer(LENGTH, { positions: "learned" }) } as const,
    PAD,
  );
  const table = (model.params as { positions?: { weight: Tensor } }).positions!.weight.dataSync();
  const numbers = [...PADDED.ids].flatMap((id, i) => {
    const start = i % LENGTH * WIDTH;
    return id === PAD ? [] : [...table.slice(start, start + WIDTH)];
  });
  await assertStatistics(model, PADDED, "positions", numbers);
}, once);

/** A model of which every row of the embedding table is known, and windows that read each once. */
function tableModel(values: Float32Array<ArrayBuffer>, vocabSize: number) {
  const width = values.length / vocabSize;
  const backbone = { architecture: "mixer", contextLength: 4, vocabSize, width, layerCount: 1 };
  const { params, ...model } = estimated(
    { kind: "causal", backbone } as Parameters<typeof estimated>[0],
  );
  const table = tensor(values, [vocabSize, width]);
  const changed = mapTree(params, (leaf, name) => name === "embedding.weight" ? table : leaf);
  const ids = Int32Array.from({ length: vocabSize }, (_, id) => id);
  return { model: { ...model, params: changed }, windows: windowsOf(ids, 4) };
}

const NUMBERS = 64 * 256;

onEveryBackend(
  "activationStatistics() tells a normal distribution from a uniform one",
  async () => {
    const describe = async (values: Float32Array<ArrayBuffer>) => {
      const { model, windows } = tableModel(values, 256);
      const [found] = await activationStatistics(model, windows, ["embedding"], { batchSize: 16 });
      return found!;
    };
    const normal = await describe(normals(NUMBERS, 5, 3).map((x) => x - 1));
    assert.equal(normal.count, NUMBERS);
    // Four standard errors each; P(|N(−1, 3²)| ≥ 6) = Φ(−5/3) + Φ(−7/3) = 0.05761.
    const standardError = 1 / Math.sqrt(NUMBERS);
    assert.ok(Math.abs(normal.mean + 1) < 4 * 3 * standardError);
    assert.ok(Math.abs(normal.deviation - 3) < 4 * 3 * standardError / Math.SQRT2);
    assert.ok(Math.abs(normal.excessKurtosis) < 4 * Math.sqrt(24) * standardError);
    assert.ok(Math.abs(normal.outlierShare - 0.05761) < 4 * 0.2333 * standardError);
    assert.equal(normal.histogram.counts.length, 128);
    assert.equal(normal.histogram.counts.reduce((sum, count) => sum + count), NUMBERS);
    assert.deepEqual(
      [normal.histogram.edges[0], normal.histogram.edges.at(-1)],
      [normal.low, normal.high],
    );

    const random = createRandom(8);
    const uniform = await describe(Float32Array.from({ length: NUMBERS }, () => random.uniform()));
    assert.ok(Math.abs(uniform.excessKurtosis + 1.2) < 0.05);
    assert.ok(Math.abs(uniform.deviation - Math.sqrt(1 / 12)) < 0.01);
    const [fewest, most] = [
      Math.min(...uniform.histogram.counts),
      Math.max(...uniform.histogram.counts),
    ];
    assert.ok(fewest > 80 && most < 180, "128 to a bin");
    assert.equal(uniform.outlierShare, 0);
  },
  { only: ["cpu"] },
);

onEveryBackend("activationStatistics() keeps moments of numbers far from zero", async () => {
  const { model, windows } = tableModel(normals(NUMBERS, 6).map((x) => x + 4096), 256);
  const [found] = await activationStatistics(model, windows, ["embedding"], { batchSize: 16 });
  assert.ok(Math.abs(found!.deviation - 1) < 0.03, `${found!.deviation}`);
  assert.equal(found!.outlierShare, 1);
}, { only: ["cpu"] });

onEveryBackend("activationStatistics() follows the text in its trend", async () => {
  // Row r of the table is ±0.5 about r, so that window w of 4 tokens has mean 4 w + 1.5.
  const values = Float32Array.from({ length: 40 * 2 }, (_, i) => Math.floor(i / 2) + i % 2 - 0.5);
  const { model, windows } = tableModel(values, 40);
  const trendOf = async (parts?: number) => {
    const options = { batchSize: 3, ...(parts && { parts }) };
    const [found] = await activationStatistics(model, windows, ["embedding"], options);
    return found!.trend;
  };
  // The variance of 0 … 3 is 1.25, of 0 … 7 5.25; ±0.5 adds 0.25.
  const each = await trendOf();
  assert.deepEqual(each.map(({ mean }) => mean), [
    1.5,
    5.5,
    9.5,
    13.5,
    17.5,
    21.5,
    25.5,
    29.5,
    33.5,
    37.5,
  ]);
  assertClose(
    each.map(({ deviation }) => deviation),
    new Array(10).fill(Math.sqrt(1.5)),
    1e-12,
    "each",
  );
  const pairs = await trendOf(5);
  assert.deepEqual(pairs.map(({ mean }) => mean), [3.5, 11.5, 19.5, 27.5, 35.5]);
  assertClose(
    pairs.map(({ deviation }) => deviation),
    new Array(5).fill(Math.sqrt(5.5)),
    1e-12,
    "pairs",
  );
  const thirds = await trendOf(3);
  assert.deepEqual(thirds.map(({ mean }) => mean), [7.5, 21.5, 33.5], "4, 3 and 3 windows");
}, { only: ["cpu"] });

onEveryBackend("activationStatistics() of equal numbers has no spread", async () => {
  const { model, windows } = tableModel(new Float32Array(24).fill(0.1), 12);
  const options = { batchSize: 2, bins: 4 };
  const [found] = await activationStatistics(model, windows, ["embedding"], options);
  const tenth = Math.fround(0.1);
  const { low, high, mean, deviation, excessKurtosis, histogram, trend } = found!;
  assert.deepEqual([low, high, mean, deviation, excessKurtosis], [tenth, tenth, tenth, 0, NaN]);
  assertClose(histogram.edges, [-0.4, -0.15, 0.1, 0.35, 0.6], 1e-6, "edges");
  assert.deepEqual(histogram.counts, [0, 0, 24, 0]);
  assert.deepEqual(trend, new Array(3).fill({ mean: tenth, deviation: 0 }));
}, { only: ["cpu"] });

onEveryBackend(
  "activationStatistics() gives all modules at once as one by one, and frees",
  async () => {
    const model = estimated(AUGMENTED["mixer EEM"], PAD);
    const options = { batchSize: 2, bins: 4, parts: 2 };
    const names = moduleNames(model.params);
    const before = tensorCounts();
    const all = await activationStatistics(model, PADDED, "all", options);
    assert.deepEqual(all.map(({ module }) => module), names);
    for (const [i, name] of names.entries()) {
      assert.deepEqual(await activationStatistics(model, PADDED, [name], options), [all[i]]);
    }
    assert.deepEqual(tensorCounts(), before);
  },
  once,
);

onTensorFlow("activationStatistics() frees what it has compiled", async () => {
  const model = estimated(AUGMENTED["mixer EEM"]);
  const count = countFunctions();
  await activationStatistics(model, WINDOWS, "all", { batchSize: 2 });
  assert.deepEqual(count.stop(), [1, 1]);
});

onEveryBackend("activationStatistics() says in one line what it cannot do", async () => {
  const model = estimated(CAUSAL["mixer CLM"], PAD);
  const refused = (
    modules: readonly string[],
    options: { bins?: number; parts?: number; batchSize?: number } = {},
    { windows = WINDOWS, params = model.params } = {},
  ) =>
    refusalOf(() =>
      activationStatistics({ ...model, params }, windows, modules, { batchSize: 2, ...options })
    );
  assert.match(await refused(["down"]), /^module down: expected one of embedding, /);
  assert.match(await refused([]), /^modules: expected the name of one or more/);
  assert.match(await refused(["head"], { batchSize: 0 }), /^windows in a batch must be /);
  assert.match(await refused(["head"], { bins: 0 }), /^bins of a histogram must be /);
  assert.match(await refused(["head"], { parts: 0 }), /^runs of windows must be /);
  assert.equal(
    await refused(["head"], { parts: 4 }),
    "expected at most 3 runs, one a window, found 4",
  );
  const long = windowsOf(tinyIds(LENGTH + 1), LENGTH + 1);
  assert.match(await refused(["head"], {}, { windows: long }), /^expected windows of 5 tokens, /);
  // Only the last token is none, and no head is at that.
  const pads = windowsOf(Int32Array.from({ length: LENGTH }, (_, t) => t === LENGTH - 1 ? 2 : PAD));
  const before = tensorCounts();
  assert.equal(
    await refused(["head"], {}, { windows: pads }),
    "module head: expected activations at tokens, found them at pads alone",
  );
  assert.deepEqual(tensorCounts(), before);
  const broken = mapTree(
    model.params,
    (leaf, name) =>
      name === "head.weight" ? tensor(new Float32Array(leaf.size).fill(NaN), leaf.shape) : leaf,
  );
  assert.equal(
    await refused(["head"], {}, { params: broken }),
    "module head: expected finite activations, found a mean of NaN",
  );
}, { only: ["cpu"] });
