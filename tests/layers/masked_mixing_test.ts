import assert from "node:assert/strict";
import { ones, tensor } from "../../lib/engine/mod.ts";
import { causalMask, initMaskedMixing, maskedMixing } from "../../lib/layers/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";

const [T, B, D] = [4, 2, 3];

/** `y[t] = bias[t] + Σ_{s ≤ last(t)} W[t, s] x[s]` for x `[T, B, D]`. */
function loops(
  weight: Float32Array,
  bias: Float32Array,
  x: Float32Array,
  last: (t: number) => number,
): number[] {
  return Array.from({ length: T * B * D }, (_, i) => {
    const [t, column] = [Math.floor(i / (B * D)), i % (B * D)];
    let sum = bias[t]!;
    for (let s = 0; s <= last(t); s++) sum += weight[t * T + s]! * x[s * B * D + column]!;
    return sum;
  });
}

onEveryBackend("maskedMixing() mixes the tokens that its mask shows", async () => {
  const [weight, bias, x] = [normals(T * T, 1), normals(T, 2), normals(T * B * D, 3)];
  const layer = { weight: tensor(weight, [T, T]), bias: tensor(bias) };
  const xTBD = tensor(x, [T, B, D]);
  const causal = maskedMixing(layer, causalMask(T), xTBD);
  assert.deepEqual(causal.shape, [T, B, D]);
  assertClose(await read(causal), loops(weight, bias, x, (t) => t), 1e-6, "causal");
  const full = maskedMixing(layer, ones([T, T]), xTBD);
  assertClose(await read(full), loops(weight, bias, x, () => T - 1), 1e-6, "unmasked");
  assert.deepEqual(await read(layer.weight), weight, "stored weights must stay as they are");
}, { oncePerBackend: true });

onEveryBackend("causalMask() has ones on and below the diagonal", async () => {
  assert.deepEqual([...await read(causalMask(3))], [1, 0, 0, 1, 1, 0, 1, 1, 1]);
}, { only: ["cpu"] });

onEveryBackend("initMaskedMixing() draws with the context as fan-in", async () => {
  const { weight, bias } = initMaskedMixing(createRandom(1), 25);
  assert.deepEqual([weight.shape, bias.shape], [[25, 25], [25]]);
  for (const leaf of [weight, bias]) {
    const largest = Math.max(...(await read(leaf)).map(Math.abs));
    assert.ok(largest <= 0.2 && largest > 0.15, `${largest}`);
  }
}, { only: ["cpu"] });
