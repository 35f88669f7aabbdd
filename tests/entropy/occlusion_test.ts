import assert from "node:assert/strict";
import { add, mapTree, tensor, transpose, zerosLike } from "../../lib/engine/mod.ts";
import {
  type Contrast,
  cosineDistance,
  memoryOcclusion,
  memoryShift,
  shiftNoise,
  windowEstimates,
} from "../../lib/entropy/mod.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  augmentedLogits,
  type AugmentedOptions,
  JOINS,
  visibleTokens,
} from "../../lib/models/mod.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import {
  AUGMENTED,
  augmented,
  CAUSAL,
  EMBEDDING_SIZE,
  leftPadded,
  lstm,
  mixer,
  PAD,
  tinyIds,
  transformer,
  VOCABULARY,
} from "../models/_tiny.ts";
import { assertEstimates, estimated, joined, refusalOf, windowsOf } from "./_estimated.ts";

const once = { oncePerBackend: true };
const METRICS = ["l1", "cosine", "loss"] as const;

/** The three measures of two predictions of token `id`, in float64. */
function contrastByLoops(a: Float32Array, b: Float32Array, id: number) {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, one, v) => sum + one * y[v]!, 0);
  const loss = (logits: Float32Array) =>
    Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[id]!;
  return {
    l1: a.reduce((sum, one, v) => sum + Math.abs(one - b[v]!), 0),
    cosine: 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)),
    loss: Math.abs(loss(a) - loss(b)),
  };
}

/** A model's run compared with the same run under `options`. */
async function contrastOfRuns(
  { config, params, padId }: {
    config: AugmentedDecoderConfig;
    params: AugmentedDecoder;
    padId: number | null;
  },
  windows: WindowIds,
  options: AugmentedOptions,
): Promise<Contrast> {
  const { count, contextLength, ids } = windows;
  const idsNB = transpose(tensor(ids, [count, contextLength], "int32"));
  const visibleBN = visibleTokens(idsNB, padId);
  const [a, b] = [
    await read(augmentedLogits(config, params, idsNB, visibleBN)),
    await read(augmentedLogits(config, params, idsNB, visibleBN, options)),
  ];
  const measured = (metric: keyof Contrast) =>
    windowEstimates(windows, padId, (window, position) => {
      const at = ((position - 1) * count + window) * VOCABULARY;
      const row = (logits: Float32Array) => logits.subarray(at, at + VOCABULARY);
      return contrastByLoops(row(a!), row(b!), ids[window * contextLength + position]!)[metric];
    });
  return { l1: measured("l1"), cosine: measured("cosine"), loss: measured("loss") };
}

function augmentedModel(config: AugmentedDecoderConfig, padId: number | null = null) {
  const { params } = estimated(config);
  return { config, padId, params: params as AugmentedDecoder };
}

const windows = joined(tinyIds(), leftPadded(2));

onEveryBackend("memoryOcclusion() compares runs with and without the memory", async () => {
  for (const join of JOINS) {
    for (const decoder of [mixer, transformer, lstm]) {
      for (const padId of [null, PAD]) {
        const model = augmentedModel(augmented(mixer, decoder, join), padId);
        const expected = await contrastOfRuns(model, windows, { occluded: true });
        const found = await memoryOcclusion(model, windows, { batchSize: 3 });
        for (const metric of METRICS) {
          const what = `${metric}, ${join} join, ${decoder.name}, pad id ${padId}`;
          assertEstimates(found[metric], expected[metric], 2e-5, what);
          assert.ok(found[metric].flat().some((one) => one! > 1e-2), `${what}: no change`);
        }
      }
    }
  }
}, once);

onEveryBackend("memoryOcclusion() of a memory that is zero anyway is zero", async () => {
  const nothing = windowEstimates(windowsOf(tinyIds()), null, () => 0);
  for (
    const config of [
      augmented(mixer, transformer, "embedding"),
      augmented(transformer, mixer, "linear"),
      augmented(transformer, mixer, "token"), // a mixer's slot is there in both runs
    ]
  ) {
    const model = augmentedModel(config);
    const params = mapTree(
      model.params,
      (leaf, name) => /^(down|up|projection)\./.test(name) ? zerosLike(leaf) : leaf,
    );
    const found = await memoryOcclusion({ ...model, params }, windowsOf(tinyIds()));
    assert.deepEqual(found, { l1: nothing, cosine: nothing, loss: nothing }, config.join);
  }
}, once);

onEveryBackend("memoryShift() compares runs with and without noise on the embedding", async () => {
  for (const join of JOINS) {
    const model = augmentedModel(augmented(transformer, transformer, join), PAD);
    for (const { width, seed } of [{ width: 0.25, seed: 0 }, { width: 2, seed: 7 }]) {
      const rows = [...Array(windows.count).keys()];
      const [noiseBP] = shiftNoise(EMBEDDING_SIZE, width, seed)(rows);
      const expected = await contrastOfRuns(model, windows, { hook: (zBP) => add(zBP, noiseBP!) });
      for (const batchSize of [3, undefined]) {
        const options = width === 0.25 ? { batchSize } : { batchSize, width, seed };
        const found = await memoryShift(model, windows, options);
        for (const metric of METRICS) {
          assertEstimates(found[metric], expected[metric], 3e-5, `${metric}, ${join} join`);
        }
        assert.ok(found.l1.flat().every((one) => one === null || one > 1e-3), `${join}: no change`);
      }
    }
  }
}, once);

onEveryBackend("shiftNoise() is uniform around zero, and a window's own", async () => {
  const size = 500, width = 0.5;
  const of = async (windows: number[], seed = 3) =>
    await read(shiftNoise(size, width, seed)(windows)[0]!);
  const noise = await of([0, 1, 2, 3]);
  const mean = noise.reduce((sum, one) => sum + one, 0) / noise.length;
  const variance = noise.reduce((sum, one) => sum + (one - mean) ** 2, 0) / noise.length;
  // Standard errors over 2,000 numbers: 0.0032 of the mean, 0.0004 of the variance.
  assert.ok(Math.abs(mean) < 0.012, `mean ${mean}`);
  assert.ok(Math.abs(variance - width ** 2 / 12) < 0.0016, `variance ${variance}`);
  assert.ok(Math.max(...noise) <= width / 2 && Math.max(...noise) > 0.49 * width);
  assert.ok(Math.min(...noise) >= -width / 2 && Math.min(...noise) < -0.49 * width);
  assert.deepEqual(
    await of([2, 2]),
    Float32Array.of(...noise.subarray(2 * size, 3 * size), ...noise.subarray(2 * size, 3 * size)),
  );
  assert.notDeepEqual(await of([2], 4), await of([2], 3));
  assert.notDeepEqual(await of([1]), await of([2]));
}, { only: ["cpu"] });

onEveryBackend("cosineDistance() is 1 − cos, in [0, 2]", async (mode) => {
  const run = mode.compile(cosineDistance);
  const rows = (...vectors: number[][]) => tensor(vectors.flat(), [vectors.length, 3]);
  const found = await read(run(
    rows([1, 2, -3], [1, 2, -3], [1, 2, 0], [3, 4, 0]),
    rows([2, 4, -6], [-5, -10, 15], [0, 0, 7], [4, 3, 0]),
  ));
  assertClose(found, [0, 2, 1, 1 - 24 / 25], 1e-6, "scaled, opposite, orthogonal, between");
});

onEveryBackend("cosineDistance() resolves vectors that hardly differ", async (mode) => {
  const a = normals(VOCABULARY, 8);
  const b = a.map((one, v) => one + (v % 2 === 0 ? 1e-4 : -1e-4));
  const of = (values: Float32Array) => tensor(values, [1, VOCABULARY]);
  const [found] = await read(mode.compile(cosineDistance)(of(a), of(b)));
  const expected = contrastByLoops(a, b, 0).cosine;
  assert.ok(Math.abs(found! / expected - 1) < 1e-2, `expected ${expected}, found ${found}`);
});

onEveryBackend("memory estimators refuse what has no memory, and odd noise", async () => {
  const { decoder } = AUGMENTED["mixer EEM"];
  const zeros = estimated({ kind: "augmented", memory: "zeros", decoder });
  const causal = estimated(CAUSAL["mixer CLM"]);
  assert.match(
    await refusalOf(() => memoryOcclusion(zeros, windows)),
    /^occlusion: expected an encoder-augmented model.*found one of zeros$/,
  );
  assert.match(await refusalOf(() => memoryShift(causal, windows)), /^shift: .*found kind causal$/);
  const model = estimated(AUGMENTED["mixer EEM"]);
  for (const width of [0, -1, NaN, Infinity]) {
    assert.match(
      await refusalOf(() => memoryShift(model, windows, { width })),
      /noise of a width above zero, found/,
    );
  }
  assert.match(
    await refusalOf(() => memoryShift(model, windows, { seed: 0.5 })),
    /expected an integer seed, found 0.5/,
  );
}, { only: ["cpu"] });
