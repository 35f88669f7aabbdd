import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import { batchesInOrder, BatchIterator, gatherRows, type Windows } from "../../lib/text/mod.ts";

/** Windows of two ids: window w is (2w, 2w + 1). */
function numbered(count: number): Windows {
  return {
    contextLength: 2,
    count,
    ids: Int32Array.from({ length: 2 * count }, (_, i) => i),
    realTokens: new Int32Array(count).fill(2),
    byteCounts: new Int32Array(count).fill(1),
    layout: "packed",
  };
}

/** The numbers of the windows in a batch, which must be whole. */
function rowsOf(ids: Int32Array): number[] {
  return Array.from({ length: ids.length / 2 }, (_, row) => {
    assert.equal(ids[2 * row + 1], ids[2 * row]! + 1);
    return ids[2 * row]! / 2;
  });
}

function take(iterator: BatchIterator, count: number) {
  return Array.from({ length: count }, () => {
    const { ids, epoch } = iterator.next();
    return { rows: rowsOf(ids), epoch };
  });
}

const rowsOfEpoch = (seed: number, epoch: number) =>
  take(new BatchIterator(numbered(20), { batchSize: 4, seed, position: { epoch, index: 0 } }), 5)
    .flatMap(({ rows }) => rows);

Deno.test("BatchIterator next() gives every window once an epoch, shuffled", () => {
  const batches = take(new BatchIterator(numbered(20), { batchSize: 4, seed: 1 }), 10);
  assert.deepEqual(batches.map(({ epoch }) => epoch), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
  const inOrder = Array.from({ length: 20 }, (_, i) => i);
  for (const half of [batches.slice(0, 5), batches.slice(5)]) {
    const rows = half.flatMap(({ rows }) => rows);
    assert.notDeepEqual(rows, inOrder);
    assert.deepEqual(rows.sort((a, b) => a - b), inOrder);
  }
});

Deno.test("BatchIterator order is a pure function of seed and epoch, another for each", () => {
  assert.deepEqual(rowsOfEpoch(1, 0), rowsOfEpoch(1, 0));
  assert.notDeepEqual(rowsOfEpoch(1, 0), rowsOfEpoch(1, 1));
  assert.notDeepEqual(rowsOfEpoch(1, 0), rowsOfEpoch(2, 0));
  assert.notDeepEqual(rowsOfEpoch(1, 1), rowsOfEpoch(2, 0));
});

Deno.test("BatchIterator drops what does not fill a batch, another part each epoch", () => {
  const batches = take(new BatchIterator(numbered(11), { batchSize: 4, seed: 3 }), 4);
  assert.deepEqual(batches.map(({ epoch }) => epoch), [0, 0, 1, 1]);
  assert.equal(new Set(batches.slice(0, 2).flatMap(({ rows }) => rows)).size, 8);
  const one = new BatchIterator(numbered(3), { batchSize: 3, seed: 3 });
  assert.deepEqual(take(one, 2).map(({ epoch }) => epoch), [0, 1]);
});

Deno.test("BatchIterator resumed at any position equals one that ran through", () => {
  const options = { batchSize: 3, seed: 5 };
  const through = take(new BatchIterator(numbered(11), options), 12);
  const stopped = new BatchIterator(numbered(11), options);
  for (let done = 0; done < 10; done++) {
    const position = JSON.parse(JSON.stringify(stopped.position));
    assert.deepEqual(position, { epoch: Math.floor(done / 3), index: done % 3 });
    const resumed = new BatchIterator(numbered(11), { ...options, position });
    assert.deepEqual(take(resumed, 2), through.slice(done, done + 2));
    stopped.next();
  }
});

/** The same, each token with a value that says which it is. */
function valued(count: number): Windows {
  const windows = numbered(count);
  return { ...windows, values: Float32Array.from(windows.ids, (id) => id + 0.5) };
}

Deno.test("BatchIterator next() gives values with the ids that they belong to", () => {
  const iterator = new BatchIterator(valued(11), { batchSize: 4, seed: 3 });
  const without = new BatchIterator(numbered(11), { batchSize: 4, seed: 3 });
  for (let batch = 0; batch < 5; batch++) {
    const { ids, values } = iterator.next();
    const plain = without.next();
    assert.deepEqual(ids, plain.ids);
    assert.deepEqual(values, Float32Array.from(ids, (id) => id + 0.5));
    assert.ok(!("values" in plain));
  }
});

Deno.test("batchesInOrder() gives values with the ids that they belong to", () => {
  const batches = [...batchesInOrder(valued(5), 2)];
  assert.deepEqual(batches.map(({ values }) => [...values!]), [
    [0.5, 1.5, 2.5, 3.5],
    [4.5, 5.5, 6.5, 7.5],
    [8.5, 9.5, 8.5, 9.5],
  ]);
  assert.ok([...batchesInOrder(numbered(5), 2)].every((batch) => !("values" in batch)));
});

Deno.test("gatherRows() refuses values that are not one a token", () => {
  const windows = { ...numbered(3), values: new Float32Array(5) };
  assert.throws(
    () => gatherRows(windows, [0]),
    new RangeError("expected 6 values, one a token, found 5"),
  );
});

Deno.test("BatchIterator next() gives a batch of its own", () => {
  const windows = numbered(4);
  new BatchIterator(windows, { batchSize: 4, seed: 0 }).next().ids.fill(9);
  assert.deepEqual(windows.ids, numbered(4).ids);
});

Deno.test("BatchIterator refuses batches and positions that do not fit", () => {
  const refuses = (
    options: Partial<ConstructorParameters<typeof BatchIterator>[1]>,
    message: string,
  ) =>
    assert.throws(
      () => new BatchIterator(numbered(10), { batchSize: 4, seed: 0, ...options }),
      new UserError(message),
    );
  refuses(
    { batchSize: 11 },
    "expected a batch of at most 10 windows, found 11: " +
      "use a smaller batch, a shorter context or more text",
  );
  refuses({ batchSize: 0 }, "expected a batch of 1 window or more, found 0");
  refuses({ batchSize: 1.5 }, "expected a batch of 1 window or more, found 1.5");
  refuses({ seed: 0.5 }, "expected an integer seed, found 0.5");
  for (const [epoch, index] of [[-1, 0], [0, -1], [0, 2], [0.5, 0], [0, NaN]] as const) {
    refuses(
      { position: { epoch, index } },
      `expected a position of epoch ≥ 0 and index 0 … 1, found epoch ${epoch}, index ${index}: ` +
        `resume with the data and batch size of the run`,
    );
  }
});

Deno.test("batchesInOrder() gives all windows once, the last batch filled up", () => {
  const batches = [...batchesInOrder(numbered(5), 2)]
    .map(({ ids, start, rows }) => ({ windows: rowsOf(ids), start, rows }));
  assert.deepEqual(batches, [
    { windows: [0, 1], start: 0, rows: 2 },
    { windows: [2, 3], start: 2, rows: 2 },
    { windows: [4, 4], start: 4, rows: 1 },
  ]);
  assert.deepEqual([...batchesInOrder(numbered(4), 2)].map(({ rows }) => rows), [2, 2]);
  assert.deepEqual([...batchesInOrder(numbered(1), 3)].map(({ ids }) => rowsOf(ids)), [[0, 0, 0]]);
});

Deno.test("batchesInOrder() refuses an empty batch", () => {
  assert.throws(
    () => [...batchesInOrder(numbered(5), 0)],
    new UserError("expected a batch of 1 window or more, found 0"),
  );
});
