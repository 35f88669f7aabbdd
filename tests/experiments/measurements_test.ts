import assert from "node:assert/strict";
import { memory, type Tensor, tensor, transpose } from "../../lib/engine/mod.ts";
import {
  measureEmbedding,
  measureFullWindows,
  measureSource,
} from "../../lib/experiments/measurements.ts";
import { pickWindows, type PreparedData } from "../../lib/experiments/data.ts";
import {
  type AugmentedDecoder,
  encodeSequence,
  tokenLosses,
  visibleTokens,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import type { Windows } from "../../lib/text/mod.ts";
import { compileEvaluator, evaluate, type TrainingData } from "../../lib/train/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { AUGMENTED, CAUSAL, LENGTH, livelyModel, PAD, VOCABULARY } from "../models/_tiny.ts";

const BATCH = 3;
const BACKENDS = { only: ["tensorflow graph", "wasm"] };

/** Random windows; of the padded ones every third is full. */
function windows(name: string, count: number, layout: Windows["layout"]): Windows {
  const random = createRandom(4).stream(name);
  const ids = Int32Array.from(
    { length: count * LENGTH },
    () => PAD + 1 + random.bits() % (VOCABULARY - PAD - 1),
  );
  const realTokens = new Int32Array(count).fill(LENGTH);
  for (let row = 0; layout === "padded" && row < count; row++) {
    const pads = row % 3;
    ids.fill(PAD, row * LENGTH, row * LENGTH + pads);
    realTokens[row]! -= pads;
  }
  return { contextLength: LENGTH, count, ids, realTokens, byteCounts: realTokens, layout };
}

function dataOf(layout: Windows["layout"], heldOutCount: number): TrainingData<Windows> {
  return {
    train: windows("train", 40, layout), // more than the 8 batches that scales are taken from
    heldOut: windows("held out", heldOutCount, layout),
    padId: layout === "padded" ? PAD : null,
  };
}

type Config = (typeof AUGMENTED)[keyof typeof AUGMENTED];

function rowTensor({ ids }: Windows, row: number) {
  return tensor(ids.slice(row * LENGTH, (row + 1) * LENGTH), [1, LENGTH], "int32");
}

/** The embedding of one window, alone in its batch. */
function embeddingOf(
  config: Config,
  params: AugmentedDecoder,
  all: Windows,
  row: number,
  pad: number | null,
) {
  const idsN1 = transpose(rowTensor(all, row));
  return [...encodeSequence(config, params, idsN1, visibleTokens(idsN1, pad)).dataSync()];
}

function total(values: Tensor): number {
  return Array.from(values.dataSync()).reduce((sum, value) => sum + value, 0);
}

/** Mean loss when every window, alone in its batch, gets the embedding given. */
function lossWith(
  config: Config,
  params: AugmentedDecoder,
  { heldOut, padId }: TrainingData,
  embeddings: readonly (readonly number[])[],
): number {
  let nats = 0, count = 0;
  embeddings.forEach((embedding, row) => {
    const hook = () => tensor([...embedding], [1, embedding.length]);
    const { lossTB, scoredTB } = tokenLosses(config, params, rowTensor(heldOut, row), {
      padId,
      hook,
    });
    nats += total(lossTB);
    count += total(scoredTB);
  });
  return nats / count;
}

function assertNear(found: number, expected: number, what: string): void {
  assert.ok(Math.abs(found - expected) < 2e-5, `${what}: ${found}, not ${expected}`);
}

for (const [name, config] of Object.entries(AUGMENTED)) {
  const layout = name.startsWith("mixer") ? "packed" : "padded";

  onEveryBackend(`measureEmbedding() of the ${name} equals windows taken one by one`, async () => {
    const params = livelyModel(config) as AugmentedDecoder;
    // Full batches; a rest of two; a rest of one, which has no neighbour.
    for (const count of [6, 8, 7]) {
      const data = dataOf(layout, count);
      const { heldOut, train, padId } = data;
      const z = (all: Windows, row: number) => embeddingOf(config, params, all, row, padId);
      const calibration = Array.from({ length: 8 * BATCH }, (_, row) => z(train, row));
      const scales = calibration[0]!.map((_, i) =>
        Math.max(...calibration.map((row) => Math.abs(row[i]!)))
      );
      const own = Array.from({ length: count }, (_, row) => z(heldOut, row));
      const rounded = (code: number) =>
        own.map((row) =>
          row.map((value, i) => {
            const share = Math.min(1, Math.max(-1, value / scales[i]!));
            return Math.round(share * code) / code * scales[i]!;
          })
        );
      // Each batch in a circle; the last window of a rest is the one that fills it up.
      const neighbours = Array.from({ length: count === 7 ? 6 : count }, (_, row) => {
        const start = row - row % BATCH;
        const last = Math.min(start + BATCH, count) - 1;
        return own[row === start ? last : row - 1]!;
      });
      const options = { batchSize: BATCH, quantizedBits: [2, 4] };
      const found = await measureEmbedding(config, params, data, options);
      assert.deepEqual(found.map(({ lossNats: _, ...record }) => record), [
        { type: "measurement", what: "quantized embedding", bits: 2 },
        { type: "measurement", what: "quantized embedding", bits: 4 },
        { type: "measurement", what: "foreign embedding" },
      ]);
      const losses = found.map((record) => record.lossNats);
      assertNear(losses[0]!, lossWith(config, params, data, rounded(1)), "2 bits");
      assertNear(losses[1]!, lossWith(config, params, data, rounded(7)), "4 bits");
      assertNear(losses[2]!, lossWith(config, params, data, neighbours), "foreign");
      const plain = lossWith(config, params, data, own);
      for (const loss of losses) assert.ok(Math.abs(loss - plain) > 1e-3, "each changes the loss");
    }
  }, BACKENDS);
}

onEveryBackend("measureEmbedding() has no neighbour in batches of one window", async () => {
  const config = AUGMENTED["mixer EEM"];
  const options = { batchSize: 1, quantizedBits: [4] };
  const data = dataOf("packed", 3);
  const found = await measureEmbedding(config, livelyModel(config), data, options);
  assert.deepEqual(found.map((record) => record.what), ["quantized embedding"]);
}, { only: ["cpu"] });

onEveryBackend("measureEmbedding() gives nothing without an embedding", async () => {
  const options = { batchSize: BATCH, quantizedBits: [4] };
  const data = dataOf("packed", 6);
  const causal = CAUSAL["mixer CLM"];
  assert.deepEqual(await measureEmbedding(causal, livelyModel(causal), data, options), []);
  const { decoder } = AUGMENTED["mixer EEM"];
  const zeros = { kind: "augmented", memory: "zeros", decoder } as const;
  assert.deepEqual(await measureEmbedding(zeros, livelyModel(zeros), data, options), []);
}, { only: ["cpu"] });

onEveryBackend("measureEmbedding() frees its tensors", async () => {
  const config = AUGMENTED["mixer EEM"];
  const params = livelyModel(config);
  const data = dataOf("packed", 7);
  const options = { batchSize: BATCH, quantizedBits: [4] };
  await measureEmbedding(config, params, data, options);
  const before = memory().numTensors;
  await measureEmbedding(config, params, data, options);
  assert.equal(memory().numTensors, before);
}, BACKENDS);

onEveryBackend("measureFullWindows() evaluates windows without pads alone", async () => {
  const config = CAUSAL["transformer CLM"];
  const params = livelyModel(config);
  const data = dataOf("padded", 8);
  const evaluator = compileEvaluator(config, { padId: PAD }, "graph");
  const full = pickWindows(data.heldOut, [0, 3, 6]);
  const expected = await evaluate(evaluator, params, full, BATCH);
  assert.deepEqual(await measureFullWindows(evaluator, params, data, BATCH), [
    { type: "measurement", what: "full windows", lossNats: expected.lossNats, windows: 3 },
  ]);
  const partial = pickWindows(data.heldOut, [1, 2, 4]);
  const withPartial = { ...data, heldOut: partial };
  assert.deepEqual(await measureFullWindows(evaluator, params, withPartial, BATCH), []);
  const packed = dataOf("packed", 8);
  assert.deepEqual(await measureFullWindows(evaluator, params, packed, BATCH), []);
}, { only: ["tensorflow graph"] });

Deno.test("measureSource() averages over the tokens that the loss averages over", () => {
  const heldOut: Windows = {
    contextLength: 4,
    count: 3,
    // Full; two pads; one pad.
    ids: Int32Array.of(2, 3, 4, 5, 0, 0, 6, 7, 0, 8, 9, 10),
    realTokens: Int32Array.of(4, 2, 3),
    byteCounts: Int32Array.of(3, 2, 3),
    layout: "padded",
  };
  const asked: number[][] = [];
  const prepared: PreparedData = {
    corpusKey: "test",
    tokenizer: null,
    training: { train: heldOut, heldOut, padId: 0 },
    bytesPerToken: 1,
    exact: (ids) => {
      asked.push(Array.from(ids));
      return {
        entropyNats: Float64Array.from(ids),
        surprisalNats: Float64Array.from(ids, (id) => id ** 2),
        corrupted: null,
      };
    },
    entropyRateNats: 1.5,
  };
  // All real tokens but the first of the full window, which nothing predicts.
  const scored = [3, 4, 5, 6, 7, 8, 9, 10];
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  assert.deepEqual(measureSource(prepared), [{
    type: "measurement",
    what: "source entropy",
    entropyNats: mean(scored),
    surprisalNats: mean(scored.map((id) => id ** 2)),
    rateNats: 1.5,
  }]);
  assert.deepEqual(asked, [[2, 3, 4, 5], [6, 7], [8, 9, 10]]);
  assert.deepEqual(measureSource({ ...prepared, exact: null, entropyRateNats: null }), []);
});
