/** Codes of floating-point formats against the casts of ml_dtypes, numpy and PyTorch. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { UserError } from "../../lib/errors.ts";
import {
  decodeFloats,
  encodeFloats,
  FLOAT_FORMATS,
  type FloatFormatName,
  floatFormatOf,
  type Overflow,
} from "../../lib/qat/mod.ts";
import {
  acceptable,
  allCodes,
  FORMAT_NAMES,
  inRange,
  midpoints,
  ofWords,
  patterns,
  positiveNumbers,
} from "./_float_inputs.ts";

type SetName = "patterns" | "range" | "midpoints";

/**
 * The codes are those of ml_dtypes and numpy, and in one of the two modes PyTorch's too, which the
 * script checks (`torchOverflow`): torch 2.15 saturates e4m3fn and gives infinities elsewhere.
 */
type FormatGolden = Readonly<{
  largest: number;
  /** Of all codes; null for infinities and NaN. */
  values?: readonly (number | null)[];
  valuesSha256: string;
  sets: Readonly<Record<SetName, Readonly<{ count: number } & Record<Overflow, string>>>>;
  samples: Readonly<
    Record<
      SetName,
      Readonly<{ words: readonly number[] } & Record<Overflow, readonly number[]>>
    >
  >;
}>;

/** Written by tests/reference/number_formats.py. */
const golden = JSON.parse(
  readFileSync(new URL("../golden/qat/float_formats.json", import.meta.url), "utf8"),
) as { formats: Record<FloatFormatName, FormatGolden> };

const OVERFLOWS: readonly Overflow[] = ["special", "saturate"];

/** The golden's one code for NaN. */
const NAN_CODE = 0xffff;

function withOneNan(codes: Uint16Array<ArrayBuffer>, name: FloatFormatName) {
  const values = decodeFloats(codes, name);
  return codes.map((code, i) => Number.isNaN(values[i]) ? NAN_CODE : code);
}

function sha256(values: Uint16Array | Uint32Array): string {
  return createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
}

/** The inputs of a golden set, made anew. */
function goldenInputs(name: FloatFormatName, set: SetName): Float32Array<ArrayBuffer> {
  if (set === "midpoints") return midpoints(name);
  return acceptable(set === "range" ? inRange(1_000_000, name) : patterns(1_000_000), name);
}

function hexadecimal(word: number): string {
  return `0x${word.toString(16)}`;
}

/** The positive numbers and the one that would follow, which stands for what lies beyond. */
function withNext(name: FloatFormatName): number[] {
  const numbers = [...positiveNumbers(name)];
  return [...numbers, 2 * numbers.at(-1)! - numbers.at(-2)!];
}

/** The index of the number nearest to a magnitude, half to even, by a search in float64. */
function nearestIndex(magnitude: number, numbers: readonly number[]): number {
  if (magnitude >= numbers.at(-1)!) return numbers.length - 1;
  let below = 0, above = numbers.length - 1;
  while (above - below > 1) {
    const middle = below + above >> 1;
    if (numbers[middle]! <= magnitude) below = middle;
    else above = middle;
  }
  const toBelow = magnitude - numbers[below]!, toAbove = numbers[above]! - magnitude;
  return toBelow < toAbove || (toBelow === toAbove && below % 2 === 0) ? below : above;
}

for (const name of FORMAT_NAMES) {
  const { largest, values: goldenValues, valuesSha256, sets, samples } = golden.formats[name];

  Deno.test(`decodeFloats() gives the numbers of all ${name} codes`, () => {
    const values = decodeFloats(allCodes(name), name);
    goldenValues?.forEach((expected, code) => {
      if (expected === null) assert.ok(!Number.isFinite(values[code]), hexadecimal(code));
      else assert.ok(Object.is(values[code], expected), `${hexadecimal(code)}: ${values[code]}`);
    });
    const words = new Uint32Array(values.buffer);
    assert.equal(
      sha256(words.map((word, code) => Number.isNaN(values[code]) ? 0x7fc00000 : word)),
      valuesSha256,
    );
    assert.equal(FLOAT_FORMATS[name].largest, largest);
    assert.equal(FLOAT_FORMATS[name].smallest, positiveNumbers(name)[1]);
  });

  Deno.test(`encodeFloats() of a ${name} number is its code`, () => {
    const numbers = decodeFloats(allCodes(name), name);
    const codes = withOneNan(encodeFloats(acceptable(numbers, name), name), name);
    withOneNan(allCodes(name), name).forEach((code, i) =>
      assert.equal(codes[i], code, `${numbers[i]}`)
    );
  });

  Deno.test(`encodeFloats() to ${name} agrees with ml_dtypes and numpy`, () => {
    for (const set of ["patterns", "range", "midpoints"] as const) {
      const { words, ...sampled } = samples[set];
      const inputs = goldenInputs(name, set);
      assert.equal(inputs.length, sets[set].count, `${set}: number of inputs`);
      for (const overflow of OVERFLOWS) {
        const sampleCodes = withOneNan(encodeFloats(ofWords(words), name, overflow), name);
        words.forEach((word, i) =>
          assert.equal(
            hexadecimal(sampleCodes[i]!),
            hexadecimal(sampled[overflow][i]!),
            `${set}, ${overflow}: float32 ${hexadecimal(word)} = ${ofWords([word])[0]}`,
          )
        );
        assert.equal(
          sha256(withOneNan(encodeFloats(inputs, name, overflow), name)),
          sets[set][overflow],
          `${set}, ${overflow}: SHA-256 of all codes`,
        );
      }
    }
  });

  Deno.test(`encodeFloats() to ${name} finds the nearest number, half to even`, () => {
    const { bits } = FLOAT_FORMATS[name];
    const numbers = withNext(name);
    const values = Float32Array.from([
      ...inRange(20_000, name),
      ...midpoints(name).filter((_, i) => i % 7 === 0),
    ]);
    const found = encodeFloats(values, name, "saturate");
    values.forEach((value, i) => {
      const index = Math.min(nearestIndex(Math.abs(value), numbers), numbers.length - 2);
      assert.equal(found[i], index + (Math.sign(value) < 0 ? 2 ** (bits - 1) : 0), `${value}`);
    });
  });

  Deno.test(`FLOAT_FORMATS has where ${name} numbers begin to round beyond the largest`, () => {
    const { overflowsFrom } = FLOAT_FORMATS[name];
    const [word] = new Uint32Array(Float32Array.of(overflowsFrom).buffer);
    const [before, at] = ofWords([word! - 1, word!]);
    assert.equal(at, overflowsFrom, "a float32 number");
    const numbers = withNext(name);
    assert.equal(nearestIndex(before!, numbers), numbers.length - 2);
    assert.equal(nearestIndex(at!, numbers), numbers.length - 1);
  });
}

/** Numbers, what they are in a format, and with saturation. */
const SPECIAL_CASES: readonly (readonly [FloatFormatName, number, number, number])[] = [
  ["fp16", 65519, 65504, 65504],
  ["fp16", 65520, Infinity, 65504], // halfway to 65536
  ["fp16", -Infinity, -Infinity, -65504],
  ["fp16", 2 ** -25, 0, 0], // half of the smallest number
  ["bf16", 3.39e38, 3.3895313892515355e38, 3.3895313892515355e38],
  ["bf16", 3.4e38, Infinity, 3.3895313892515355e38],
  ["bf16", -1e-45, -0, -0],
  ["e4m3fn", 464, 448, 448], // halfway to 480, the code of NaN
  ["e4m3fn", -465, NaN, -448],
  ["e4m3fn", Infinity, NaN, 448],
  ["e5m2", 61439, 57344, 57344],
  ["e5m2", -61440, -Infinity, -57344],
  ["e5m2", NaN, NaN, NaN],
  ["e3m2", -29, -28, -28],
  ["e3m2", 1e9, 28, 28],
  ["e3m2", -Infinity, -28, -28],
];

Deno.test("encodeFloats() treats what lies beyond the largest number as it is told", () => {
  for (const [name, value, special, saturated] of SPECIAL_CASES) {
    const read = (overflow?: Overflow) =>
      decodeFloats(encodeFloats(Float32Array.of(value), name, overflow), name)[0];
    assert.ok(Object.is(read("special"), special), `${name}: ${value} → ${read("special")}`);
    assert.ok(Object.is(read("saturate"), saturated), `${name}: ${value} → ${read("saturate")}`);
    assert.ok(Object.is(read(), special), `${name}: ${value} → ${read()}`);
  }
});

Deno.test("encodeFloats() keeps the sign of NaN, and of zero", () => {
  const values = ofWords([0x7fc00001, 0xff800001, 0x80000000]);
  assert.deepEqual([...encodeFloats(values, "fp16")], [0x7e00, 0xfe00, 0x8000]);
  assert.deepEqual([...encodeFloats(values, "e4m3fn", "saturate")], [0x7f, 0xff, 0x80]);
});

Deno.test("encodeFloats() reads a part of an array", () => {
  const part = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
  assert.deepEqual([...decodeFloats(encodeFloats(part, "e5m2"), "e5m2")], [2, 3]);
});

Deno.test("encodeFloats() refuses NaN in the format that has none", () => {
  for (const overflow of OVERFLOWS) {
    assertRefused(
      () => encodeFloats(Float32Array.of(1, NaN), "e3m2", overflow),
      "e3m2 has no NaN: expected a number, found NaN at index 1",
    );
  }
});

Deno.test("decodeFloats() refuses what is no code", () => {
  assertRefused(
    () => decodeFloats(Uint8Array.of(63, 64), "e3m2"),
    "e3m2: expected codes 0 … 63, found 64 at index 1",
  );
  assertRefused(
    () => decodeFloats(Uint16Array.of(256), "e5m2"),
    "e5m2: expected codes 0 … 255, found 256 at index 0",
  );
});

Deno.test("floatFormatOf() gives formats by name and refuses other names", () => {
  for (const name of FORMAT_NAMES) assert.equal(floatFormatOf(name), FLOAT_FORMATS[name]);
  for (const name of ["fp8", "toString", ""]) {
    assertRefused(
      () => floatFormatOf(name),
      `unknown floating-point format "${name}"; expected one of fp16, bf16, e4m3fn, e5m2, e3m2`,
    );
  }
});

function assertRefused(failing: () => unknown, message: string): void {
  assert.throws(failing, (error) => error instanceof UserError && error.message === message);
}
