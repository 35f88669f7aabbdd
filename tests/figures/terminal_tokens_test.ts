import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { type HighlightedToken, terminalTokens } from "../../lib/figures/mod.ts";

const tokens: readonly HighlightedToken[] = [
  { text: "The", estimate: null },
  { text: " end\n\n", estimate: 0 },
  { text: "\tof\r", estimate: 4 * Math.LN2, standardError: Math.LN2 / 2 },
];

// deno-lint-ignore no-control-regex
const ESCAPES = /\x1b\[[0-9;]*m/g;
const END = "\x1b[0m";

Deno.test("terminalTokens() without colours is a line a token", () => {
  assert.equal(
    terminalTokens(tokens, { colours: "none", unit: "bits" }),
    "The\t–\n·end↵↵\t0\n⇥of␍\t4 ± 0.5",
  );
  assert.equal(
    terminalTokens(tokens.slice(0, 2), { colours: "none" }),
    "The\t–\n·end↵↵\t0",
  );
});

Deno.test("terminalTokens() colours from white to orange below a legend", () => {
  const shown = terminalTokens(tokens, { colours: "truecolor", unit: "bits" });
  const [white, orange, dark] = ["255;255;255", "240;138;56", "34;34;34"];
  const paint = (colour: string, text: string) => `\x1b[48;2;${colour};38;2;${dark}m${text}${END}`;
  const [legend, body] = shown.split("\n\n", 2);
  assert.equal(legend!.replaceAll(ESCAPES, ""), "bits:  0  1  2  3  4 ");
  assert.ok(legend!.startsWith(`bits: ${paint(white, " 0 ")}`));
  assert.ok(legend!.endsWith(paint(orange, " 4 ")));
  assert.equal(
    shown.slice(legend!.length + 2),
    `The${paint(white, " end↵")}\n${paint(white, "↵")}\n${paint(orange, "⇥of␍")}`,
  );
  assert.ok(body!.startsWith("The\x1b"), "no colour without an estimate");
});

Deno.test("terminalTokens() takes the nearest of 256 colours", () => {
  const shown = terminalTokens(tokens, { colours: "palette", unit: "bits" });
  // White and, of the cube 0 95 135 175 215 255, (255, 135, 95 or 0): 16 + 36 · 5 + 6 · 2 + 1.
  assert.ok(shown.includes(`\x1b[48;5;231;38;5;16m end↵${END}\n`), shown);
  assert.ok(shown.endsWith(`\x1b[48;5;209;38;5;16m⇥of␍${END}`), shown);
  assert.doesNotMatch(shown, /;2;/);
});

Deno.test("terminalTokens() lets no control of the text reach the terminal", () => {
  const evil = "\x1b[2J\x07\x9b\x08x";
  for (const colours of ["truecolor", "palette", "none"] as const) {
    for (const estimate of [null, 1]) {
      const bytes = new TextEncoder().encode(evil);
      const other = { text: "a", estimate: 1 };
      for (const token of [{ text: evil, estimate }, { text: "", estimate, bytes }]) {
        const shown = terminalTokens([token, other], { colours }).replaceAll(ESCAPES, "");
        assert.ok(shown.includes("\\x1b[2J\\x07\\x9b\\x08x"), shown);
        // deno-lint-ignore no-control-regex
        assert.doesNotMatch(shown, /[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
      }
    }
  }
});

Deno.test("terminalTokens() rejects what it cannot show", () => {
  for (const colours of ["truecolor", "none"] as const) {
    assert.throws(() => terminalTokens([tokens[0]!], { colours }), UserError);
    assert.throws(() => terminalTokens(tokens, { colours, low: 1, high: 1 }), UserError);
  }
});
