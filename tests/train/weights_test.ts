import assert from "node:assert/strict";
import { memory, tensor } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { restoreTree, storeTree } from "../../lib/train/weights.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";

const treeOf = (...values: number[]) => ({
  head: { weight: tensor(values.slice(0, 2), [1, 2]) },
  blocks: [{ bias: tensor(values.slice(2)) }],
});

onEveryBackend("restoreTree() gives back what storeTree() took", async () => {
  const original = treeOf(1, 2, 3, 4, 5);
  const stored = await storeTree(original);
  assert.deepEqual([...stored.keys()], ["head.weight", "blocks.0.bias"]);
  original.head.weight.dispose();
  const example = treeOf(0, 0, 0, 0, 0);
  const restored = restoreTree(example, stored, "x");
  assert.deepEqual(restored.head.weight.shape, [1, 2]);
  assert.deepEqual([...await read(restored.head.weight)], [1, 2]);
  assert.deepEqual([...await read(restored.blocks[0]!.bias)], [3, 4, 5]);
  assert.deepEqual([...await read(example.head.weight)], [0, 0], "the example must stay");
}, { only: ["tensorflow eager", "wasm", "cpu"] });

onEveryBackend("restoreTree() finds a tree under its prefix", async () => {
  const stored = await storeTree(treeOf(1, 2, 3), "params");
  assert.deepEqual([...stored.keys()], ["params.head.weight", "params.blocks.0.bias"]);
  const restored = restoreTree(treeOf(0, 0, 0), stored, "x", "params");
  assert.deepEqual([...await read(restored.blocks[0]!.bias)], [3]);
}, { only: ["cpu"] });

onEveryBackend("restoreTree() names the tensor that is missing or of another shape", async () => {
  const message = (stored: Parameters<typeof restoreTree>[1]) => {
    try {
      restoreTree(treeOf(0, 0, 0), stored, "model.safetensors");
    } catch (error) {
      assert.ok(error instanceof UserError, String(error));
      return error.message;
    }
    assert.fail("expected an error");
  };
  assert.equal(
    message(await storeTree({ head: { weight: tensor([1, 2], [1, 2]) } })),
    "model.safetensors: expected blocks.0.bias of shape [1], found no such tensor; " +
      "is it the weights file of another model?",
  );
  assert.match(
    message(await storeTree(treeOf(1, 2, 3, 4))),
    /blocks\.0\.bias of shape \[1\], found \[2\]/,
  );
}, { only: ["cpu"] });

onEveryBackend("restoreTree() frees what it made before an error", async () => {
  const example = treeOf(0, 0, 0);
  // The first tensor fits, the second does not.
  const stored = await storeTree(treeOf(1, 2, 3, 4));
  const before = memory();
  assert.throws(() => restoreTree(example, stored, "x"), UserError);
  assert.equal(memory().numTensors, before.numTensors);
  assert.equal(memory().numBytes, before.numBytes);
  assert.deepEqual([...await read(example.head.weight)], [0, 0], "the example must stay");
}, { only: ["tensorflow eager", "wasm", "cpu"] });
