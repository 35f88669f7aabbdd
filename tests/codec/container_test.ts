import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  checkLength,
  checksumOf,
  type FileHeader,
  formatFile,
  HEADER_BYTES,
  MOST_LANES,
  readHeader,
  shortHash,
} from "../../lib/codec/container.ts";
import { parseQuantization } from "../../lib/qat/mod.ts";
import { refusal } from "../models/_tiny.ts";
import { crc32, type Field, FIELDS, sealed, withFields } from "./_file.ts";
import { randomBytes } from "./_tiny.ts";

const HEADER: FileHeader = {
  kind: "augmented",
  backend: "wasm",
  threads: 258,
  embedding: parseQuantization("int4/channel"),
  modelHash: "0123456789abcdef",
  tokenizerHash: "fedcba9876543210",
  contextLength: 1024,
  overlap: 1,
  laneCount: 64,
  originalBytes: 2 ** 29 - 24,
  tokenCount: 305_419_896,
  checksum: "00ff00ff11223344",
};

const PAYLOAD = Uint8Array.of(0xde, 0xad, 0xbe, 0xef, 0);

const GOLDEN = [
  ..."KYLc".split("").map((letter) => letter.charCodeAt(0)),
  ...[1, 2, 2, 15], // version, augmented, third backend, int4/channel
  ...[0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef],
  ...[0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10],
  ...[0, 4, 0, 0], // 1024
  ...[1, 0, 0, 0],
  ...[64, 0, 2, 1], // 64 lanes, 258 threads
  ...[0xe8, 0xff, 0xff, 0x1f, 0, 0, 0, 0],
  ...[0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0],
  ...[0x00, 0xff, 0x00, 0xff, 0x11, 0x22, 0x33, 0x44],
];

const STRANGE =
  "expected a header that deno task compress wrote, found sizes or formats that it never writes; " +
  "compress the original anew";
const DAMAGED =
  "expected the file as it was written, found one that is cut short or damaged (its CRC-32 does " +
  "not fit); copy it anew";
const NO_SUCH_FILE = "expected a file that deno task compress wrote, found another; check its name";

Deno.test("formatFile() writes the documented header, byte by byte", () => {
  // The check value of CRC-32.
  assert.equal(crc32("123456789".split("").map((digit) => digit.charCodeAt(0))), 0xcbf43926);
  const crc = crc32([...GOLDEN, ...PAYLOAD]);
  const expected = Uint8Array.of(
    ...GOLDEN,
    ...[0, 8, 16, 24].map((shift) => crc >>> shift & 255),
    ...PAYLOAD,
  );
  assert.equal(HEADER_BYTES, 64);
  assert.deepEqual(formatFile(HEADER, PAYLOAD), expected);
  assert.deepEqual(readHeader(expected), HEADER);
  const amid = Uint8Array.of(9, 9, 9, ...expected, 9, 9).subarray(3, 3 + expected.length);
  assert.deepEqual(readHeader(amid), HEADER);
});

Deno.test("formatFile() numbers the formats of embeddings, which files keep for ever", () => {
  const numbers: Readonly<Record<string, number>> = {
    fp16: 1,
    bf16: 2,
    e4m3fn: 3,
    e5m2: 4,
    e3m2: 5,
    "nf4/row": 6,
    "nf4/tensor": 7,
    "int2/row": 8,
    "int2/channel": 9,
    "int2/tensor": 10,
    "int3/row": 11,
    "int4/row": 14,
    "int4/channel": 15,
    "int8/row": 26,
    "int8/channel": 27,
    "int8/tensor": 28,
    "int16/row": 50,
    "int16/tensor": 52,
  };
  for (const [name, number] of Object.entries(numbers)) {
    const file = formatFile({ ...HEADER, embedding: parseQuantization(name) }, PAYLOAD);
    assert.equal(file[7], number, name);
    assert.deepEqual(readHeader(file).embedding, parseQuantization(name), name);
  }
  assert.equal(formatFile({ ...HEADER, embedding: null }, PAYLOAD)[7], 0);
  assert.equal(
    readHeader(withFields(formatFile(HEADER, PAYLOAD), { embedding: 0 })).embedding,
    null,
  );
});

Deno.test("formatFile() numbers kinds and backends", () => {
  const file = formatFile(HEADER, PAYLOAD);
  const kinds = ["stored", "causal", "augmented"] as const;
  for (const [number, kind] of kinds.entries()) {
    const originalBytes = PAYLOAD.length;
    const header = { ...HEADER, laneCount: 1, tokenCount: 3, originalBytes, kind };
    const written = formatFile(header, PAYLOAD);
    assert.equal(written[5], number);
    assert.equal(readHeader(written).kind, kind);
  }
  const backends = ["tensorflow", "webgpu", "wasm", "cpu"] as const;
  for (const [number, backend] of backends.entries()) {
    assert.equal(formatFile({ ...HEADER, backend }, PAYLOAD)[6], number);
    assert.equal(readHeader(withFields(file, { backend: number })).backend, backend);
  }
});

Deno.test("readHeader() refuses every file with one byte changed", () => {
  const file = formatFile(HEADER, PAYLOAD);
  for (let at = 0; at < file.length; at++) {
    for (const change of [1, 2, 16, 128, 255]) {
      const damaged = file.slice();
      damaged[at]! ^= change;
      const message = refusal(() => readHeader(damaged));
      const expected = at < 4
        ? NO_SUCH_FILE
        : at === 4
        ? `expected a file of version 1, found version ${1 ^ change}; use the release that wrote it`
        : DAMAGED;
      assert.equal(message, expected, `byte ${at}`);
    }
  }
});

Deno.test("readHeader() refuses files that are cut short or longer, at every length", () => {
  const file = formatFile(HEADER, PAYLOAD);
  for (let length = 0; length < file.length; length++) {
    const expected = length < 4
      ? NO_SUCH_FILE
      : length < HEADER_BYTES
      ? `expected at least 64 bytes, found ${length}: the file is cut short; copy it anew`
      : DAMAGED;
    assert.equal(refusal(() => readHeader(file.slice(0, length))), expected, `${length} bytes`);
    // The rest of the buffer is not part of the file.
    assert.equal(refusal(() => readHeader(file.subarray(0, length))), expected);
  }
  assert.equal(refusal(() => readHeader(Uint8Array.of(...file, 0))), DAMAGED);
});

Deno.test("readHeader() refuses what is no such file", () => {
  for (const bytes of [new Uint8Array(100), randomBytes(1000), Uint8Array.of(0x1f, 0x8b)]) {
    assert.equal(refusal(() => readHeader(bytes)), NO_SUCH_FILE);
  }
});

Deno.test("readHeader() refuses sizes that no writer gives, in a file that is whole", () => {
  const file = formatFile({ ...HEADER, tokenCount: 1000, originalBytes: 2000 }, PAYLOAD);
  const lies: readonly Partial<Record<Field, number | bigint>>[] = [
    { kind: 3 },
    { kind: 255 },
    { backend: 4 },
    { embedding: 53 },
    { embedding: 255 },
    { overlap: 1024 },
    { overlap: 0xffffffff },
    { contextLength: 0 },
    { contextLength: 1 },
    { laneCount: 0 },
    { laneCount: MOST_LANES + 1 },
    { laneCount: 0xffff },
    { threads: 0 },
    { tokenCount: 2001 },
    { tokenCount: 63 },
    { tokenCount: 0 },
    { tokenCount: 2n ** 64n - 1n },
    { tokenCount: 2n ** 53n + 1n, originalBytes: 2n ** 53n + 1n },
    { originalBytes: 2n ** 29n - 23n },
    { originalBytes: 2n ** 64n - 1n },
    { originalBytes: 999 },
    { kind: 0 }, // stored, but not as many bytes as it says
    { kind: 0, originalBytes: 1004 },
  ];
  for (const fields of lies) {
    assert.equal(
      refusal(() => readHeader(withFields(file, fields))),
      STRANGE,
      Object.entries(fields).join(),
    );
  }
  const right: readonly Partial<Record<Field, number | bigint>>[] = [
    { tokenCount: 2000 },
    { tokenCount: 64 },
    { laneCount: 1000 },
    { overlap: 1023 },
    { originalBytes: 2n ** 29n - 24n, tokenCount: 2n ** 29n - 24n },
    { threads: 1 },
    { threads: 0xffff },
    { laneCount: 1, tokenCount: 0, originalBytes: 0 },
  ];
  for (const fields of right) {
    for (const [name, value] of Object.entries(fields)) {
      const header = readHeader(withFields(file, fields));
      assert.equal(header[name as keyof FileHeader], Number(value), name);
    }
  }
});

Deno.test("readHeader() never breaks, whatever header a file has", () => {
  const file = formatFile(HEADER, PAYLOAD);
  for (let seed = 0; seed < 500; seed++) {
    const noise = file.slice();
    const from = Object.values(FIELDS)[2 + seed % 11]![0];
    noise.set(randomBytes(60 - from, seed), from);
    try {
      readHeader(sealed(noise));
    } catch (error) {
      assert.equal((error as Error).message, STRANGE);
    }
  }
});

Deno.test("checksumOf() and shortHash() are the first bytes of a hash", () => {
  const bytes = randomBytes(1000);
  const whole = createHash("sha256").update(bytes).digest("hex");
  assert.equal(checksumOf(bytes), whole.slice(0, 16));
  assert.equal(shortHash(whole), whole.slice(0, 16));
});

Deno.test("checkLength() refuses more bytes than a file may hold", () => {
  checkLength(0);
  checkLength(2 ** 29 - 24);
  assert.equal(
    refusal(() => checkLength(2 ** 29 - 23)),
    "expected at most 536870888 bytes, found 536870889; cut the file and compress the parts",
  );
});
