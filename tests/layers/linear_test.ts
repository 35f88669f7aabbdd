import assert from "node:assert/strict";
import { tensor } from "../../lib/engine/mod.ts";
import { initLinear, linear } from "../../lib/layers/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";

onEveryBackend("linear() is x W + b over the last axis", async () => {
  const [x, weight, bias] = [normals(12, 1), normals(6, 2), normals(2, 3)];
  const expected = Array.from({ length: 8 }, (_, i) => {
    const [row, column] = [Math.floor(i / 2), i % 2];
    let sum = bias[column]!;
    for (let k = 0; k < 3; k++) sum += x[row * 3 + k]! * weight[k * 2 + column]!;
    return sum;
  });
  const layer = { weight: tensor(weight, [3, 2]), bias: tensor(bias) };
  const y = linear(layer, tensor(x, [2, 2, 3]));
  assert.deepEqual(y.shape, [2, 2, 2]);
  assertClose(await read(y), expected, 1e-6, "with bias");
  const plain = linear({ weight: layer.weight }, tensor(x, [4, 3]));
  assert.deepEqual(plain.shape, [4, 2]);
  const withoutBias = expected.map((one, i) => one - bias[i % 2]!);
  assertClose(await read(plain), withoutBias, 1e-6, "without bias");
}, { oncePerBackend: true });

onEveryBackend("initLinear() has a bias unless told otherwise", () => {
  const layer = initLinear(createRandom(1), 3, 2);
  assert.deepEqual(layer.weight.shape, [3, 2]);
  assert.deepEqual(layer.bias?.shape, [2]);
  assert.ok(!("bias" in initLinear(createRandom(1), 3, 2, { bias: false })));
}, { only: ["cpu"] });
