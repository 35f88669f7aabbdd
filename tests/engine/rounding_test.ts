import assert from "node:assert/strict";
import { roundMantissa, type Tensor, tensor } from "../../lib/engine/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";

/** The same in float64, where all of it is exact. */
function rounded(value: number, mantissaBits: number, lowestExponent: number): number {
  let power = 2 ** lowestExponent;
  while (Math.abs(value) >= 2 * power) power *= 2;
  const steps = value / power * 2 ** mantissaBits;
  const below = Math.floor(steps), remainder = steps - below;
  const isUp = remainder > 0.5 || (remainder === 0.5 && below % 2 !== 0);
  return (below + (isUp ? 1 : 0)) * 2 ** -mantissaBits * power;
}

/** Of every exponent of float32: the power of two, its neighbours, ties and some other numbers. */
function numbersOfAllBinades(): Float32Array<ArrayBuffer> {
  const random = createRandom(3);
  const numbers: number[] = [];
  for (let exponent = -126; exponent < 127; exponent++) {
    const mantissas = [
      ...[1, 1 + 2 ** -23, 2 - 2 ** -22, 2 - 2 ** -23, 1.25, 1.75, 1.5 + 2 ** -23, 1 + 2 ** -11],
      ...Array.from({ length: 12 }, () => 1 + random.uniform()),
    ];
    numbers.push(...mantissas.flatMap((one) => [one * 2 ** exponent, -one * 2 ** exponent]));
  }
  return Float32Array.from(numbers);
}

onEveryBackend("roundMantissa() rounds as float64 does, at every exponent", async (mode) => {
  const numbers = numbersOfAllBinades();
  const x = tensor(numbers, [numbers.length / 4, 2, 2]);
  for (const [mantissaBits, lowestExponent] of [[1, -126], [7, -126], [3, -6], [22, 10]] as const) {
    const run = mode.compile((x: Tensor) => roundMantissa(x, mantissaBits, lowestExponent));
    const y = run(x);
    assert.deepEqual(y.shape, x.shape);
    const found = await read(y);
    numbers.forEach((value, i) => {
      const expected = rounded(value, mantissaBits, lowestExponent);
      assert.ok(
        found[i] === expected,
        `${mantissaBits} bits from 2^${lowestExponent}: ${value} → ${found[i]}, not ${expected}`,
      );
    });
    run.dispose();
  }
});

onEveryBackend("roundMantissa() of NaN is NaN", async (mode) => {
  const run = mode.compile((x: Tensor) => roundMantissa(x, 3, -6));
  assert.deepEqual([...await read(run(tensor([NaN, 1.03])))], [NaN, 1]);
  run.dispose();
});
