import assert from "node:assert/strict";
import { JSDOM } from "jsdom";
import { UserError } from "../../lib/errors.ts";
import { displaySymbol, type HighlightedToken, highlightTokens } from "../../lib/figures/mod.ts";

async function htmlOf(tokens: readonly HighlightedToken[], options = {}) {
  const bundle = await highlightTokens(tokens, { unit: "nats", ...options })[displaySymbol]();
  return { html: String(bundle["text/html"]), text: String(bundle["text/plain"]) };
}

Deno.test("highlightTokens() shows markup in tokens, hovers and units as text", async () => {
  const evil = `<script>alert("1")</script><img src=x onerror='x'>`;
  const { html } = await htmlOf([{ text: evil, value: 1, hover: `"><script>` }], { unit: evil });
  const { document } = new JSDOM(html).window;
  assert.equal(document.querySelectorAll("script, img").length, 0);
  const token = document.querySelector("span[title]");
  assert.equal(token.getAttribute("title"), `"><script>`);
  assert.equal(token.textContent.replaceAll("·", " "), evil);
  for (const element of document.body.querySelectorAll("*")) {
    for (const name of element.getAttributeNames()) {
      assert.ok(["style", "title"].includes(name), name);
    }
  }
});

Deno.test("highlightTokens() makes blanks visible and breaks lines", async () => {
  const { html, text } = await htmlOf([{ text: " a", value: 1 }, { text: "\n\n", value: 2 }]);
  const { document } = new JSDOM(html).window;
  assert.equal(document.querySelectorAll("br").length, 2);
  assert.match(document.body.textContent, /·a↵↵/);
  assert.equal(text, "Tokens and their values (nats): ·a 1 | ↵↵ 2");
});

Deno.test("highlightTokens() colours by value, clamped to the given range, with a legend", async () => {
  const values = [-5, 0, 5, 10, 20];
  const { html } = await htmlOf(
    values.map((value) => ({ text: "t", value })),
    { low: 0, high: 10 },
  );
  const { document } = new JSDOM(html).window;
  const colours = Array.from(
    document.querySelectorAll("span[title]") as ArrayLike<{ style: { backgroundColor: string } }>,
    (span) => span.style.backgroundColor.replaceAll(" ", ""),
  );
  const [white, orange] = ["rgb(255,255,255)", "rgb(240,138,56)"];
  assert.deepEqual([colours[0], colours[1], colours[3], colours[4]], [
    white,
    white,
    orange,
    orange,
  ]);
  assert.equal(new Set(colours).size, 3);
  assert.match(document.body.textContent, /nats: 02\.557\.510/);
});

Deno.test("highlightTokens() rejects what it cannot show", () => {
  const token = { text: "a", value: 1 };
  assert.throws(() => highlightTokens([], { unit: "nats" }), UserError);
  assert.throws(() => highlightTokens([{ ...token, value: NaN }], { unit: "nats" }), UserError);
  assert.throws(() => highlightTokens([token], { unit: "nats", low: 2, high: 2 }), UserError);
});
