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

Deno.test("scatterWithFit() rejects what it cannot draw", () => {
  assert.throws(() => scatterWithFit([], options), UserError);
  assert.throws(() => scatterWithFit([{ arm: "CLM", x: NaN, y: 1 }], options), UserError);
  assert.throws(
    () => scatterWithFit(rows, { ...options, fits: [{ ...fit, arm: "EEM" }] }),
    UserError,
  );
});
