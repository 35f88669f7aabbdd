/**
 * One text column of a Parquet file, row group by row group and page by page (npm:hyparquet decodes
 * a page; its own reader holds a row group's pages all at once). Sizes that a file claims are
 * checked before memory is taken for them.
 */

import type { FileMetaData, SchemaElement } from "hyparquet";
import { parquetMetadata } from "hyparquet";
import { UserError } from "../errors.ts";
import type { ByteFile, TextGroup } from "./parquet_pages.ts";
import { damaged, decoding, pageDecoder, readPages, sizeOf } from "./parquet_pages.ts";
import { decodeUtf8, formatBytes, MOST_DOCUMENT_BYTES } from "./text_bytes.ts";

export type TextColumn = Readonly<{
  name: string;
  isOptional: boolean;
  groups: readonly TextGroup[];
}>;

/** Of the metadata at a file's end: a hundred thousand column chunks. */
const MOST_FOOTER_BYTES = 16_000_000;
/** Most metadata is shorter than this: over a network one request is enough. */
const TAIL_BYTES = 2 ** 18;
/** Of the texts that are given at once, in characters: many values may be one entry of a dictionary. */
const MOST_BATCH_LENGTH = 16_000_000;
const MAGIC = 0x31524150; // "PAR1"

async function readMetadata(file: ByteFile): Promise<FileMetaData> {
  if (file.size < 12) throw damaged(file.name, `a file of ${file.size} bytes`);
  const tail = await file.read(Math.max(0, file.size - TAIL_BYTES), file.size);
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  if (view.getUint32(tail.length - 4, true) !== MAGIC) {
    throw damaged(file.name, 'no "PAR1" at the end');
  }
  const length = view.getUint32(tail.length - 8, true);
  if (length > Math.min(MOST_FOOTER_BYTES, file.size - 12)) {
    throw damaged(file.name, `metadata of ${length} bytes in a file of ${file.size}`);
  }
  const footer = length + 8 <= tail.length
    ? tail.subarray(tail.length - 8 - length)
    : await file.read(file.size - 8 - length, file.size);
  return decoding(file.name, () => parquetMetadata(footer, { geoparquet: false }));
}

function columnElement({ schema }: FileMetaData, file: ByteFile, name: string): SchemaElement {
  const [root, ...elements] = schema;
  // Nested columns' parts follow their parent: only those of the first level can be the text.
  const top: SchemaElement[] = [];
  for (let at = 0, left = root?.num_children ?? 0; left > 0 && at < elements.length; left--) {
    top.push(elements[at]!);
    for (let nested = 1; nested > 0 && at < elements.length; nested--, at++) {
      nested += elements[at]!.num_children ?? 0;
    }
  }
  const element = top.find((candidate) => candidate.name === name);
  if (element === undefined) {
    throw new UserError(
      `${file.name}: expected a column "${name}", found ` +
        `${top.map((one) => `"${one.name}"`).join(", ") || "none"}: name the column of the text`,
    );
  }
  if (element.type !== "BYTE_ARRAY" || element.repetition_type === "REPEATED") {
    throw new UserError(
      `${file.name}: expected text in column "${name}", found ${element.type ?? "a group"}: ` +
        "name another column",
    );
  }
  return element;
}

/**
 * Where the text of a column lies.
 *
 * @throws UserError for a file that is no Parquet, claims what cannot be, or has no such column.
 */
export async function readTextColumn(file: ByteFile, name: string): Promise<TextColumn> {
  const metadata = await readMetadata(file);
  const element = decoding(file.name, () => columnElement(metadata, file, name));
  let firstRow = 0;
  const groups = decoding(
    file.name,
    () =>
      metadata.row_groups.map(({ columns, num_rows }, index): TextGroup => {
        const what = `row group ${index}: `;
        const chunk = columns.find(({ meta_data }) =>
          meta_data?.path_in_schema.length === 1 && meta_data.path_in_schema[0] === name
        );
        if (chunk?.meta_data === undefined || chunk.file_path) {
          throw new Error(`${what}no data of column "${name}" (encrypted, or in another file)`);
        }
        const { data_page_offset, dictionary_page_offset, total_compressed_size, codec } =
          chunk.meta_data;
        const offset = Number(dictionary_page_offset) || Number(data_page_offset);
        const start = sizeOf(
          Math.min(offset, Number(data_page_offset)),
          `${what}offset`,
          file.size,
        );
        const bytes = sizeOf(total_compressed_size, `${what}size`, file.size - start);
        const rows = sizeOf(num_rows, `${what}number of rows`, Number(metadata.num_rows));
        const group = { firstRow, rows, start, bytes, codec };
        firstRow += rows;
        return group;
      }),
  );
  if (firstRow !== Number(metadata.num_rows)) {
    throw damaged(file.name, `${firstRow} rows in its groups, ${metadata.num_rows} in all`);
  }
  return { name, isOptional: element.repetition_type !== "REQUIRED", groups };
}

/**
 * The texts of a row group in the order of its rows, a page's at once, or fewer where they are longer
 * than 16 million characters together. A null is an empty text, so that rows can be counted. Rows of
 * one dictionary entry share its text.
 *
 * @param file Holds at least the group's bytes, at their place.
 * @throws UserError, with the row, for what cannot be decoded or is no text.
 */
export async function* readTextGroup(
  file: ByteFile,
  { name, isOptional }: Omit<TextColumn, "groups">,
  group: TextGroup,
): AsyncGenerator<readonly string[]> {
  if (group.rows === 0) return; // Arrow writes half a page for these.
  const decode = pageDecoder(name, isOptional, group.codec);
  let dictionary: ArrayLike<Uint8Array> | undefined;
  let entries: string[] = [];
  let row = group.firstRow;
  const end = group.firstRow + group.rows;
  const where = () => `${file.name}: row ${row + 1}`;
  const found = (value: unknown): string => {
    if (typeof value !== "number") return textOf(value, { isOptional, where });
    return entries[value] ??= textOf(dictionary?.[value] ?? value, { isOptional, where });
  };
  for await (const { header, bytes } of readPages(file, group, where())) {
    const values = decoding(where(), () => decode(header, bytes, end - row));
    if (header.type === "DICTIONARY_PAGE") {
      dictionary = values as ArrayLike<Uint8Array>;
      entries = [];
      continue;
    }
    let texts: string[] = [];
    let length = 0;
    for (let i = 0; i < values.length; i++, row++) {
      let text: string;
      try {
        if (row >= end) throw damaged(where(), `more than the ${group.rows} rows of its group`);
        text = found(values[i]);
      } catch (error) {
        yield texts;
        throw error;
      }
      if (length + text.length > MOST_BATCH_LENGTH && texts.length > 0) {
        yield texts;
        texts = [];
        length = 0;
      }
      texts.push(text);
      length += text.length;
    }
    yield texts;
  }
  if (row !== end) {
    throw damaged(where(), `${row - group.firstRow} of the ${group.rows} rows of its group`);
  }
}

function textOf(
  value: unknown,
  { isOptional, where }: { isOptional: boolean; where: () => string },
): string {
  if (isOptional && (value === undefined || value === null)) return "";
  if (!(value instanceof Uint8Array)) throw damaged(where(), "a value that is not there");
  if (value.length > MOST_DOCUMENT_BYTES) {
    throw new UserError(
      `${where()}: expected at most ${formatBytes(MOST_DOCUMENT_BYTES)} of text, found ` +
        `${formatBytes(value.length)}: cut it into rows`,
    );
  }
  const text = decodeUtf8(value);
  if (text === undefined) {
    throw new UserError(`${where()}: expected UTF-8, found other bytes: convert the column`);
  }
  return text;
}
