/** Tensors in floating-point formats, against the codes of `float_formats.ts`. */

import assert from "node:assert/strict";
import {
  mul,
  square,
  sub,
  sum,
  type Tensor,
  tensor,
  valueAndGradient,
} from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  castToFloatFormat,
  decodeFloats,
  encodeFloats,
  FLOAT_FORMATS,
  type FloatFormatName,
} from "../../lib/qat/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { assertClose, normals, read } from "../_numbers.ts";
import {
  acceptable,
  allCodes,
  FORMAT_NAMES,
  inRange,
  midpoints,
  ofWords,
  patterns,
} from "./_float_inputs.ts";

/** float32's smallest normal number: devices may take smaller ones for zero. */
const SMALLEST_NORMAL = 2 ** -126;

/** What the codes make of numbers, saturating. */
function throughCodes(values: Float32Array, name: FloatFormatName): Float32Array<ArrayBuffer> {
  return decodeFloats(encodeFloats(values, name, "saturate"), name);
}

function inputsFor(name: FloatFormatName): Float32Array<ArrayBuffer> {
  const parts = [
    decodeFloats(allCodes(name), name),
    midpoints(name),
    patterns(50_000),
    inRange(100_000, name),
  ];
  return acceptable(Float32Array.from(parts.flatMap((part) => [...part])), name);
}

for (const name of FORMAT_NAMES) {
  onEveryBackend(`castToFloatFormat() gives the numbers of ${name} codes`, async (mode) => {
    const inputs = inputsFor(name);
    const expected = throughCodes(inputs, name);
    const run = mode.compile((x: Tensor) => castToFloatFormat(x, name));
    const found = await read(run(tensor(inputs)));
    inputs.forEach((value, i) => {
      const isFlushed = found[i] === 0 && Math.abs(value) < SMALLEST_NORMAL;
      const isEqual = found[i] === expected[i] || (Number.isNaN(found[i]) && Number.isNaN(value));
      if (!isEqual && !isFlushed) {
        assert.fail(`input ${i}, ${value}: expected ${expected[i]}, found ${found[i]}`);
      }
    });
    run.dispose();
  });
}

onEveryBackend("castToFloatFormat() keeps shapes, NaN and what it made", async (mode) => {
  const numbers = normals(24, 5);
  numbers[3] = NaN;
  for (const name of FORMAT_NAMES) {
    const run = mode.compile((x: Tensor) => castToFloatFormat(x, name));
    const once = run(tensor(numbers, [2, 3, 4]));
    assert.deepEqual(once.shape, [2, 3, 4]);
    const values = await read(once);
    assert.ok(values.every((value, i) => Number.isNaN(value) === (i === 3)), name);
    assert.deepEqual(await read(run(once)), values);
    run.dispose();
  }
});

onEveryBackend("castToFloatFormat() stops the gradient where it saturates", async (mode) => {
  for (const name of FORMAT_NAMES) {
    const { largest, smallest, overflowsFrom } = FLOAT_FORMATS[name];
    const [word] = new Uint32Array(Float32Array.of(overflowsFrom).buffer);
    const [lastInside] = ofWords([word! - 1]);
    const inside = [0, 1.06, smallest / 4, largest, lastInside!];
    const positive = [...inside, overflowsFrom, Infinity];
    const values = Float32Array.from([...positive, ...positive.map((value) => -value)]);
    const weights = normals(values.length, 6);
    const loss = (x: Tensor) => sum(mul(castToFloatFormat(x, name), tensor(weights)));
    const run = mode.compile((x: Tensor) => valueAndGradient(loss, x).gradient);
    const gradient = await read(run(tensor(values)));
    const expected = weights.map((weight, i) => i % positive.length < inside.length ? weight : 0);
    assertClose(gradient, expected, 0, `${name}: gradients at ${values}`);
    run.dispose();
  }
});

onEveryBackend("castToFloatFormat() trains what lies beneath it", async (mode) => {
  const targets = normals(16, 8);
  // All products are by powers of two, so that plain float32 arithmetic gives the same bits.
  for (const name of FORMAT_NAMES) {
    const loss = (x: Tensor) => sum(square(sub(castToFloatFormat(x, name), tensor(targets))));
    const run = mode.compile((x: Tensor) => sub(x, mul(valueAndGradient(loss, x).gradient, 0.125)));
    let x: Tensor = tensor(normals(16, 9));
    let expected: Float32Array = normals(16, 9);
    for (let step = 0; step < 10; step++) {
      x = run(x);
      const cast = throughCodes(expected, name);
      expected = expected.map((value, i) => value - Math.fround(cast[i]! - targets[i]!) / 4);
    }
    assert.deepEqual(await read(x), expected, name);
    run.dispose();
  }
});

onEveryBackend("castToFloatFormat() refuses a name that is no format", () => {
  assert.throws(
    () => castToFloatFormat(tensor([1]), "fp8" as FloatFormatName),
    (error) => error instanceof UserError && /"fp8"; expected one of fp16, /.test(error.message),
  );
}, { oncePerBackend: true });
