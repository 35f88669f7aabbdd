import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { labelSize, placeLabels } from "../../lib/figures/_label_places.ts";
import { leadAgainstPrice, type LeadRow } from "../../lib/figures/mod.ts";

const options = { title: "Lead and price", intervalLabel: "smallest to largest" };
const rows: LeadRow[] = ["mixer", "transformer"].flatMap((family) =>
  [2, 4, 8].flatMap((size) =>
    [4, 8].map((bits) => ({
      arm: `EEM ${size} numbers`,
      family,
      priceNats: size * bits * Math.LN2 / 128,
      leadNats: 0.05 + 0.01 * size,
      low: 0.04 + 0.01 * size,
      high: 0.07 + 0.01 * size,
      label: `${size} × ${bits} bit`,
    }))
  )
);

Deno.test("leadAgainstPrice() draws break-even, points and their intervals", () => {
  const figure = leadAgainstPrice(rows, options);
  const [line, points] = figure.data;
  assert.deepEqual(line!.x, line!.y);
  assert.ok(points?.type === "scatter");
  assert.deepEqual(points.y, [0.07, 0.07]);
  assert.deepEqual(points.error_y!.array, [0.02, 0.02]);
  assert.deepEqual(points.error_y!.arrayminus, [0.01, 0.01]);
  assert.equal(figure.layout.annotations!.length, rows.length);
  assert.deepEqual(JSON.parse(JSON.stringify(figure)), figure);
});

Deno.test("leadAgainstPrice() tells families apart by marker", () => {
  const symbols = leadAgainstPrice(rows, options).data.slice(1).map((trace) =>
    trace.type === "scatter" ? trace.marker!.symbol : ""
  );
  assert.deepEqual(new Set(symbols), new Set(["circle", "square"]));
});

Deno.test("leadAgainstPrice() says in words which arms pay", () => {
  const row = { arm: "EEM", family: "mixer", leadNats: 0.1, low: 0.09, high: 0.11 };
  const words = (priceNats: number) => leadAgainstPrice([{ ...row, priceNats }], options).altText;
  assert.match(words(0.05), /, pays\./);
  assert.match(words(0.2), /does not pay/);
  assert.match(words(0.1), /undecided/);
});

Deno.test("leadAgainstPrice() rejects what it cannot draw", () => {
  assert.throws(() => leadAgainstPrice([], options), UserError);
  assert.throws(() => leadAgainstPrice([{ ...rows[0]!, low: 1 }], options), UserError);
  assert.throws(() => leadAgainstPrice([{ ...rows[0]!, priceNats: NaN }], options), UserError);
});

Deno.test("placeLabels() keeps labels apart and inside the plot", () => {
  const plot = { width: 600, height: 340, sizePx: 12 };
  const points = Array.from({ length: 14 }, (_, index) => {
    const [x, y] = [80 + 60 * (index % 4), 60 + 45 * Math.floor(index / 3)];
    return { text: `8 × ${index} bit`, x, y, top: y - 10, bottom: y + 10 };
  });
  const boxes = placeLabels(points, plot, { x0: 0, y0: 340, x1: 600, y1: 0 }).map(
    ({ dx, dy }, index) => {
      const { width, height } = labelSize(points[index]!.text, plot.sizePx);
      const [x, y] = [points[index]!.x + dx, points[index]!.y + dy];
      return {
        left: x - width / 2,
        right: x + width / 2,
        top: y - height / 2,
        bottom: y + height / 2,
      };
    },
  );
  boxes.forEach((a, index) => {
    assert.ok(
      a.left >= -1 && a.right <= plot.width + 1 && a.top >= -1 && a.bottom <= plot.height + 1,
    );
    for (const b of boxes.slice(index + 1)) {
      const overlaps = Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
      assert.ok(!overlaps, `labels ${JSON.stringify(a)} and ${JSON.stringify(b)}`);
    }
    for (const { x, y } of points) {
      assert.ok(
        !(x > a.left && x < a.right && y > a.top && y < a.bottom),
        "a label covers a point",
      );
    }
  });
});
