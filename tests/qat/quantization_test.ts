import assert from "node:assert/strict";
import { scalar, type Tensor, tensor } from "../../lib/engine/mod.ts";
import {
  castToFloatFormat,
  castToIntegers,
  castToNf4,
  checkQuantization,
  fakeQuantize,
  FLOAT_FORMATS,
  type FloatFormatName,
  formatQuantization,
  parseQuantization,
  type Quantization,
} from "../../lib/qat/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { normals, read } from "../_numbers.ts";
import { refusal } from "../models/_tiny.ts";

const FLOATS = Object.keys(FLOAT_FORMATS) as FloatFormatName[];

/** Names as they are written, and what they mean. */
const NAMES: Readonly<Record<string, Quantization>> = {
  ...Object.fromEntries(FLOATS.map((format) => [format, { format }])),
  "nf4/row": { format: "nf4", scaling: "row" },
  "nf4/tensor": { format: "nf4", scaling: "tensor" },
  "int2/row": { format: "int2", scaling: "row" },
  "int8/channel": { format: "int8", scaling: "channel" },
  "int16/tensor": { format: "int16", scaling: "tensor" },
  "llm.int8": { format: "int8", scaling: "row", outlierThreshold: 6 },
  "int4/row/outliers=6": { format: "int4", scaling: "row", outlierThreshold: 6 },
  "int8/row/outliers=2.5": { format: "int8", scaling: "row", outlierThreshold: 2.5 },
};

const LIST = "fp16, bf16, e4m3fn, e5m2, e3m2, nf4 or int2 … int16";

Deno.test("formatQuantization() and parseQuantization() are each other's inverse", () => {
  for (const [name, quantization] of Object.entries(NAMES)) {
    assert.deepEqual(parseQuantization(name), quantization);
    assert.equal(formatQuantization(quantization), name);
    checkQuantization(quantization);
  }
});

Deno.test("parseQuantization() fills in scaling and reads other spellings", () => {
  assert.deepEqual(parseQuantization("int8"), { format: "int8", scaling: "row" });
  assert.deepEqual(parseQuantization("nf4"), { format: "nf4", scaling: "row" });
  assert.deepEqual(parseQuantization("int8/row/outliers=6"), parseQuantization("llm.int8"));
});

Deno.test("formatQuantization() gives values that mean the same one name", () => {
  assert.equal(formatQuantization({ format: "int8" }), "int8/row");
  assert.equal(formatQuantization({ format: "nf4" }), "nf4/row");
  assert.equal(formatQuantization({ format: "int8", outlierThreshold: 6 }), "llm.int8");
});

Deno.test("parseQuantization() refuses what is no name, and lists what exists", () => {
  for (const name of ["int17", "int1", "int08", "int8.5", "fp32", "", "INT8", "int", "toString"]) {
    assert.equal(
      refusal(() => parseQuantization(name)),
      `quantization: expected ${LIST}, found "${name}"`,
    );
  }
  const messages: Record<string, RegExp> = {
    "int8/column": /^quantization int8: expected scaling tensor, row, channel, found column$/,
    "fp16/row": /^quantization fp16: expected no scaling, found row$/,
    "nf4/channel": /^quantization nf4: expected scaling tensor or row, found channel$/,
    "int8/channel/outliers=6": /^outlier threshold: expected row scaling, found channel scaling$/,
    "int8/row/outliers=-6": /^outlier threshold: expected a positive number, found -6$/,
    "int8/row/outliers=six": /^outlier threshold: expected a positive number, found NaN$/,
    "nf4/row/outliers=6": /^quantization nf4: expected no outlier threshold; integers have one$/,
    "int8/row/6": /^quantization: expected a name such as .*, found "int8\/row\/6"$/,
    "int8/row/outliers=6/7": /^quantization: expected a name such as .*$/,
  };
  for (const [name, message] of Object.entries(messages)) {
    assert.match(refusal(() => parseQuantization(name)), message);
  }
});

Deno.test("checkQuantization() refuses what does not apply", () => {
  const wrong: [Quantization, RegExp][] = [
    [{ format: "int8.5" }, /found "int8.5"$/],
    [{ format: "fp16", scaling: "row" }, /^quantization fp16: expected no scaling/],
    [{ format: "fp16", outlierThreshold: 6 }, /^quantization fp16: expected no outlier threshold/],
    [{ format: "nf4", scaling: "channel" }, /^quantization nf4: expected scaling/],
    [{ format: "int8", scaling: "tensor", outlierThreshold: 6 }, /^outlier threshold/],
  ];
  for (const [quantization, message] of wrong) {
    assert.match(refusal(() => checkQuantization(quantization)), message);
    assert.match(refusal(() => formatQuantization(quantization)), message);
    assert.match(refusal(() => fakeQuantize(quantization)), message);
  }
});

onEveryBackend("fakeQuantize() is the cast of the format", async (mode) => {
  const numbers = normals(3 * 70, 4, 3);
  const casts: Record<string, (x: Tensor) => Tensor> = {
    ...Object.fromEntries(
      FLOATS.map((format) => [format, (x: Tensor) => castToFloatFormat(x, format)]),
    ),
    "nf4/row": (x) => castToNf4(x, 64, "row"),
    "nf4/tensor": (x) => castToNf4(x, 64, "tensor"),
    "int2/row": (x) => castToIntegers(x, { bits: 2, scaling: "row" }),
    "int8/channel": (x) => castToIntegers(x, { bits: 8, scaling: "channel" }),
    "int16/tensor": (x) => castToIntegers(x, { bits: 16, scaling: "tensor" }),
    "llm.int8": (x) => castToIntegers(x, { bits: 8, scaling: "row", outlierThreshold: 6 }),
    "int4/row/outliers=6": (x) =>
      castToIntegers(x, { bits: 4, scaling: "row", outlierThreshold: 6 }),
    "int8/row/outliers=2.5": (x) =>
      castToIntegers(x, { bits: 8, scaling: "row", outlierThreshold: 2.5 }),
  };
  assert.deepEqual(Object.keys(casts), Object.keys(NAMES));
  const x = tensor(numbers, [3, 70]);
  const all = new Set<string>();
  for (const [name, quantization] of Object.entries(NAMES)) {
    const run = mode.compile((x: Tensor) => [fakeQuantize(quantization)(x), casts[name]!(x)]);
    const [found, expected] = await Promise.all(run(x).map(read));
    assert.deepEqual(found, expected, name);
    all.add(`${found}`);
    run.dispose();
  }
  assert.equal(all.size, Object.keys(NAMES).length, "no two formats give the same numbers");
}, { oncePerBackend: true });

onEveryBackend("fakeQuantize() keeps to a given scale, of integers alone", async () => {
  const x = tensor([0.4, -0.6, 9], [1, 3]);
  const quantize = fakeQuantize({ format: "int2", scaling: "tensor" }, { scale: scalar(1) });
  assert.deepEqual([...await read(quantize(x))].map((one) => one + 0), [0, -1, 1]);
  for (const format of ["fp16", "nf4"] as const) {
    assert.match(
      refusal(() => fakeQuantize({ format }, { scale: scalar(1) })),
      /expected no fixed scale; integers have one$/,
    );
  }
}, { oncePerBackend: true });
