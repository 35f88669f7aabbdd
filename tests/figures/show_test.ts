import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { displaySymbol, learningCurves, show } from "../../lib/figures/mod.ts";
import { curveOptions, curveRows } from "./_rows.ts";

Deno.test("show() bundles plotly, PNG and words", async () => {
  const figure = learningCurves(curveRows, curveOptions);
  const bundle = await show(figure)[displaySymbol]();
  assert.deepEqual(Object.keys(bundle).sort(), [
    "application/vnd.plotly.v1+json",
    "image/png",
    "text/plain",
  ]);
  assert.equal(bundle["text/plain"], figure.altText);
  const plotly = bundle["application/vnd.plotly.v1+json"] as Record<string, unknown>;
  assert.deepEqual(plotly.data, figure.data);
  const { width: _width, ...layout } = figure.layout;
  assert.deepEqual(plotly.layout, { ...layout, autosize: true });
  const png = Buffer.from(String(bundle["image/png"]), "base64");
  assert.equal(png.subarray(1, 4).toString("latin1"), "PNG");
});

Deno.test("show() prints as its words outside a notebook", () => {
  const figure = learningCurves(curveRows, curveOptions);
  assert.equal(Deno.inspect(show(figure)), figure.altText);
});
