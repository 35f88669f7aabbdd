import assert from "node:assert/strict";
import { UserError } from "../../../lib/errors.ts";
import { createRandom } from "../../../lib/random.ts";
import { type ChainStep, stationaryDistribution } from "../../../lib/text/sources/stationary.ts";
import { assertClose } from "../../_numbers.ts";
import { solveStationary } from "./_brute_force.ts";

function stationary(rows: readonly (readonly number[])[]): Float64Array {
  const steps = rows.flatMap((row, from) =>
    row.map((probability, to): ChainStep => [from, to, probability])
  );
  return stationaryDistribution(rows.length, steps);
}

Deno.test("stationaryDistribution() solves the balance of dense chains", () => {
  const random = createRandom(6);
  for (const size of [1, 2, 3, 7]) {
    const rows = Array.from({ length: size }, () => {
      const weights = Array.from({ length: size }, () => random.uniform() + 0.01);
      const sum = weights.reduce((a, b) => a + b);
      return weights.map((weight) => weight / sum);
    });
    assertClose(stationary(rows), solveStationary(rows), 1e-12, `${size} states`);
  }
});

Deno.test("stationaryDistribution() of two states is as often in one as the other is left", () => {
  for (const [a, b] of [[0.5, 0.5], [0.3, 0.01], [1e-5, 3e-5], [1, 1]] as const) {
    const found = stationary([[1 - a, a], [b, 1 - b]]);
    assertClose(found, [b / (a + b), a / (a + b)], 1e-8, `${a}, ${b}`);
  }
});

Deno.test("stationaryDistribution() gives nothing to states that are left for good", () => {
  // 0 → 1 ⇄ 2 ← 3
  const found = stationary([[0.9, 0.1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0]]);
  assertClose(found, [0, 0.5, 0.5, 0], 1e-12, "shares");
  assert.equal(found[0], 0);
  assert.equal(found[3], 0);
});

Deno.test("stationaryDistribution() refuses chains with several, or with one hard to reach", () => {
  const refused: readonly [number[][], RegExp][] = [
    [[[1, 0], [0, 1]], /^expected a chain with one stationary distribution, .*; make steps/],
    // Either end of three states is never left.
    [[[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]], /one stationary distribution/],
    [[[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 1, 0]], /one stationary distribution/],
    [[[1 - 1e-15, 1e-15], [2e-15, 1 - 2e-15]], /^expected a chain that forgets .*; make leaving/],
  ];
  for (const [rows, message] of refused) {
    assert.throws(
      () => stationary(rows),
      (error) => error instanceof UserError && message.test(error.message),
    );
  }
});
