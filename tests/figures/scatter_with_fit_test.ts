import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { scatterWithFit } from "../../lib/figures/mod.ts";

const rows = [{ arm: "CLM", x: 1, y: 2 }, { arm: "CLM", x: 3, y: 5, label: "<b>" }];
const options = { title: "Estimates", xTitle: "loss (nats)", yTitle: "estimate (nats)" };
const fit = { arm: "CLM", slope: 1.5, intercept: 0.5, rSquared: 0.9 };

Deno.test("scatterWithFit() draws the line over the points' range and states R²", () => {
  const figure = scatterWithFit(rows, { ...options, fits: [fit] });
  const [points, line] = figure.data;
  assert.deepEqual([points!.x, points!.y], [[1, 3], [2, 5]]);
  assert.deepEqual([line!.x, line!.y], [[1, 3], [2, 5]]);
  assert.match(line!.name!, /slope 1\.5, R² 0\.9/);
  assert.match(figure.altText, /2 points.*R² 0\.9/);
});

Deno.test("scatterWithFit() shows hover labels as they are", () => {
  assert.deepEqual(scatterWithFit(rows, options).data[0]!.customdata, ["", "&lt;b&gt;"]);
});

Deno.test("scatterWithFit() draws y = x where both axes have points", () => {
  const { data } = scatterWithFit(rows, { ...options, diagonal: true });
  assert.deepEqual([data.at(-1)!.x, data.at(-1)!.y], [[2, 3], [2, 3]]);
});

/** Three points whose ranges are 0 … 100 in x and 0 … 10 in y, and what surrounds them. */
const square = [0, 50, 100].map((x) => ({ arm: "CLM", x, y: x / 10 }));
const X_RANGE = [-8, 108];
const Y_RANGE = [-0.8, 10.8];

Deno.test("scatterWithFit() draws a bound from edge to edge, dashed and behind the points", () => {
  const bound = { label: "<limit>", slope: 0.05, intercept: 2 };
  const { data, layout, altText } = scatterWithFit(square, { ...options, bound });
  const [line, points] = data;
  assert.ok(line?.type === "scatter" && line.mode === "lines" && line.line?.dash === "dash");
  assert.equal(line.name, "&lt;limit&gt;");
  assert.deepEqual([line.x, line.y], [X_RANGE, [1.6, 7.4]]);
  assert.deepEqual([layout.xaxis!.range, layout.yaxis!.range], [X_RANGE, Y_RANGE]);
  assert.deepEqual(points!.x, [0, 50, 100]);
  assert.match(altText, /3 points\. Dashed line: <limit>, slope 0\.05, intercept 2\.$/);
});

Deno.test("scatterWithFit() cuts a bound where it leaves the axes", () => {
  const ends = (slope: number, intercept: number) => {
    const bound = { label: "limit", slope, intercept };
    const { data: [line], layout } = scatterWithFit(square, { ...options, bound });
    assert.deepEqual([layout.xaxis!.range, layout.yaxis!.range], [X_RANGE, Y_RANGE]);
    return [line!.x, line!.y];
  };
  // Below zero, too: y = 10 − x/4 meets y = −0.8 at 43.2, and y = 10.8 at −3.2.
  assert.deepEqual(ends(-0.25, 10), [[-3.2, 43.2], [10.8, -0.8]]);
  assert.deepEqual(ends(1, 0), [[-0.8, 10.8], Y_RANGE]);
  assert.deepEqual(ends(0, 5), [X_RANGE, [5, 5]]);
  assert.deepEqual(ends(0.05, -0.5), [[-6, 108], [-0.8, 4.9]]);
});

Deno.test("scatterWithFit() widens the axes for a bound that would not be seen", () => {
  for (const [intercept, range] of [[-5, [-6.2, 11.2]], [20, [-1.6, 21.6]]] as const) {
    const bound = { label: "limit", slope: 0, intercept };
    const { data: [line], layout } = scatterWithFit(square, { ...options, bound });
    assert.deepEqual(layout.yaxis!.range, range);
    assert.deepEqual([line!.x, line!.y], [X_RANGE, [intercept, intercept]]);
  }
});

Deno.test("scatterWithFit() leaves the range to plotly without a bound, and with one sees all", () => {
  const { layout } = scatterWithFit(square, options);
  assert.deepEqual([layout.xaxis!.range, layout.yaxis!.range], [undefined, undefined]);
  const steep = { ...fit, slope: 1, intercept: 0 };
  const bound = { label: "limit", slope: 0, intercept: 5 };
  const withFit = scatterWithFit(square, { ...options, bound, fits: [steep] });
  assert.deepEqual(withFit.layout.yaxis!.range, [-8, 108]);
});

Deno.test("scatterWithFit() rejects what it cannot draw", () => {
  assert.throws(() => scatterWithFit([], options), UserError);
  assert.throws(() => scatterWithFit([{ arm: "CLM", x: NaN, y: 1 }], options), UserError);
  assert.throws(
    () => scatterWithFit(rows, { ...options, fits: [{ ...fit, arm: "EEM" }] }),
    UserError,
  );
  for (const wrong of [{ slope: NaN }, { intercept: Infinity }]) {
    const bound = { label: "limit", slope: 1, intercept: 1, ...wrong };
    assert.throws(
      () => scatterWithFit(rows, { ...options, bound }),
      /expected finite numbers, found (NaN|Infinity) in "limit"/,
    );
  }
});
