import assert from "node:assert/strict";
import { encodePalettePng } from "../../lib/figures/_palette_png.ts";
import { decodePng } from "./_png.ts";

Deno.test("encodePalettePng() is lossless up to 256 colours", () => {
  const pixels = Uint8Array.from(
    { length: 16 * 16 * 4 },
    (_, index) => index % 4 === 3 ? 255 : (index >> 2) * (index % 4 + 1) & 0xFF,
  );
  const { width, height, data } = decodePng(encodePalettePng(pixels, 16, 16));
  assert.deepEqual([width, height], [16, 16]);
  assert.deepEqual(Uint8Array.from(data), pixels);
});

Deno.test("encodePalettePng() keeps frequent colours exact and rare ones near", () => {
  const size = 64;
  const pixels = new Uint8Array(size * size * 4).fill(255);
  for (let pixel = 0; pixel < 2000; pixel++) {
    pixels.set([pixel % 251, (pixel * 7) % 253, (pixel * 13) % 255, 255], 4 * pixel);
  }
  const { data } = decodePng(encodePalettePng(pixels, size, size));
  for (let index = 4 * 2000; index < data.length; index++) assert.equal(data[index], 255);
  let worst = 0;
  for (let index = 0; index < 4 * 2000; index++) {
    worst = Math.max(worst, Math.abs(data[index]! - pixels[index]!));
  }
  assert.ok(worst > 0 && worst < 48, `worst channel error ${worst}`);
});
