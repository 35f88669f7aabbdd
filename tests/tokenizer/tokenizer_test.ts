import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { createRandom } from "../../lib/random.ts";
import { type BpeTokenizer, splitWords, trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { createTokenizer } from "../../lib/tokenizer/tokenizer.ts";

const SAMPLE = [
  "the low and the lower and the lowest, the new and the newer and the newest",
  "das Wetter wird wärmer, das Wasser wird wärmer; 東京 東京 🙂🙂",
];
const tokenizer = trainTokenizer(SAMPLE, { vocabSize: 290 });
const utf8 = (text: string) => new TextEncoder().encode(text);

/** Merges in order of rank, each from left to right over the whole word. */
function encodeSlowly({ merges, tokenBytes, vocabSize }: BpeTokenizer, text: string): number[] {
  const idOf = new Map<string, number>();
  for (let id = 0; id < vocabSize; id++) idOf.set(tokenBytes(id).join(), id);
  return [...splitWords(text)].flatMap((word) => {
    const ids = Array.from(utf8(word), (byte) => idOf.get(String(byte))!);
    for (let rank = 0; rank < merges.length / 2; rank++) {
      const left = merges[2 * rank]!, right = merges[2 * rank + 1]!;
      const merged = idOf.get([...tokenBytes(left), ...tokenBytes(right)].join())!;
      for (let i = 0; i + 1 < ids.length; i++) {
        if (ids[i] === left && ids[i + 1] === right) ids.splice(i, 2, merged);
      }
    }
    return ids;
  });
}

Deno.test("encode() equals merging rank by rank", () => {
  const random = createRandom(2).stream("encode");
  const repetitive = trainTokenizer(["aaab abab aabbaab bbba ".repeat(20)], { vocabSize: 290 });
  for (let round = 0; round < 300; round++) {
    let text = "";
    for (let length = random.bits() % 60; length > 0; length--) text += "ab "[random.bits() % 3];
    assert.deepEqual([...repetitive.encode(text)], encodeSlowly(repetitive, text), text);
  }
  for (const text of SAMPLE) {
    assert.deepEqual([...tokenizer.encode(text)], encodeSlowly(tokenizer, text));
  }
});

Deno.test("encode() gives the same ids when words come back", () => {
  const fresh = trainTokenizer(SAMPLE, { vocabSize: 290 });
  const once = fresh.encode(SAMPLE[0]!);
  assert.deepEqual(fresh.encode(SAMPLE[0]! + SAMPLE[0]!).subarray(0, once.length), once);
  assert.deepEqual(fresh.encode(SAMPLE[0]!), once);
});

Deno.test("encode() of nothing is nothing", () => {
  assert.deepEqual(tokenizer.encode(""), new Int32Array(0));
  assert.deepEqual(tokenizer.decodeBytes([]), new Uint8Array(0));
  assert.equal(tokenizer.decode([]), "");
});

Deno.test("encode() takes a special token in the text as text", () => {
  const ids = tokenizer.encode("a<|end_of_text|><|begin_of_text|>");
  assert.ok(ids.every((id) => id !== tokenizer.padId && id !== tokenizer.bosId));
  assert.equal(tokenizer.decode(ids), "a<|end_of_text|><|begin_of_text|>");
});

Deno.test("encode() equals encodeBytes() of the UTF-8", () => {
  for (const text of [...SAMPLE, "\ufeffx", "\ud800 lone", "\udc80\udcff", "\u0000\u0085\n"]) {
    assert.deepEqual(tokenizer.encode(text), tokenizer.encodeBytes(utf8(text)));
  }
});

Deno.test("encode() takes a word of 200,000 letters in reasonable time", () => {
  const text = "lowest".repeat(33_000);
  assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
});

Deno.test("decodeBytes() gives back all bytes, in any order", () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  assert.deepEqual(tokenizer.decodeBytes(tokenizer.encodeBytes(all)), all);
  const random = createRandom(3).stream("bytes");
  for (let round = 0; round < 500; round++) {
    // Half the rounds are mostly text, with valid UTF-8 cut at random places.
    const source = round % 2 === 0 ? undefined : utf8(SAMPLE[1]!);
    const bytes = Uint8Array.from(
      { length: random.bits() % 80 },
      (_, i) =>
        source !== undefined && random.bits() % 8 > 0
          ? source[(i + round) % source.length]!
          : random.bits() % 256,
    );
    assert.deepEqual(tokenizer.decodeBytes(tokenizer.encodeBytes(bytes)), bytes);
  }
});

Deno.test("decode() gives back text, and U+FFFD for bytes that are none", () => {
  for (const text of [...SAMPLE, "\ufeffkept"]) {
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }
  assert.equal(tokenizer.decode(tokenizer.encodeBytes(Uint8Array.of(0x41, 0xff))), "A\ufffd");
});

Deno.test("decode() leaves out special tokens", () => {
  const ids = [tokenizer.bosId, ...tokenizer.encode("low"), tokenizer.padId];
  assert.equal(tokenizer.decode(ids), "low");
});

Deno.test("decode(), tokenBytes(), tokenText() refuse ids outside of the vocabulary", () => {
  for (const id of [-1, 290, 1.5, NaN]) {
    const refusal = new UserError(`expected a token id of 0 … 289, found ${id}`);
    assert.throws(() => tokenizer.decode([id]), refusal);
    assert.throws(() => tokenizer.tokenBytes(id), refusal);
    assert.throws(() => tokenizer.tokenText(id), refusal);
  }
});

Deno.test("tokenBytes() is empty for special tokens and cannot change the tokenizer", () => {
  assert.equal(tokenizer.tokenBytes(tokenizer.padId).length, 0);
  const id = tokenizer.encode("low")[0]!;
  tokenizer.tokenBytes(id).fill(0);
  assert.equal(tokenizer.decode([id]), new TextDecoder().decode(tokenizer.tokenBytes(id)));
  assert.notEqual(tokenizer.tokenBytes(id)[0], 0);
});

Deno.test("tokenText() labels every token", () => {
  const idOf = (...bytes: number[]) => tokenizer.encodeBytes(Uint8Array.from(bytes))[0]!;
  assert.equal(tokenizer.tokenText(tokenizer.bosId), "<|begin_of_text|>");
  assert.equal(tokenizer.tokenText(tokenizer.padId), "<|end_of_text|>");
  assert.equal(tokenizer.tokenText(tokenizer.encode(" the")[0]!), " the");
  assert.equal(tokenizer.tokenText(idOf(0x0a)), "\\n");
  assert.equal(tokenizer.tokenText(idOf(0x0d)), "\\r");
  assert.equal(tokenizer.tokenText(idOf(0x09)), "\\t");
  assert.equal(tokenizer.tokenText(idOf(0x00)), "\\x00");
  assert.equal(tokenizer.tokenText(idOf(0xff)), "\ufffd");
});

Deno.test("hash tells tokenizers apart by content alone", () => {
  const again = trainTokenizer([...SAMPLE].reverse(), { vocabSize: 290 });
  const smaller = trainTokenizer(SAMPLE, { vocabSize: 289 });
  assert.match(tokenizer.hash, /^[0-9a-f]{64}$/);
  assert.equal(again.hash, tokenizer.hash);
  assert.notEqual(smaller.hash, tokenizer.hash);
});

Deno.test("createTokenizer() lets the later of equal merges count", () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  const empty = new Uint8Array(0);
  const model = {
    tokens: [...bytes, empty, empty, ...["ab", "bc"].map(utf8)],
    specialTokens: { "<|begin_of_text|>": 256, "<|end_of_text|>": 257 },
  };
  const [a, b, c] = utf8("abc") as unknown as [number, number, number];
  const once = createTokenizer({ ...model, merges: [[a, b], [b, c]] });
  const twice = createTokenizer({ ...model, merges: [[a, b], [b, c], [a, b]] });
  assert.deepEqual([...once.encode("abc")], [258, c]);
  assert.deepEqual([...twice.encode("abc")], [a, 259]);
  assert.deepEqual([...twice.merges], [b, c, a, b]);
  assert.notEqual(twice.hash, once.hash);
});

Deno.test("createTokenizer() names what is missing", () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  const specialTokens = { "<s>": 256, "</s>": 256 };
  const tokens = [...bytes, new Uint8Array(0)];
  assert.equal(createTokenizer({ tokens, specialTokens, merges: [] }).padId, 256);
  assert.throws(
    () => createTokenizer({ tokens: tokens.slice(1), specialTokens, merges: [] }),
    new UserError(
      "expected a vocabulary with all 256 bytes, found none for byte 0: " +
        "retrain with the byte-level alphabet",
    ),
  );
  assert.throws(
    () => createTokenizer({ tokens, specialTokens, merges: [[97, 98]] }),
    new UserError('expected merge 0 to give a token, found no token "ab"'),
  );
  assert.throws(
    () => createTokenizer({ tokens, specialTokens: { "<s>": 256 }, merges: [] }),
    new UserError(
      "expected a special token named <|end_of_text|> or <eos> or </s> or <|endoftext|>, " +
        "found <s>: add one",
    ),
  );
});
