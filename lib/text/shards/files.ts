/** Reading shard files: their outlines, and blocks of their bodies through a bounded cache. */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { UserError } from "../../errors.ts";
import { BLOCK_BYTES, bodyBytes, checkBlock, readOutline, type ShardOutline } from "./format.ts";

/** Runs `use` on an open file, which stays open no longer: a set may have thousands of files. */
function withFile<Value>(path: string, use: (file: number) => Value): Value {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw unreadable(path, error);
  }
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}

function unreadable(path: string, error: unknown): UserError {
  const found = (error as NodeJS.ErrnoException).code === "ENOENT"
    ? "none"
    : (error as Error).message.replace(/\s+/g, " ");
  return new UserError(
    `${path}: expected a shard, found ${found}; delete manifest.json beside it, and tokenize again`,
  );
}

/** Up to `length` bytes from `start` on, fewer only at the end of the file. */
function readAt(file: number, start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(file, bytes, filled, length - filled, start + filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

/** @throws UserError for a file that cannot be read or is no whole shard. */
export function openShard(path: string): ShardOutline {
  return withFile(
    path,
    (file) =>
      readOutline(path, fstatSync(file).size, (start, length) => readAt(file, start, length)),
  );
}

/** The outline of a shard, or null where there is no whole one. */
export function outlineOf(path: string): ShardOutline | null {
  try {
    return openShard(path);
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

/** The latest blocks that were read, up to a number of bytes. */
export class BlockCache {
  readonly #maxBytes: number;
  /** By path and number, the one used longest ago first. */
  readonly #blocks = new Map<string, Uint8Array>();
  #bytes = 0;
  #blocksRead = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many blocks were read so far, again or for the first time. */
  get blocksRead(): number {
    return this.#blocksRead;
  }

  /** @throws UserError for a block that cannot be read or is not what was written. */
  read(path: string, outline: ShardOutline, block: number): Uint8Array {
    const key = `${block} ${path}`;
    const known = this.#blocks.get(key);
    if (known !== undefined) {
      this.#blocks.delete(key);
      this.#blocks.set(key, known);
      return known;
    }
    const bytes = readBlock(path, outline, block);
    this.#blocksRead++;
    this.#blocks.set(key, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#blocks) {
      if (this.#bytes <= this.#maxBytes || oldest === key) break;
      this.#blocks.delete(oldest);
      this.#bytes -= length;
    }
    return bytes;
  }
}

function readBlock(path: string, { head, checksums, bodyStart }: ShardOutline, block: number) {
  const start = block * BLOCK_BYTES;
  const length = Math.min(BLOCK_BYTES, bodyBytes(head) - start);
  const bytes = withFile(path, (file) => readAt(file, bodyStart + start, length));
  checkBlock(path, block, bytes, checksums[block]!);
  return bytes;
}

/** Bytes of a shard's body, wherever its blocks begin and end. */
export function readBody(
  cache: BlockCache,
  path: string,
  outline: ShardOutline,
  start: number,
  target: Uint8Array,
): void {
  for (let filled = 0; filled < target.length;) {
    const at = start + filled;
    const block = Math.floor(at / BLOCK_BYTES);
    const bytes = cache.read(path, outline, block).subarray(at % BLOCK_BYTES);
    const taken = Math.min(bytes.length, target.length - filled);
    target.set(bytes.subarray(0, taken), filled);
    filled += taken;
  }
}
