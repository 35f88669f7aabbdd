/**
 * Documents from local files: `.txt` and `.md` (a file is a document), `.jsonl` (a line is a
 * document), `.parquet` (a row is a document), each also compressed as `.gz` or `.zst`. They are
 * streamed: no more than a document, or a page of Parquet, is in memory. Whatever cannot be read as
 * that is a `UserError` that names file and line; nothing is skipped silently.
 */

import { join } from "node:path";
import { UserError } from "../errors.ts";
import type { TextDocument } from "./document.ts";
import {
  type ByteRange,
  LINE_FEED,
  lineAt,
  openByteFile,
  readLines,
  readWhole,
  tooLong,
} from "./file_bytes.ts";
import { notUtf8, parseLine } from "./json_line.ts";
import { fileKind, listLocalFiles, localPath } from "./local_paths.ts";
import { readTextColumn, readTextGroup } from "./parquet.ts";
import { decodeUtf8, MOST_DOCUMENT_BYTES } from "./text_bytes.ts";

/** The most that a file in memory may have: about what a string can hold. */
const MOST_FILE_BYTES = 512_000_000;
/** A file as it is named in messages and in ids. */
export type LocalFile = Readonly<{ path: string; id: string }>;

export type ReadOptions = Readonly<{
  textField: string;
  /** Of a .txt or .md file; default `MOST_DOCUMENT_BYTES`. */
  mostBytes?: number;
}>;

async function* readJsonLines(
  { path, id }: LocalFile,
  textField: string,
  range: ByteRange = { start: 0, end: Infinity },
): AsyncGenerator<readonly TextDocument[]> {
  const name = range.start === 0 ? id : `${id}@${range.start}`;
  let isEmpty = range.start === 0;
  for await (const lines of readLines(path, range)) {
    const documents: TextDocument[] = [];
    for (const { bytes, number, start } of lines) {
      try {
        const text = parseLine(bytes, `${path}:${number}`, textField);
        if (text !== undefined) documents.push({ id: `${name}:${number}`, text });
      } catch (error) {
        yield documents;
        if (range.start === 0 || !(error instanceof UserError)) throw error;
        parseLine(bytes, `${path}:${await lineAt(path, start)}`, textField);
      }
    }
    if (documents.length === 0) continue;
    isEmpty = false;
    yield documents;
  }
  if (isEmpty && range.end === Infinity) {
    throw new UserError(`${path}:1: expected JSON lines, found an empty file: fill or remove it`);
  }
}

async function readPlain({ path, id }: LocalFile, most: number): Promise<TextDocument> {
  const bytes = await readWhole(path, most, () => tooLong(path, most, "a file that is one text"));
  const text = decodeUtf8(bytes);
  if (text === undefined) {
    for (let line = 1, start = 0; start <= bytes.length; line++) {
      const found = bytes.indexOf(LINE_FEED, start);
      const end = found === -1 ? bytes.length : found;
      if (decodeUtf8(bytes.subarray(start, end)) === undefined) throw notUtf8(`${path}:${line}`);
      start = end + 1;
    }
    throw notUtf8(path);
  }
  if (text.trim() === "") {
    throw new UserError(`${path}:1: expected text, found an empty file: fill or remove it`);
  }
  return { id, text };
}

/** Texts of consecutive rows as documents, whose ids count the rows from 1. */
export async function* numberRows(
  pages: AsyncIterable<readonly string[]>,
  id: string,
  firstRow: number,
): AsyncGenerator<readonly TextDocument[]> {
  let row = firstRow;
  for await (const texts of pages) yield texts.map((text) => ({ id: `${id}:${++row}`, text }));
}

/**
 * The documents of a file in their order, as many at once as come at once.
 *
 * @param range Of a .jsonl file that is not compressed: the lines that start in it.
 */
export async function* readFileDocuments(
  file: LocalFile,
  { textField, mostBytes = MOST_DOCUMENT_BYTES }: ReadOptions,
  range?: ByteRange,
): AsyncGenerator<readonly TextDocument[]> {
  const { kind } = fileKind(file.path);
  if (kind === "jsonl") yield* readJsonLines(file, textField, range);
  else if (kind !== "parquet") yield [await readPlain(file, mostBytes)];
  else {
    const bytes = await openByteFile(file.path);
    try {
      const column = await readTextColumn(bytes, textField);
      for (const group of column.groups) {
        yield* numberRows(readTextGroup(bytes, column, group), file.id, group.firstRow);
      }
    } finally {
      await bytes.close();
    }
  }
}

/**
 * The documents of a file, or of all files under a folder or of a pattern, in the order of their
 * paths, all in memory. Ids are paths relative to `source`, so that a corpus is the same wherever
 * it lies.
 */
export async function readLocalDocuments(
  source: string,
  textField: string,
): Promise<TextDocument[]> {
  const { folder, names } = await listLocalFiles(source);
  const documents: TextDocument[] = [];
  for (const id of names) {
    const path = localPath(folder, id);
    const options = { textField, mostBytes: MOST_FILE_BYTES };
    for await (const some of readFileDocuments({ path, id }, options)) {
      const blank = some.find(({ text }) => text.trim() === "");
      if (blank !== undefined) {
        throw new UserError(
          `${join(folder, blank.id)}: expected text in column "${textField}", found none: ` +
            "remove the row",
        );
      }
      for (const document of some) documents.push(document); // They may be too many to spread.
    }
  }
  return documents;
}
