/** Batches on the device. */

import { type Tensor, tensor } from "../engine/mod.ts";
import type { WindowRows } from "../text/mod.ts";

/**
 * A batch of B windows of N tokens: ids int32 `[B, N]` and, where the windows have them, the values
 * that models may learn, `[B, N]`.
 */
export type Batch = Readonly<{ idsBN: Tensor; valuesBN?: Tensor }>;

/** Rows of windows as tensors, which the caller frees. */
export function batchTensors({ ids, values }: WindowRows, contextLength: number): Batch {
  const shape: [number, number] = [ids.length / contextLength, contextLength];
  const idsBN = tensor(ids, shape, "int32");
  return values === undefined ? { idsBN } : { idsBN, valuesBN: tensor(values, shape) };
}
