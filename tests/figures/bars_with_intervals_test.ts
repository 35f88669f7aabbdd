import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { type BarRow, barsWithIntervals } from "../../lib/figures/mod.ts";

const rows: BarRow[] = [
  { group: "int8", arm: "CLM", value: 4.4, interval: [4.3, 4.6] },
  { group: "e4m3", arm: "CLM", value: 4.5 },
  { group: "int8", arm: "EEM 8 numbers, slot fed zeros", value: 4.2, interval: [4.1, 4.3] },
];
const options = {
  title: "Formats",
  groupTitle: "format",
  valueTitle: "loss (nats per token)",
  intervalLabel: "smallest to largest",
};

Deno.test("barsWithIntervals() groups by arm, with gaps where an arm has no bar", () => {
  const [clm, control] = barsWithIntervals(rows, options).data;
  assert.ok(clm?.type === "bar" && control?.type === "bar");
  assert.deepEqual(clm.x, ["int8", "e4m3"]);
  assert.deepEqual(clm.y, [4.4, 4.5]);
  assert.deepEqual(clm.error_y!.array, [0.2, null]);
  assert.deepEqual(clm.error_y!.arrayminus, [0.1, null]);
  assert.deepEqual(control.y, [4.2, null]);
  assert.equal(clm.marker.pattern, undefined);
  assert.ok(control.marker.pattern, "controls are hatched");
});

Deno.test("barsWithIntervals() swaps axes when horizontal", () => {
  const figure = barsWithIntervals(rows, { ...options, orientation: "horizontal" });
  const [clm] = figure.data;
  assert.ok(clm?.type === "bar");
  assert.deepEqual([clm.x, clm.y], [[4.4, 4.5], ["int8", "e4m3"]]);
  assert.ok(clm.error_x && !clm.error_y);
  assert.equal(figure.layout.xaxis!.title.text, options.valueTitle);
});

Deno.test("barsWithIntervals() stands arms beside or upon each other, or alone", () => {
  const { intervalLabel: _, ...unlabelled } = options;
  const bars = rows.map(({ interval: _, ...row }) => row);
  const modeOf = (rows: readonly BarRow[], stacked?: boolean) =>
    barsWithIntervals(rows, { ...unlabelled, ...(stacked && { stacked }) }).layout.barmode;
  assert.equal(modeOf(bars), "group");
  assert.equal(modeOf(bars, true), "stack");
  assert.equal(modeOf(bars.slice(1)), "overlay");
});

Deno.test("barsWithIntervals() keeps long names on one line where there is room", () => {
  const long = [{ group: "the other text, predictive entropy", arm: "CLM", value: 1 }];
  const names = (["horizontal", "vertical"] as const).map((orientation) => {
    const [bar] = barsWithIntervals(long, { ...options, orientation }).data;
    assert.ok(bar?.type === "bar");
    return orientation === "horizontal" ? bar.y : bar.x;
  });
  assert.deepEqual(names, [
    ["the other text, predictive entropy"],
    ["the other text,<br>predictive entropy"],
  ]);
});

Deno.test("barsWithIntervals() says in words what the bars are", () => {
  const { altText, layout } = barsWithIntervals(rows, options);
  assert.match(altText, /int8, CLM: 4\.4 \(4\.3 to 4\.6\)/);
  assert.match(layout.title.subtitle!.text, /smallest to largest/);
});

Deno.test("barsWithIntervals() rejects what it cannot draw", () => {
  const { intervalLabel: _, ...unlabelled } = options;
  const broken: [RegExp, () => unknown][] = [
    [/found none/, () => barsWithIntervals([], options)],
    [
      /stacked bars without intervals/,
      () => barsWithIntervals(rows, { ...options, stacked: true }),
    ],
    [
      /one bar for "CLM" in "int8", found 2/,
      () => barsWithIntervals([rows[0]!, rows[0]!], options),
    ],
    [/intervalLabel/, () => barsWithIntervals(rows, unlabelled)],
    [/holds 4\.4/, () => barsWithIntervals([{ ...rows[0]!, interval: [4.5, 4.6] }], options)],
    [/Infinity/, () => barsWithIntervals([{ ...rows[1]!, value: Infinity }], options)],
  ];
  for (const [message, act] of broken) {
    assert.throws(act, (error) => error instanceof UserError && message.test(error.message));
  }
});
