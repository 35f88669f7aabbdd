import assert from "node:assert/strict";
import { BatchIterator, type StoredWindows, type Windows } from "../../lib/text/mod.ts";

const CONTEXT = 4096; // 16 windows a chunk, 8,192 a group
const COUNT = 20_005;

/** Windows of one real token each, their number; only what is asked for exists. */
const numbered: StoredWindows = {
  contextLength: CONTEXT,
  count: COUNT,
  layout: "packed",
  read: (rows) => ({ ids: Int32Array.from(rows) }) as unknown as Windows,
};

const orderOf = (seed: number, epoch: number) => {
  const position = { epoch, index: 0 };
  const iterator = new BatchIterator(numbered, { batchSize: 5, seed, position });
  return Array.from({ length: COUNT / 5 }, () => [...iterator.next().ids]).flat();
};

Deno.test("BatchIterator gives every stored window once an epoch, another order each", () => {
  const inOrder = Array.from({ length: COUNT }, (_, row) => row);
  const orders = [orderOf(1, 0), orderOf(1, 1), orderOf(2, 0)];
  for (const order of orders) assert.deepEqual(order.toSorted((a, b) => a - b), inOrder);
  assert.deepEqual(orderOf(1, 1), orders[1]);
  for (const [a, b] of [[0, 1], [0, 2], [1, 2]] as const) {
    const same = orders[a]!.filter((row, place) => row === orders[b]![place]).length;
    assert.ok(same < 20, `${same} of ${COUNT} windows at the same place`);
  }
});

Deno.test("BatchIterator reads stored windows chunk by chunk within a group", () => {
  const order = orderOf(3, 0);
  const chunks = order.map((row) => Math.floor(row / 16));
  const first = new Set(chunks.slice(0, 8192));
  assert.equal(first.size, 512);
  assert.equal(new Set(chunks.slice(8192, 16_384)).intersection(first).size, 0);
  // Neighbours in the order are seldom neighbours in the text.
  const near = chunks.filter((chunk, place) => chunk === chunks[place + 1]).length;
  assert.ok(near < 100, `${near} neighbours of one chunk`);
});

Deno.test("BatchIterator of stored windows goes on exactly where another stopped", () => {
  const options = { batchSize: 3, seed: 5 };
  const through = new BatchIterator(numbered, options);
  const skipped = Math.floor(COUNT / 3) - 2; // across the end of an epoch
  for (let batch = 0; batch < skipped; batch++) through.next();
  const position = JSON.parse(JSON.stringify(through.position));
  const resumed = new BatchIterator(numbered, { ...options, position });
  for (let batch = 0; batch < 6; batch++) assert.deepEqual(resumed.next(), through.next());
});
