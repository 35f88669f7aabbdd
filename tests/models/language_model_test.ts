import assert from "node:assert/strict";
import {
  countElements,
  disposeTree,
  mapTree,
  type Tensor,
  tensor,
  transpose,
} from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  embeddingSize,
  initModel,
  type Model,
  type ModelConfig,
  modelLogits,
  sampleLength,
  tokenLosses,
} from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { initTrainState, stepScalars } from "../../lib/train/adamw.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";
import { trainStepOf } from "./_golden.ts";
import {
  BATCH,
  CAUSAL,
  LENGTH,
  livelyModel,
  PAD,
  TINY_MODELS,
  tinyIds,
  transformer,
  VOCABULARY,
} from "./_tiny.ts";

type Losses = { losses: Float32Array; scored: Float32Array };

async function lossesOf(
  mode: Mode,
  config: ModelConfig,
  params: Model,
  ids: Int32Array,
  padId: number | null,
): Promise<Losses> {
  const run = mode.compile((params: Model, idsBN: Tensor) =>
    tokenLosses(config, params, idsBN, { padId })
  );
  const shape: [number, number] = [BATCH, ids.length / BATCH];
  const { lossTB, scoredTB } = run(params, tensor(ids, shape, "int32"));
  return { losses: await read(lossTB), scored: await read(scoredTB) };
}

/** Ids whose second row starts with `pads` pads. */
function leftPadded(pads: number): Int32Array {
  return tinyIds().map((id, i) => i >= LENGTH && i < LENGTH + pads ? PAD : id);
}

const once = { oncePerBackend: true };

for (const [name, config] of Object.entries(TINY_MODELS)) {
  onEveryBackend(`tokenLosses() of a ${name} score tokens 1 to N − 1`, async (mode) => {
    const params = livelyModel(config);
    const ids = tinyIds();
    const { losses, scored } = await lossesOf(mode, config, params, ids, null);
    assert.deepEqual([...scored], new Array(BATCH * (LENGTH - 1)).fill(1));
    const idsNB = transpose(tensor(ids, [BATCH, LENGTH], "int32"));
    const logits = await read(modelLogits(config, params, idsNB, { padId: null }));
    const expected = Array.from(losses, (_, row) => {
      const [t, b] = [Math.floor(row / BATCH), row % BATCH];
      const scores = logits.subarray(row * VOCABULARY, (row + 1) * VOCABULARY);
      const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
      return Math.log(total) - scores[ids[b * LENGTH + t + 1]!]!;
    });
    assertClose(losses, expected, 1e-5, "losses of targets t + 1");
  }, once);

  onEveryBackend(`tokenLosses() of a ${name} leave pads out`, async (mode) => {
    const params = livelyModel(config);
    const { losses, scored } = await lossesOf(mode, config, params, leftPadded(3), PAD);
    const columnOf = (numbers: Float32Array, sample: number) =>
      Array.from({ length: LENGTH - 1 }, (_, t) => numbers[t * BATCH + sample]!);
    assert.deepEqual(columnOf(scored, 0), [1, 1, 1, 1]);
    assert.deepEqual(columnOf(scored, 1), [0, 0, 1, 1]);
    assert.deepEqual(columnOf(losses, 1).map((loss) => loss === 0), [true, true, false, false]);
    assert.ok([...losses].every(Number.isFinite));
  }, once);

  onEveryBackend(`compileTrainStep() makes a ${name} overfit one batch`, async (mode) => {
    const step = trainStepOf(mode, { config, padId: PAD });
    let state = initTrainState(initModel(config, createRandom(5)));
    const idsBN = tensor(leftPadded(1), [BATCH, LENGTH], "int32");
    let first = 0, last = Infinity;
    for (let index = 0; index < 150 && last >= 0.1 * first; index++) {
      const scalars = stepScalars(0.01, index);
      const { state: after, loss, gradientNorm } = step(state, scalars, idsBN);
      [state, gradientNorm, scalars].forEach(disposeTree);
      state = after;
      last = (await read(loss))[0]!;
      if (index === 0) first = last;
    }
    assert.ok(last < 0.1 * first, `loss ${first} → ${last}`);
    step.dispose();
  }, { only: ["tensorflow graph", "webgpu", "wasm"] });
}

// The last pad predicts the first token, from its own embedding: all later losses must not see it.
for (const name of ["transformer CLM", "transformer EEM"]) {
  onEveryBackend(`tokenLosses() of a ${name} do not see what a pad is`, async (mode) => {
    const config = TINY_MODELS[name]!;
    const params = livelyModel(config);
    const changed = mapTree(params, (leaf, name) => {
      if (!name.endsWith("embedding.weight")) return leaf;
      const values = leaf.dataSync() as Float32Array;
      const width = leaf.shape[1]!;
      return tensor(
        values.map((value, i) => Math.floor(i / width) === PAD ? 3 - value : value),
        leaf.shape,
      );
    });
    const [before, after] = [
      await lossesOf(mode, config, params, leftPadded(2), PAD),
      await lossesOf(mode, config, changed, leftPadded(2), PAD),
    ];
    const differs = Array.from(
      before.losses,
      (loss, i) => Math.abs(loss - after.losses[i]!) > 1e-5,
    );
    // Rows of t, columns of samples: of the padded second sample only target 2, the first token.
    assert.deepEqual(differs, [false, false, false, true, false, false, false, false]);
  }, { only: ["tensorflow graph", "webgpu", "wasm", "cpu"] });
}

onEveryBackend(
  "tokenLosses() of a padded transformer are those of the text alone",
  async (mode) => {
    const config = CAUSAL["transformer CLM"];
    const params = livelyModel(config);
    const pads = 2;
    const padded = await lossesOf(mode, config, params, leftPadded(pads), PAD);
    const short = { kind: "causal", backbone: transformer(LENGTH - pads) } as const;
    const text = tinyIds().filter((_, i) => i % LENGTH >= pads);
    const alone = await lossesOf(mode, short, params, text, PAD);
    // Rotary positions count from the first pad, but only their differences matter. The text's first
    // token is no target where it stands alone.
    const ofSecondSample = (losses: Float32Array) => losses.filter((_, i) => i % BATCH === 1);
    assertClose(
      ofSecondSample(padded.losses).slice(pads),
      ofSecondSample(alone.losses),
      1e-5,
      "losses of the padded sample",
    );
  },
  once,
);

onEveryBackend("tokenLosses() refuse samples that are not of the model's context", () => {
  for (const [name, config] of Object.entries(TINY_MODELS)) {
    const params = livelyModel(config);
    // An augmented decoder has a slot more than its context: as many tokens are too many.
    for (const length of [LENGTH - 1, LENGTH + 1]) {
      const idsBN = tensor(tinyIds(length), [BATCH, length], "int32");
      assert.throws(
        () => tokenLosses(config, params, idsBN, { padId: null }),
        (error) =>
          error instanceof UserError && error.message ===
            `expected samples of ${LENGTH} tokens, the model's context, found ${length}`,
        `${name}, ${length} tokens`,
      );
    }
  }
}, { only: ["cpu"] });

Deno.test("sampleLength() leaves the memory slot out", () => {
  for (const config of Object.values(TINY_MODELS)) assert.equal(sampleLength(config), LENGTH);
});

Deno.test("embeddingSize() is what a model is handed", () => {
  const decoder = transformer(LENGTH + 1);
  assert.equal(embeddingSize(TINY_MODELS["mixer CLM"]!), 0);
  assert.equal(embeddingSize(TINY_MODELS["mixer EEM"]!), 3);
  assert.equal(embeddingSize({ kind: "augmented", memory: "zeros", decoder }), 0);
});

onEveryBackend("initModel() is a function of configuration and seed alone", async () => {
  for (const config of Object.values(TINY_MODELS)) {
    const valuesOf = async (seed: number) => {
      const params = initModel(config, createRandom(seed));
      assert.ok(countElements(params) > 0);
      const numbers: number[] = [];
      const leaves: Tensor[] = [];
      mapTree(params, (leaf) => (leaves.push(leaf), leaf));
      for (const leaf of leaves) numbers.push(...await read(leaf));
      return numbers.join();
    };
    assert.equal(await valuesOf(1), await valuesOf(1));
    assert.notEqual(await valuesOf(1), await valuesOf(2));
  }
}, { only: ["cpu"] });
