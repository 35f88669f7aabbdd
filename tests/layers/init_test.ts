import assert from "node:assert/strict";
import { initNormal, initUniform } from "../../lib/layers/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";

const cpu = { only: ["cpu"] };

onEveryBackend("initNormal() draws N(0, deviation²)", async () => {
  const weights = initNormal(createRandom(1), [40, 50], 0.02);
  assert.deepEqual(weights.shape, [40, 50]);
  const values = await read(weights);
  const square = values.reduce((total, value) => total + value * value, 0) / 2000;
  assert.ok(Math.abs(Math.sqrt(square) / 0.02 - 1) < 4 / Math.sqrt(2 * 2000), `${square}`);
  assert.ok(Math.max(...values) > 0.05, "a uniform distribution ends at 0.035");
}, cpu);

onEveryBackend("initUniform() draws U(−1/√fanIn, 1/√fanIn)", async () => {
  const values = await read(initUniform(createRandom(1), [40, 50], 16));
  assert.ok(Math.max(...values) <= 0.25 && Math.max(...values) > 0.249);
  assert.ok(Math.min(...values) >= -0.25 && Math.min(...values) < -0.249);
  const mean = values.reduce((total, value) => total + value, 0) / 2000;
  assert.ok(Math.abs(mean) < 4 * 0.25 / Math.sqrt(3 * 2000), `${mean}`);
}, cpu);
