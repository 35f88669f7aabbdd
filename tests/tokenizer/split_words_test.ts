import assert from "node:assert/strict";
import { createRandom } from "../../lib/random.ts";
import { splitWords } from "../../lib/tokenizer/mod.ts";

/** The expression itself: slow on long runs, but the definition. */
const EXPRESSION =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

const words = (text: string) => [...splitWords(text)];

Deno.test("splitWords() cuts as GPT-2 does", () => {
  assert.deepEqual(words("It's 1984, they've  said:\n\n 'don't!' "), [
    "It",
    "'s",
    " 1984",
    ",",
    " they",
    "'ve",
    " ",
    " said",
    ":",
    "\n\n",
    " '",
    "don",
    "'t",
    "!'",
    " ",
  ]);
});

Deno.test("splitWords() gives nothing for an empty text", () => {
  assert.deepEqual(words(""), []);
});

Deno.test("splitWords() equals the expression on random text", () => {
  const random = createRandom(1).stream("split words");
  const pieces = [
    ..." \t\n\r'\"!-aestdmvrlE019",
    ..."\u0085\u00a0\u2003\u3000\ufeff\u200béяあ東½Ⅳ٣🙂\u0301",
    "\u{1d400}",
    "\u{1d7ce}",
    "\udc80",
    "'re",
    "'ve",
    "'ll",
    "  ",
  ];
  for (let round = 0; round < 3000; round++) {
    let text = "";
    for (let length = random.bits() % 24; length > 0; length--) {
      text += pieces[random.bits() % pieces.length]!;
    }
    assert.deepEqual(words(text), text.match(EXPRESSION) ?? [], JSON.stringify(text));
  }
});

Deno.test("splitWords() takes runs of any length", () => {
  for (const character of ["a", "\u{1d400}", "!", " ", "7"]) {
    const run = character.repeat(300_000);
    assert.deepEqual(words(run).map((word) => word.length), [run.length]);
  }
});
