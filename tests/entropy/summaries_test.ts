import assert from "node:assert/strict";
import {
  summarizeByPosition,
  summarizeByToken,
  summarizeByWordPart,
  type WordPart,
  wordPart,
} from "../../lib/entropy/mod.ts";
import type { TokenEstimate } from "../../lib/entropy/token_estimate.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";

const IDS = [" the", " st", "ate", "."];

/** A text's records; every token's id is its place in `IDS`. */
function textOf(...tokens: readonly (readonly [text: string, estimate: number | null])[]) {
  return tokens.map(([text, estimate], position): TokenEstimate => ({
    id: IDS.indexOf(text),
    text,
    position,
    estimate,
    standardError: null,
  }));
}

const TEXTS = [
  textOf(["ate", null], [" the", 6], [".", null], [" st", 8]),
  textOf([" the", null], [" st", 4], ["ate", 1], [".", 2]),
  textOf([" st", null], ["ate", 2], [" the", 1]),
];

Deno.test("summarizeByPosition() are means over texts", () => {
  assert.deepEqual(summarizeByPosition(TEXTS), [
    // 6, 4, 2: squares about the mean 8, /2 /3.
    { position: 1, mean: 4, standardError: Math.sqrt(4 / 3), count: 3 },
    { position: 2, mean: 1, standardError: 0, count: 2 },
    { position: 3, mean: 5, standardError: 3, count: 2 },
  ]);
});

Deno.test("summarizeByToken() are means by token, the most frequent first", () => {
  const found = summarizeByToken(TEXTS);
  assert.deepEqual(found, [
    { id: 0, text: " the", mean: 3.5, standardError: 2.5, count: 2 },
    { id: 1, text: " st", mean: 6, standardError: 2, count: 2 },
    { id: 2, text: "ate", mean: 1.5, standardError: 0.5, count: 2 },
    { id: 3, text: ".", mean: 2, standardError: null, count: 1 },
  ]);
  assert.deepEqual(summarizeByToken(TEXTS.toReversed()), found, "whatever the order of texts");
  assert.deepEqual(summarizeByToken(TEXTS, { minCount: 2 }), found.slice(0, 3));
  const more = [...TEXTS, textOf([".", 1], [".", 3])];
  assert.deepEqual(summarizeByToken(more).map(({ text }) => text), [".", " the", " st", "ate"]);
});

Deno.test("summarizeByWordPart() tell the beginning of a word from its rest", () => {
  // first: 4, 1, 6, 8; later: 1, 2; other: 2. The first text begins with a word's rest, unrated.
  assert.deepEqual(summarizeByWordPart(TEXTS), [
    { part: "first", mean: 4.75, standardError: Math.sqrt(26.75 / 12), count: 4 },
    { part: "later", mean: 1.5, standardError: 0.5, count: 2 },
    { part: "other", mean: 2, standardError: null, count: 1 },
  ]);
  const few = summarizeByWordPart([textOf([".", 2], ["ate", 1])]);
  assert.deepEqual(few.map(({ part }) => part), ["first", "other"]);
});

Deno.test("wordPart() goes by letters, and by what stands before them", () => {
  const cases: readonly (readonly [before: string | null, text: string, part: WordPart])[] = [
    [null, "The", "first"],
    [null, "ment", "first"],
    ["The", " state", "first"],
    [" govern", "ment", "later"],
    [" Bü", "ßer", "later"],
    [" it", "'s", "later"],
    ["“", "We", "first"],
    ["-", "called", "first"],
    ["\\n", "We", "first"],
    ["\\n\\n", "We", "first"],
    ["9", "th", "first"],
    ["\ufffd", "t", "first"],
    ["<|end_of_text|>", "We", "first"],
    [" state", ".", "other"],
    [" state", " 1812", "other"],
    [" state", "\\n", "other"],
    [" state", "\\t", "other"],
    [" state", " ", "other"],
    [" state", "'", "other"],
    [" state", "\ufffd", "other"],
    [" state", "<|end_of_text|>", "other"],
  ];
  for (const [before, text, part] of cases) {
    assert.equal(wordPart(before, text), part, `${before} ${text}`);
  }
});

Deno.test("wordPart() counts each word of a text once", () => {
  const text = "The state of the Union's 1,200 men: we're well.\n\nSo be it";
  const words = text.match(/\p{L}+(?:'\p{L}+)?/gu)!;
  for (const vocabSize of [258, 272, 330]) {
    const tokenizer = trainTokenizer([text.repeat(2)], { vocabSize });
    const texts = Array.from(tokenizer.encode(text), (id) => tokenizer.tokenText(id));
    const parts = texts.map((one, at) => wordPart(texts[at - 1] ?? null, one));
    // Where a space or an apostrophe is a token of its own, letters follow no letter.
    const alone = texts.filter((one, at) => one === "'" && parts[at + 1] === "first").length;
    assert.equal(parts.filter((part) => part === "first").length - alone, words.length);
    assert.ok(parts.includes("later"));
  }
});
