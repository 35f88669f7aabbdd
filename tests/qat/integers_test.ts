import assert from "node:assert/strict";
import {
  matMul,
  mul,
  scalar,
  sum,
  type Tensor,
  tensor,
  valueAndGradient,
} from "../../lib/engine/mod.ts";
import {
  absoluteMaximum,
  castToIntegers,
  type IntegerCastOptions,
  largestCode,
  LLM_INT8_THRESHOLD,
  quantizeUniformly,
  type Scaling,
} from "../../lib/qat/mod.ts";
import { type Mode, onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import { refusal } from "../models/_tiny.ts";
import { golden } from "./_integer_formats.ts";

const SIZE = 4;
const SCALINGS: readonly Scaling[] = ["tensor", "row", "channel"];
const BITS = [2, 3, 4, 7, 8, 12, 16];

/** Numbers `[20, 4]` whose columns differ in magnitude a thousandfold. */
function spreadNumbers(): Float32Array {
  const columnScales = [0.01, 1, 3, 10];
  return normals(20 * SIZE, 7).map((value, i) => value * columnScales[i % SIZE]!);
}

/** The largest magnitude of each column, in plain arithmetic. */
function columnMaxima(numbers: ArrayLike<number>): number[] {
  const maxima = new Array<number>(SIZE).fill(0);
  for (let i = 0; i < numbers.length; i++) {
    maxima[i % SIZE] = Math.max(maxima[i % SIZE]!, Math.abs(numbers[i]!));
  }
  return maxima;
}

function quantize(numbers: Float32Array, scales: readonly number[], bits: number): Tensor {
  return quantizeUniformly(
    tensor(numbers, [numbers.length / SIZE, SIZE]),
    tensor([...scales]),
    scalar(largestCode(bits)),
  );
}

/** Each number's scale: the largest magnitude of all that share it. */
function scalesOf(numbers: ArrayLike<number>, columns: number, scaling: Scaling): number[] {
  const groupOf = (i: number) =>
    ({ tensor: 0, row: Math.floor(i / columns), channel: i % columns })[scaling];
  const largest = new Map<number, number>();
  for (let i = 0; i < numbers.length; i++) {
    largest.set(groupOf(i), Math.max(largest.get(groupOf(i)) ?? 0, Math.abs(numbers[i]!)));
  }
  return Array.from({ length: numbers.length }, (_, i) => largest.get(groupOf(i))!);
}

/** The formula in float32, one rounding an operation. */
function castNumber(value: number, scale: number, bits: number): number {
  const { fround } = Math;
  const largest = 2 ** (bits - 1) - 1;
  const share = Math.max(-1, Math.min(1, fround(value / scale)));
  const scaled = fround(share * largest);
  const isHalf = Math.abs(scaled % 1) === 0.5;
  const code = isHalf ? 2 * Math.round(scaled / 2) : Math.round(scaled);
  return fround(fround(code / largest) * fround(scale));
}

/** The same numbers, 0 and −0 being one; on WebGPU, whose divisions are not exact, about the same. */
function assertSame(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  mode: Mode,
  what: string,
): void {
  if (mode.backend === "webgpu") return assertClose(found, expected, 1e-6, what);
  assert.deepEqual(
    Array.from(found, (one) => one + 0),
    Array.from(expected, (one) => one + 0),
    what,
  );
}

/** Runs a cast of `numbers` as the mode does. */
async function cast(
  mode: Mode,
  numbers: ArrayLike<number>,
  shape: readonly number[],
  options: IntegerCastOptions,
): Promise<Float32Array> {
  const run = mode.compile((x: Tensor) => castToIntegers(x, options));
  const found = await read(run(tensor(Float32Array.from(numbers), [...shape])));
  run.dispose();
  return found;
}

onEveryBackend("absoluteMaximum() is the largest magnitude of each column", async () => {
  const numbers = spreadNumbers();
  numbers[1] = -50; // the largest of its column is negative
  const scales = await read(absoluteMaximum(tensor(numbers, [20, SIZE])));
  assert.deepEqual([...scales], columnMaxima(numbers));
}, { oncePerBackend: true });

onEveryBackend("absoluteMaximum() is over all, each vector or each feature", async () => {
  const x = tensor(Float32Array.of(1, -7, 3, 2, 0, -4, 5, 6, -8, 0, 0, 0), [2, 3, 2]);
  const expected: Record<Scaling, [number[], number[]]> = {
    tensor: [[], [8]],
    row: [[2, 3, 1], [7, 3, 4, 6, 8, 0]],
    channel: [[2], [8, 7]],
  };
  for (const scaling of SCALINGS) {
    const scale = absoluteMaximum(x, scaling);
    assert.deepEqual(scale.shape, expected[scaling][0], scaling);
    assertClose(await read(scale), expected[scaling][1], 1e-9, scaling);
  }
}, { oncePerBackend: true });

onEveryBackend("absoluteMaximum() of zeros is small and not zero", async () => {
  const zeros = tensor(new Float32Array(6), [3, 2]);
  const scaleP = absoluteMaximum(zeros);
  assert.ok((await read(scaleP)).every((scale) => scale > 0 && scale < 1e-9));
  assert.deepEqual([...await read(quantizeUniformly(zeros, scaleP, scalar(7)))], Array(6).fill(0));
}, { oncePerBackend: true });

onEveryBackend("quantizeUniformly() rounds to the nearest of scale · k / code", async (mode) => {
  const numbers = spreadNumbers();
  const scales = columnMaxima(numbers);
  const run = mode.compile(quantizeUniformly);
  for (const bits of [2, 3, 4, 8]) {
    const code = 2 ** (bits - 1) - 1;
    const inputs = [tensor(numbers, [20, SIZE]), tensor(scales), scalar(code)] as const;
    const found = await read(run(...inputs));
    const expected = Array.from(numbers, (value, i) => {
      const scale = scales[i % SIZE]!;
      let nearest = -code;
      for (let k = -code; k <= code; k++) {
        const isNearer = Math.abs(value - scale * k / code) <
          Math.abs(value - scale * nearest / code);
        if (isNearer) nearest = k;
      }
      return scale * nearest / code;
    });
    // No number here lies halfway between two levels, where rounding may go either way.
    assertClose(found, expected, 1e-6, `${bits} bits`);
  }
  run.dispose();
});

onEveryBackend("quantizeUniformly() gives the numbers of castToIntegers()", async (mode) => {
  const numbers = spreadNumbers();
  const scales = columnMaxima(numbers);
  const run = mode.compile(quantizeUniformly);
  for (const bits of BITS) {
    const code = scalar(largestCode(bits));
    const found = await read(run(tensor(numbers, [20, SIZE]), tensor(scales), code));
    const other = await cast(mode, numbers, [20, SIZE], { bits, scaling: "channel" });
    assertSame(found, other, mode, `${bits} bits`);
  }
  run.dispose();
});

onEveryBackend("quantizeUniformly() errs by half a step at most, and uses that half", async () => {
  const numbers = Float32Array.from({ length: 4000 }, (_, i) => 2 * i / 4000 - 1);
  for (const bits of [2, 4, 8]) {
    const found = await read(quantize(numbers, [1, 1, 1, 1], bits));
    const errors = found.map((value, i) => Math.abs(value - numbers[i]!));
    const halfStep = 0.5 / largestCode(bits);
    const largest = Math.max(...errors);
    assert.ok(largest <= halfStep + 1e-6, `${bits} bits: ${largest} above ${halfStep}`);
    assert.ok(largest > 0.85 * halfStep, `${bits} bits: ${largest} far below ${halfStep}`);
  }
}, { oncePerBackend: true });

onEveryBackend("quantizeUniformly() of quantized numbers changes nothing", async () => {
  const scales = columnMaxima(spreadNumbers());
  for (const bits of [2, 4, 8]) {
    const once = await read(quantize(spreadNumbers(), scales, bits));
    const twice = await read(quantize(once, scales, bits));
    assertClose(twice, once, 1e-6, `${bits} bits`);
  }
}, { oncePerBackend: true });

onEveryBackend("quantizeUniformly() saturates beyond the scale, on both sides", async () => {
  const found = await read(quantize(Float32Array.of(5, -5, 0.31, -1e9), [1, 2, 0.3, 10], 4));
  assertClose(found, [1, -2, 0.3, -10], 1e-6, "saturated");
}, { oncePerBackend: true });

onEveryBackend("quantizeUniformly() with 16 bits is close to doing nothing", async () => {
  const numbers = spreadNumbers();
  const scales = columnMaxima(numbers);
  const found = await read(quantize(numbers, scales, 16));
  found.forEach((value, i) => {
    const scale = scales[i % SIZE]!;
    assert.ok(Math.abs(value - numbers[i]!) <= 1.6e-5 * scale, `value ${i}`);
  });
}, { oncePerBackend: true });

Deno.test("largestCode() is that of a symmetric signed integer", () => {
  assert.deepEqual([2, 3, 4, 8, 16].map(largestCode), [1, 3, 7, 127, 32767]);
});

Deno.test("largestCode() refuses what is no bit count from 2 to 16", () => {
  for (const bits of [1, 0, -4, 17, 4.5, NaN, Infinity]) {
    assert.equal(
      refusal(() => largestCode(bits)),
      `bits per number: expected an integer from 2 to 16, found ${bits}`,
    );
  }
});

onEveryBackend("castToIntegers() gives PyTorch's codes times scale / K", async (mode) => {
  const { x, cases } = golden.absmax;
  const shape = [x.length, x[0]!.length];
  for (const { bits, scaling, values } of cases) {
    const found = await cast(mode, x.flat(), shape, { bits, scaling });
    const largest = Math.max(...values.flat().map(Math.abs));
    values.flat().forEach((value, i) => {
      const tolerance = 3e-7 * Math.min(largest, Math.abs(value));
      assert.ok(Math.abs(found[i]! - value) <= tolerance, `${bits} bits, ${scaling}, number ${i}`);
    });
  }
});

onEveryBackend("castToIntegers() with 8-bit rows gives bitsandbytes' numbers", async (mode) => {
  const { x, rowInt8 } = golden.absmax;
  const found = await cast(mode, x.flat(), [x.length, x[0]!.length], { bits: 8, scaling: "row" });
  rowInt8.values.flat().forEach((value, i) => {
    assert.ok(Math.abs(found[i]! - value) <= 3e-7 * Math.abs(value), `number ${i}`);
  });
});

onEveryBackend("castToIntegers() rounds halves to even codes", async (mode) => {
  const { bits, x, codes } = golden.ties;
  const found = await cast(mode, x, [1, x.length], { bits, scaling: "row" });
  // The largest number is K, so that numbers are codes.
  assertClose(found, codes, 1e-6, "codes");
});

onEveryBackend("castToIntegers() gives the same numbers however it is run", async (mode) => {
  const shape = [30, 5, 7];
  const numbers = normals(30 * 5 * 7, 12, 3);
  for (const scaling of SCALINGS) {
    for (const bits of BITS) {
      const scales = scalesOf(numbers, 7, scaling);
      const expected = numbers.map((value, i) => castNumber(value, scales[i]!, bits));
      const found = await cast(mode, numbers, shape, { bits, scaling });
      assertSame(found, expected, mode, `${bits} bits, ${scaling}`);
    }
  }
});

onEveryBackend("castToIntegers() keeps to a given scale, an input or a constant", async (mode) => {
  const R = 1500, bits = 16; // many numbers near a tie
  const numbers = normals(R * SIZE, 13, 3);
  const scales = {
    tensor: [2.9],
    row: [...normals(R, 14).map((one) => Math.abs(one) + 0.1)],
    channel: [0.7, 3, 1.1, 20],
  };
  const shapes = { tensor: [], row: [R, 1], channel: [SIZE] };
  for (const scaling of SCALINGS) {
    const scale = tensor(scales[scaling], shapes[scaling]);
    const own = await read(scale);
    const at = (i: number) =>
      ({ tensor: 0, row: Math.floor(i / SIZE), channel: i % SIZE })[scaling];
    const expected = numbers.map((value, i) => castNumber(value, own[at(i)]!, bits));
    const x = tensor(numbers, [R, SIZE]);
    const asInput = mode.compile((x: Tensor, scale: Tensor) =>
      castToIntegers(x, { bits, scaling, scale })
    );
    assertSame(await read(asInput(x, scale)), expected, mode, `${scaling}, input`);
    asInput.dispose();
    const asConstant = mode.compile((x: Tensor) =>
      castToIntegers(x, { bits, scaling, scale: tensor(scales[scaling], shapes[scaling]) })
    );
    assertSame(await read(asConstant(x)), expected, mode, `${scaling}, constant`);
    asConstant.dispose();
  }
});

onEveryBackend("castToIntegers() leaves zeros alone and shows NaN", async (mode) => {
  const numbers = [0, 0, 0, 1, NaN, -2];
  for (const options of [{}, { outlierThreshold: 6 }, { scale: tensor([2, 2], [2, 1]) }]) {
    const found = await cast(mode, numbers, [2, 3], { bits: 8, scaling: "row", ...options });
    assert.deepEqual([...found.slice(0, 3)].map(Math.abs), [0, 0, 0]);
    assert.ok(Number.isNaN(found[4]));
  }
});

onEveryBackend(
  "castToIntegers() passes gradients straight, not beyond a given scale",
  async (mode) => {
    const numbers = Float32Array.of(0.2, -0.9, 2.6, -3, 3, 3.1, -1, 0);
    const weights = [1, 2, 3, 4, 5, 6, 7, 8];
    const gradient = async (options: IntegerCastOptions) => {
      const run = mode.compile((x: Tensor) => {
        const weighted = ({ x }: { x: Tensor }) =>
          sum(mul(castToIntegers(x, options), tensor(weights, [2, 4])));
        return valueAndGradient(weighted, { x }).gradient;
      });
      const { x } = run(tensor(numbers, [2, 4]));
      run.dispose();
      return [...await read(x)];
    };
    for (const scaling of SCALINGS) assert.deepEqual(await gradient({ bits: 4, scaling }), weights);
    const outlierThreshold = 2.9;
    assert.deepEqual(await gradient({ bits: 8, scaling: "row", outlierThreshold }), weights);
    const scale = tensor([1, 0.5, 3, 3]);
    assert.deepEqual(
      await gradient({ bits: 4, scaling: "channel", scale }),
      [1, 0, 3, 4, 0, 0, 7, 8],
    );
  },
);

onEveryBackend("castToIntegers() with outliers multiplies as LLM.int8", async (mode) => {
  const { threshold, x, columns, codes, scales, weight, product, bitsandbytes } = golden.outliers;
  assert.equal(threshold, LLM_INT8_THRESHOLD);
  const shape = [x.length, x[0]!.length];
  const options = { bits: 8, scaling: "row", outlierThreshold: threshold } as const;
  const found = await cast(mode, x.flat(), shape, options);
  found.forEach((value, i) => {
    const [row, column] = [Math.floor(i / shape[1]!), i % shape[1]!];
    // Outliers as fp16: 11 bits from the leading one on.
    const step = 2 ** (Math.floor(Math.log2(Math.abs(x[row]![column]!))) - 10);
    const expected = columns.includes(column)
      ? Math.round(x[row]![column]! / step) * step
      : codes[row]![column]! * scales[row]! / 127;
    assert.ok(Math.abs(value - expected) <= 3e-7 * Math.abs(expected), `number ${i}`);
  });
  const weightCO = tensor(Float32Array.from(weight.flat()), [shape[1]!, weight[0]!.length]);
  const run = mode.compile((x: Tensor, weight: Tensor) =>
    matMul(castToIntegers(x, options), weight)
  );
  const products = await read(run(tensor(Float32Array.from(x.flat()), shape), weightCO));
  run.dispose();
  assertClose(products, product.flat(), 1e-6, "product");
  // It leaves outliers in the type of x, float32 in that run: within half a step of fp16.
  assertClose(products, bitsandbytes.flat(), 2 ** -11, "bitsandbytes");
});

onEveryBackend(
  "castToIntegers() takes no number of an outlier feature into a scale",
  async (mode) => {
    const { x, row, paperScale, bitsandbytesScale } = golden.outliers.higher;
    const shape = [x.length, x[0]!.length];
    const options = { bits: 8, scaling: "row", outlierThreshold: 6 } as const;
    const found = await cast(mode, x.flat(), shape, options);
    assert.ok(paperScale < bitsandbytesScale); // which is where they differ
    const ofRow = found.subarray(row * shape[1]!, (row + 1) * shape[1]!);
    const { columns } = golden.outliers;
    ofRow.forEach((value, column) => {
      if (columns.includes(column)) return;
      const expected = castNumber(x[row]![column]!, paperScale, 8);
      assertSame([value], [expected], mode, `feature ${column}`);
    });
  },
);

onEveryBackend("castToIntegers() finds outliers at the threshold, over all rows", async (mode) => {
  // Feature 0 is an outlier by its 6 in one row, of either sign; 5.999 is none.
  const numbers = Float32Array.of(0.3, 1, 0.1, -6, 5.999, 0.1, 0.7, 2, 0.1, 0.1, 3, 0.1);
  const options = { bits: 4, scaling: "row", outlierThreshold: 6 } as const;
  const found = await cast(mode, numbers, [2, 2, 3], options);
  const expected = numbers.map((value, i) => {
    const row = Math.floor(i / 3);
    return castNumber(value, Math.max(numbers[3 * row + 1]!, numbers[3 * row + 2]!), 4);
  });
  [0, 3, 6, 9].forEach((i) => {
    assert.ok(Math.abs(found[i]! - numbers[i]!) <= 2 ** -11 * Math.abs(numbers[i]!), `number ${i}`);
    expected[i] = found[i]!;
  });
  assertSame(found, expected, mode, "the rest");
});

onEveryBackend("castToIntegers() refuses what cannot be", () => {
  const x = tensor(normals(12, 1), [2, 2, 3]);
  const cases: [IntegerCastOptions, RegExp][] = [
    [{ bits: 17, scaling: "row" }, /^bits per number: expected an integer from 2 to 16, found 17$/],
    [
      { bits: 8, scaling: "row", scale: tensor([1, 2, 3]) },
      /^row scale of numbers \[2,2,3\]: expected shape \[2,2,1\], found \[3\]$/,
    ],
    [{ bits: 8, scaling: "channel", scale: scalar(1) }, /expected shape \[3\], found \[\]$/],
    [{ bits: 8, scaling: "tensor", scale: tensor([1]) }, /expected shape \[\], found \[1\]$/],
    [
      { bits: 8, scaling: "channel", outlierThreshold: 6 },
      /^outlier threshold: expected row scaling, found channel scaling$/,
    ],
    [{ bits: 8, scaling: "row", outlierThreshold: 0 }, /expected a positive number, found 0$/],
    [{ bits: 8, scaling: "row", outlierThreshold: NaN }, /expected a positive number, found NaN$/],
    [
      { bits: 8, scaling: "row", outlierThreshold: 6, scale: tensor([1, 1, 1, 1], [2, 2, 1]) },
      /leave out scale or the threshold$/,
    ],
  ];
  for (const [options, message] of cases) {
    assert.match(refusal(() => castToIntegers(x, options)), message);
  }
}, { oncePerBackend: true });
