/** Local files as a source of documents. */

import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { UserError } from "../errors.ts";
import type { TextDocument } from "./document.ts";
import type {
  DocumentSource,
  OpenSourceOptions,
  SourceDescriptor,
  SourcePart,
} from "./document_source.ts";
import { openByteFile } from "./file_bytes.ts";
import { type LocalFile, numberRows, readFileDocuments } from "./local_files.ts";
import { attempt, fileKind, listLocalFiles, localName, localPath } from "./local_paths.ts";
import { readTextColumn, readTextGroup, type TextColumn } from "./parquet.ts";

/** Plain JSON lines are read in parts of this many bytes, so that many threads may. */
const PART_BYTES = 64 * 2 ** 20;
/** What of a file's content goes into its version. */
const HEAD_BYTES = 2 ** 16;
/** Of so many it takes seconds to see which version they are. */
const MANY_FILES = 10_000;

type LocalDescriptor = Extract<SourceDescriptor, { kind: "local" }>;

/** Changes whenever the file does, short of a change that hides from size, time and head. */
async function versionOf(path: string): Promise<{ version: string; size: number }> {
  const { size, mtimeMs } = await attempt(path, stat(path));
  const file = await attempt(path, open(path));
  try {
    const head = new Uint8Array(HEAD_BYTES);
    const { bytesRead } = await attempt(path, file.read(head, 0, HEAD_BYTES, 0));
    const hash = createHash("sha256").update(JSON.stringify([size, Math.floor(mtimeMs)]));
    return { version: hash.update(head.subarray(0, bytesRead)).digest("hex").slice(0, 32), size };
  } finally {
    await file.close();
  }
}

/** The column of a Parquet file; those of the last file asked for are kept. */
function columnReader(textField: string) {
  let last: { path: string; version: string; column: Promise<TextColumn> } | undefined;
  return (path: string, version: string): Promise<TextColumn> => {
    if (last?.path === path && last.version === version) return last.column;
    const read = async () => {
      const file = await openByteFile(path);
      try {
        return await readTextColumn(file, textField);
      } finally {
        await file.close();
      }
    };
    last = { path, version, column: read() };
    return last.column;
  };
}

type ColumnReader = ReturnType<typeof columnReader>;

async function partsOf({ path, id }: LocalFile, columnOf: ColumnReader): Promise<SourcePart[]> {
  const { kind, compression } = fileKind(path);
  const { version, size } = await versionOf(path);
  if (kind === "parquet") {
    const { groups } = await columnOf(path, version);
    return groups.map(({ bytes, rows }, group) => ({
      name: `${id}#${group}`,
      version,
      bytes,
      documents: rows,
    }));
  }
  if (kind !== "jsonl" || compression !== "none" || size <= PART_BYTES) {
    return [{ name: id, version, bytes: size, ...(kind !== "jsonl" && { documents: 1 }) }];
  }
  return Array.from({ length: Math.ceil(size / PART_BYTES) }, (_, index) => {
    const start = index * PART_BYTES;
    return { name: `${id}@${start}`, version, bytes: Math.min(PART_BYTES, size - start) };
  });
}

/** The file, and the place in it, that a part's name says. */
function placeOf(name: string): { id: string; group?: number; start?: number } {
  const [, rows, group] = /^(.+\.parquet(?:\.gz|\.zst)?)#(\d+)$/i.exec(name) ?? [];
  if (rows !== undefined) return { id: rows, group: Number(group) };
  const [, lines, start] = /^(.+\.jsonl)@(\d+)$/i.exec(name) ?? [];
  return lines === undefined ? { id: name } : { id: lines, start: Number(start) };
}

/** Documents one by one, no more than `limit`; stops between two when the signal says so. */
export async function* takeDocuments(
  batches: AsyncIterable<readonly TextDocument[]>,
  limit: number,
  signal?: AbortSignal,
): AsyncGenerator<TextDocument> {
  let left = limit;
  if (left === 0) return;
  for await (const batch of batches) {
    for (const document of batch) {
      signal?.throwIfAborted();
      yield document;
      if (--left === 0) return;
    }
  }
}

/** The first parts, until they have `limit` documents; those that do not say how many are read. */
export async function limitParts(
  parts: readonly SourcePart[],
  limit: number,
  read: DocumentSource["read"],
  signal?: AbortSignal,
): Promise<SourcePart[]> {
  const taken: SourcePart[] = [];
  for (let left = limit, at = 0; left > 0 && at < parts.length; at++) {
    const part = parts[at]!;
    let documents = Math.min(left, part.documents ?? 0);
    if (part.documents === undefined) {
      for await (const _ of read({ ...part, documents: left }, signal && { signal })) documents++;
    }
    taken.push({ ...part, documents });
    left -= documents;
  }
  return taken;
}

/** @throws UserError for what `listLocalFiles` refuses, and for Parquet files without the column. */
export async function openLocalSource(
  descriptor: LocalDescriptor,
  { parts, signal, log }: Pick<OpenSourceOptions, "parts" | "signal" | "log">,
): Promise<DocumentSource> {
  const { path: source, textField, limit } = descriptor;
  const { folder, names } = await listLocalFiles(source);
  const columnOf = columnReader(textField);
  async function* readPart(
    { name, bytes, version }: SourcePart,
  ): AsyncGenerator<readonly TextDocument[]> {
    const { id, group, start } = placeOf(name);
    const file = { path: localPath(folder, id), id };
    if ((await versionOf(file.path)).version !== version) {
      throw new UserError(
        `${file.path}: expected the file as it was when it was listed, found it changed: ` +
          "start again",
      );
    }
    if (group === undefined) {
      const range = start === undefined ? undefined : { start, end: start + bytes };
      yield* readFileDocuments(file, { textField }, range);
      return;
    }
    const stored = await openByteFile(file.path);
    try {
      const column = await columnOf(file.path, version);
      const rows = column.groups[group]!;
      yield* numberRows(readTextGroup(stored, column, rows), id, rows.firstRow);
    } finally {
      await stored.close();
    }
  }
  const read: DocumentSource["read"] = (part, options) =>
    takeDocuments(readPart(part), part.documents ?? Infinity, options?.signal);
  const list = async (): Promise<SourcePart[]> => {
    if (names.length > MANY_FILES) log?.(`${source}: looking at ${names.length} files`);
    const all: SourcePart[] = [];
    for (const id of names) {
      signal?.throwIfAborted();
      for (const part of await partsOf({ path: localPath(folder, id), id }, columnOf)) {
        all.push(part);
      }
    }
    return limit === undefined ? all : await limitParts(all, limit, read, signal);
  };
  const listed = parts ?? await list();
  return { name: localName(source), parts: listed, read, descriptor };
}
