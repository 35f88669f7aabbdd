import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { heatMap } from "../../lib/figures/mod.ts";

const cells = { rows: ["up", "down"], columns: ["0", "1"], values: [[-1, 3], [null, 0.5]] };
const options = { title: "S", rowTitle: "weight", columnTitle: "block", valueTitle: "nats" };

Deno.test("heatMap() centres a diverging scale", () => {
  const [trace] = heatMap(cells, { ...options, scale: "diverging", centre: 1 }).data;
  assert.ok(trace?.type === "heatmap");
  assert.deepEqual([trace.zmin, trace.zmax], [-1, 3]);
  const [skewed] = heatMap(cells, { ...options, scale: "diverging" }).data;
  assert.ok(skewed?.type === "heatmap");
  assert.deepEqual([skewed.zmin, skewed.zmax], [-3, 3]);
});

Deno.test("heatMap() writes values into cells, but not into empty or very many", () => {
  const figure = heatMap(cells, options);
  assert.deepEqual(figure.layout.annotations!.map(({ text }) => text), ["−1", "3", "0.5"]);
  const labels = Array.from({ length: 40 }, (_, index) => String(index));
  const big = heatMap(
    { rows: labels, columns: labels, values: labels.map(() => labels.map(Number)) },
    options,
  );
  assert.equal(big.layout.annotations!.length, 0);
  assert.ok(big.layout.xaxis!.tickvals!.length <= 26, "labels are thinned");
  assert.deepEqual(big.layout.xaxis!.tickvals!.slice(0, 3), [0, 2, 4]);
});

Deno.test("heatMap() lists rows from top to bottom", () => {
  assert.equal(heatMap(cells, options).layout.yaxis!.autorange, "reversed");
});

Deno.test("heatMap() rejects what it cannot draw", () => {
  assert.throws(() => heatMap({ rows: [], columns: [], values: [] }, options), UserError);
  assert.throws(() => heatMap({ ...cells, values: [[1, 2]] }, options), UserError);
  assert.throws(() => heatMap({ ...cells, values: [[1], [2]] }, options), UserError);
  assert.throws(() => heatMap({ ...cells, values: [[1, NaN], [2, 3]] }, options), UserError);
  assert.throws(
    () => heatMap({ ...cells, values: [[null, null], [null, null]] }, options),
    UserError,
  );
});
