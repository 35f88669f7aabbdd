/**
 * Every operation of lib/engine/ops.ts: values against plain float64 loops, gradients against
 * central differences of those loops.
 */

import assert from "node:assert/strict";
import {
  abs,
  add,
  cast,
  embeddingLookup,
  gelu,
  layerNorm,
  less,
  maskedMatMul,
  matMul,
  mul,
  reshape,
  rmsNorm,
  round,
  silu,
  softmaxAttention,
  softmaxCrossEntropy,
  square,
  straightThrough,
  sum,
  type Tensor,
  tensor,
  valueAndGradient,
} from "../../lib/engine/mod.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, centralDifferences, normals, read } from "../_numbers.ts";

type Case = Readonly<{
  name: string;
  inputs: readonly (readonly number[])[];
  /** Values of the first inputs, where random normal ones do not do. */
  values?: readonly (readonly number[])[];
  op: (inputs: Tensor[]) => Tensor;
  loops: (inputs: readonly Float64Array[]) => Float64Array;
  /** Relative to the largest value; float32 with sums of a few terms by default. */
  tolerance?: number;
}>;

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** Products over the last two axes of `batch` matrices. */
function loopMatMul(
  a: Float64Array,
  b: Float64Array,
  [batch, rows, inner, columns]: readonly [number, number, number, number],
  transposeA = false,
  transposeB = false,
): Float64Array {
  const y = new Float64Array(batch * rows * columns);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        for (let k = 0; k < inner; k++) {
          const left = a[n * rows * inner + (transposeA ? k * rows + i : i * inner + k)]!;
          const right = b[n * inner * columns + (transposeB ? j * inner + k : k * columns + j)]!;
          y[(n * rows + i) * columns + j]! += left * right;
        }
      }
    }
  }
  return y;
}

function matMulCase(batch: readonly number[], transposeA: boolean, transposeB: boolean): Case {
  const [rows, inner, columns] = [3, 4, 2];
  return {
    name: `matMul() of rank ${batch.length + 2}${transposeA ? ", a transposed" : ""}${
      transposeB ? ", b transposed" : ""
    }`,
    inputs: [
      [...batch, ...(transposeA ? [inner, rows] : [rows, inner])],
      [...batch, ...(transposeB ? [columns, inner] : [inner, columns])],
    ],
    op: ([a, b]) => matMul(a!, b!, transposeA, transposeB),
    loops: ([a, b]) =>
      loopMatMul(a!, b!, [sizeOf(batch), rows, inner, columns], transposeA, transposeB),
  };
}

const matMulCases = [[], [2], [2, 3]].flatMap((batch) =>
  [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) => matMulCase(batch, transposeA, transposeB))
  )
);

/** Lower triangle of a 4 × 5 matrix. */
const MASK = Array.from({ length: 20 }, (_, i) => i % 5 <= Math.floor(i / 5) ? 1 : 0);

// Each id three times, once and never; a row of the table is used in both samples.
const IDS = [2, 0, 2, 4, 2, 3];

const LABELS = [0, 4, 2, 4, 1];

/** Rows of `width` values, each normalized by `normalize`. */
function eachRow(
  x: Float64Array,
  width: number,
  normalize: (row: Float64Array) => Float64Array,
): Float64Array {
  const y = new Float64Array(x.length);
  for (let from = 0; from < x.length; from += width) {
    y.set(normalize(x.subarray(from, from + width)), from);
  }
  return y;
}

const meanOf = (row: Float64Array) => row.reduce((total, one) => total + one, 0) / row.length;

/** Φ(x) by the Taylor series of erf; exact to 1e-14 for |x| < 5. */
function normalDistribution(x: number): number {
  let term = x, total = x;
  for (let n = 1; n < 120; n++) {
    term *= -x * x / (2 * n);
    total += term / (2 * n + 1);
  }
  return 0.5 + total / Math.sqrt(2 * Math.PI);
}

/** Batch 2, heads 2, queries 3, keys 4, head width 2. */
const ATTENTION = { sequences: 4, heads: 2, queries: 3, keys: 4, width: 2 };

/** Hides keys after t + 1, and key 0 of the second sample. `[B, 1, T, S]`. */
const ATTENTION_BIAS = Array.from({ length: 2 * 3 * 4 }, (_, i) => {
  const [sample, t, s] = [Math.floor(i / 12), Math.floor(i / 4) % 3, i % 4];
  return s > t + 1 || (sample === 1 && s === 0) ? -1e9 : 0.25 * s;
});

/** What dropout multiplies weights by, `[B, H, T, S]`: a third is dropped. */
const ATTENTION_KEEP = Array.from({ length: 4 * 3 * 4 }, (_, i) => i * i % 3 === 1 ? 1.5 : 0);

function loopAttention(
  query: Float64Array,
  key: Float64Array,
  value: Float64Array,
  keep: readonly number[],
): Float64Array {
  const { sequences, heads, queries, keys, width } = ATTENTION;
  const y = new Float64Array(sequences * queries * width);
  for (let n = 0; n < sequences; n++) {
    const sample = Math.floor(n / heads);
    for (let t = 0; t < queries; t++) {
      const scores = Array.from({ length: keys }, (_, s) => {
        let product = 0;
        for (let e = 0; e < width; e++) {
          product += query[(n * queries + t) * width + e]! * key[(n * keys + s) * width + e]!;
        }
        return product / Math.sqrt(width) + ATTENTION_BIAS[(sample * queries + t) * keys + s]!;
      });
      const largest = Math.max(...scores);
      const powers = scores.map((score) => Math.exp(score - largest));
      const total = powers.reduce((a, b) => a + b);
      for (let s = 0; s < keys; s++) {
        for (let e = 0; e < width; e++) {
          y[(n * queries + t) * width + e]! += powers[s]! / total *
            keep[(n * queries + t) * keys + s]! * value[(n * keys + s) * width + e]!;
        }
      }
    }
  }
  return y;
}

const CASES: readonly Case[] = [
  ...matMulCases,
  {
    name: "maskedMatMul()",
    inputs: [[4, 5], [5, 3]],
    op: ([weights, x]) => maskedMatMul(weights!, tensor(MASK, [4, 5]), x!),
    loops: ([weights, x]) =>
      loopMatMul(weights!.map((weight, i) => weight * MASK[i]!), x!, [1, 4, 5, 3]),
  },
  {
    name: "embeddingLookup() with repeated ids",
    inputs: [[5, 3]],
    op: ([table]) => embeddingLookup(table!, tensor(IDS, [2, 3], "int32")),
    loops: ([table]) =>
      Float64Array.from(IDS.flatMap((id) => [...table!.slice(3 * id, 3 * id + 3)])),
  },
  {
    name: "softmaxCrossEntropy()",
    inputs: [[5, 5]],
    // Large logits: a softmax without its shift overflows.
    values: [[...normals(20, 5, 2), 120, 3, -90, 119, 7]],
    op: ([logits]) => softmaxCrossEntropy(logits!, tensor(LABELS, [5], "int32")),
    loops: ([logits]) =>
      Float64Array.from(LABELS, (label, row) => {
        const scores = logits!.subarray(5 * row, 5 * row + 5);
        const largest = Math.max(...scores);
        const total = scores.reduce((sum, score) => sum + Math.exp(score - largest), 0);
        return largest + Math.log(total) - scores[label]!;
      }),
  },
  {
    name: "layerNorm()",
    inputs: [[2, 3, 4], [4], [4]],
    op: ([x, gain, bias]) => layerNorm(x!, gain!, bias!),
    loops: ([x, gain, bias]) =>
      eachRow(x!, 4, (row) => {
        const mean = meanOf(row);
        const inverse = 1 / Math.sqrt(meanOf(row.map((one) => (one - mean) ** 2)) + 1e-5);
        return row.map((one, i) => (one - mean) * inverse * gain![i]! + bias![i]!);
      }),
    tolerance: 1e-5,
  },
  {
    name: "layerNorm() of small rows, where ε counts",
    inputs: [[2, 3], [3], [3]],
    values: [[1e-3, -2e-3, 5e-3, 0, 1e-3, -1e-3]],
    op: ([x, gain, bias]) => layerNorm(x!, gain!, bias!),
    loops: ([x, gain, bias]) =>
      eachRow(x!, 3, (row) => {
        const mean = meanOf(row);
        const inverse = 1 / Math.sqrt(meanOf(row.map((one) => (one - mean) ** 2)) + 1e-5);
        return row.map((one, i) => (one - mean) * inverse * gain![i]! + bias![i]!);
      }),
    tolerance: 1e-5,
  },
  {
    name: "rmsNorm()",
    inputs: [[2, 3, 4], [4]],
    op: ([x, gain]) => rmsNorm(x!, gain!),
    loops: ([x, gain]) =>
      eachRow(x!, 4, (row) => {
        const inverse = 1 / Math.sqrt(meanOf(row.map((one) => one * one)) + 1e-6);
        return row.map((one, i) => one * inverse * gain![i]!);
      }),
    tolerance: 1e-5,
  },
  {
    name: "rmsNorm() of small rows, where ε counts",
    inputs: [[2, 3], [3]],
    values: [[1e-3, -2e-3, 5e-4, 0, 1e-3, -1e-3]],
    op: ([x, gain]) => rmsNorm(x!, gain!),
    loops: ([x, gain]) =>
      eachRow(x!, 3, (row) => {
        const inverse = 1 / Math.sqrt(meanOf(row.map((one) => one * one)) + 1e-6);
        return row.map((one, i) => one * inverse * gain![i]!);
      }),
    tolerance: 1e-5,
  },
  {
    name: "gelu()",
    inputs: [[9]],
    values: [[-4, -2, -1, -0.3, 0, 0.1, 0.7, 1.5, 4]],
    op: ([x]) => gelu(x!),
    loops: ([x]) => x!.map((one) => one * normalDistribution(one)),
    // The tanh approximation of GELU is off by up to 5e-4: it must not pass.
    tolerance: 2e-6,
  },
  {
    name: "silu()",
    inputs: [[9]],
    values: [[-9, -2, -1, -0.3, 0, 0.1, 0.7, 1.5, 9]],
    op: ([x]) => silu(x!),
    loops: ([x]) => x!.map((one) => one / (1 + Math.exp(-one))),
  },
  {
    name: "softmaxAttention() with a bias",
    inputs: [[2, 2, 3, 2], [2, 2, 4, 2], [2, 2, 4, 2]],
    op: ([query, key, value]) =>
      softmaxAttention(query!, key!, value!, tensor(ATTENTION_BIAS, [2, 1, 3, 4])),
    loops: ([query, key, value]) =>
      loopAttention(query!, key!, value!, ATTENTION_KEEP.map(() => 1)),
  },
  {
    name: "softmaxAttention() with dropped weights",
    inputs: [[2, 2, 3, 2], [2, 2, 4, 2], [2, 2, 4, 2]],
    op: ([query, key, value]) =>
      softmaxAttention(
        query!,
        key!,
        value!,
        tensor(ATTENTION_BIAS, [2, 1, 3, 4]),
        tensor(ATTENTION_KEEP, [2, 2, 3, 4]),
      ),
    loops: ([query, key, value]) => loopAttention(query!, key!, value!, ATTENTION_KEEP),
  },
];

for (const { name, inputs, values, op, loops, tolerance = 2e-6 } of CASES) {
  onEveryBackend(`${name} agrees with float64 loops, gradients too`, async ({ compile }) => {
    const numbers = inputs.map((shape, i) =>
      Float64Array.from(Float32Array.from(values?.[i] ?? normals(sizeOf(shape), 100 + i)))
    );
    const expected = loops(numbers);
    const weights = Float64Array.from(normals(expected.length, 200));
    const tensors = inputs.map((shape, i) => tensor(Float32Array.from(numbers[i]!), [...shape]));
    const run = compile((tree: Tensor[]) => {
      const output = op(tree);
      const weighted = (tree: Tensor[]) =>
        sum(mul(reshape(op(tree), [-1]), tensor(Float32Array.from(weights))));
      return { output, gradient: valueAndGradient(weighted, tree).gradient };
    });
    const { output, gradient } = run(tensors);
    assertClose(await read(output), expected, tolerance, "output");
    const expectedGradients = centralDifferences(
      (inputs) => loops(inputs).reduce((total, one, i) => total + one * weights[i]!, 0),
      numbers,
    );
    for (const [i, expectedGradient] of expectedGradients.entries()) {
      assert.deepEqual(gradient[i]!.shape, inputs[i], `shape of gradient ${i}`);
      assertClose(await read(gradient[i]!), expectedGradient, 3 * tolerance, `gradient ${i}`);
    }
    run.dispose();
  });
}

onEveryBackend("maskedMatMul() gives masked weights no effect and zero gradient", async (mode) => {
  const weights = normals(20, 1);
  const masked = weights.map((weight, i) => MASK[i] === 1 ? weight : 1e6);
  const x = tensor(normals(15, 2), [5, 3]);
  const run = mode.compile((weightsTS: Tensor) => {
    const product = (weightsTS: Tensor) => maskedMatMul(weightsTS, tensor(MASK, [4, 5]), x);
    return {
      output: product(weightsTS),
      gradient: valueAndGradient((tree) => sum(product(tree)), weightsTS).gradient,
    };
  });
  const { output, gradient } = run(tensor(weights, [4, 5]));
  const other = run(tensor(masked, [4, 5]));
  assert.deepEqual(await read(other.output), await read(output));
  (await read(gradient)).forEach((one, i) =>
    assert.equal(one === 0, MASK[i] === 0, `entry ${i}: mask ${MASK[i]}, gradient ${one}`)
  );
  run.dispose();
});

onEveryBackend("softmaxAttention() hides keys of a large negative bias", async (mode) => {
  const [query, key, value] = [12, 16, 16].map((count, i) => normals(count, 10 + i));
  const run = mode.compile((key: Tensor, value: Tensor) =>
    softmaxAttention(
      tensor(query!, [1, 2, 3, 2]),
      key,
      value,
      tensor([0, 0, 0, -1e9], [1, 1, 1, 4]),
    )
  );
  const hide = (numbers: Float32Array) => numbers.map((one, i) => i % 8 >= 6 ? 50 - one : one);
  const shape = [1, 2, 4, 2];
  const output = await read(run(tensor(key!, shape), tensor(value!, shape)));
  const changed = await read(run(tensor(hide(key!), shape), tensor(hide(value!), shape)));
  assert.deepEqual(changed, output);
  run.dispose();
});

onEveryBackend("softmaxAttention() of all-hidden queries stays finite", async (mode) => {
  const run = mode.compile((x: Tensor) => softmaxAttention(x, x, x, tensor(-1e9)));
  const output = await read(run(tensor(normals(12, 3), [1, 1, 6, 2])));
  assert.ok(output.every(Number.isFinite), `found ${output}`);
  run.dispose();
});

/** Values on both sides of 0.5, 1 and 2; times three, no number is half of an odd one. */
const UNROUNDED = Float32Array.of(-2.7, -1.1, -0.4, 0.2, 0.3, 1.4, 2.9);

/** What a function of `UNROUNDED` is there, and the gradient of its sum. */
async function valueAndGradientOf(mode: Mode, fn: (x: Tensor) => Tensor): Promise<{
  value: Float32Array;
  gradient: Float32Array;
}> {
  const run = mode.compile((x: Tensor) => ({
    value: fn(x),
    gradient: valueAndGradient((tree: Tensor) => sum(fn(tree)), x).gradient,
  }));
  const { value, gradient } = run(tensor(UNROUNDED));
  const result = { value: await read(value), gradient: await read(gradient) };
  run.dispose();
  return result;
}

onEveryBackend("straightThrough() lets all gradient through by default", async (mode) => {
  const { value, gradient } = await valueAndGradientOf(mode, (x) => straightThrough(x, round));
  assertClose(value, [-3, -1, 0, 0, 0, 1, 3], 0, "value");
  assertClose(gradient, [1, 1, 1, 1, 1, 1, 1], 0, "gradient");
});

onEveryBackend("straightThrough() stops the gradient where it is told", async (mode) => {
  const { value, gradient } = await valueAndGradientOf(
    mode,
    (x) => straightThrough(x, round, (x) => cast(less(abs(x), 1.25), "float32")),
  );
  assertClose(value, [-3, -1, 0, 0, 0, 1, 3], 0, "value");
  assertClose(gradient, [0, 1, 1, 1, 1, 0, 0], 0, "gradient");
});

onEveryBackend("straightThrough() composes with other operations, and itself", async (mode) => {
  // f(x) = r(r(3x)²/4) + x, with the inner r passing where |3x| < 4.
  const passes = (x: Tensor) => cast(less(abs(x), 4), "float32");
  const { value, gradient } = await valueAndGradientOf(mode, (x) => {
    const inner = straightThrough(mul(x, 3), round, passes);
    return add(straightThrough(mul(square(inner), 0.25), round), x);
  });
  const evenRound = (one: number) => {
    const rounded = Math.round(one);
    return rounded - one === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
  };
  const inner = Array.from(UNROUNDED, (x) => Math.round(3 * x));
  const expected = inner.map((one, i) => evenRound(one ** 2 / 4) + UNROUNDED[i]!);
  const expectedGradient = inner.map((one, i) =>
    (Math.abs(3 * UNROUNDED[i]!) < 4 ? 3 * one / 2 : 0) + 1
  );
  assertClose(value, expected, 1e-6, "value");
  assertClose(gradient, expectedGradient, 1e-6, "gradient");
});
