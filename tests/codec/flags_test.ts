import assert from "node:assert/strict";
import { createFlags } from "../../lib/codec/flags.ts";
import { createRangeDecoder, createRangeEncoder } from "../../lib/codec/range_coder.ts";
import { createRandom } from "../../lib/random.ts";

/** log₂ of n! */
function logFactorial(n: number): number {
  let sum = 0;
  for (let i = 2; i <= n; i++) sum += Math.log2(i);
  return sum;
}

const SEQUENCES: Readonly<Record<string, readonly boolean[]>> = {
  none: [],
  "one yes": [true],
  "one no": [false],
  "yes alone": Array(1000).fill(true),
  "no alone": Array(1000).fill(false),
  "by turns": Array.from({ length: 999 }, (_, i) => i % 2 === 0),
  "a no among many": Array.from({ length: 500 }, (_, i) => i !== 250),
  random: (() => {
    const random = createRandom(1);
    return Array.from({ length: 2000 }, () => random.uniform() < 0.1);
  })(),
};

Deno.test("createFlags() reads the flags that were written, for the price of their counts", () => {
  for (const [name, sequence] of Object.entries(SEQUENCES)) {
    const writer = createRangeEncoder();
    const writing = createFlags();
    let bits = 0;
    for (const flag of sequence) {
      const interval = writing.intervalOf(flag);
      bits -= Math.log2(interval.size / interval.total);
      writer.encode(interval);
    }
    // Laplace's rule: n! m! / (n + m + 1)!, whatever the order.
    const yes = sequence.filter((flag) => flag).length;
    const no = sequence.length - yes;
    const expected = logFactorial(sequence.length + 1) - logFactorial(yes) - logFactorial(no);
    assert.ok(Math.abs(bits - expected) < 1e-8 * (1 + expected), `${name}: ${bits}, ${expected}`);

    const reader = createRangeDecoder(writer.finish());
    const reading = createFlags();
    assert.deepEqual(sequence.map(() => reading.read(reader)), sequence, name);
  }
});
