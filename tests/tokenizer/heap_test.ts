import assert from "node:assert/strict";
import { createRandom } from "../../lib/random.ts";
import { Heap } from "../../lib/tokenizer/_heap.ts";

Deno.test("Heap pop() gives the first of what was pushed", () => {
  const random = createRandom(4).stream("heap");
  const heap = new Heap<number>((a, b) => a < b);
  const held: number[] = [];
  for (let round = 0; round < 2000; round++) {
    if (random.bits() % 3 > 0) {
      const item = random.bits() % 100;
      heap.push(item);
      held.push(item);
    } else {
      held.sort((a, b) => a - b);
      assert.equal(heap.pop(), held.shift());
    }
  }
  held.sort((a, b) => a - b);
  for (const item of held) assert.equal(heap.pop(), item);
  assert.equal(heap.pop(), undefined);
});
