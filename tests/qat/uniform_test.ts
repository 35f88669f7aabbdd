import assert from "node:assert/strict";
import { scalar, type Tensor, tensor } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { absoluteMaximum, largestCode, quantizeUniformly } from "../../lib/qat/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";

const SIZE = 4;

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

onEveryBackend("absoluteMaximum() is the largest magnitude of each column", async () => {
  const numbers = spreadNumbers();
  numbers[1] = -50; // the largest of its column is negative
  const scales = await read(absoluteMaximum(tensor(numbers, [20, SIZE])));
  assert.deepEqual([...scales], columnMaxima(numbers));
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
    assert.throws(
      () => largestCode(bits),
      (error) =>
        error instanceof UserError &&
        error.message === `bits per number: expected an integer from 2 to 16, found ${bits}`,
    );
  }
});
