import assert from "node:assert/strict";
import { createCanvas } from "@napi-rs/canvas";
import { canvasFont, fontFiles } from "../../lib/figures/_fonts.ts";

Deno.test("fontFiles are TrueType files of an npm package", () => {
  assert.equal(fontFiles.length, 2);
  for (const file of fontFiles) {
    assert.match(file, /node_modules/);
    assert.deepEqual([...Deno.readFileSync(file).subarray(0, 4)], [0, 1, 0, 0], file);
  }
});

Deno.test("canvasFont() measures with these fonts, bold wider than regular", () => {
  const context = createCanvas(1, 1).getContext("2d");
  const width = (font: string) => {
    context.font = font;
    return context.measureText("Held-out loss").width;
  };
  assert.ok(width(canvasFont(20, true)) > width(canvasFont(20)));
  // The sum of the glyphs' advances in the font's own table, give or take hinting.
  assert.ok(Math.abs(width(canvasFont(20)) - 117.46) < 0.5, String(width(canvasFont(20))));
});
