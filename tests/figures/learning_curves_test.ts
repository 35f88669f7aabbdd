import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { meanCurves } from "../../lib/figures/learning_curves.ts";
import { learningCurves, type PlotlyTrace, studentBand } from "../../lib/figures/mod.ts";
import { curveOptions, curveRows } from "./_rows.ts";

function close(actual: readonly unknown[], expected: readonly number[], tolerance = 1e-9) {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, index) =>
    assert.ok(Math.abs(Number(value) - expected[index]!) < tolerance, `${actual} ≠ ${expected}`)
  );
}

const named = (traces: readonly PlotlyTrace[], name: string) =>
  traces.find((trace) => trace.name === name && trace.type === "scatter")!;

Deno.test("meanCurves() takes mean, least and greatest over seeds", () => {
  const [clm, eem] = meanCurves(curveRows, "T");
  close(clm!.mean, [4.3, 3.3, 2.3]);
  close(clm!.low, [4, 3, 2]);
  close(clm!.high, [4.6, 3.6, 2.6]);
  close(eem!.mean, [4.2, 3.1, 2]);
  assert.deepEqual(clm!.seeds, [0, 1, 2]);
});

Deno.test("meanCurves() sorts by x and ignores the order of rows", () => {
  const curves = meanCurves(curveRows.toReversed(), "T").toReversed();
  close(curves[0]!.x, [1, 2, 3]);
  close(curves[0]!.mean, [4.3, 3.3, 2.3]);
});

Deno.test("studentBand() is Student's interval of the mean", () => {
  // t(0.975, 2 degrees of freedom) = 4.30265; standard deviation 0.3.
  const [low, high] = studentBand().interval([4, 4.3, 4.6]);
  const half = 4.302652729911275 * 0.3 / Math.sqrt(3);
  close([low, high], [4.3 - half, 4.3 + half], 1e-6);
});

Deno.test("learningCurves() draws lines and bands and says what they are", () => {
  const figure = learningCurves(curveRows, curveOptions);
  close(named(figure.data, "CLM").y as number[], [4.3, 3.3, 2.3]);
  const band = figure.data.find((trace) => trace.type === "scatter" && trace.fill === "toself")!;
  close(band.y as number[], [4.6, 3.6, 2.6, 2, 3, 4]);
  assert.match(figure.layout.title.subtitle!.text, /mean of 3 seeds.*smallest to largest/);
  assert.match(figure.altText, /EEM 8 numbers: 2 \(1\.7 to 2\.3\) at 3/);
  const student = learningCurves(curveRows, { ...curveOptions, band: studentBand() });
  assert.match(student.layout.title.subtitle!.text, /95 % t-interval/);
});

Deno.test("learningCurves() draws no band for one seed", () => {
  const figure = learningCurves(curveRows.filter((row) => row.seed === 0), curveOptions);
  assert.equal(figure.data.length, 2);
  assert.match(figure.layout.title.subtitle!.text, /no band/);
});

Deno.test("learningCurves() puts facets side by side with one legend", () => {
  const rows = ["mixer", "transformer"].flatMap((facet) =>
    curveRows.map((row) => ({ ...row, facet }))
  );
  const figure = learningCurves(rows, curveOptions);
  assert.ok(figure.layout.xaxis!.domain![1] < figure.layout.xaxis2!.domain![0]);
  assert.equal(figure.layout.yaxis2!.matches, "y");
  const inLegend = figure.data.filter((trace) => trace.name && trace.showlegend !== false);
  assert.deepEqual(inLegend.map((trace) => trace.name), ["CLM", "EEM 8 numbers"]);
  assert.deepEqual(figure.layout.annotations!.map(({ text }) => text), [
    "<b>mixer</b>",
    "<b>transformer</b>",
  ]);
});

Deno.test("learningCurves() draws references over the whole x range", () => {
  const references = [{ y: 3.5, label: "trigram" }];
  const line = named(learningCurves(curveRows, { ...curveOptions, references }).data, "trigram");
  assert.deepEqual([line.x, line.y], [[1, 3], [3.5, 3.5]]);
});

Deno.test("learningCurves() makes plain data with short numbers", () => {
  const rows = curveRows.map((row) => ({ ...row, y: row.y + Math.PI / 7 }));
  const figure = learningCurves(rows, { ...curveOptions, logX: true });
  assert.deepEqual(JSON.parse(JSON.stringify(figure)), figure);
  for (const trace of figure.data) {
    for (const y of trace.y) assert.ok(String(y).replace(/\D/g, "").length <= 6, String(y));
  }
});

Deno.test("learningCurves() rejects what it cannot draw", () => {
  const broken: [RegExp, () => unknown][] = [
    [/found none/, () => learningCurves([], curveOptions)],
    [/seed 2 at x = 3, found 0/, () => learningCurves(curveRows.slice(0, 8), curveOptions)],
    [/found 2/, () => learningCurves([...curveRows, curveRows[0]!], curveOptions)],
    [
      /NaN in "CLM", seed 0/,
      () => learningCurves([{ arm: "CLM", seed: 0, x: 1, y: NaN }], curveOptions),
    ],
    [
      /positive values on a logarithmic axis/,
      () => learningCurves([{ arm: "CLM", seed: 0, x: 0, y: 1 }], { ...curveOptions, logX: true }),
    ],
  ];
  for (const [message, act] of broken) {
    assert.throws(act, (error) => error instanceof UserError && message.test(error.message));
  }
});
