/** What logits `[N−1, B, V]` depend on: the check that models must pass and unmasked twins fail. */

import assert from "node:assert/strict";
import { changeToken, LENGTH, tinyIds } from "./_tiny.ts";

/** Logits `[N−1, B, V]`, flat, of ids `B × N`, row by row. */
export type LogitsOf = (ids: Int32Array) => Promise<Float32Array>;

/** Differences below are rounding; a dependence on a token is far above. */
const ROUNDING = 1e-5;

/**
 * For each changed token t (row) and predicting position p (column): whether the logits at p
 * change. Position p holds token p and predicts token p + 1.
 */
export async function dependence(logitsOf: LogitsOf): Promise<boolean[][]> {
  const ids = tinyIds();
  const original = await logitsOf(ids);
  const size = original.length / (LENGTH - 1);
  const rows: boolean[][] = [];
  for (let token = 0; token < LENGTH; token++) {
    const changed = await logitsOf(changeToken(ids, token));
    rows.push(Array.from({ length: LENGTH - 1 }, (_, position) => {
      const at = (logits: Float32Array) => logits.subarray(position * size, (position + 1) * size);
      return at(changed).some((one, i) => Math.abs(one - at(original)[i]!) > ROUNDING);
    }));
  }
  return rows;
}

/** Every position sees its own token and all before it, and no later one. */
export async function assertCausal(logitsOf: LogitsOf): Promise<void> {
  assert.deepEqual(
    await dependence(logitsOf),
    Array.from(
      { length: LENGTH },
      (_, token) => Array.from({ length: LENGTH - 1 }, (_, position) => token <= position),
    ),
  );
}
