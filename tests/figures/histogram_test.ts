import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { binShares } from "../../lib/figures/histogram.ts";
import { histogram } from "../../lib/figures/mod.ts";

const options = { title: "Losses", xTitle: "loss (nats)" };

Deno.test("binShares() counts each value once, the greatest in the last bin", () => {
  assert.deepEqual(binShares([0, 0.5, 1, 1, 2, 3, 3.9, 4], [0, 1, 2, 3, 4]), [
    0.25,
    0.25,
    0.125,
    0.375,
  ]);
});

Deno.test("histogram() bins all samples alike and outlines their shares", () => {
  const figure = histogram(
    [{ arm: "CLM", values: [0, 1, 4] }, { arm: "EEM", values: Float32Array.of(2, 2) }],
    { ...options, bins: 2 },
  );
  assert.deepEqual(figure.data[0]!.x, [0, 0, 2, 4, 4]);
  assert.deepEqual(figure.data[0]!.y, [0, 0.66667, 0.33333, 0.33333, 0]);
  assert.deepEqual(figure.data[1]!.y, [0, 0, 1, 1, 0]);
  assert.match(figure.altText, /CLM: 3 values from 0 to 4, median 1; EEM: 2 values .* median 2/);
});

Deno.test("histogram() draws equal values", () => {
  const { data } = histogram([{ arm: "CLM", values: [3, 3] }], { ...options, bins: 1 });
  assert.deepEqual(data[0]!.x, [2.5, 2.5, 3.5, 3.5]);
});

Deno.test("histogram() rejects what it cannot draw", () => {
  assert.throws(() => histogram([], options), UserError);
  assert.throws(() => histogram([{ arm: "CLM", values: [] }], options), UserError);
  assert.throws(() => histogram([{ arm: "CLM", values: [1, NaN] }], options), UserError);
  assert.throws(() => histogram([{ arm: "CLM", values: [1] }], { ...options, bins: 0 }), UserError);
});
