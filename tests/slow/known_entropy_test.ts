/** Models trained on sources of known entropy come to the truth: in loss and in what they expect. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { disposeTree, initEngine } from "../../lib/engine/mod.ts";
import { predictiveEntropies } from "../../lib/entropy/mod.ts";
import {
  loadWeights,
  prepareData,
  runAll,
  type RunSpec,
  sourceData,
} from "../../lib/experiments/mod.ts";
import { checkSource } from "../../lib/text/mod.ts";
import { ADAMW_DEFAULTS } from "../../lib/train/mod.ts";
import { withFiles } from "../text/_temporary.ts";

await initEngine({ log: () => {} });

/** How far from the truth a trained model may be, nats a token. */
const TOLERANCE = 0.02;
const EXTENT = { length: 1_200_000, seed: 1 };

const SOURCES = {
  "an i.i.d. source": {
    kind: "iid",
    probabilities: [0.4, 0.2, 0.15, 0.1, 0.08, 0.04, 0.02, 0.01],
    ...EXTENT,
  },
  "a Markov source of order 1": { kind: "markov", symbols: 8, concentration: 0.3, ...EXTENT },
  "a Markov source of order 2": {
    kind: "markov",
    order: 2,
    symbols: 4,
    concentration: 0.5,
    ...EXTENT,
  },
};

function specOf(description: object): RunSpec {
  const contextLength = 12;
  const data = sourceData(checkSource(description, "source"), {
    layout: "packed",
    contextLength,
    heldOutWindows: 2000,
  });
  const { vocabSize } = data;
  return {
    arm: "CLM",
    family: "mixer",
    data,
    quantizedBits: [],
    training: {
      model: {
        kind: "causal",
        backbone: {
          architecture: "mixer",
          vocabSize,
          contextLength,
          width: 64,
          layerCount: 2,
          headCount: 4,
        },
      },
      optimizer: ADAMW_DEFAULTS,
      schedule: { peakRate: 4e-3, warmupSteps: 50, steps: 800 },
      batchSize: 64,
      seed: 1,
      logEvery: 200,
      evaluateEvery: 800,
    },
  };
}

for (const [name, description] of Object.entries(SOURCES)) {
  Deno.test(`a causal model of ${name} comes to its entropy`, () =>
    withFiles({}, async (folder) => {
      const folders = { runs: join(folder, "runs"), published: join(folder, "published") };
      const cacheFolder = join(folder, "cache");
      const spec = specOf(description);
      const [run] = await runAll([spec], { folders, cacheFolder });
      const evaluated = run!.records.findLast(({ type }) => type === "evaluation");
      const known = run!.records.find((record) =>
        record.type === "measurement" && record.what === "source entropy"
      );
      assert.ok(evaluated?.type === "evaluation");
      assert.ok(known?.type === "measurement" && known.what === "source entropy");
      const excess = evaluated.lossNats - known.surprisalNats;

      const { training: { heldOut } } = await prepareData(spec.data, { cacheFolder });
      const params = await loadWeights(folders, run!.config);
      const model = { config: spec.training.model, params, padId: null };
      const expected = await predictiveEntropies(model, heldOut, { batchSize: 64 });
      disposeTree(params);
      const nats = expected.flat().filter((value) => value !== null);
      assert.equal(nats.length, evaluated.scoredTokens);
      const mean = nats.reduce((a, b) => a + b) / nats.length;
      const difference = mean - known.entropyNats;

      console.log(
        `${name}: entropy ${known.entropyNats.toFixed(4)} nats, loss − surprisal ` +
          `${excess.toFixed(4)}, predictive − exact entropy ${difference.toFixed(4)}`,
      );
      assert.ok(Math.abs(excess) < TOLERANCE, `loss − surprisal is ${excess}`);
      assert.ok(Math.abs(difference) < TOLERANCE, `predictive − exact entropy is ${difference}`);
    }));
}
