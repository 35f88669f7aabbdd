import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { differenceCurves, leadsOver } from "../../lib/figures/mod.ts";
import { curveOptions, curveRows } from "./_rows.ts";

Deno.test("leadsOver() pairs by seed and x, positive where the arm's loss is lower", () => {
  const leads = leadsOver(curveRows, "CLM");
  assert.equal(leads.length, 9);
  for (const { x, y } of leads) assert.ok(Math.abs(y - 0.1 * x) < 1e-12);
});

Deno.test("leadsOver() pairs within a facet", () => {
  const rows = [
    { arm: "CLM", seed: 0, x: 1, y: 5, facet: "mixer" },
    { arm: "CLM", seed: 0, x: 1, y: 9, facet: "transformer" },
    { arm: "EEM", seed: 0, x: 1, y: 4, facet: "mixer" },
  ];
  assert.deepEqual(leadsOver(rows, "CLM").map(({ y }) => y), [1]);
});

Deno.test("leadsOver() names the row that has no baseline", () => {
  const rows = curveRows.filter((row) => row.arm !== "CLM" || row.seed !== 1);
  assert.throws(
    () => leadsOver(rows, "CLM"),
    (error) => error instanceof UserError && /baseline "CLM" at x = 1, seed 1/.test(error.message),
  );
});

Deno.test("differenceCurves() has a zero line and no spread that seeds share", () => {
  const figure = differenceCurves(curveRows, { ...curveOptions, baseline: "CLM" });
  const zero = figure.data.find((trace) => trace.name === "CLM (no lead)")!;
  assert.deepEqual(zero.y, [0, 0]);
  const band = figure.data.find((trace) => trace.type === "scatter" && trace.fill === "toself")!;
  assert.deepEqual(band.y, [0.1, 0.2, 0.3, 0.3, 0.2, 0.1]);
});

Deno.test("differenceCurves() needs an arm beside the baseline", () => {
  const rows = curveRows.filter((row) => row.arm === "CLM");
  assert.throws(() => differenceCurves(rows, { ...curveOptions, baseline: "CLM" }), UserError);
});
