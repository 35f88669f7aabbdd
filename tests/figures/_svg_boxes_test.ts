import assert from "node:assert/strict";
import { JSDOM } from "jsdom";
import { localBox, pageBox, straightPath, textWidth } from "../../lib/figures/_svg_boxes.ts";

/** Ten pixels a character at size 20, as a typewriter's. */
const measure = (text: string, sizePx: number) => text.length * sizePx / 2;

function element(svg: string) {
  const { document } = new JSDOM(`<svg xmlns="http://www.w3.org/2000/svg">${svg}</svg>`).window;
  return document.querySelector("#it");
}

Deno.test("localBox() measures text by its anchor and font size", () => {
  const text = element(
    '<text id="it" x="100" y="50" style="font-size: 20px; text-anchor: middle">abcd</text>',
  );
  const box = localBox(text, measure)!;
  assert.deepEqual([box.left, box.right], [80, 120]);
  assert.ok(
    box.top < 35 && box.top > 30 && box.bottom > 50 && box.bottom < 58,
    JSON.stringify(box),
  );
  assert.equal(textWidth(text, measure), 40);
});

Deno.test("localBox() takes the widest of several lines and their height", () => {
  const lines =
    '<tspan class="line" dy="0em" x="0" y="20">ab</tspan><tspan class="line" dy="1.3em" x="0" y="20">abcdef</tspan>';
  const box = localBox(element(`<text id="it" style="font-size:20px">${lines}</text>`), measure)!;
  assert.equal(box.right, 60);
  assert.ok(box.bottom - box.top > 45, JSON.stringify(box));
});

Deno.test("pageBox() applies translations and rotations around it", () => {
  const rect = element(
    '<g transform="translate(10,20)"><rect id="it" width="4" height="2" transform="rotate(90)"/></g>',
  );
  const box = pageBox(rect, measure)!;
  const rounded = Object.fromEntries(Object.entries(box).map(([k, v]) => [k, Math.round(v)]));
  assert.deepEqual(rounded, { left: 8, top: 20, right: 10, bottom: 24 });
});

Deno.test("localBox() unites a group's children", () => {
  const group = element(
    '<g id="it"><rect x="1" y="2" width="3" height="4"/><path d="M-5,0h3v9"/></g>',
  );
  assert.deepEqual(localBox(group, measure), { left: -5, top: 0, right: 4, bottom: 9 });
});

Deno.test("straightPath() knows length and points", () => {
  const path = straightPath(element('<path id="it" d="M1,1L4,5"/>'));
  assert.equal(path.length, 5);
  assert.deepEqual(path.pointAt(2.5), { x: 2.5, y: 3 });
});
