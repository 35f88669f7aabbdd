/** Parquet files made at test time: sound ones, and ones that claim what is not so. */
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { CompressionCodec, PageHeader } from "hyparquet";
import { ByteWriter, parquetWriteBuffer } from "hyparquet-writer";
import { writePageHeader } from "hyparquet-writer/src/datapage.js";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import type { ByteFile } from "../../lib/text/parquet_pages.ts";

export type ParquetOptions = Readonly<{
  codec?: CompressionCodec;
  rowGroupSize?: number;
  pageSize?: number;
  column?: string;
}>;

/** A file with a number, a text and a flag a row. */
export function parquetFile(
  texts: readonly (string | null)[],
  { codec = "ZSTD", rowGroupSize = 100, pageSize = 2 ** 20, column = "text" }: ParquetOptions = {},
): Uint8Array {
  const columnData = [
    { name: "id", data: texts.map((_, i) => i), type: "INT32" as const },
    { name: column, data: [...texts], type: "STRING" as const, nullable: texts.includes(null) },
    { name: "good", data: texts.map((_, i) => i % 2 === 0), type: "BOOLEAN" as const },
  ];
  const compressors = {
    ZSTD: (bytes: Uint8Array) => new Uint8Array(zstdCompressSync(bytes)),
    GZIP: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)),
  };
  return new Uint8Array(
    parquetWriteBuffer({ columnData, codec, compressors, rowGroupSize, pageSize }),
  );
}

/** A page of a crafted file; its header is taken as it is. */
export type CraftedPage = Readonly<{ header: Partial<PageHeader>; body: Uint8Array }>;

export type CraftedOptions = Readonly<{
  codec?: CompressionCodec;
  rows?: number;
  groupRows?: number;
  isOptional?: boolean;
  columnBytes?: number;
  offset?: number;
}>;

/** A file of one row group and one column, whose pages and metadata say what they are told to. */
export function craftedFile(pages: readonly CraftedPage[], options: CraftedOptions = {}) {
  const { codec = "UNCOMPRESSED", rows = 1, isOptional = false } = options;
  const writer = new ByteWriter();
  writer.appendUint32(0x31524150);
  const start = writer.offset;
  for (const { header, body } of pages) {
    writePageHeader(writer, {
      uncompressed_page_size: body.length,
      compressed_page_size: body.length,
      ...header,
    } as PageHeader);
    writer.appendBytes(body);
  }
  const size = writer.offset - start;
  writeMetadata(writer, {
    version: 2,
    schema: [
      { name: "root", num_children: 1 },
      {
        name: "text",
        type: "BYTE_ARRAY",
        repetition_type: isOptional ? "OPTIONAL" : "REQUIRED",
        converted_type: "UTF8",
      },
    ],
    num_rows: BigInt(rows),
    row_groups: [{
      columns: [{
        file_offset: BigInt(start),
        meta_data: {
          type: "BYTE_ARRAY",
          encodings: ["PLAIN"],
          path_in_schema: ["text"],
          codec,
          num_values: BigInt(rows),
          total_uncompressed_size: BigInt(size),
          total_compressed_size: BigInt(options.columnBytes ?? size),
          data_page_offset: BigInt(options.offset ?? start),
        },
      }],
      total_byte_size: BigInt(size),
      num_rows: BigInt(options.groupRows ?? rows),
    }],
    metadata_length: 0,
  });
  writer.appendUint32(0x31524150);
  return new Uint8Array(writer.getBuffer());
}

/** Values as a page holds them: each with its length before it. */
export function plainValues(values: readonly (string | Uint8Array)[]): Uint8Array {
  const encoder = new TextEncoder();
  return new Uint8Array(values.flatMap((value) => {
    const bytes = typeof value === "string" ? encoder.encode(value) : value;
    return [...new Uint8Array(Uint32Array.of(bytes.length).buffer), ...bytes];
  }));
}

export function dataPage(count: number, encoding = "PLAIN"): Partial<PageHeader> {
  return {
    type: "DATA_PAGE",
    data_page_header: {
      num_values: count,
      encoding,
      definition_level_encoding: "RLE",
      repetition_level_encoding: "RLE",
    },
  } as Partial<PageHeader>;
}

/** A file in memory. */
export function byteFile(bytes: Uint8Array, name = "made.parquet"): ByteFile {
  return {
    name,
    size: bytes.length,
    read: (start, end) => Promise.resolve(bytes.slice(start, end)),
  };
}
