import assert from "node:assert/strict";
import { mapTree, tensor, transpose, zerosLike } from "../../lib/engine/mod.ts";
import {
  type EstimatedModel,
  predictiveEntropies,
  softmaxEntropy,
  tokenCrossEntropies,
  type WindowEstimates,
  windowEstimates,
} from "../../lib/entropy/mod.ts";
import { modelLogits } from "../../lib/models/mod.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import {
  AUGMENTED,
  autoencoder,
  CAUSAL,
  changeToken,
  leftPadded,
  LENGTH,
  mixer,
  PAD,
  tinyIds,
  VOCABULARY,
} from "../models/_tiny.ts";
import { assertEstimates, estimated, joined, refusalOf, windowsOf } from "./_estimated.ts";

const once = { oncePerBackend: true };

/** softmax of logits, in float64. */
function probabilities(logits: ArrayLike<number>): number[] {
  const weights = Array.from(logits, Math.exp);
  const total = weights.reduce((sum, weight) => sum + weight);
  return weights.map((weight) => weight / total);
}

function entropy(logits: ArrayLike<number>): number {
  return probabilities(logits).reduce((sum, p) => sum - p * Math.log(p), 0);
}

/** Estimates by `value` from the logits that predict a token, and the token. */
async function byLoops(
  { config, params, padId }: EstimatedModel,
  windows: WindowIds,
  value: (logits: Float32Array, id: number) => number,
): Promise<WindowEstimates> {
  const { count, contextLength, ids } = windows;
  const idsNB = transpose(tensor(ids, [count, contextLength], "int32"));
  const logits = await read(modelLogits(config, params, idsNB, { padId }));
  return windowEstimates(windows, padId, (window, position) => {
    const at = ((position - 1) * count + window) * VOCABULARY;
    return value(logits.subarray(at, at + VOCABULARY), ids[window * contextLength + position]!);
  });
}

onEveryBackend("softmaxEntropy() is Σ −p ln p, however large the logits are", async (mode) => {
  const logits = normals(3 * VOCABULARY, 5, 4);
  const rows = [0, 1, 2].map((row) => logits.subarray(row * VOCABULARY, (row + 1) * VOCABULARY));
  const run = mode.compile(softmaxEntropy);
  const special = [
    ...new Array(VOCABULARY).fill(-3e4),
    ...[3e4, ...new Array(VOCABULARY - 1).fill(0)],
    ...[88, 88, ...new Array(VOCABULARY - 2).fill(-1e9)],
  ];
  const found = await read(run(tensor(logits, [3, VOCABULARY])));
  assertClose(found, rows.map(entropy), 1e-6, "random logits");
  assertClose(
    await read(run(tensor(special, [3, VOCABULARY]))),
    [Math.log(VOCABULARY), 0, Math.LN2],
    1e-6,
    "uniform, certain, two of them",
  );
});

onEveryBackend("predictiveEntropies() are those of the softmax, token by token", async () => {
  const windows = joined(tinyIds(), leftPadded(2));
  for (const [name, config] of Object.entries(CAUSAL)) {
    for (const padId of [null, PAD]) {
      const model = estimated(config, padId);
      const expected = await byLoops(model, windows, entropy);
      for (const batchSize of [3, undefined]) {
        const found = await predictiveEntropies(model, windows, { batchSize });
        assertEstimates(found, expected, 1e-5, `${name}, pad id ${padId}`);
      }
    }
  }
}, once);

onEveryBackend("predictiveEntropies() of a model without opinion are ln V", async () => {
  const model = estimated(CAUSAL["transformer CLM"]);
  const params = mapTree(
    model.params,
    (leaf, name) => name.startsWith("head") ? zerosLike(leaf) : leaf,
  );
  const windows = windowsOf(tinyIds());
  const expected = windowEstimates(windows, null, () => Math.log(VOCABULARY));
  for (const estimate of [predictiveEntropies, tokenCrossEntropies]) {
    assertEstimates(await estimate({ ...model, params }, windows), expected, 1e-6, estimate.name);
  }
}, once);

onEveryBackend("predictiveEntropies() are the mean loss over what may come", async () => {
  const model = estimated(CAUSAL["transformer CLM"]);
  const beginning = tinyIds().slice(0, LENGTH - 1);
  const windows = joined(
    ...Array.from({ length: VOCABULARY }, (_, id) => Int32Array.of(...beginning, id)),
  );
  const [losses, entropies] = [
    await tokenCrossEntropies(model, windows),
    await predictiveEntropies(model, windows),
  ].map((estimates) => estimates.map((window) => window.at(-1)!));
  const mean = losses!.reduce((sum, loss) => sum + Math.exp(-loss) * loss, 0);
  assertClose(entropies!, entropies!.map(() => mean), 1e-5, "Σ p · CE");
}, once);

onEveryBackend("estimates of a token come from the tokens before it", async () => {
  const model = estimated(CAUSAL["transformer CLM"]);
  const ids = tinyIds();
  for (let position = 0; position < LENGTH; position++) {
    const differing = async (estimate: typeof predictiveEntropies) => {
      const [before, after] = [
        await estimate(model, windowsOf(ids)),
        await estimate(model, windowsOf(changeToken(ids, position))),
      ];
      return before[0]!.flatMap((one, t) => {
        const other = after[0]![t]!;
        return one !== null && Math.abs(one - other) > 1e-3 ? [t] : [];
      });
    };
    const positions = [...Array(LENGTH).keys()].slice(1);
    assert.deepEqual(
      await differing(predictiveEntropies),
      positions.filter((t) => t > position),
      `entropy, token ${position}`,
    );
    assert.deepEqual(
      await differing(tokenCrossEntropies),
      positions.filter((t) => t >= position),
      `loss, token ${position}`,
    );
  }
}, once);

onEveryBackend(
  "tokenCrossEntropies() are −ln p of the token, of any next-token model",
  async () => {
    const { decoder } = AUGMENTED["mixer EEM"];
    const zeros = { kind: "augmented", memory: "zeros", decoder } as const;
    const windows = joined(tinyIds(), leftPadded(3));
    for (const [name, config] of Object.entries({ ...CAUSAL, ...AUGMENTED, zeros })) {
      for (const padId of [null, PAD]) {
        const model = estimated(config, padId);
        const expected = await byLoops(
          model,
          windows,
          (logits, id) => -Math.log(probabilities(logits)[id]!),
        );
        const found = await tokenCrossEntropies(model, windows);
        assertEstimates(found, expected, 1e-5, `${name}, pad id ${padId}`);
      }
    }
  },
  once,
);

onEveryBackend("predictive estimators refuse models that predict otherwise", async () => {
  const windows = windowsOf(tinyIds());
  const eem = estimated(AUGMENTED["mixer EEM"]);
  assert.equal(
    await refusalOf(() => predictiveEntropies(eem, windows)),
    "predictive-entropy: expected a model of kind causal, found augmented; a model with a memory has " +
      "been told the sequence that it predicts",
  );
  const autoencoding = estimated(autoencoder(mixer, mixer, "repeat"));
  assert.match(
    await refusalOf(() => tokenCrossEntropies(autoencoding, windows)),
    /^loss: expected a model of kind causal or augmented, found autoencoder; /,
  );
}, { only: ["cpu"] });
