import assert from "node:assert/strict";
import { type Tensor, tensor, zeros } from "../../lib/engine/mod.ts";
import { remember, rowAt, slotAt } from "../../lib/layers/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";

const once = { oncePerBackend: true };

/** Slot 2 of 4. */
const third = () => slotAt(tensor([2], [1], "int32"), 4);

onEveryBackend("slotAt() tells a slot and those up to it", async () => {
  const { isSlotT1, isPast1T } = third();
  assert.deepEqual([isSlotT1.shape, isPast1T.shape], [[4, 1], [1, 4]]);
  assert.deepEqual([...await read(isSlotT1)], [0, 0, 1, 0]);
  assert.deepEqual([...await read(isPast1T)], [1, 1, 1, 0]);
}, once);

onEveryBackend("rowAt() takes one slot of a table", async (mode) => {
  const table = tensor(Float32Array.from({ length: 24 }, (_, at) => at), [4, 2, 3]);
  const row = mode.compile((index: Tensor) => rowAt(table, slotAt(index, 4)));
  for (const slot of [0, 3]) {
    const found = row(tensor(slot, [], "int32"));
    assert.deepEqual(found.shape, [1, 2, 3]);
    assert.deepEqual([...await read(found)], [0, 1, 2, 3, 4, 5].map((at) => 6 * slot + at));
  }
});

onEveryBackend("remember() fills one slot and leaves the others", async () => {
  const first = slotAt(tensor([0], [1], "int32"), 4);
  const one = remember(zeros([2, 4, 1]), tensor([5, 6], [2, 1, 1]), first);
  const two = remember(one, tensor([7, 8], [2, 1, 1]), third());
  assert.deepEqual([...await read(two)], [5, 0, 7, 0, 6, 0, 8, 0]);
}, once);
