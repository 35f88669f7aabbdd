/** Bytes of local files, streamed and unpacked, and the lines in them. */

import { Buffer } from "node:buffer";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { UserError } from "../errors.ts";
import { attempt, fileKind } from "./local_paths.ts";
import type { ByteFile } from "./parquet_pages.ts";
import { formatBytes, MOST_DOCUMENT_BYTES, oneLine } from "./text_bytes.ts";
import { unzstdStream } from "./zstd.ts";

/** The most bytes of a compressed Parquet file, unpacked: it must be in memory to be read. */
const MOST_UNPACKED_BYTES = 256_000_000;
const CHUNK_BYTES = 2 ** 20;
export const LINE_FEED = 0x0a;

/** Bytes from `start` to `end`; whole files without these. */
export type ByteRange = Readonly<{ start: number; end: number }>;

/** The bytes of a file, unpacked. */
export async function* readBytes(path: string, start = 0): AsyncGenerator<Uint8Array> {
  const { compression } = fileKind(path);
  const stored = createReadStream(path, { start, highWaterMark: CHUNK_BYTES });
  let isOpen = false;
  stored.once("ready", () => isOpen = true);
  try {
    if (compression === "none") yield* stored;
    else if (compression === "Zstandard") yield* unzstdStream(stored);
    // A pipeline, other than a pipe, hands the errors of the file on.
    else yield* pipeline(stored, createGunzip(), () => {});
  } catch (error) {
    if (error instanceof UserError) throw error;
    const isStored = !isOpen || compression === "none";
    if (isStored) await attempt(path, Promise.reject(error));
    throw new UserError(
      `${path}: expected ${compression} data, found ${oneLine(error)}: compress the file anew`,
    );
  } finally {
    stored.destroy();
  }
}

/** A text that is too long for one document. */
export function tooLong(where: string, most: number, what: string): UserError {
  return new UserError(
    `${where}: expected at most ${formatBytes(most)} in ${what}, found more: cut it into several`,
  );
}

/** All of a file, unpacked, if it is no longer than `most`. */
export async function readWhole(path: string, most: number, tooMuch: () => UserError) {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readBytes(path)) {
    length += chunk.length;
    if (length > most) throw tooMuch();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

type Line = Readonly<{ bytes: Uint8Array; start: number; number: number }>;

/**
 * Lines that start in a range, without their ends, as many at once as come at once; the first one's
 * number is 1.
 */
export async function* readLines(
  path: string,
  { start, end }: ByteRange,
): AsyncGenerator<readonly Line[]> {
  const from = Math.max(0, start - 1); // A line starts after a line feed, or in the beginning.
  let isBefore = start > 0;
  let number = 1;
  let at = from; // Where the line that is being read starts.
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (last: Uint8Array): Line => {
    const bytes = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    parts = [];
    return { bytes, start: at, number: number++ };
  };
  for await (const chunk of readBytes(path, from)) {
    const lines: Line[] = [];
    for (let read = 0; read < chunk.length && at < end;) {
      const found = chunk.indexOf(LINE_FEED, read);
      const until = found === -1 ? chunk.length : found;
      const piece = chunk.subarray(read, until);
      length += piece.length;
      read = until + 1;
      if (isBefore || length <= MOST_DOCUMENT_BYTES) {
        if (found === -1 && !isBefore) parts.push(piece);
        if (found === -1) break;
        if (!isBefore) lines.push(take(piece));
        isBefore = false;
        at += length + 1;
        length = 0;
        continue;
      }
      yield lines;
      const line = start === 0 ? number : await lineAt(path, at);
      throw tooLong(`${path}:${line}`, MOST_DOCUMENT_BYTES, "a line");
    }
    if (lines.length > 0) yield lines;
    if (at >= end) return;
  }
  if (length > 0 && !isBefore) yield [take(new Uint8Array(0))];
}

/** The number of the line, from 1, that starts at a place of a file. */
export async function lineAt(path: string, before: number): Promise<number> {
  let count = 1;
  let at = 0;
  for await (const chunk of readBytes(path)) {
    for (const byte of chunk.subarray(0, Math.max(0, before - at))) {
      if (byte === LINE_FEED) count++;
    }
    at += chunk.length;
    if (at >= before) break;
  }
  return count;
}

/** A Parquet file, open until it is closed; a compressed one is unpacked in memory. */
export async function openByteFile(path: string): Promise<ByteFile & { close(): Promise<void> }> {
  if (fileKind(path).compression !== "none") {
    const bytes = await readWhole(path, MOST_UNPACKED_BYTES, () =>
      new UserError(
        `${path}: expected at most ${
          formatBytes(MOST_UNPACKED_BYTES)
        } when unpacked, found more: ` +
          "unpack it (Parquet is compressed by itself)",
      ));
    return {
      name: path,
      size: bytes.length,
      read: (start, end) => Promise.resolve(bytes.subarray(start, end)),
      close: () => Promise.resolve(),
    };
  }
  return await openStored(path);
}

/** A file whatever its name, as it is stored; open until it is closed. */
export async function openStored(path: string): Promise<ByteFile & { close(): Promise<void> }> {
  const { size } = await attempt(path, stat(path));
  const file = await attempt(path, open(path));
  const read = async (start: number, end: number) => {
    const bytes = new Uint8Array(end - start);
    const { bytesRead } = await attempt(path, file.read(bytes, 0, bytes.length, start));
    return bytes.subarray(0, bytesRead);
  };
  return { name: path, size, read, close: () => file.close() };
}
