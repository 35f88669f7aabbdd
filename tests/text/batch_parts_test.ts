import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { BatchIterator, type StoredWindows, type WindowIds } from "../../lib/text/mod.ts";

const COUNT = 23;
const LENGTH = 3;
const values = Float32Array.from({ length: COUNT * LENGTH }, (_, i) => i / 2);
const inMemory: WindowIds = {
  contextLength: LENGTH,
  count: COUNT,
  ids: Int32Array.from({ length: COUNT * LENGTH }, (_, i) => i),
  values,
};

/** The same windows, which note what is read of them. */
function stored(read: number[]): StoredWindows {
  return {
    contextLength: LENGTH,
    count: COUNT,
    layout: "packed",
    read: (rows) => {
      read.push(...Array.from(rows));
      const ids = Array.from(rows)
        .flatMap((row) => [...inMemory.ids.subarray(row * LENGTH, (row + 1) * LENGTH)]);
      const counts = new Int32Array(rows.length).fill(LENGTH);
      return {
        contextLength: LENGTH,
        count: rows.length,
        ids: Int32Array.from(ids),
        realTokens: counts,
        byteCounts: counts,
        layout: "packed",
      };
    },
  };
}

for (const parts of [1, 2, 4]) {
  Deno.test(`${parts} parts of batches, put together, are the batches, over epochs`, () => {
    for (const windows of [inMemory, stored([])]) {
      const options = { batchSize: 8, seed: 5 };
      const whole = new BatchIterator(windows, options);
      const own = Array.from(
        { length: parts },
        (_, index) => new BatchIterator(windows, { ...options, part: { index, count: parts } }),
      );
      for (let step = 0; step < 7; step++) {
        const wanted = whole.next();
        const found = own.map((one) => one.next());
        assert.deepEqual(found.flatMap(({ ids }) => [...ids]), [...wanted.ids]);
        assert.deepEqual(
          found.flatMap(({ values = [] }) => [...values]),
          [...wanted.values ?? []],
        );
        for (const one of own) assert.deepEqual(one.position, whole.position);
      }
    }
  });
}

Deno.test("a part of a stored batch reads no windows of the others", () => {
  const read = [[], []] as [number[], number[]];
  for (const index of [0, 1] as const) {
    const part = { index, count: 2 };
    const batches = new BatchIterator(stored(read[index]), { batchSize: 8, seed: 5, part });
    for (let step = 0; step < 2; step++) batches.next();
    assert.equal(read[index].length, 8);
  }
  assert.equal(new Set(read.flat()).size, 16, "an epoch has every window once");
});

Deno.test("a batch that has no equal parts is refused", () => {
  const part = { index: 0, count: 3 };
  assert.throws(
    () => new BatchIterator(inMemory, { batchSize: 8, seed: 5, part }),
    (error) =>
      error instanceof UserError &&
      /3 workers can share equally, found 8 windows: use a multiple of 3/.test(error.message),
  );
});
