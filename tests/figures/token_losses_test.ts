import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { tokenLosses } from "../../lib/figures/mod.ts";

const tokens = [{ text: "<|begin|>", value: 1 }, { text: " a\n", value: 4 }];

Deno.test("tokenLosses() names tokens below their bars, markup and blanks visible", () => {
  const figure = tokenLosses(tokens, { title: "Loss" });
  assert.deepEqual(figure.layout.xaxis!.ticktext, ["&lt;|begin|&gt;", "·a↵"]);
  assert.deepEqual(figure.data[0]!.y, [1, 4]);
  assert.deepEqual(figure.data[0]!.customdata, ["&lt;|begin|&gt;", "·a↵"]);
  assert.deepEqual(figure.data[1]!.y, [2.5, 2.5]);
  assert.match(figure.altText, /2 tokens, mean 2\.5; highest: ·a↵ 4/);
});

Deno.test("tokenLosses() shows positions when tokens are too many to name", () => {
  const many = Array.from({ length: 100 }, () => tokens[1]!);
  const { layout, data } = tokenLosses(many, { title: "Loss" });
  assert.equal(layout.xaxis!.ticktext, undefined);
  assert.equal(data[0]!.customdata!.length, 100);
});

Deno.test("tokenLosses() cuts long labels, not the text on hover", () => {
  const [text, value] = ["x".repeat(50), 1];
  const { layout, data } = tokenLosses([{ text, value }], { title: "Loss" });
  assert.equal([...layout.xaxis!.ticktext![0]!].length, 14);
  assert.deepEqual(data[0]!.customdata, [text]);
});

Deno.test("tokenLosses() rejects what it cannot draw", () => {
  assert.throws(() => tokenLosses([], { title: "Loss" }), UserError);
  assert.throws(() => tokenLosses([{ text: "a", value: NaN }], { title: "Loss" }), UserError);
});
