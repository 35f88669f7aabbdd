import assert from "node:assert/strict";
import { tensor } from "../../lib/engine/mod.ts";
import {
  feedForward,
  gatedFeedForward,
  initFeedForward,
  initGatedFeedForward,
} from "../../lib/layers/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, read } from "../_numbers.ts";

const once = { oncePerBackend: true };

// Φ(−1.5), Φ(0.7), Φ(2) from a table of the normal distribution.
const GELU = [-1.5 * 0.0668072013, 0.7 * 0.7580363478, 2 * 0.9772498681];

onEveryBackend("feedForward() is Linear, GELU, Linear", async () => {
  const layer = {
    expand: { weight: tensor([1, 2, 3], [1, 3]), bias: tensor([-2, -0.3, 0.5]) },
    contract: { weight: tensor([1, 10, 100], [3, 1]), bias: tensor([0.25]) },
  };
  const expected = GELU[0]! + 10 * GELU[1]! + 100 * GELU[2]! + 0.25;
  const y = await read(feedForward(layer, tensor([0.5], [1, 1])));
  assertClose(y, [expected], 1e-6, "output");
}, once);

onEveryBackend("gatedFeedForward() gates by SiLU before the product", async () => {
  const layer = {
    gate: { weight: tensor([1, -1], [1, 2]) },
    up: { weight: tensor([3, 5], [1, 2]) },
    down: { weight: tensor([1, 10], [2, 1]) },
  };
  const silu = (x: number) => x / (1 + Math.exp(-x));
  const expected = silu(2) * 6 + 10 * silu(-2) * 10;
  assertClose(
    await read(gatedFeedForward(layer, tensor([2], [1, 1]))),
    [expected],
    1e-6,
    "output",
  );
}, once);

onEveryBackend("initFeedForward() and initGatedFeedForward() are four times as wide", () => {
  const plain = initFeedForward(createRandom(1), 6);
  assert.deepEqual(plain.expand.weight.shape, [6, 24]);
  assert.deepEqual(plain.expand.bias?.shape, [24]);
  assert.deepEqual(plain.contract.weight.shape, [24, 6]);
  assert.deepEqual(plain.contract.bias?.shape, [6]);
  const gated = initGatedFeedForward(createRandom(1), 6, 0.02);
  assert.deepEqual(gated.gate.weight.shape, [6, 24]);
  assert.deepEqual(gated.up.weight.shape, [6, 24]);
  assert.deepEqual(gated.down.weight.shape, [24, 6]);
  assert.ok(Object.values(gated).every((one) => !("bias" in one)));
}, { only: ["cpu"] });
