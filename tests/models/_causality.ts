/**
 * What logits `[S, B, V]`, or other outputs by position, depend on: the check that models must pass
 * and unmasked twins fail.
 */

import assert from "node:assert/strict";
import { type Tensor, tensor, transpose } from "../../lib/engine/mod.ts";
import type { Mode } from "../_backends.ts";
import { read } from "../_numbers.ts";
import { BATCH, changeToken, LENGTH, tinyIds } from "./_tiny.ts";

/** Logits `[S, B, V]`, flat, of ids `B × N`, row by row. */
export type LogitsOf = (ids: Int32Array) => Promise<Float32Array>;

/** Differences below are rounding; a dependence on a token is far above. */
const ROUNDING = 1e-5;

/** `logits` of ids `[N, B]` as `mode` runs them. */
export function logitsWith(mode: Mode, logits: (idsNB: Tensor) => Tensor): LogitsOf {
  const run = mode.compile((idsBN: Tensor) => logits(transpose(idsBN)));
  return (ids) => read(run(tensor(ids, [BATCH, LENGTH], "int32")));
}

/**
 * For each changed token t (row) and position p (column): whether the logits at p change. In models
 * that predict, position p holds token p and predicts token p + 1.
 */
export async function dependence(logitsOf: LogitsOf, positions: number): Promise<boolean[][]> {
  const ids = tinyIds();
  const original = await logitsOf(ids);
  const size = original.length / positions;
  const rows: boolean[][] = [];
  for (let token = 0; token < LENGTH; token++) {
    const changed = await logitsOf(changeToken(ids, token));
    rows.push(Array.from({ length: positions }, (_, position) => {
      const at = (logits: Float32Array) => logits.subarray(position * size, (position + 1) * size);
      return at(changed).some((one, i) => Math.abs(one - at(original)[i]!) > ROUNDING);
    }));
  }
  return rows;
}

/** Fails unless logits at p depend on token t exactly where `expected` says so. */
export async function assertDependence(
  logitsOf: LogitsOf,
  positions: number,
  expected: (token: number, position: number) => boolean,
  what = "what logits depend on",
): Promise<void> {
  const rows = Array.from(
    { length: LENGTH },
    (_, token) => Array.from({ length: positions }, (_, position) => expected(token, position)),
  );
  assert.deepEqual(await dependence(logitsOf, positions), rows, what);
}

/** Every position sees its own token and all before it, and no later one. */
export async function assertCausal(
  logitsOf: LogitsOf,
  what = "what logits depend on",
): Promise<void> {
  await assertDependence(logitsOf, LENGTH - 1, (token, position) => token <= position, what);
}
