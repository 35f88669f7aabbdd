import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { UserError } from "../../lib/errors.ts";
import {
  formatSafetensors,
  parseSafetensors,
  type StoredTensors,
} from "../../lib/train/safetensors.ts";

const example: StoredTensors = {
  tensors: new Map([
    ["weights/ä", { shape: [2, 3], data: Float32Array.of(1, -2.5, 3e-38, Infinity, NaN, -0) }],
    ["ids", { shape: [3], data: Int32Array.of(-1, 0, 2 ** 31 - 1) }],
    ["scalar", { shape: [], data: Float32Array.of(7) }],
    ["empty", { shape: [0, 4], data: new Float32Array(0) }],
  ]),
  metadata: { format: "pt", note: 'one\n"two"' },
};

/** A file with a header of the test's choice. */
function fileOf(header: unknown, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

Deno.test("parseSafetensors() returns what formatSafetensors() was given, bit by bit", () => {
  const { tensors, metadata } = parseSafetensors(formatSafetensors(example), "x");
  assert.deepEqual(metadata, example.metadata);
  assert.deepEqual([...tensors.keys()], [...example.tensors.keys()]);
  for (const [name, { shape, data }] of example.tensors) {
    assert.deepEqual(tensors.get(name)!.shape, shape);
    assert.equal(tensors.get(name)!.data.constructor, data.constructor);
    const bits = (data: Float32Array | Int32Array) => [
      ...new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    ];
    assert.deepEqual(bits(tensors.get(name)!.data), bits(data));
  }
});

Deno.test("formatSafetensors() writes the format's layout", () => {
  const bytes = formatSafetensors({
    tensors: new Map([
      ["b", { shape: [1, 2], data: Float32Array.of(1, 2) }],
      ["a", { shape: [1], data: Int32Array.of(258) }],
    ]),
    metadata: { format: "pt" },
  });
  const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  assert.equal(headerLength % 8, 0, "the data must be aligned");
  assert.deepEqual(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength))), {
    __metadata__: { format: "pt" },
    b: { dtype: "F32", shape: [1, 2], data_offsets: [0, 8] },
    a: { dtype: "I32", shape: [1], data_offsets: [8, 12] },
  });
  assert.equal(bytes[8], "{".charCodeAt(0));
  const data = bytes.slice(8 + headerLength);
  assert.deepEqual([...new Float32Array(data.buffer, 0, 2)], [1, 2]);
  assert.deepEqual([...data.subarray(8)], [2, 1, 0, 0]);
});

Deno.test("formatSafetensors() takes views of larger buffers", () => {
  const data = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
  const bytes = formatSafetensors({
    tensors: new Map([["v", { shape: [2], data }]]),
    metadata: {},
  });
  assert.deepEqual([...parseSafetensors(bytes, "x").tensors.get("v")!.data], [1, 2]);
});

Deno.test("parseSafetensors() takes bytes at any offset and Node buffers, and copies", () => {
  const bytes = formatSafetensors(example);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  for (const source of [shifted.subarray(3), Buffer.from(bytes)]) {
    const { data } = parseSafetensors(source, "x").tensors.get("ids")!;
    assert.deepEqual([...data], [-1, 0, 2 ** 31 - 1]);
    source.fill(0);
    assert.equal(data[0], -1);
  }
});

Deno.test("parseSafetensors() reads what the Python package writes", () => {
  const file = new URL("../golden/models/mixer_clm.safetensors", import.meta.url);
  const { tensors } = parseSafetensors(readFileSync(file), "mixer_clm.safetensors");
  assert.deepEqual(tensors.get("batches")!.shape, [5, 3, 6]);
  assert.ok(tensors.get("batches")!.data instanceof Int32Array);
  assert.ok(tensors.get("batches")!.data.every((id) => id >= 1 && id < 17));
  const mix = tensors.get("weights/blocks.0.mix.weight")!;
  assert.deepEqual(mix.shape, [6, 6]);
  assert.ok(mix.data.every((weight) => weight !== 0 && Math.abs(weight) < 10));
});

Deno.test("parseSafetensors() reads other floating-point types as float32", () => {
  const numbers = [1, -2, Infinity, 0.1];
  const bits: Readonly<Record<string, Uint16Array | Float64Array>> = {
    // The bits of `numbers` and of the smallest number above zero.
    F16: Uint16Array.of(0x3c00, 0xc000, 0x7c00, 0x2e66, 1),
    BF16: Uint16Array.of(0x3f80, 0xc000, 0x7f80, 0x3dcd, 1),
    F64: Float64Array.of(...numbers, 2 ** -149),
  };
  const expected: Readonly<Record<string, number[]>> = {
    F16: [1, -2, Infinity, 0.0999755859375, 2 ** -24],
    BF16: [1, -2, Infinity, 0.10009765625, 2 ** -133],
    F64: [1, -2, Infinity, Math.fround(0.1), 2 ** -149],
  };
  for (const [dtype, data] of Object.entries(bits)) {
    const header = { w: { dtype, shape: [5], data_offsets: [0, data.byteLength] } };
    const bytes = fileOf(header, data.byteLength);
    bytes.set(new Uint8Array(data.buffer), bytes.length - data.byteLength);
    const { shape, data: found } = parseSafetensors(bytes, "x").tensors.get("w")!;
    assert.deepEqual(shape, [5]);
    assert.ok(found instanceof Float32Array);
    assert.deepEqual([...found], expected[dtype], dtype);
  }
});

Deno.test("parseSafetensors() reads what the Python package writes in half precision", () => {
  const read = (name: string) => {
    const file = new URL(`../golden/reference_names/${name}.safetensors`, import.meta.url);
    return [...parseSafetensors(readFileSync(file), name).tensors.values()];
  };
  for (const [name, bits] of [["llama_clm", 11], ["mixer_eem", 8]] as const) {
    for (const { data } of read(name)) {
      assert.ok(data.every((value) => value !== 0 && Math.abs(value) < 10));
      // What is left beyond the significant bits of the type.
      const step = (value: number) => 2 ** (Math.floor(Math.log2(Math.abs(value))) - bits + 1);
      assert.ok(data.every((value) => value % step(value) === 0));
    }
  }
});

Deno.test("parseSafetensors() refuses other types", () => {
  assert.throws(
    () => parseSafetensors(fileOf({ w: { ...F32, dtype: "I64" } }, 8), "model.safetensors"),
    (error: Error) =>
      error instanceof UserError && error.message ===
        "model.safetensors: expected tensors of type F32, F16, BF16, F64, I32, " +
          "found w of type I64; convert it or leave it out",
  );
});

const F32 = { dtype: "F32", shape: [2], data_offsets: [0, 8] };

for (
  const [what, bytes, found] of [
    ["an empty file", new Uint8Array(0), /found 0 bytes/],
    ["a header beyond the end", fileOf({}, 0).subarray(0, 9), /header that is longer/],
    ["a header that is no JSON", fileOf("{no", 0), /header that is not JSON/],
    ["too few bytes for the type", fileOf({ w: { ...F32, dtype: "F64" } }, 8), /bytes 0 to 8/],
    ["too many bytes for the type", fileOf({ w: { ...F32, dtype: "BF16" } }, 8), /bytes 0 to 8/],
    ["missing data", fileOf({ w: F32 }, 7), /w with bytes 0 to 8, 7 in the file/],
    ["a shape that does not fit", fileOf({ w: { ...F32, shape: [3] } }, 8), /w with bytes 0 to 8/],
    [
      "offsets before the data",
      fileOf({ w: { ...F32, data_offsets: [-8, 0] } }, 8),
      /bytes -8 to 0/,
    ],
    ["a header that is no object", fileOf("[1]", 0), /header/],
    ["a header of null", fileOf("null", 0), /header/],
    ["an entry without offsets", fileOf({ w: { dtype: "F32", shape: [2] } }, 8), /w/],
    ["an entry without a shape", fileOf({ w: { dtype: "F32", data_offsets: [0, 8] } }, 8), /w/],
  ] as const
) {
  Deno.test(`parseSafetensors() refuses ${what}`, () => {
    assert.throws(
      () => parseSafetensors(bytes, "model.safetensors"),
      (error: Error) => {
        assert.ok(error instanceof UserError, `found ${error}`);
        assert.match(
          error.message,
          /^model\.safetensors: expected a complete safetensors file, found /,
        );
        assert.match(error.message, found);
        return true;
      },
    );
  });
}
