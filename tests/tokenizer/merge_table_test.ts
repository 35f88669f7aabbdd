import assert from "node:assert/strict";
import { MergeTable } from "../../lib/tokenizer/_merge_table.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { createRandom } from "../../lib/random.ts";

const { merges, vocabSize, tokenBytes } = trainTokenizer(
  ["abab abba baab aab abbba bababab cab abc bcabca aaaaaaaa bbbbbb"],
  { vocabSize: 290, minFrequency: 1 },
);
const spelling = (id: number) => new TextDecoder("latin1").decode(tokenBytes(id));
const idOf = new Map(
  Array.from({ length: vocabSize }, (_, id) => [spelling(id), id] as const)
    .filter(([bytes]) => bytes !== ""),
);
const idOfByte = Int32Array.from({ length: 256 }, (_, byte) => {
  return idOf.get(new TextDecoder("latin1").decode(Uint8Array.of(byte)))!;
});
const mergedIds = Int32Array.from(
  { length: merges.length / 2 },
  (_, rank) => idOf.get(spelling(merges[2 * rank]!) + spelling(merges[2 * rank + 1]!))!,
);

/** By the definition: every merge in order of rank, from left to right. */
function mergedByRank(bytes: Uint8Array): number[] {
  let ids = Array.from(bytes, (byte) => idOfByte[byte]!);
  for (let rank = 0; rank < mergedIds.length; rank++) {
    const merged: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      const isPair = ids[i] === merges[2 * rank] && ids[i + 1] === merges[2 * rank + 1];
      merged.push(isPair ? mergedIds[rank]! : ids[i]!);
      if (isPair) i++;
    }
    ids = merged;
  }
  return ids;
}

Deno.test("MergeTable encodeWord() applies merges in order of rank, in short words and long", () => {
  const table = new MergeTable(merges, mergedIds);
  const random = createRandom(1).stream("words");
  for (let length = 0; length < 90; length++) {
    for (let draw = 0; draw < 20; draw++) {
      const bytes = Uint8Array.from({ length }, () => 0x61 + Math.floor(2.2 * random.uniform()));
      assert.deepEqual([...table.encodeWord(bytes, idOfByte)], mergedByRank(bytes));
    }
  }
});

Deno.test("MergeTable rankOf() tells pairs that are merged from all others", () => {
  const table = new MergeTable(merges, mergedIds);
  const ranks = new Map(
    Array.from(mergedIds, (_, rank) => [`${merges[2 * rank]} ${merges[2 * rank + 1]}`, rank]),
  );
  for (let left = 0; left < vocabSize; left++) {
    for (let right = 0; right < vocabSize; right++) {
      const rank = table.rankOf(left, right);
      const wanted = ranks.get(`${left} ${right}`);
      if (wanted === undefined) assert.ok(rank >= mergedIds.length);
      else assert.equal(rank, wanted);
    }
  }
});
