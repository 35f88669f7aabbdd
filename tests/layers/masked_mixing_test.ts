import assert from "node:assert/strict";
import { ones, type Tensor, tensor } from "../../lib/engine/mod.ts";
import {
  causalMask,
  initMaskedMixing,
  initMultiHeadMixing,
  type MaskedMixing,
  maskedMixing,
  type MultiHeadMixing,
  multiHeadMixing,
} from "../../lib/layers/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";

const [T, B, D, H] = [4, 2, 6, 2];
const E = D / H;
const once = { oncePerBackend: true };
const cpu = { only: ["cpu"] };

/** One sample or head: `x[t][channel]`. */
type Rows = number[][];

/** Paper §2.1, number by number: the kernel is wider on the right where it is even. */
function convolve(
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  x: Rows,
  kernelSize: number,
  isCausal: boolean,
): Rows {
  const left = Math.floor((kernelSize - 1) / 2);
  return x.map((row, t) =>
    row.map((_, j) => {
      let sum = bias[t]!;
      for (let s = 0; s < (isCausal ? t + 1 : T); s++) {
        for (let p = 0; p < kernelSize; p++) {
          sum += weight[(t * kernelSize + p) * T + s]! * (x[s]![j + p - left] ?? 0);
        }
      }
      return sum;
    })
  );
}

/** `x W + b` of each row. */
function affine(weight: ArrayLike<number>, bias: ArrayLike<number>, x: Rows): Rows {
  return x.map((row) =>
    Array.from(
      bias,
      (start, j) => row.reduce((sum, one, i) => sum + one * weight[i * D + j]!, start),
    )
  );
}

/** `x [T, B, D]` by samples, through `each`, and back. */
function bySample(x: Float32Array, each: (sample: Rows) => Rows): number[] {
  const samples = Array.from(
    { length: B },
    (_, b) =>
      each(
        Array.from({ length: T }, (_, t) => [...x.subarray((t * B + b) * D, (t * B + b + 1) * D)]),
      ),
  );
  return Array.from({ length: T }, (_, t) => samples.map((sample) => sample[t]!)).flat(2);
}

/** Whether the mask is the causal one, and what a layer is told then. */
const masks: [boolean, () => Tensor | null][] = [
  [true, () => causalMask(T)],
  [false, () => ones([T, T])],
  [false, () => null],
];

for (const kernelSize of [1, 2, 3, 4, 5, 8]) {
  onEveryBackend(`maskedMixing() with kernel ${kernelSize} is paper §2.1's sum`, async () => {
    const [weight, bias] = [normals(T * kernelSize * T, 1), normals(T, 2)];
    const x = normals(T * B * D, 3);
    const layer = { weight: tensor(weight, [T, kernelSize * T]), bias: tensor(bias) };
    for (const [isCausal, mask] of masks) {
      const mixed = maskedMixing(layer, mask(), tensor(x, [T, B, D]));
      assert.deepEqual(mixed.shape, [T, B, D]);
      const expected = bySample(
        x,
        (sample) => convolve(weight, bias, sample, kernelSize, isCausal),
      );
      assertClose(await read(mixed), expected, 1e-6, `causal: ${isCausal}`);
    }
    assert.deepEqual(await read(layer.weight), weight, "stored weights must stay as they are");
  }, once);

  onEveryBackend(`multiHeadMixing() with kernel ${kernelSize} is paper §2.2's layers`, async () => {
    const size = T * kernelSize * T;
    const [weight, bias, x] = [normals(H * size, 1), normals(H * T, 2), normals(T * B * D, 3)];
    const [input, inputBias] = [normals(D * D, 4), normals(D, 5)];
    const [output, outputBias] = [normals(D * D, 6), normals(D, 7)];
    const layer: MultiHeadMixing = {
      input: { weight: tensor(input, [D, D]), bias: tensor(inputBias) },
      weight: tensor(weight, [H, T, kernelSize * T]),
      bias: tensor(bias, [H, T]),
      output: { weight: tensor(output, [D, D]), bias: tensor(outputBias) },
    };
    for (const [isCausal, mask] of masks) {
      const expected = bySample(x, (sample) => {
        const projected = affine(input, inputBias, sample);
        const heads = Array.from({ length: H }, (_, h) =>
          convolve(
            weight.subarray(h * size, (h + 1) * size),
            bias.subarray(h * T, (h + 1) * T),
            projected.map((row) => row.slice(h * E, (h + 1) * E)),
            kernelSize,
            isCausal,
          ));
        const joined = projected.map((_, t) => heads.flatMap((head) => head[t]!));
        return affine(output, outputBias, joined);
      });
      const mixed = multiHeadMixing(layer, mask(), tensor(x, [T, B, D]));
      assert.deepEqual(mixed.shape, [T, B, D]);
      assertClose(await read(mixed), expected, 3e-6, `causal: ${isCausal}`);
    }
  }, once);
}

// With identity projections, what a channel of the output holds came through its own head.
for (const kernelSize of [1, 2, 5]) {
  onEveryBackend(`multiHeadMixing() with kernel ${kernelSize} keeps heads apart`, async () => {
    const identity = Array.from({ length: D * D }, (_, i) => i % (D + 1) === 0 ? 1 : 0);
    const through = { weight: tensor(identity, [D, D]) };
    const size = T * kernelSize * T;
    const [weight, bias, x] = [normals(H * size, 1), normals(H * T, 2), normals(T * B * D, 3)];
    const changeFirst = (values: Float32Array, isFirst: (index: number) => boolean) =>
      values.map((one, i) => isFirst(i) ? one + 1 : one);
    const output = async (
      changed: { weight?: Float32Array; bias?: Float32Array; x?: Float32Array },
    ) => {
      const layer: MultiHeadMixing = {
        input: through,
        weight: tensor(changed.weight ?? weight, [H, T, kernelSize * T]),
        bias: tensor(changed.bias ?? bias, [H, T]),
        output: through,
      };
      return await read(multiHeadMixing(layer, causalMask(T), tensor(changed.x ?? x, [T, B, D])));
    };
    const before = await output({});
    const changes = {
      "its convolution": { weight: changeFirst(weight, (i) => i < size) },
      "its bias": { bias: changeFirst(bias, (i) => i < T) },
      "its channels": { x: changeFirst(x, (i) => i % D < E) },
    };
    for (const [what, change] of Object.entries(changes)) {
      const after = await output(change);
      for (let channel = 0; channel < D; channel++) {
        const differs = [...before].some((one, i) => i % D === channel && one !== after[i]);
        assert.equal(differs, channel < E, `the first head, ${what}: channel ${channel}`);
      }
    }
  }, once);
}

onEveryBackend("multiHeadMixing() needs each of its heads, in their order", async () => {
  const layer = initMultiHeadMixing(createRandom(1), T, { width: D, headCount: H, kernelSize: 1 });
  const x = tensor(normals(T * B * D, 3), [T, B, D]);
  const stored = await read(layer.weight);
  const [first, second] = [stored.slice(0, T * T), stored.slice(T * T)];
  assert.notDeepEqual(first, second, "heads start alike");
  const output = async (...heads: Float32Array[]) => {
    const weight = tensor(Float32Array.from(heads.flatMap((one) => [...one])), [H, T, T]);
    return (await read(multiHeadMixing({ ...layer, weight }, causalMask(T), x))).join();
  };
  const none = new Float32Array(T * T);
  const outputs = [
    await output(first, second),
    await output(second, first),
    await output(none, second),
    await output(first, none),
  ];
  assert.equal(new Set(outputs).size, outputs.length);
}, cpu);

onEveryBackend("causalMask() has ones on and below the diagonal", async () => {
  assert.deepEqual([...await read(causalMask(3))], [1, 0, 0, 1, 1, 0, 1, 1, 1]);
}, cpu);

onEveryBackend("initMaskedMixing() and initMultiHeadMixing() draw with fan-in K·T", async () => {
  const options = { width: D, headCount: H, kernelSize: 4 };
  const layers: Record<string, [MaskedMixing | MultiHeadMixing, number[], number[], number]> = {
    "kernel 1": [initMaskedMixing(createRandom(1), 25), [25, 25], [25], 0.2],
    "kernel 4": [initMaskedMixing(createRandom(1), 25, 4), [25, 100], [25], 0.1],
    "heads": [initMultiHeadMixing(createRandom(1), 25, options), [H, 25, 100], [H, 25], 0.1],
  };
  for (const [name, [{ weight, bias }, weightShape, biasShape, bound]] of Object.entries(layers)) {
    assert.deepEqual([weight.shape, bias.shape], [weightShape, biasShape], name);
    for (const leaf of [weight, bias]) {
      const largest = Math.max(...(await read(leaf)).map(Math.abs));
      assert.ok(largest <= bound && largest > 0.75 * bound, `${name}: ${largest}`);
    }
  }
}, cpu);
