import assert from "node:assert/strict";
import { randomUniform, type Tensor, tensor } from "../../lib/engine/mod.ts";
import { philox } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";

const seedOf = (first: number, second: number) => tensor([first, second], [2], "int32");

/** The numbers of [low, high] that a seed gives, from the generator itself. */
function expectedNumbers(count: number, key: [number, number], low: number, high: number) {
  return Array.from({ length: count }, (_, i) => {
    const word = philox([key[0] >>> 0, key[1] >>> 0], [Math.floor(i / 4), 0, 0, 0])[i % 4]!;
    return low + (high - low) * ((word | 0) / 2 ** 32 + 0.5);
  });
}

onEveryBackend("randomUniform() gives the numbers of Philox, whatever runs it", async (mode) => {
  const run = mode.compile((seed: Tensor) => randomUniform([3, 7], seed, -2, 3));
  for (const key of [[0, 0], [7, 42], [-1, 123456789]] as [number, number][]) {
    const noise = run(seedOf(...key));
    assert.deepEqual(noise.shape, [3, 7]);
    assertClose(await read(noise), expectedNumbers(21, key, -2, 3), 2e-7, `seed ${key}`);
  }
  run.dispose();
});

onEveryBackend("randomUniform() covers its range evenly", async (mode) => {
  const run = mode.compile((seed: Tensor) => randomUniform([4000], seed, 2, 6));
  const numbers = await read(run(seedOf(1, 2)));
  const mean = numbers.reduce((total, one) => total + one, 0) / 4000;
  const variance = numbers.reduce((total, one) => total + (one - mean) ** 2, 0) / 4000;
  // Four standard errors of the mean and of the variance of U(2, 6).
  assert.ok(Math.abs(mean - 4) < 4 * Math.sqrt(4 / 3 / 4000), `mean ${mean}`);
  assert.ok(Math.abs(variance - 4 / 3) < 4 * Math.sqrt((256 / 80 - 16 / 9) / 4000), `${variance}`);
  assert.ok(Math.min(...numbers) >= 2 && Math.min(...numbers) < 2.02);
  assert.ok(Math.max(...numbers) <= 6 && Math.max(...numbers) > 5.98);
  run.dispose();
});

onEveryBackend("randomUniform() is fresh with each half of the seed, and repeats", async (mode) => {
  const run = mode.compile((seed: Tensor) => randomUniform([6], seed, 0, 1));
  const draw = async (first: number, second: number) =>
    (await read(run(seedOf(first, second)))).join();
  const draws = [await draw(1, 1), await draw(1, 2), await draw(2, 1), await draw(2, 2)];
  assert.equal(new Set(draws).size, 4);
  assert.equal(await draw(1, 2), draws[1]);
  run.dispose();
});
