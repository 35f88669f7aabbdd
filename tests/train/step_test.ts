import assert from "node:assert/strict";
import { tensor } from "../../lib/engine/mod.ts";
import { meanLoss } from "../../lib/train/step.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";

onEveryBackend("meanLoss() is one mean over the batch, not a mean of sample means", async () => {
  const lossTB = tensor([1, 2, 4, 0], [2, 2]);
  assert.deepEqual([...await read(meanLoss({ lossTB, scoredTB: tensor([1, 1, 1, 0], [2, 2]) }))], [
    Math.fround(7 / 3),
  ]);
}, { oncePerBackend: true });

onEveryBackend("meanLoss() of a batch without targets is 0", async () => {
  const nothing = tensor([0, 0], [1, 2]);
  assert.deepEqual([...await read(meanLoss({ lossTB: nothing, scoredTB: nothing }))], [0]);
}, { oncePerBackend: true });
