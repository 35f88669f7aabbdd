/**
 * One slot of T at a time: what the layers that exchange information between positions need to read
 * tokens one by one. The slot's number is a tensor, so that one compiled function serves all slots.
 *
 * Legend: T slots, R the numbers of one slot.
 */

import {
  add,
  cast,
  embeddingLookup,
  equal,
  greaterEqual,
  mul,
  range,
  reshape,
  type Tensor,
} from "../engine/mod.ts";

export type Slot = Readonly<{
  /** The slot's number, int32 `[1]`. */
  index: Tensor;
  /** 1 at the slot and 0 elsewhere, `[T, 1]`. */
  isSlotT1: Tensor;
  /** 1 up to the slot and 0 beyond it, `[1, T]`. */
  isPast1T: Tensor;
}>;

/** Slot `index` (int32 scalar or `[1]`) of `length`. */
export function slotAt(index: Tensor, length: number): Slot {
  const slots = range(0, length, 1, "int32");
  const column = (isTrueT: Tensor) => reshape(cast(isTrueT, "float32"), [length, 1]);
  const index1 = reshape(index, [1]);
  return {
    index: index1,
    isSlotT1: column(equal(slots, index1)),
    isPast1T: reshape(column(greaterEqual(index1, slots)), [1, length]),
  };
}

/** The slot's row `[1, …]` of a table `[T, …]`. */
export function rowAt(table: Tensor, { index }: Slot): Tensor {
  const [length, ...row] = table.shape as [number, ...number[]];
  return reshape(embeddingLookup(reshape(table, [length, -1]), index), [1, ...row]);
}

/**
 * What is remembered of all slots, `[…, T, R]`, with the slot's own `[…, 1, R]`, where it had zeros:
 * a sum, which XLA computes in one pass.
 */
export function remember(cacheTR: Tensor, x1R: Tensor, { isSlotT1 }: Slot): Tensor {
  return add(cacheTR, mul(x1R, isSlotT1));
}
