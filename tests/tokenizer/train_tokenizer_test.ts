import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";

const texts = ["hug pug pun bun hugs ".repeat(5)];

Deno.test("trainTokenizer() numbers specials, then bytes in character order, then merges", () => {
  const tokenizer = trainTokenizer(texts, { vocabSize: 260 });
  assert.deepEqual(tokenizer.specialTokens, { "<|begin_of_text|>": 0, "<|end_of_text|>": 1 });
  assert.equal(tokenizer.bosId, 0);
  assert.equal(tokenizer.padId, 1);
  assert.equal(tokenizer.tokenText(2), "!");
  assert.deepEqual(tokenizer.tokenBytes(257), Uint8Array.of(0xad));
  // "ug" is seen 15 times; "un", " p" and "hu" 10 times: h + u has the lowest ids but its h and u
  // are by then in "h" "ug", so h + ug follows.
  assert.equal(tokenizer.tokenText(258), "ug");
  assert.equal(tokenizer.tokenText(259), "hug");
});

Deno.test("trainTokenizer() stops where pairs become rare", () => {
  const once = ["ab cd"];
  assert.equal(trainTokenizer(once, { vocabSize: 300 }).vocabSize, 258);
  assert.equal(trainTokenizer(once, { vocabSize: 300, minFrequency: 1 }).vocabSize, 258 + 3);
  assert.equal(trainTokenizer([], { vocabSize: 300 }).vocabSize, 258);
});

Deno.test("trainTokenizer() takes other special tokens", () => {
  const tokenizer = trainTokenizer(texts, {
    vocabSize: 270,
    specialTokens: ["<mask>", "<s>", "</s>"],
  });
  assert.deepEqual(tokenizer.specialTokens, { "<mask>": 0, "<s>": 1, "</s>": 2 });
  assert.deepEqual([tokenizer.bosId, tokenizer.padId], [1, 2]);
  assert.equal(tokenizer.tokenText(3), "!");
});

Deno.test("trainTokenizer() takes texts with lone surrogates as encode() does", () => {
  const stray = trainTokenizer(["\udc80\udc80\udc80"], { vocabSize: 300 });
  const replaced = trainTokenizer(["\ufffd\ufffd\ufffd"], { vocabSize: 300 });
  assert.equal(stray.hash, replaced.hash);
  assert.ok(stray.vocabSize > 258);
});

Deno.test("trainTokenizer() reports progress to the end", () => {
  const calls: [number, number][] = [];
  const text = Array.from({ length: 900 }, (_, i) => `w${i * 7919 % 900}x${i}`).join(" ");
  const { vocabSize } = trainTokenizer([text, text], {
    vocabSize: 600,
    onProgress: (done, total) => calls.push([done, total]),
  });
  assert.equal(vocabSize, 600);
  assert.deepEqual(calls, [[384, 600], [512, 600], [600, 600]]);
});

Deno.test("trainTokenizer() refuses options that make no tokenizer", () => {
  const refuses = (options: Partial<Parameters<typeof trainTokenizer>[1]>, message: string) =>
    assert.throws(
      () => trainTokenizer(texts, { vocabSize: 300, ...options }),
      new UserError(message),
    );
  for (const vocabSize of [257, 300.5, NaN, 2 ** 24]) {
    refuses(
      { vocabSize },
      `expected a vocabulary of 258 (bytes and special tokens) to 16777215 entries, ` +
        `found ${vocabSize}`,
    );
  }
  refuses({ minFrequency: 0 }, "expected a least frequency of 1 or more, found 0");
  refuses({ specialTokens: ["<s>", "<s>"] }, "expected different special tokens, found <s>, <s>");
  for (const name of ["", "end", " end", "42"]) {
    refuses(
      { specialTokens: ["<s>", name] },
      `expected special tokens that no word of text can spell, found "${name}": ` +
        `write it like <|name|>`,
    );
  }
});
