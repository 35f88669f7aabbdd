import assert from "node:assert/strict";
import { tokenBytes, TRANSFER_METHODS, transferEstimates } from "../../lib/entropy/mod.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { assertClose } from "../_numbers.ts";
import { refusal } from "../models/_tiny.ts";

const lengths = (...bytes: number[]) => bytes.map((bytes) => ({ bytes }));

Deno.test("transferEstimates() by mean give a token the mean over its bytes", () => {
  const source = [{ bytes: 3, value: 6 }, { bytes: 1, value: 2 }, { bytes: 2, value: -1 }];
  assert.deepEqual(transferEstimates(source, lengths(2, 2, 2)), [6, 4, -1]);
  assert.deepEqual(transferEstimates(source, lengths(6)), [(3 * 6 + 2 - 2) / 6]);
  assert.deepEqual(transferEstimates(source, lengths(1, 5)), [6, 12 / 5]);
});

Deno.test("transferEstimates() by sum share a token out among its bytes", () => {
  const source = [{ bytes: 3, value: 6 }, { bytes: 1, value: 2 }, { bytes: 2, value: -1 }];
  assert.deepEqual(transferEstimates(source, lengths(2, 2, 2), "sum"), [4, 4, -1]);
  assert.deepEqual(transferEstimates(source, lengths(6), "sum"), [7]);
  assert.deepEqual(transferEstimates(source, lengths(5, 1), "sum"), [7.5, -0.5]);
});

Deno.test("transferEstimates() skip bytes without an estimate", () => {
  const source = [
    { bytes: 2, value: null },
    { bytes: 0, value: 99 }, // a special token
    { bytes: 2, value: 8 },
    { bytes: 2, value: 0 },
  ];
  assert.deepEqual(transferEstimates(source, lengths(1, 2, 0, 3), "mean"), [null, 8, null, 8 / 3]);
  assert.deepEqual(transferEstimates(source, lengths(1, 2, 0, 3), "sum"), [null, 4, null, 4]);
});

Deno.test("transferEstimates() refuse another text", () => {
  assert.equal(
    refusal(() => transferEstimates([{ bytes: 3, value: 1 }], lengths(2, 2))),
    "transfer: expected the same text on both sides, found 3 and 4 bytes; give both tokenizers " +
      "the same text, and keep all of its tokens",
  );
});

const TEXT = "Zwölf Boxkämpfer jagen 🙂 Viktor quer über den großen Sylter Deich — 🙂 €5!";
/** Bytes alone, and merges that end inside characters. */
const bytewise = trainTokenizer([TEXT], { vocabSize: 258 });
const merging = trainTokenizer([TEXT.repeat(3)], { vocabSize: 290 });

Deno.test("transferEstimates() go byte by byte between tokenizers, inside characters too", () => {
  const [single, merged] = [bytewise.encode(TEXT), merging.encode(TEXT)];
  assert.ok(merged.length < single.length);
  const cut = merged.filter((id) => merging.tokenText(id).includes("\ufffd"));
  assert.ok(cut.length > 0, "some token ends inside a character");
  const values = Array.from(merged, (_, at) => at === 0 ? null : at + 1);
  const source = tokenBytes(merging, merged, values);
  const target = tokenBytes(bytewise, single);
  assert.deepEqual(target, Array.from(single, () => ({ bytes: 1, value: null })));
  const expected = Array.from(merged, (id, at) => {
    const { length } = merging.tokenBytes(id);
    return new Array<number | null>(length).fill(values[at]!);
  }).flat();
  assert.deepEqual(transferEstimates(source, target, "mean"), expected);
});

Deno.test("transferEstimates() there and back are what they were", () => {
  const [single, merged] = [bytewise.encode(TEXT), merging.encode(TEXT)];
  const values = Array.from(merged, (_, at) => Math.sin(at));
  const [source, target] = [tokenBytes(merging, merged, values), tokenBytes(bytewise, single)];
  for (const method of TRANSFER_METHODS) {
    const there = transferEstimates(source, target, method);
    const back = transferEstimates(tokenBytes(bytewise, single, there), source, method);
    assertClose(back.map((one) => one!), values, 1e-12, method);
  }
});

Deno.test("transferEstimates() by sum keep the total", () => {
  const other = trainTokenizer([TEXT.slice(20).repeat(2)], { vocabSize: 275 });
  const [from, to] = [merging.encode(TEXT), other.encode(TEXT)];
  const values = Array.from(from, (_, at) => 1 + Math.cos(at));
  const found = transferEstimates(
    tokenBytes(merging, from, values),
    tokenBytes(other, to),
    "sum",
  );
  assert.equal(found.length, to.length);
  const total = (numbers: readonly (number | null)[]) =>
    numbers.reduce<number>((sum, one) => sum + one!, 0);
  assertClose([total(found)], [total(values)], 1e-12, "total");
});
