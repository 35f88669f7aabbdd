/**
 * Embeddings as bytes: what a sequence's embedding costs when it is written down, to the bit, and
 * proof that it can be read back. The numbers that are read are exactly those of `fakeQuantize` with
 * the same scales, zeros' signs aside; on WebGPU, whose divisions are not exact, nearly.
 *
 * One embedding is a record of whole bytes, and can be read without the others:
 *
 *     scales   float32, little-endian: one with row scaling, one a block for NF4, else none
 *     codes    without gaps, the lowest bit first: bit k of number i is bit (i b + k) mod 8 of byte
 *              ⌊(i b + k) / 8⌋; the bits left over in the last byte are 0
 *
 * Integers are in two's complement, without −2^(b−1); NF4 codes number its levels from below; float
 * formats as `encodeFloats` writes them, saturating. Scales of channels or of a whole tensor belong
 * to the model and are in no record.
 *
 * A scale in a record is float32 rather than 16 bits, so that it is the one that `fakeQuantize` finds
 * and no number changes when the embedding is stored. It costs 32 bits: half a bit a number for 64
 * numbers; with scales of channels it costs nothing.
 *
 * Legend: P embedding size, R embeddings.
 */

import { UserError } from "../errors.ts";
import { decodeFloats, encodeFloats, FLOAT_FORMATS } from "./float_formats.ts";
import { largestCode, SMALLEST_SCALE } from "./integers.ts";
import { decodeNf4, encodeNf4, NF4_BLOCK_SIZE } from "./nf4.ts";
import {
  formatQuantization,
  type Quantization,
  type QuantizationKind,
  quantizationKind,
} from "./quantization.ts";

/** One embedding in parts: scales that travel with it, and a code of `codeBits` bits a number. */
type Parts = Readonly<{ scales: Float32Array; codes: Uint16Array }>;

/** How a format writes embeddings of P numbers. */
type Format = Readonly<{
  codeBits: number;
  /** Scales in a record, and scales that all records share. */
  ownScales: number;
  sharedScales: number;
  encode(values: Float32Array, shared: Float32Array): Parts;
  /** Numbers that are not finite for codes that are never written. */
  decode(parts: Parts, shared: Float32Array): Float32Array;
}>;

const SCALE_BYTES = 4;

/**
 * Bits of one stored embedding of P numbers, with the scales that travel with it: 8 times its whole
 * bytes. This is n_p b_p of the accounting (paper §3.1): bits a parameter are `storedBits / P`.
 *
 * @throws UserError for a P or a quantization that cannot be stored.
 */
export function storedBits(P: number, quantization: Quantization): number {
  return 8 * recordBytes(P, formatOf(P, quantization));
}

/**
 * Bits that all stored embeddings share and that belong to the model: scales of channels, or of the
 * whole tensor, in float32.
 *
 * @throws UserError as `storedBits`.
 */
export function sharedBits(P: number, quantization: Quantization): number {
  return 8 * SCALE_BYTES * formatOf(P, quantization).sharedScales;
}

/**
 * The shared scales of embeddings `[R, P]`: the largest magnitudes in them, so that no number is
 * beyond. None for a format without shared scales.
 *
 * @throws UserError as `storedBits`.
 */
export function sharedScalesOf(
  valuesRP: Float32Array,
  P: number,
  quantization: Quantization,
): Float32Array<ArrayBuffer> {
  const { sharedScales } = formatOf(P, quantization);
  const scales = new Float32Array(sharedScales).fill(SMALLEST_SCALE);
  if (sharedScales === 0) return scales;
  valuesRP.forEach((value, i) => {
    const at = i % sharedScales;
    scales[at] = Math.max(scales[at]!, Math.abs(value));
  });
  return scales;
}

/**
 * Writes embeddings `[R, P]` down, one record after the other; numbers beyond a shared scale or a
 * format's largest number saturate.
 *
 * @param sharedScales Largest magnitudes, positive: P with channel scaling, one with tensor scaling.
 * @throws UserError for numbers that are not finite or not P a row, and for scales that do not fit.
 */
export function storeEmbeddings(
  valuesRP: Float32Array,
  P: number,
  quantization: Quantization,
  sharedScales?: Float32Array,
): Uint8Array<ArrayBuffer> {
  const format = formatOf(P, quantization);
  const shared = checkSharedScales(sharedScales, format, quantization);
  if (valuesRP.length % P !== 0) {
    throw new UserError(
      `embeddings: expected a multiple of ${P} numbers, found ${valuesRP.length}`,
    );
  }
  const invalid = valuesRP.findIndex((value) => !Number.isFinite(value));
  if (invalid >= 0) {
    throw new UserError(
      `embedding ${Math.floor(invalid / P)}: expected finite numbers, found ${valuesRP[invalid]} ` +
        `as number ${invalid % P}`,
    );
  }
  const size = recordBytes(P, format);
  const bytes = new Uint8Array(valuesRP.length / P * size);
  for (let row = 0; row * P < valuesRP.length; row++) {
    const values = valuesRP.subarray(row * P, (row + 1) * P);
    const { scales, codes } = format.encode(values, shared);
    const record = bytes.subarray(row * size, (row + 1) * size);
    const view = new DataView(record.buffer, record.byteOffset);
    scales.forEach((scale, i) => view.setFloat32(SCALE_BYTES * i, scale, true));
    packBits(codes, format.codeBits, record.subarray(SCALE_BYTES * format.ownScales));
  }
  return bytes;
}

/**
 * Reads what {@linkcode storeEmbeddings} wrote, with the same P, quantization and shared scales.
 *
 * @returns `[R, P]`
 * @throws UserError for bytes that are no whole records, and for records that are never written.
 */
export function readEmbeddings(
  bytes: Uint8Array,
  P: number,
  quantization: Quantization,
  sharedScales?: Float32Array,
): Float32Array<ArrayBuffer> {
  const format = formatOf(P, quantization);
  const shared = checkSharedScales(sharedScales, format, quantization);
  const size = recordBytes(P, format);
  if (bytes.length % size !== 0) {
    throw new UserError(
      `stored embeddings: expected a multiple of ${size} bytes ` +
        `(${P} numbers as ${formatQuantization(quantization)}), found ${bytes.length}`,
    );
  }
  const valuesRP = new Float32Array(bytes.length / size * P);
  for (let row = 0; row * size < bytes.length; row++) {
    const record = bytes.subarray(row * size, (row + 1) * size);
    valuesRP.set(readRecord(record, P, format, shared, row), row * P);
  }
  return valuesRP;
}

function readRecord(
  record: Uint8Array,
  P: number,
  format: Format,
  shared: Float32Array,
  row: number,
): Float32Array {
  const damaged = (what: string) =>
    new UserError(
      `stored embedding ${row}: ${what}; check that bytes, size and format belong together`,
    );
  const view = new DataView(record.buffer, record.byteOffset);
  const scales = Float32Array.from(
    { length: format.ownScales },
    (_, i) => view.getFloat32(SCALE_BYTES * i, true),
  );
  const invalidScale = scales.find((scale) => !isScale(scale));
  if (invalidScale !== undefined) {
    throw damaged(`expected a positive scale, found ${invalidScale}`);
  }
  const codeBytes = record.subarray(SCALE_BYTES * format.ownScales);
  const leftOver = 8 * codeBytes.length - P * format.codeBits;
  if (codeBytes.at(-1)! >> (8 - leftOver) !== 0) {
    throw damaged(`expected 0 in the last ${leftOver} bits`);
  }
  const values = format.decode(
    { scales, codes: unpackBits(codeBytes, format.codeBits, P) },
    shared,
  );
  const invalid = values.findIndex((value) => !Number.isFinite(value));
  if (invalid >= 0) throw damaged(`number ${invalid} has a code that stands for no number`);
  return values;
}

function recordBytes(P: number, { codeBits, ownScales }: Format): number {
  return SCALE_BYTES * ownScales + Math.ceil(P * codeBits / 8);
}

function formatOf(P: number, quantization: Quantization): Format {
  if (!Number.isSafeInteger(P) || P < 1) {
    throw new UserError(`embedding size: expected a whole number above 0, found ${P}`);
  }
  const kind = quantizationKind(quantization);
  if (kind.kind === "integer") return integerFormat(P, kind, quantization);
  if (kind.kind === "nf4") return nf4Format(P, kind.scaling);
  const { format } = kind;
  return {
    codeBits: FLOAT_FORMATS[format].bits,
    ownScales: 0,
    sharedScales: 0,
    encode: (values) => ({
      scales: new Float32Array(),
      codes: encodeFloats(values, format, "saturate"),
    }),
    decode: ({ codes }) => decodeFloats(codes, format),
  };
}

function integerFormat(
  P: number,
  { bits, scaling, outlierThreshold }: Extract<QuantizationKind, { kind: "integer" }>,
  quantization: Quantization,
): Format {
  if (outlierThreshold !== undefined) {
    throw new UserError(
      `${
        formatQuantization(quantization)
      }: expected a format whose size is known, found one that ` +
        `keeps the outliers of a batch in fp16; leave out the outlier threshold`,
    );
  }
  const largest = largestCode(bits);
  const scaleAt = (scales: Float32Array, i: number) => scales[scaling === "channel" ? i : 0]!;
  return {
    codeBits: bits,
    ownScales: scaling === "row" ? 1 : 0,
    sharedScales: { tensor: 1, row: 0, channel: P }[scaling],
    encode: (values, shared) => {
      const scales = scaling === "row" ? Float32Array.of(largestMagnitude(values)) : shared;
      // Two's complement: Uint16Array keeps the lowest 16 bits, packBits() the lowest `bits`.
      const codes = Uint16Array.from(
        values,
        (value, i) => encodeInteger(value, scaleAt(scales, i), largest),
      );
      return { scales: scaling === "row" ? scales : new Float32Array(), codes };
    },
    decode: ({ scales, codes }, shared) =>
      Float32Array.from(codes, (pattern, i) => {
        const code = pattern > largest ? pattern - 2 ** bits : pattern;
        if (code < -largest) return NaN;
        return Math.fround(code / largest) * scaleAt(scaling === "row" ? scales : shared, i);
      }),
  };
}

function largestMagnitude(values: Float32Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), SMALLEST_SCALE);
}

/** The code of `quantizeUniformly`, each step rounded to float32 as there. */
function encodeInteger(value: number, scale: number, largest: number): number {
  const share = Math.fround(value / scale);
  const code = Math.fround(Math.min(1, Math.max(-1, share)) * largest);
  const isHalf = Math.abs(code % 1) === 0.5;
  return isHalf ? 2 * Math.round(code / 2) : Math.round(code);
}

function nf4Format(P: number, scaling: "tensor" | "row"): Format {
  if (scaling === "tensor" && P % NF4_BLOCK_SIZE !== 0) {
    throw new UserError(
      `nf4/tensor: expected embeddings of a multiple of ${NF4_BLOCK_SIZE} numbers, found ${P}; ` +
        `their blocks run on from one to the next, those of nf4/row do not`,
    );
  }
  return {
    codeBits: 4,
    ownScales: Math.ceil(P / NF4_BLOCK_SIZE),
    sharedScales: 0,
    encode: (values) => {
      const { codes, scales } = encodeNf4(values);
      return { scales, codes: Uint16Array.from(codes) };
    },
    decode: ({ scales, codes }) => decodeNf4({ scales, codes: Uint8Array.from(codes) }),
  };
}

function isScale(scale: number): boolean {
  return scale > 0 && Number.isFinite(scale);
}

/** @returns The shared scales, none if the format has none. */
function checkSharedScales(
  scales: Float32Array | undefined,
  format: Format,
  quantization: Quantization,
): Float32Array {
  const found = scales ?? new Float32Array();
  if (found.length !== format.sharedScales) {
    throw new UserError(
      `shared scales of ${formatQuantization(quantization)}: expected ${format.sharedScales}, ` +
        `found ${found.length}`,
    );
  }
  const invalid = found.findIndex((scale) => !isScale(scale));
  if (invalid >= 0) {
    throw new UserError(
      `shared scale ${invalid}: expected a positive number, found ${found[invalid]}`,
    );
  }
  return found;
}

/** Writes the lowest `bits` bits of each code into `bytes`, the lowest first. */
function packBits(codes: Uint16Array, bits: number, bytes: Uint8Array): void {
  let waiting = 0, count = 0, at = 0;
  for (const code of codes) {
    waiting |= (code & (2 ** bits - 1)) << count;
    for (count += bits; count >= 8; count -= 8) {
      bytes[at++] = waiting;
      waiting >>>= 8;
    }
  }
  if (count > 0) bytes[at] = waiting;
}

/** Reads what {@linkcode packBits} wrote: `count` codes. */
function unpackBits(bytes: Uint8Array, bits: number, count: number): Uint16Array {
  let waiting = 0, waitingCount = 0, at = 0;
  return Uint16Array.from({ length: count }, () => {
    for (; waitingCount < bits; waitingCount += 8) waiting |= bytes[at++]! << waitingCount;
    const code = waiting & (2 ** bits - 1);
    waiting >>>= bits;
    waitingCount -= bits;
    return code;
  });
}
