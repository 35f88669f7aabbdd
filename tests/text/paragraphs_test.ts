import assert from "node:assert/strict";
import { splitParagraphs, splitSentences } from "../../lib/text/mod.ts";
import { cutParagraphs, joinShort } from "../../lib/text/paragraphs.ts";

Deno.test("splitParagraphs() cuts at blank lines and trims", () => {
  const text = "\n\nOne\nstill one.\n \t\nTwo. \r\n\r\nThree\n\n\n\n";
  assert.deepEqual(splitParagraphs([{ id: "a", text }, { id: "b", text: "Whole." }]), [
    { id: "a#1", text: "One\nstill one." },
    { id: "a#2", text: "Two." },
    { id: "a#3", text: "Three" },
    { id: "b#1", text: "Whole." },
  ]);
});

Deno.test("splitParagraphs() cuts a long block at sentence ends", () => {
  const sentence = `${"word ".repeat(28)}end. `; // 145 characters: three reach 400
  const pieces = splitParagraphs([{ id: "a", text: `A ${sentence}`.repeat(16) }]);
  assert.deepEqual(pieces.map(({ text }) => text.length), [440, 440, 440, 440, 440 + 147]);
  assert.ok(pieces.every(({ text }) => text.startsWith("A word") && text.endsWith("end.")));
});

Deno.test("splitParagraphs() does not end a sentence at an abbreviation", () => {
  const text = `${"x".repeat(450)} of Mr. Jones in the U.S. Army said. ${"Y".repeat(1600)}`;
  assert.deepEqual(cutParagraphs(text), [
    text.slice(0, text.indexOf("YY")),
    "Y".repeat(1600),
  ]);
});

Deno.test("splitParagraphs() leaves a block of 2,000 characters whole", () => {
  const text = "A b. ".repeat(400);
  assert.equal(cutParagraphs(text).length, 1);
  assert.ok(cutParagraphs(`${text}A`).length > 1);
});

Deno.test("splitParagraphs() falls back to line ends, then to words", () => {
  const lines = cutParagraphs(`${"word ".repeat(20)}\n`.repeat(30));
  assert.ok(lines.length > 5 && lines.every((piece) => piece.endsWith("\n")));
  const words = cutParagraphs("word ".repeat(1000));
  assert.deepEqual(new Set(words.map((piece) => piece.length)), new Set([400, 600]));
  const chinese = cutParagraphs(`${"字".repeat(99)}。`.repeat(25));
  assert.deepEqual(new Set(chinese.map((piece) => piece.length)), new Set([400, 500]));
  assert.equal(cutParagraphs("x".repeat(5000)).length, 1);
});

Deno.test("cutParagraphs() loses nothing", () => {
  for (
    const text of [
      "",
      "\n\n",
      " a \n\n\n b\r\n\r\nc ",
      "A b.  C d! ".repeat(900),
      "w\n".repeat(3000),
    ]
  ) {
    assert.equal(cutParagraphs(text).join(""), text);
  }
});

Deno.test("joinShort() keeps a short rest with the piece before it", () => {
  assert.deepEqual(joinShort(["aa", "b", "ccc", "d"], 3), ["aab", "cccd"]);
  assert.deepEqual(joinShort(["a"], 3), ["a"]);
  assert.deepEqual(joinShort([], 3), []);
});

Deno.test("splitSentences() cuts at sentence ends, not at abbreviations, and never across paragraphs", () => {
  const text = "Mr. Speaker has 3.5 votes. He asks: why?\n\nNo stop here\n\n“So be it.” Done!";
  assert.deepEqual(
    splitSentences([{ id: "a", text }]).map(({ id, text }) => [id, text]),
    [
      ["a#1", "Mr. Speaker has 3.5 votes."],
      ["a#2", "He asks: why?"],
      ["a#3", "No stop here"],
      ["a#4", "“So be it.”"],
      ["a#5", "Done!"],
    ],
  );
});
