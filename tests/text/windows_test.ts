import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { makeWindows, type TokenizedDocuments } from "../../lib/text/mod.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";

const tokenizer = trainTokenizer(["aaa bbb ".repeat(9)], { vocabSize: 266 });
const PAD = tokenizer.padId;

/** Ids by how many bytes they have, so that sums of bytes tell which tokens were counted. */
const idOfLength = (length: number) => {
  for (let id = 258; id < tokenizer.vocabSize; id++) {
    if (tokenizer.tokenBytes(id).length === length) return id;
  }
  throw new Error(`no token of ${length} bytes`);
};
const A = 2, B = idOfLength(2), D = idOfLength(4);

function tokenized(...documents: number[][]): TokenizedDocuments {
  const offsets = [0];
  for (const document of documents) offsets.push(offsets.at(-1)! + document.length);
  return {
    ids: Uint16Array.from(documents.flat()),
    offsets: Int32Array.from(offsets),
    byteCount: documents.flat().reduce((sum, id) => sum + tokenizer.tokenBytes(id).length, 0),
    vocabSize: tokenizer.vocabSize,
  };
}

Deno.test("makeWindows() packed: one stream, cut every N tokens, rest dropped", () => {
  const documents = tokenized([A, B, D], [], [B], [D, D, A, A], [B, B]);
  assert.deepEqual(makeWindows(documents, tokenizer, { contextLength: 4, layout: "packed" }), {
    contextLength: 4,
    count: 2,
    ids: Int32Array.of(A, B, D, B, D, D, A, A),
    realTokens: Int32Array.of(4, 4),
    byteCounts: Int32Array.of(2 + 4 + 2, 4 + 1 + 1),
    layout: "packed",
  });
});

Deno.test("makeWindows() padded: one document a window, cut to N, padded on the left", () => {
  const documents = tokenized([A, B, D, B, B], [], [D], [B, D, A, D], [D, B]);
  assert.deepEqual(makeWindows(documents, tokenizer, { contextLength: 4, layout: "padded" }), {
    contextLength: 4,
    count: 4,
    ids: Int32Array.of(A, B, D, B, PAD, PAD, PAD, D, B, D, A, D, PAD, PAD, D, B),
    realTokens: Int32Array.of(4, 1, 4, 2),
    // Position 0 is not scored; the first token after padding is.
    byteCounts: Int32Array.of(2 + 4 + 2, 4, 4 + 1 + 4, 4 + 2),
    layout: "padded",
  });
});

Deno.test("makeWindows() leaves out documents under minTokens", () => {
  const documents = tokenized([A, B], [D], [B, D, A]);
  const padded = makeWindows(documents, tokenizer, {
    contextLength: 3,
    layout: "padded",
    minTokens: 2,
  });
  assert.deepEqual(padded.ids, Int32Array.of(PAD, A, B, B, D, A));
  const packed = makeWindows(documents, tokenizer, {
    contextLength: 2,
    layout: "packed",
    minTokens: 3,
  });
  assert.deepEqual(packed.ids, Int32Array.of(B, D));
});

Deno.test("makeWindows() packed: bytes of all tokens but the windows' first add up", () => {
  const text = "aaa bbb aaa b a bbb ".repeat(40);
  const ids = Array.from(tokenizer.encode(text));
  const { byteCounts, ids: kept, contextLength } = makeWindows(tokenized(ids), tokenizer, {
    contextLength: 7,
    layout: "packed",
  });
  const firsts = kept.filter((_, i) => i % contextLength === 0);
  const bytes = (part: ArrayLike<number>) => tokenizer.decodeBytes(part).length;
  assert.equal(byteCounts.reduce((sum, count) => sum + count), bytes(kept) - bytes(firsts));
});

Deno.test("makeWindows() takes ids above 65,535 as they are", () => {
  const documents = { ...tokenized([A, B, D]), ids: Int32Array.of(A, B, D) };
  const { ids } = makeWindows(documents, tokenizer, { contextLength: 3, layout: "packed" });
  assert.deepEqual(ids, Int32Array.of(A, B, D));
});

Deno.test("makeWindows() says what does not fit", () => {
  const refuses = (
    documents: TokenizedDocuments,
    options: Parameters<typeof makeWindows>[2],
    message: string,
  ) => assert.throws(() => makeWindows(documents, tokenizer, options), new UserError(message));
  const documents = { ...tokenized([A, B], [D]), source: "mine, held out" };
  refuses(
    documents,
    { contextLength: 4, layout: "packed" },
    "mine, held out: expected tokens for one context of 4, found 3 in 2 documents: " +
      "add text or shorten the context",
  );
  refuses(
    documents,
    { contextLength: 3, layout: "packed", minTokens: 2 },
    "mine, held out: expected tokens for one context of 3, found 3 in 2 documents " +
      "(those under 2 tokens left out): add text or shorten the context",
  );
  refuses(
    tokenized([A, B], [D]),
    { contextLength: 4, layout: "padded", minTokens: 3 },
    "expected a document of 3 tokens or more, found 3 in 2 documents: " +
      "add text or lower the least number of tokens",
  );
  for (const contextLength of [1, 2.5, NaN]) {
    refuses(
      documents,
      { contextLength, layout: "packed" },
      `expected a context of 2 tokens or more, found ${contextLength}`,
    );
  }
  refuses(
    { ...documents, vocabSize: 4096 },
    { contextLength: 2, layout: "packed" },
    `expected documents of a vocabulary of ${tokenizer.vocabSize}, found 4096: ` +
      `use the tokenizer they were encoded with`,
  );
});
