import assert from "node:assert/strict";
import { ensembleEstimates, ensembleRecords } from "../../lib/entropy/mod.ts";
import type { TokenEstimate } from "../../lib/entropy/token_estimate.ts";
import { refusal } from "../models/_tiny.ts";

Deno.test("ensembleEstimates() are mean and standard error over the models", () => {
  // 1, 2, 6: deviations −2, −1, 3, variance 14/2, of the mean 7/3.
  const { mean, standardError } = ensembleEstimates([
    [[null, 1, 0], [null, 5, null]],
    [[null, 2, 0], [null, 5, 4]],
    [[null, 6, 0], [null, 5, 4]],
  ]);
  assert.deepEqual(mean, [[null, 3, 0], [null, 5, null]]);
  assert.deepEqual(standardError, [[null, Math.sqrt(7 / 3), 0], [null, 0, null]]);
});

Deno.test("ensembleEstimates() of one model are its own, without a standard error", () => {
  assert.deepEqual(ensembleEstimates([[[null, 1.5]]]), {
    mean: [[null, 1.5]],
    standardError: [[null, null]],
  });
});

Deno.test("ensembleEstimates() refuse other windows, and no models", () => {
  const said = (...members: Parameters<typeof ensembleEstimates>[0]) =>
    refusal(() => ensembleEstimates(members));
  assert.match(said(), /^ensemble: expected one model or more, found none$/);
  assert.match(said([[null, 1]], [[null, 1]], [[null, 1, 2]]), /found other.*in that of place 3$/);
  assert.match(said([[null, 1]], [[null, 1], [null, 2]]), /found other.*in that of place 2$/);
});

function record(position: number, estimate: number | null, id = 10 + position): TokenEstimate {
  return { id, text: `t${id}`, position, estimate, standardError: null };
}

Deno.test("ensembleRecords() are the tokens with mean and standard error", () => {
  assert.deepEqual(
    ensembleRecords([
      [record(0, null), record(1, 3), record(2, null)],
      [record(0, null), record(1, 5), record(2, 8)],
    ]),
    [record(0, null), { ...record(1, 4), standardError: 1 }, record(2, null)],
  );
});

Deno.test("ensembleRecords() refuse other tokens", () => {
  const first = [record(0, null), record(1, 3)];
  const said = (other: TokenEstimate[]) => refusal(() => ensembleRecords([first, other]));
  assert.match(said([record(0, null), record(1, 3, 99)]), /place 2, from token 1 on/);
  assert.match(said([record(1, null, 10), record(1, 3)]), /place 2, from token 0 on/);
  assert.match(said([record(0, null)]), /place 2, from token 1 on/);
  assert.match(said([...first, record(2, 1)]), /place 2, from token 2 on/);
});
