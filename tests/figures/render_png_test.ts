import assert from "node:assert/strict";
import { heatMap, learningCurves, renderPng, renderSvg } from "../../lib/figures/mod.ts";
import { countPixels, decodePng, isDark } from "./_png.ts";
import { curveOptions, curveRows } from "./_rows.ts";

const figure = learningCurves(curveRows, curveOptions);

Deno.test("renderPng() gives a PNG of the figure's size times the scale", async () => {
  const png = await renderPng(figure);
  assert.deepEqual([...png.slice(0, 8)], [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]);
  const { width, height } = decodePng(png);
  assert.deepEqual([width, height], [1350, 720]);
  const small = decodePng(await renderPng(figure, { width: 400, height: 300, scale: 1 }));
  assert.deepEqual([small.width, small.height], [400, 300]);
});

Deno.test("renderPng() draws title, axis titles, tick labels and legend as text", async () => {
  const pixels = decodePng(await renderPng(figure));
  const regions = {
    title: { left: 0, top: 0, right: 0.3, bottom: 0.07 },
    yTitle: { left: 0, top: 0.3, right: 0.03, bottom: 0.8 },
    xTitle: { left: 0.2, top: 0.93, right: 0.6, bottom: 1 },
    legend: { left: 0.8, top: 0.15, right: 1, bottom: 0.3 },
  };
  for (const [name, region] of Object.entries(regions)) {
    const dark = countPixels(pixels, region, isDark);
    assert.ok(dark > 100, `${name}: ${dark} dark pixels`);
  }
});

Deno.test("renderPng() keeps an arm's colour and a white background", async () => {
  const pixels = decodePng(await renderPng(figure));
  const all = { left: 0, top: 0, right: 1, bottom: 1 };
  const orange = countPixels(pixels, all, (r, g, b) => r === 0xD5 && g === 0x5E && b === 0);
  assert.ok(orange > 500, `${orange} orange pixels`);
  const white = countPixels(pixels, all, (r, g, b) => r === 255 && g === 255 && b === 255);
  assert.ok(white > 0.8 * pixels.width * pixels.height, `${white} white pixels`);
});

Deno.test("renderPng() leaves room: no text touches the image's edge", async () => {
  const pixels = decodePng(await renderPng(figure));
  for (
    const edge of [
      { left: 0, top: 0, right: 0.003, bottom: 1 },
      { left: 0.997, top: 0, right: 1, bottom: 1 },
      { left: 0, top: 0, right: 1, bottom: 0.004 },
      { left: 0, top: 0.996, right: 1, bottom: 1 },
    ]
  ) assert.equal(countPixels(pixels, edge, isDark), 0);
});

Deno.test("renderPng() draws heat maps", async () => {
  const cells = { rows: ["a", "b"], columns: ["c", "d"], values: [[0, 1], [1, 0]] };
  const pixels = decodePng(
    await renderPng(
      heatMap(cells, { title: "T", rowTitle: "row", columnTitle: "column", valueTitle: "value" }),
    ),
  );
  const inside = { left: 0.1, top: 0.2, right: 0.8, bottom: 0.8 };
  const area = 0.7 * 0.6 * pixels.width * pixels.height;
  const yellow = countPixels(pixels, inside, (r, g, b) => r > 240 && g > 220 && b < 90);
  const blue = countPixels(pixels, inside, (r, g, b) => r < 20 && g < 60 && b > 60);
  assert.ok(yellow > 0.4 * area && blue > 0.4 * area, `${yellow} yellow, ${blue} blue of ${area}`);
});

Deno.test("renderPng() gives equal bytes for equal figures and at most 80 KB", async () => {
  const first = await renderPng(figure);
  assert.deepEqual(await renderPng(figure), first);
  assert.ok(first.length < 80_000, `${first.length} bytes`);
});

Deno.test("renderSvg() leaves the figure as it was", async () => {
  const before = JSON.stringify(figure);
  const svg = await renderSvg(figure);
  assert.equal(JSON.stringify(figure), before);
  assert.match(svg, /Held-out loss/);
  assert.match(svg, /loss \(nats per token\)/);
});

Deno.test("renderSvg() puts the second line below the title, clear of it", async () => {
  const svg = await renderSvg(figure);
  const y = (className: string) =>
    Number(new RegExp(`<text class="${className}"[^>]* y="([-.0-9]+)"`).exec(svg)?.[1]);
  const gap = y("gtitle-subtitle") - y("gtitle");
  assert.ok(gap > 16 && gap < 40, `${gap} pixels between the baselines`);
});
