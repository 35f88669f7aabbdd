import assert from "node:assert/strict";
import { type Tensor, tensor } from "../../lib/engine/mod.ts";
import { embeddingBits, overContext } from "../../lib/measure/mod.ts";
import {
  absoluteMaximum,
  fakeQuantize,
  parseQuantization,
  readEmbeddings,
  type Scaling,
  sharedBits,
  sharedScalesOf,
  storedBits,
  storeEmbeddings,
} from "../../lib/qat/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { normals, read } from "../_numbers.ts";
import { refusal } from "../models/_tiny.ts";
import { golden } from "./_integer_formats.ts";

const FLOATS = ["fp16", "bf16", "e4m3fn", "e5m2", "e3m2"];
const INTEGERS = Array.from({ length: 15 }, (_, i) => `int${i + 2}`);
const SCALINGS: readonly Scaling[] = ["tensor", "row", "channel"];

/** WebGPU's divisions are not exact. */
const EXACT = ["tensorflow eager", "tensorflow graph", "tensorflow xla", "wasm", "cpu"];

/** Adding 0 makes 0 of −0, which integers have not. */
const withoutSigns = (values: ArrayLike<number>) => Array.from(values, (value) => value + 0);

/** `[R, P]` of several magnitudes, with a row of zeros and one far beyond the others. */
function embeddings(R: number, P: number, seed: number): Float32Array {
  const numbers = normals(R * P, seed, 2);
  numbers.fill(0, P, 2 * P);
  numbers.subarray(2 * P, 3 * P).forEach((value, i, row) => row[i] = 300 * value);
  return numbers;
}

/** The i-th group of `bits` bits, lowest first, read bit by bit. */
function codeAt(bytes: Uint8Array, bits: number, i: number): number {
  let code = 0;
  for (let k = 0; k < bits; k++) {
    const bit = bits * i + k;
    if (bytes[Math.floor(bit / 8)]! >> bit % 8 & 1) code += 2 ** k;
  }
  return code;
}

onEveryBackend("readEmbeddings() gives the numbers of fakeQuantize(), bit for bit", async () => {
  for (const P of [1, 5, 64, 130]) {
    const R = 6;
    const numbers = embeddings(R, P, P);
    const x = tensor(numbers, [R, P]);
    const scalings = INTEGERS.flatMap((format) => SCALINGS.map((one) => `${format}/${one}`));
    for (const name of [...FLOATS, ...scalings, "nf4", ...(P === 64 ? ["nf4/tensor"] : [])]) {
      const quantization = parseQuantization(name);
      const isShared = name.startsWith("int") && quantization.scaling !== "row";
      const expected = await read(fakeQuantize(quantization)(x));
      const scales = isShared ? await read(absoluteMaximum(x, quantization.scaling)) : undefined;
      const bytes = storeEmbeddings(numbers, P, quantization, scales);
      const found = readEmbeddings(bytes, P, quantization, scales);
      assert.deepEqual(withoutSigns(found), withoutSigns(expected), `${name}, ${P} numbers`);
      assert.equal(8 * bytes.length, R * storedBits(P, quantization), name);
    }
  }
}, { only: EXACT, oncePerBackend: true });

onEveryBackend(
  "readEmbeddings() gives what a compiled cast with given scales gives",
  async (mode) => {
    const [R, P] = [5, 12];
    const numbers = embeddings(R, P, 9);
    const scales = Float32Array.from({ length: P }, (_, i) => 0.7 + i);
    for (const format of ["int2", "int5", "int8", "int16"]) {
      const quantization = parseQuantization(`${format}/channel`);
      const run = mode.compile((x: Tensor, scale: Tensor) =>
        fakeQuantize(quantization, { scale })(x)
      );
      const expected = await read(run(tensor(numbers, [R, P]), tensor(scales)));
      run.dispose();
      const bytes = storeEmbeddings(numbers, P, quantization, scales);
      const found = readEmbeddings(bytes, P, quantization, scales);
      assert.deepEqual(withoutSigns(found), withoutSigns(expected), format);
    }
  },
  { only: ["tensorflow eager", "tensorflow graph", "tensorflow xla", "wasm", "cpu"] },
);

Deno.test("storeEmbeddings() writes PyTorch's codes, lowest bit first", () => {
  const { x, cases } = golden.absmax;
  const P = x[0]!.length;
  const numbers = Float32Array.from(x.flat());
  const largest = (values: readonly number[]) => Math.max(...values.map(Math.abs));
  const sharedScales = {
    tensor: Float32Array.of(largest(x.flat())),
    row: undefined,
    channel: Float32Array.from(x[0]!, (_, column) => largest(x.map((row) => row[column]!))),
  };
  for (const { bits, scaling, codes } of cases) {
    const quantization = parseQuantization(`int${bits}/${scaling}`);
    const bytes = storeEmbeddings(numbers, P, quantization, sharedScales[scaling]);
    const size = storedBits(P, quantization) / 8;
    codes.forEach((rowCodes, row) => {
      const record = bytes.slice(row * size, (row + 1) * size);
      if (scaling === "row") {
        const scale = new DataView(record.buffer).getFloat32(0, true);
        assert.equal(scale, Math.max(largest(x[row]!), Math.fround(1e-12)));
      }
      const payload = scaling === "row" ? record.subarray(4) : record;
      const found = rowCodes.map((_, i) => codeAt(payload, bits, i));
      const twosComplement = rowCodes.map((code) => code < 0 ? code + 2 ** bits : code);
      assert.deepEqual(found, twosComplement, `${bits} bits, ${scaling}, row ${row}`);
    });
  }
});

Deno.test("storeEmbeddings() writes bitsandbytes' NF4 codes after their scales", () => {
  const { x, codes } = golden.nf4;
  const bytes = storeEmbeddings(Float32Array.from(x), x.length, { format: "nf4" });
  const scaleBytes = 4 * Math.ceil(x.length / 64);
  const found = codes.map((_, i) => codeAt(bytes.subarray(scaleBytes), 4, i));
  assert.deepEqual(found, codes);
});

Deno.test("storeEmbeddings() saturates beyond a shared scale and a format's largest number", () => {
  const numbers = Float32Array.of(1e6, -1e6, 0.5);
  const saturated = (name: string, scales?: Float32Array) => {
    const quantization = parseQuantization(name);
    const bytes = storeEmbeddings(numbers, 3, quantization, scales);
    return [...readEmbeddings(bytes, 3, quantization, scales)];
  };
  assert.deepEqual(saturated("int2/tensor", Float32Array.of(2)), [2, -2, 0]);
  assert.deepEqual(saturated("int4/channel", Float32Array.of(2, 3, 0.5)), [2, -3, 0.5]);
  assert.deepEqual(saturated("e4m3fn"), [448, -448, 0.5]);
  assert.deepEqual(saturated("e3m2"), [28, -28, 0.5]);
});

Deno.test("readEmbeddings() reads one record of many, wherever it lies in memory", () => {
  const numbers = embeddings(4, 10, 3);
  for (const name of ["int5/row", "nf4", "e3m2"]) {
    const quantization = parseQuantization(name);
    const bytes = storeEmbeddings(numbers, 10, quantization);
    const all = readEmbeddings(bytes, 10, quantization);
    const size = storedBits(10, quantization) / 8;
    const third = readEmbeddings(bytes.subarray(2 * size, 3 * size), 10, quantization);
    assert.deepEqual(third, all.slice(20, 30));
  }
  assert.equal(readEmbeddings(new Uint8Array(), 10, { format: "fp16" }).length, 0);
});

Deno.test("storedBits() and sharedBits() count codes, scales and whole bytes", () => {
  const cases: [string, number, number, number][] = [
    // name, P, stored, shared
    ["int8/row", 64, 64 * 8 + 32, 0],
    ["int8/channel", 64, 64 * 8, 64 * 32],
    ["int8/tensor", 64, 64 * 8, 32],
    ["int2/channel", 5, 16, 5 * 32],
    ["int3/row", 7, 24 + 32, 0],
    ["int15/tensor", 3, 48, 32],
    ["nf4", 64, 256 + 32, 0],
    ["nf4/tensor", 128, 512 + 64, 0],
    ["nf4", 65, 264 + 64, 0],
    ["fp16", 7, 112, 0],
    ["bf16", 7, 112, 0],
    ["e5m2", 7, 56, 0],
    ["e3m2", 7, 48, 0],
    ["e3m2", 1, 8, 0],
  ];
  for (const [name, P, stored, shared] of cases) {
    const quantization = parseQuantization(name);
    assert.equal(storedBits(P, quantization), stored, `${name}, ${P} numbers`);
    assert.equal(sharedBits(P, quantization), shared, `${name}, ${P} numbers`);
  }
});

Deno.test("storedBits() is what the accounting charges for an embedding", () => {
  for (const name of ["int8/row", "int4/channel", "int3/row", "nf4", "e3m2", "fp16"]) {
    for (const parameterCount of [8, 48, 64, 100, 128, 512]) {
      const bits = storedBits(parameterCount, parseQuantization(name));
      const bitsPerParameter = bits / parameterCount;
      const price = { parameterCount, bitsPerParameter, amortization: overContext(1024) };
      // A quotient times its divisor: the same but for the last bit.
      const relative = Math.abs(embeddingBits(price) / bits - 1);
      assert.ok(relative <= Number.EPSILON, `${name}, ${parameterCount} parameters`);
    }
  }
});

Deno.test("sharedScalesOf() gives the largest magnitudes, by which nothing saturates", () => {
  const numbers = Float32Array.of(1, -5, 0, -3, 2, 0, 0.5, 4, -0); // three rows of three
  const scalesOf = (name: string, P = 3) => [
    ...sharedScalesOf(numbers, P, parseQuantization(name)),
  ];
  const smallest = Math.fround(1e-12);
  assert.deepEqual(scalesOf("int4/channel"), [3, 5, smallest]);
  assert.deepEqual(scalesOf("int4/channel", 9), [1, 5, smallest, 3, 2, smallest, 0.5, 4, smallest]);
  assert.deepEqual(scalesOf("int8/channel", 1), [5]);
  assert.deepEqual(scalesOf("int8/tensor"), [5]);
  for (const name of ["int8/row", "nf4/row", "fp16", "e4m3fn"]) {
    assert.deepEqual(scalesOf(name), []);
  }

  const P = 5;
  const many = embeddings(6, P, 4);
  for (const name of ["int16/channel", "int16/tensor", "int2/channel"]) {
    const quantization = parseQuantization(name);
    const scales = sharedScalesOf(many, P, quantization);
    assert.equal(32 * scales.length, sharedBits(P, quantization));
    const bytes = storeEmbeddings(many, P, quantization, scales);
    const found = readEmbeddings(bytes, P, quantization, scales);
    // Each scale is the magnitude of a number, which is stored as it is.
    for (const scale of scales) assert.ok(found.some((value) => Math.abs(value) === scale), name);
    assert.ok(found.every((value, i) => Math.abs(value) <= scales[i % scales.length]!), name);
  }
});

Deno.test("sharedScalesOf() gives scales that can be stored where there is nothing to scale", () => {
  for (const numbers of [new Float32Array(), new Float32Array(6)]) {
    for (const name of ["int4/channel", "int8/tensor"]) {
      const quantization = parseQuantization(name);
      const scales = sharedScalesOf(numbers, 3, quantization);
      assert.equal(32 * scales.length, sharedBits(3, quantization));
      const bytes = storeEmbeddings(numbers, 3, quantization, scales);
      assert.deepEqual(readEmbeddings(bytes, 3, quantization, scales), numbers);
    }
  }
});

onEveryBackend("sharedScalesOf() gives the largest magnitudes that a cast finds", async () => {
  const numbers = embeddings(6, 7, 8);
  const x = tensor(numbers, [6, 7]);
  for (const scaling of ["channel", "tensor"] as const) {
    const expected = await read(absoluteMaximum(x, scaling));
    const scales = sharedScalesOf(numbers, 7, parseQuantization(`int5/${scaling}`));
    assert.deepEqual([...scales], [...expected]);
  }
}, { only: EXACT, oncePerBackend: true });

Deno.test("sharedScalesOf() refuses what cannot be stored", () => {
  assert.equal(
    refusal(() => sharedScalesOf(new Float32Array(4), 0, { format: "int8" })),
    "embedding size: expected a whole number above 0, found 0",
  );
  assert.match(
    refusal(() => sharedScalesOf(new Float32Array(4), 2, parseQuantization("llm.int8"))),
    /leave out the outlier threshold$/,
  );
});

Deno.test("storeEmbeddings() refuses what cannot be stored", () => {
  const store = (values: number[], P: number, name: string, scales?: number[]) =>
    refusal(() =>
      storeEmbeddings(
        Float32Array.from(values),
        P,
        parseQuantization(name),
        scales === undefined ? undefined : Float32Array.from(scales),
      )
    );
  assert.equal(
    store([1, 2, 3, Infinity], 2, "fp16"),
    "embedding 1: expected finite numbers, found Infinity as number 1",
  );
  for (const name of ["int8", "nf4", "e3m2"]) {
    assert.match(store([NaN, 2], 2, name), /^embedding 0: expected finite numbers, found NaN/);
  }
  assert.equal(
    store([1, 2, 3], 2, "int8"),
    "embeddings: expected a multiple of 2 numbers, found 3",
  );
  for (const P of [0, -1, 1.5, NaN]) {
    assert.equal(
      store([1], P, "int8"),
      `embedding size: expected a whole number above 0, found ${P}`,
    );
  }
  assert.equal(store([1], 1, "int8/channel"), "shared scales of int8/channel: expected 1, found 0");
  assert.equal(
    store([1, 1], 2, "int8/channel", [1]),
    "shared scales of int8/channel: expected 2, found 1",
  );
  assert.equal(store([1], 1, "int8/row", [1]), "shared scales of int8/row: expected 0, found 1");
  for (const scale of [0, -1, NaN, Infinity]) {
    assert.equal(
      store([1], 1, "int8/tensor", [scale]),
      `shared scale 0: expected a positive number, found ${scale}`,
    );
  }
  assert.match(store([1], 1, "llm.int8"), /^llm.int8: .*; leave out the outlier threshold$/);
  assert.match(
    store([1], 1, "nf4/tensor"),
    /^nf4\/tensor: expected .* multiple of 64 .*, found 1;/,
  );
  assert.match(refusal(() => storedBits(4, { format: "int17" })), /found "int17"$/);
  assert.match(refusal(() => sharedBits(0, { format: "int8" })), /^embedding size: /);
});

Deno.test("readEmbeddings() refuses damaged records", () => {
  const numbers = normals(6, 2);
  /** What it says of two records of three numbers, the second one damaged. */
  const damaged = (name: string, damage: (record: Uint8Array, view: DataView) => void) => {
    const quantization = parseQuantization(name);
    const bytes = storeEmbeddings(numbers, 3, quantization);
    const record = bytes.subarray(bytes.length / 2);
    damage(record, new DataView(record.buffer, record.byteOffset));
    return refusal(() => readEmbeddings(bytes, 3, quantization));
  };
  const remedy = "; check that bytes, size and format belong together";
  for (const name of ["int8/row", "nf4"]) {
    for (const scale of [0, -1, NaN, Infinity]) {
      assert.equal(
        damaged(name, (_, view) => view.setFloat32(0, scale, true)),
        `stored embedding 1: expected a positive scale, found ${scale}${remedy}`,
      );
    }
  }
  assert.equal(
    damaged("nf4", (record) => record[5]! |= 0x10),
    `stored embedding 1: expected 0 in the last 4 bits${remedy}`,
  );
  assert.equal(
    damaged("int5/row", (record) => record[5]! |= 0x80),
    `stored embedding 1: expected 0 in the last 1 bits${remedy}`,
  );
  const noNumber = `stored embedding 1: number 2 has a code that stands for no number${remedy}`;
  assert.equal(damaged("int8/row", (record) => record[6] = 0x80), noNumber); // −128
  assert.equal(damaged("e4m3fn", (record) => record[2] = 0x7f), noNumber); // NaN
  assert.equal(damaged("e5m2", (record) => record[2] = 0x7c), noNumber); // infinity
  const quantization = parseQuantization("int8/row");
  const short = storeEmbeddings(numbers, 3, quantization).slice(0, -1);
  assert.equal(
    refusal(() => readEmbeddings(short, 3, quantization)),
    "stored embeddings: expected a multiple of 7 bytes (3 numbers as int8/row), found 13",
  );
});
