/**
 * Pages of a Parquet column (npm:hyparquet decodes them). What a page claims of itself is checked
 * before memory is taken for it.
 */

import { Buffer } from "node:buffer";
import { crc32, gunzipSync } from "node:zlib";
import type { CompressionCodec, SchemaElement } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { DEFAULT_PARSERS } from "hyparquet/src/convert.js";
import { decompressPage } from "hyparquet/src/datapage.js";
import { getSchemaPath } from "hyparquet/src/schema.js";
import { readVarInt } from "hyparquet/src/thrift.js";
import type { DataReader } from "hyparquet/src/types.js";
import { UserError } from "../errors.ts";
import { oneLine } from "./text_bytes.ts";
import { unzstdPage } from "./zstd.ts";

/** Bytes that can be read anywhere: a local file, or one behind HTTP ranges. */
export type ByteFile = Readonly<{
  /** What messages call it. */
  name: string;
  size: number;
  /** The bytes from `start` up to, not including, `end`. */
  read(start: number, end: number): Promise<Uint8Array>;
}>;

/** The rows of a row group and where its text lies. JSON, so that it can be kept. */
export type TextGroup = Readonly<{
  /** The number of the first one in its file, from 0. */
  firstRow: number;
  rows: number;
  start: number;
  bytes: number;
  codec: CompressionCodec;
}>;

/** Of a page, as it is stored and unpacked. */
const MOST_PAGE_BYTES = 256_000_000;
/** Of a page; Arrow's row groups have 2²⁰ rows. */
const MOST_PAGE_VALUES = 2 ** 22;
const MOST_HEADER_BYTES = 2 ** 24;
/** How much of a column is read at once, unless a page is larger. */
const READ_BYTES = 4 * 2 ** 20;

const CODECS = {
  ...compressors,
  GZIP: (bytes: Uint8Array, length: number) => gunzipSync(bytes, { maxOutputLength: length }),
  ZSTD: unzstdPage,
};

/** What may be sound, but is not read: the same again however often it is got. */
class UnreadError extends Error {}

/** What `use` gives; any failure of the decoder as a `UserError`, of damage where it may be that. */
export function decoding<Value>(where: string, use: () => Value): Value {
  try {
    return use();
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (error instanceof UnreadError) throw new UserError(`${where}: ${oneLine(error)}`);
    throw damaged(where, oneLine(error));
  }
}

/** Parquet that is none, or not any more. */
export class DamagedError extends UserError {}

export function damaged(where: string, found: string): DamagedError {
  return new DamagedError(`${where}: expected Parquet, found ${found}: get or write the file anew`);
}

/** A number that must be a size. */
export function sizeOf(value: unknown, what: string, most: number): number {
  const size = Number(value);
  if (Number.isSafeInteger(size) && size >= 0 && size <= most) return size;
  throw new Error(`${what} of ${value}`);
}

type PageHeader = ReturnType<typeof parquetHeader>;

/**
 * The runs of numbers of `width` bits, at most as many as the page has values. A run that is longer than
 * the page would be written out whatever memory that takes.
 * Nulls have no number, so there may be fewer.
 */
function checkRuns(reader: DataReader, width: number, values: number): void {
  if (width > 32) throw new Error(`numbers of ${width} bits`);
  for (let seen = 0; seen < values && reader.offset < reader.view.byteLength;) {
    const header = readVarInt(reader);
    const count = (header & 1) === 1 ? header >>> 1 << 3 : header >>> 1;
    // Bit-packed numbers come in eights, of which the last ones may mean nothing.
    if (count > values - seen + ((header & 1) === 1 ? 7 : 0)) {
      throw new Error(`a run of ${count} in a page of ${values} values`);
    }
    seen += count;
    reader.offset += (header & 1) === 1 ? (header >>> 1) * width : Math.ceil(width / 8);
  }
}

const ENCODINGS = ["PLAIN", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_LENGTH_BYTE_ARRAY"];

/** Checks what a page, unpacked, claims of itself. */
function checkData(page: Uint8Array, header: PageHeader, isOptional: boolean, rowsLeft: number) {
  const v1 = header.data_page_header, v2 = header.data_page_header_v2;
  const data = v1 ?? v2!;
  const { num_values, encoding } = data;
  sizeOf(num_values, "a number of values", Math.min(rowsLeft, MOST_PAGE_VALUES));
  if (!ENCODINGS.includes(encoding)) {
    throw new UnreadError(
      `expected ${
        ENCODINGS.join(", ")
      }, found encoding ${encoding}, which is not read: write the ` +
        "column with one of those",
    );
  }
  const reader = { view: new DataView(page.buffer, page.byteOffset, page.length), offset: 0 };
  if (v2 !== undefined) reader.offset = v2.repetition_levels_byte_length;
  if (isOptional) {
    const length = v2?.definition_levels_byte_length ?? reader.view.getUint32(0, true);
    if (v1 !== undefined) reader.offset = 4;
    const end = reader.offset + sizeOf(length, "levels", page.length - reader.offset);
    if (num_values > 0) checkRuns(reader, 1, num_values);
    reader.offset = end;
  }
  if (!encoding.endsWith("DICTIONARY") || reader.offset >= page.length) return;
  const width = reader.view.getUint8(reader.offset++);
  if (width > 0) checkRuns(reader, width, num_values);
}

/** The pages of a row group's column with their headers, each in memory of its own. */
export async function* readPages(file: ByteFile, group: TextGroup, where: string) {
  const end = group.start + group.bytes;
  let window: Uint8Array = new Uint8Array(0);
  let windowStart = group.start;
  const take = async (at: number, count: number): Promise<Uint8Array> => {
    const until = Math.min(end, at + count);
    if (at < windowStart || until > windowStart + window.length) {
      window = await file.read(at, Math.min(end, Math.max(until, at + READ_BYTES)));
      windowStart = at;
    }
    return window.subarray(at - windowStart, until - windowStart);
  };
  for (let at = group.start; at < end;) {
    let header: PageHeader | undefined;
    let headerBytes = 2 ** 16;
    let offset = 0;
    while (header === undefined) {
      const bytes = await take(at, headerBytes);
      const reader = {
        view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
        offset: 0,
      };
      try {
        header = parquetHeader(reader);
      } catch (error) {
        // Statistics in a header may be long: perhaps it only goes on.
        if (headerBytes >= MOST_HEADER_BYTES || bytes.length < headerBytes) {
          throw damaged(where, `no page header (${oneLine(error)})`);
        }
        headerBytes *= 16;
      }
      offset = reader.offset;
    }
    const left = Math.min(MOST_PAGE_BYTES, end - at - offset);
    const size = decoding(where, () => sizeOf(header.compressed_page_size, "a page", left));
    const bytes = (await take(at + offset, size)).slice();
    if (bytes.length !== size) throw damaged(where, "a page that is cut off");
    if (header.crc !== undefined && crc32(Buffer.from(bytes.buffer)) !== header.crc >>> 0) {
      throw damaged(where, "a page with another checksum");
    }
    at += offset + size;
    yield { header, bytes };
  }
}

/** A page's bytes without their compression: of the second version its levels never have any. */
function unpack(bytes: Uint8Array, header: PageHeader, codec: CompressionCodec): Uint8Array {
  const { uncompressed_page_size, data_page_header_v2: v2 } = header;
  if (v2 === undefined) return decompressPage(bytes, uncompressed_page_size, codec, CODECS);
  const levels = sizeOf(
    v2.repetition_levels_byte_length + v2.definition_levels_byte_length,
    "levels",
    Math.min(bytes.length, uncompressed_page_size),
  );
  const size = uncompressed_page_size - levels;
  if (v2.is_compressed === false || size === 0) return bytes;
  const values = decompressPage(bytes.subarray(levels), size, codec, CODECS);
  return Buffer.concat([bytes.subarray(0, levels), values]);
}

/**
 * A function from a page and the number of rows that are left in its group to the page's values:
 * bytes, indices of the dictionary, or undefined for nulls.
 */
export function pageDecoder(name: string, isOptional: boolean, codec: CompressionCodec) {
  // As bytes without a meaning: hyparquet would replace what is no UTF-8.
  const repetition_type = isOptional ? "OPTIONAL" : "REQUIRED";
  const schema: SchemaElement[] = [
    { name: "schema", num_children: 1 },
    { name, type: "BYTE_ARRAY", repetition_type },
  ];
  const decoder = {
    pathInSchema: [name],
    type: "BYTE_ARRAY" as const,
    element: schema[1]!,
    schemaPath: getSchemaPath(schema, [name]),
    codec: "UNCOMPRESSED" as const,
    parsers: DEFAULT_PARSERS,
    utf8: false,
  };
  return (header: PageHeader, bytes: Uint8Array, rowsLeft: number): ArrayLike<unknown> => {
    sizeOf(header.uncompressed_page_size, "a page", MOST_PAGE_BYTES);
    // In memory of its own, so that no length can reach into something else's.
    const page = new Uint8Array(unpack(bytes, header, codec));
    const { dictionary_page_header: dictionary, data_page_header_v2: v2 } = header;
    if (dictionary !== undefined) {
      // Each entry has four bytes of length.
      sizeOf(dictionary.num_values, "a dictionary", page.length / 4);
    } else if (header.data_page_header !== undefined || v2 !== undefined) {
      checkData(page, header, isOptional, rowsLeft);
    }
    const plain = {
      ...header,
      compressed_page_size: page.length,
      uncompressed_page_size: page.length,
      ...(v2 !== undefined && { data_page_header_v2: { ...v2, is_compressed: false } }),
    };
    const reader = { view: new DataView(page.buffer), offset: 0 };
    // Without its dictionary a page gives indices: those out of bounds can be told from nulls.
    return readPage(reader, plain, decoder, undefined, undefined, 0).data ?? [];
  };
}
