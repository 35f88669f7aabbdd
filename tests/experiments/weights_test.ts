import assert from "node:assert/strict";
import { join } from "node:path";
import { disposeTree, memory } from "../../lib/engine/mod.ts";
import { loadEncoder, loadWeights, weightsHash, weightsPath } from "../../lib/experiments/mod.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import { UserError } from "../../lib/errors.ts";
import { writeFileAtomically } from "../../lib/files.ts";
import type { BackboneConfig, ModelConfig } from "../../lib/models/mod.ts";
import { formatWeights, startSession } from "../../lib/train/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { withFiles } from "../text/_temporary.ts";
import { valuesOf } from "../train/_tiny_training.ts";
import { tinySpec } from "./_tiny.ts";

const { model: AUTOENCODER } = tinySpec("", "ae").training;
assert.ok(AUTOENCODER.kind === "autoencoder");
const { encoder: MIXER } = AUTOENCODER;
assert.ok(MIXER.architecture === "mixer");
const TRANSFORMER: BackboneConfig = {
  architecture: "transformer",
  vocabSize: 270,
  contextLength: 8,
  width: 4,
  layerCount: 1,
  headCount: 1,
  positions: "learned",
};

/** A run whose weights are those that its model starts with, and their values. */
async function storeRun(folder: string, model: ModelConfig) {
  const folders = { runs: join(folder, "runs"), published: join(folder, "published") };
  const spec: RunSpec = tinySpec("", "clm", { model });
  const run = { id: "some-run", spec };
  const session = startSession(spec.training);
  await writeFileAtomically(weightsPath(folders, run.id), await formatWeights(session));
  const values = valuesOf(session.state.params);
  disposeTree(session.state);
  return { folders, run, values };
}

/** The leaves whose names begin so, without that beginning. */
function below(values: ReadonlyMap<string, number[]>, beginning: string): [string, number[]][] {
  return [...values].flatMap(([name, numbers]) =>
    name.startsWith(beginning) ? [[name.slice(beginning.length), numbers]] : []
  );
}

for (const [architecture, encoder] of Object.entries({ MIXER, TRANSFORMER })) {
  const decoder = { ...MIXER, width: 8 };
  const models: Readonly<Record<string, [ModelConfig, beginning: string]>> = {
    "an autoencoder": [{ ...AUTOENCODER, encoder }, "encoder."],
    "an EEM": [
      {
        kind: "augmented",
        memory: "embedding",
        encoder,
        decoder: { ...decoder, contextLength: 9 },
        embeddingSize: 2,
      },
      "encoder.",
    ],
    "a causal model": [{ kind: "causal", backbone: encoder }, ""],
  };
  for (const [name, [model, beginning]] of Object.entries(models)) {
    onEveryBackend(
      `loadEncoder() gives the ${architecture.toLowerCase()} of ${name}`,
      () =>
        withFiles({}, async (folder) => {
          const { folders, run, values } = await storeRun(folder, model);
          const before = memory().numTensors;
          // The same description in another order of keys.
          const expected = Object.fromEntries(Object.entries(encoder).reverse()) as BackboneConfig;
          const found = valuesOf(await loadEncoder(folders, run, expected));
          const stored = below(values, beginning).filter(([leaf]) => !leaf.startsWith("head."));
          assert.deepEqual(found, new Map(stored));
          assert.ok(found.has("embedding.weight") && found.size > 5);
          assert.equal(found.has("positions.weight"), encoder === TRANSFORMER);
          assert.equal(memory().numTensors - before, found.size, "the rest is freed");
        }),
      { only: ["cpu"] },
    );
  }
}

onEveryBackend(
  "loadEncoder() refuses an encoder that is another one, or none",
  () =>
    withFiles({}, async (folder) => {
      const { decoder } = AUTOENCODER;
      const zeros = { kind: "augmented", memory: "zeros", decoder } as const;
      const before = memory().numTensors;
      for (
        const [model, expected] of [
          [AUTOENCODER, { ...MIXER, width: 6 }],
          [AUTOENCODER, { ...MIXER, kernelSize: 2 }],
          [AUTOENCODER, TRANSFORMER],
          [{ kind: "causal", backbone: TRANSFORMER }, MIXER],
          [zeros, MIXER],
          [{ kind: "second-order", backbone: MIXER, shift: false }, MIXER],
        ] as const
      ) {
        const { folders, run } = await storeRun(folder, model);
        const found = model.kind === "causal"
          ? JSON.stringify(TRANSFORMER)
          : model.kind === "autoencoder"
          ? JSON.stringify(MIXER)
          : "a model without one";
        await assert.rejects(
          loadEncoder(folders, run, expected),
          (error) =>
            error instanceof UserError &&
            error.message ===
              `some-run: expected an encoder of ${JSON.stringify(expected)}, found ${found}`,
        );
      }
      assert.equal(memory().numTensors, before);
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "loadEncoder(), loadWeights() and weightsHash() need weights, which published runs have not",
  () =>
    withFiles({}, async (folder) => {
      const { folders, run } = await storeRun(folder, AUTOENCODER);
      await Deno.remove(weightsPath(folders, run.id));
      for (
        const load of [
          loadWeights(folders, run),
          loadEncoder(folders, run, MIXER),
          weightsHash(folders, run),
        ]
      ) {
        await assert.rejects(
          load,
          (error) =>
            error instanceof UserError && /expected the weights of a finished/.test(error.message),
        );
      }
    }),
  { only: ["cpu"] },
);

Deno.test("weightsHash() is the SHA-256 of the run's weights", () =>
  withFiles({}, async (folder) => {
    const folders = { runs: join(folder, "runs") };
    await writeFileAtomically(weightsPath(folders, "one"), new TextEncoder().encode("abc"));
    await writeFileAtomically(weightsPath(folders, "two"), new Uint8Array(0));
    // FIPS 180-2, B.1.
    assert.equal(
      await weightsHash(folders, { id: "one" }),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    assert.equal(
      await weightsHash(folders, { id: "two" }),
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
  }));
