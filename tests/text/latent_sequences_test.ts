import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { createRandom } from "../../lib/random.ts";
import {
  latentLength,
  latentSequences,
  type LatentSource,
  latentVocabSize,
} from "../../lib/text/mod.ts";

/** Three blocks of two bits each, said four times. */
const SOURCE: LatentSource = { latentBits: 6, blockCount: 3, blockLength: 4 };

/** The entropy of the values as they occur, in bits. */
function empiricalEntropy(values: readonly unknown[]): number {
  const counts = new Map<unknown, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.values()]
    .map((count) => count / values.length)
    .reduce((bits, share) => bits - share * Math.log2(share), 0);
}

/** The sequences as rows of ids. */
function rowsOf(source: LatentSource, count: number, seed: number, stream = "train"): number[][] {
  const { ids, contextLength } = latentSequences(source, count, createRandom(seed).stream(stream));
  return Array.from(
    { length: count },
    (_, row) => [...ids.subarray(row * contextLength, (row + 1) * contextLength)],
  );
}

Deno.test("latentLength() and latentVocabSize() count the start token too", () => {
  assert.equal(latentLength(SOURCE), 13);
  assert.equal(latentVocabSize(SOURCE), 5);
  assert.equal(latentLength({ latentBits: 8, blockCount: 1, blockLength: 1 }), 2);
  assert.equal(latentVocabSize({ latentBits: 8, blockCount: 1, blockLength: 1 }), 257);
});

Deno.test("latentSequences() begins with the start token, then says every symbol blockLength times", () => {
  for (const row of rowsOf(SOURCE, 50, 1)) {
    assert.equal(row.length, 13);
    assert.equal(row[0], 0);
    for (let block = 0; block < 3; block++) {
      const said = row.slice(1 + 4 * block, 5 + 4 * block);
      assert.deepEqual(said, Array(4).fill(said[0]));
      assert.ok(said[0]! >= 1 && said[0]! < 5, `symbol ${said[0]}`);
    }
  }
});

Deno.test("latentSequences() has the entropy that it says, all of it where blocks begin", () => {
  const rows = rowsOf(SOURCE, 20_000, 2);
  const near = (found: number, bits: number, what: string) =>
    assert.ok(Math.abs(found - bits) < 0.01, `${what}: ${found} bits, not ${bits}`);
  const column = (position: number) => rows.map((row) => row[position]!);
  // A sequence: the 64 of 6 bits, each as often as any other.
  near(empiricalEntropy(rows.map((row) => row.join())), 6, "a sequence");
  // Each token, given all before it.
  for (let position = 1; position < 13; position++) {
    const before = empiricalEntropy(rows.map((row) => row.slice(0, position).join()));
    const after = empiricalEntropy(rows.map((row) => row.slice(0, position + 1).join()));
    near(after - before, (position - 1) % 4 === 0 ? 2 : 0, `token ${position}`);
  }
  assert.deepEqual([...new Set(column(5))].sort(), [1, 2, 3, 4]);
});

Deno.test("latentSequences() draws from one bit to sixteen a block", () => {
  const of = (latentBits: number) =>
    rowsOf({ latentBits, blockCount: 1, blockLength: 1 }, 2000, 3).map((row) => row[1]!);
  assert.deepEqual([...new Set(of(1))].sort(), [1, 2]);
  const wide = of(16);
  assert.ok(Math.max(...wide) > 65_000 && Math.max(...wide) <= 65_536);
  assert.ok(Math.min(...wide) >= 1 && Math.min(...wide) < 500);
});

Deno.test("latentSequences() is a function of its stream, and streams differ", () => {
  assert.deepEqual(rowsOf(SOURCE, 30, 1), rowsOf(SOURCE, 30, 1));
  assert.notDeepEqual(rowsOf(SOURCE, 30, 1), rowsOf(SOURCE, 30, 2));
  assert.notDeepEqual(rowsOf(SOURCE, 30, 1), rowsOf(SOURCE, 30, 1, "held out"));
  // More of them begin with the same ones.
  assert.deepEqual(rowsOf(SOURCE, 30, 1).slice(0, 10), rowsOf(SOURCE, 10, 1));
});

Deno.test("latentSequences() gives packed windows, a byte a token", () => {
  const { ids: _, ...rest } = latentSequences(SOURCE, 2, createRandom(1));
  assert.deepEqual(rest, {
    contextLength: 13,
    count: 2,
    realTokens: Int32Array.of(13, 13),
    byteCounts: Int32Array.of(12, 12),
    layout: "packed",
  });
});

Deno.test("latentSequences() refuses bits that do not divide into blocks, and no blocks", () => {
  for (
    const [changes, message] of [
      [
        { latentBits: 7 },
        "latentBits: expected 1 to 16 whole bits for each of 3 blocks, found 7",
      ],
      [
        { latentBits: 0 },
        "latentBits: expected 1 to 16 whole bits for each of 3 blocks, found 0",
      ],
      [
        { latentBits: 51 },
        "latentBits: expected 1 to 16 whole bits for each of 3 blocks, found 51",
      ],
      [
        { latentBits: NaN },
        "latentBits: expected 1 to 16 whole bits for each of 3 blocks, found NaN",
      ],
      [{ blockCount: 0 }, "blockCount: expected a positive integer, found 0"],
      [{ blockCount: 1.5 }, "blockCount: expected a positive integer, found 1.5"],
      [{ blockLength: 0 }, "blockLength: expected a positive integer, found 0"],
      [{ blockLength: 2.5 }, "blockLength: expected a positive integer, found 2.5"],
    ] as const
  ) {
    assert.throws(
      () => latentSequences({ ...SOURCE, ...changes }, 1, createRandom(1)),
      (error) => error instanceof UserError && error.message === message,
    );
  }
});
