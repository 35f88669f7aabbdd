import assert from "node:assert/strict";
import { JSDOM } from "jsdom";
import { UserError } from "../../lib/errors.ts";
import {
  displaySymbol,
  type HighlightedToken,
  type HighlightOptions,
  highlightTokens,
} from "../../lib/figures/mod.ts";

async function htmlOf(tokens: readonly HighlightedToken[], options: HighlightOptions = {}) {
  const bundle = await highlightTokens(tokens, options)[displaySymbol]();
  const html = String(bundle["text/html"]);
  const { document } = new JSDOM(html).window;
  return { document, text: String(bundle["text/plain"]) };
}

type Span = {
  style: { backgroundColor: string };
  textContent: string;
  getAttribute(name: string): string;
};

function spansOf(document: { querySelectorAll(selector: string): unknown }): Span[] {
  return Array.from(document.querySelectorAll("span[title]") as ArrayLike<Span>);
}

const colourOf = (span: Span) => span.style.backgroundColor.replaceAll(" ", "");

Deno.test("highlightTokens() shows markup in tokens, hovers and units as text", async () => {
  const evil = `<script>alert("1")</script><img src=x onerror='x'>`;
  const { document } = await htmlOf(
    [{ text: evil, estimate: 1, hover: `"><script>` }],
    { unit: evil },
  );
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
  const { document, text } = await htmlOf([
    { text: " a", estimate: 1 },
    { text: "\n\n", estimate: 2 },
  ]);
  assert.equal(document.querySelectorAll("br").length, 2);
  assert.match(document.body.textContent, /·a↵↵/);
  assert.equal(text, "Tokens and their values (nats): ·a 1 | ↵↵ 2");
});

Deno.test("highlightTokens() colours by value, clamped to the given range, with a legend", async () => {
  const estimates = [-5, 0, 5, 10, 20];
  const { document } = await htmlOf(
    estimates.map((estimate) => ({ text: "t", estimate })),
    { low: 0, high: 10 },
  );
  const colours = spansOf(document).map(colourOf);
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

Deno.test("highlightTokens() leaves a token without an estimate uncoloured", async () => {
  const { document, text } = await htmlOf([
    { text: "The", estimate: null, position: 0 },
    { text: " end", estimate: 3, position: 1 },
  ]);
  const [first, second] = spansOf(document);
  assert.equal(colourOf(first!), "");
  assert.equal(colourOf(second!), "rgb(240,138,56)");
  assert.equal(first!.getAttribute("title"), "The: no estimate, token 0");
  assert.equal(text, "Tokens and their values (nats): The – | ·end 3");
});

Deno.test("highlightTokens() says value, standard error and position on hover", async () => {
  const { document } = await htmlOf([
    { text: "a", estimate: 1.25, standardError: 0.5, position: 7 },
    { text: "b", estimate: 2, standardError: null, position: 8 },
    { text: "c", estimate: 2 },
  ]);
  assert.deepEqual(spansOf(document).map((span) => span.getAttribute("title")), [
    "a: 1.25 ± 0.5 nats, token 7",
    "b: 2 nats, token 8",
    "c: 2 nats",
  ]);
});

Deno.test("highlightTokens() shows nats as bits, and other units as they are", async () => {
  const tokens = [{ text: "a", estimate: 3 * Math.LN2, standardError: Math.LN2 / 4 }];
  const bits = await htmlOf(tokens, { unit: "bits", high: 6 });
  assert.equal(spansOf(bits.document)[0]!.getAttribute("title"), "a: 3 ± 0.25 bits");
  assert.match(bits.document.body.textContent, /bits: 01\.534\.56/);
  // Half way between white and orange: low and high are bits too.
  assert.equal(colourOf(spansOf(bits.document)[0]!), "rgb(248,197,156)");
  assert.equal(bits.text, "Tokens and their values (bits): a 3 ± 0.25");
  const bytes = await htmlOf([{ text: "a", estimate: 3 }], { unit: "bytes" });
  assert.equal(bytes.text, "Tokens and their values (bytes): a 3");
});

Deno.test("highlightTokens() shows a cut character on its first token", async () => {
  const encoder = new TextEncoder();
  const cut = (text: string, ...lengths: number[]): HighlightedToken[] => {
    const bytes = encoder.encode(text);
    let at = 0;
    return lengths.map((length) => ({
      text: "\ufffd",
      estimate: 1,
      bytes: bytes.subarray(at, at += length),
    }));
  };
  const shown = async (tokens: HighlightedToken[]) =>
    spansOf((await htmlOf(tokens)).document).map((span) => span.textContent);
  assert.deepEqual(await shown(cut("a🙂b", 1, 1, 2, 1, 1)), ["a", "🙂", "⋯", "⋯", "b"]);
  // A token may hold the end of one character and the beginning of the next.
  assert.deepEqual(await shown(cut("é中", 1, 2, 2)), ["é", "中", "⋯"]);
  assert.deepEqual(await shown(cut("éa", 1, 2)), ["é", "a"]);
  // Bytes that are no character stay what they are: rests without a beginning, and the reverse.
  const stray = [[0x82], [0x61], [0x82], [0x61, 0xe4], [0x62]].map((bytes) => ({
    text: "?",
    estimate: 1,
    bytes: Uint8Array.from(bytes),
  }));
  assert.deepEqual(await shown(stray), ["\ufffd", "a", "\ufffd", "a\ufffd", "b"]);
  // A special token has no bytes, and no controls reach the page.
  const special = { text: "<|end|>", estimate: 1, bytes: new Uint8Array(0) };
  assert.deepEqual(await shown([special, ...cut("\x1b\x7fx", 3)]), ["<|end|>", "\\x1b\\x7fx"]);
});

Deno.test("highlightTokens() shows texts whose estimates are all the same", async () => {
  for (const estimate of [-2, 0, 2]) {
    const { document } = await htmlOf([{ text: "a", estimate }]);
    assert.equal(
      colourOf(spansOf(document)[0]!),
      estimate > 0 ? "rgb(240,138,56)" : "rgb(255,255,255)",
    );
  }
});

Deno.test("highlightTokens() rejects what it cannot show", () => {
  const token = { text: "a", estimate: 1 };
  assert.throws(() => highlightTokens([]), UserError);
  assert.throws(() => highlightTokens([{ ...token, estimate: null }]), UserError);
  assert.throws(() => highlightTokens([{ ...token, estimate: NaN }]), UserError);
  assert.throws(() => highlightTokens([{ ...token, standardError: NaN }]), UserError);
  assert.throws(() => highlightTokens([token], { low: 2, high: 2 }), UserError);
});
