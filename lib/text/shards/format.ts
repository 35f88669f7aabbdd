/**
 * One shard: the token ids of some documents, as a file that is there whole or not at all.
 *
 *   head       a line of JSON: what the shard is, and how much is in it
 *   checksums  CRC-32 of the head and of every block of the body, uint32 each
 *   body       of either side (training, held out): ids, then the index, where each document ends
 *              (uint32, in tokens of the side) and how many bytes of UTF-8 it has (uint32)
 *
 * All little-endian; ids are uint16 where the vocabulary allows it. Head and checksums are vouched
 * for by the manifest, a block by its checksum when it is read, so that no byte is believed unseen
 * and none is read only to be checked.
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { littleEndian } from "../../cache_file.ts";
import { UserError } from "../../errors.ts";

const FORMAT = "know-your-limits shard 1";

/** What is read, checked and cached as a whole. */
export const BLOCK_BYTES = 1 << 17;

/** More than any head has: what is not found in so many bytes is none. */
const LONGEST_HEAD = 4096;

export const SIDES = ["train", "heldOut"] as const;
export type Side = (typeof SIDES)[number];

export type SideCounts = Readonly<{
  /** Documents that have tokens. */
  documents: number;
  tokens: number;
  /** Of UTF-8. */
  bytes: number;
}>;

/** Where reading a job goes on: so many of its parts are done, and documents of the next one. */
export type JobPosition = Readonly<{ part: number; document: number }>;

export type ShardHead =
  & Readonly<{
    /** Of the set of shards it belongs to. */
    key: string;
    job: number;
    /** Within its job, from 0. */
    number: number;
    idBytes: 2 | 4;
    /** Documents read of the source, empty ones included. */
    read: number;
    /** Where the next shard of the job begins; null after its last one. */
    next: JobPosition | null;
  }>
  & Readonly<Record<Side, SideCounts>>;

/** The documents of one side of a shard. */
export type SideContent = Readonly<{
  ids: Uint16Array | Uint32Array;
  /** Tokens of the side up to the end of each document. */
  ends: Uint32Array;
  byteCounts: Uint32Array;
}>;

export type IndexColumn = "ends" | "byteCounts";

/** Bytes an id takes. */
export function idBytesOf(vocabSize: number): 2 | 4 {
  return vocabSize <= 65_536 ? 2 : 4;
}

/** Where the ids and the index of a side begin in the body. */
export function sideOffsets(
  head: Pick<ShardHead, "idBytes" | Side>,
  side: Side,
): Readonly<Record<"ids" | IndexColumn | "end", number>> {
  const ids = side === "train" ? 0 : sideOffsets(head, "train").end;
  const { documents, tokens } = head[side];
  const ends = ids + tokens * head.idBytes;
  const byteCounts = ends + 4 * documents;
  return { ids, ends, byteCounts, end: byteCounts + 4 * documents };
}

/** Bytes of a shard's body. */
export function bodyBytes(head: Pick<ShardHead, "idBytes" | Side>): number {
  return sideOffsets(head, "heldOut").end;
}

export function countSide({ ids, byteCounts }: SideContent): SideCounts {
  const bytes = byteCounts.reduce((sum, count) => sum + count, 0);
  return { documents: byteCounts.length, tokens: ids.length, bytes };
}

/** The bytes of a shard file. */
export function formatShard(
  head: Omit<ShardHead, Side>,
  content: Readonly<Record<Side, SideContent>>,
): Uint8Array {
  const [train, heldOut] = SIDES.map((side) => countSide(content[side])) as [
    SideCounts,
    SideCounts,
  ];
  const whole: ShardHead = { ...head, train, heldOut };
  const line = new TextEncoder().encode(`${JSON.stringify({ format: FORMAT, ...whole })}\n`);
  const length = bodyBytes(whole);
  const blocks = Math.ceil(length / BLOCK_BYTES);
  const start = line.length + 4 * (1 + blocks);
  const bytes = new Uint8Array(start + length);
  bytes.set(line);
  let at = start;
  for (const side of SIDES) {
    const { ids, ends, byteCounts } = content[side];
    for (const numbers of [ids, ends, byteCounts]) {
      bytes.set(littleEndian(numbers), at);
      at += numbers.byteLength;
    }
  }
  const body = bytes.subarray(start);
  const checksums = Array.from(
    { length: blocks },
    (_, block) => crc32(body.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)),
  );
  bytes.set(littleEndian(Uint32Array.of(crc32(line), ...checksums)), line.length);
  return bytes;
}

/** What is known of a shard without its body. */
export type ShardOutline = Readonly<{
  head: ShardHead;
  /** Of the blocks of the body. */
  checksums: Uint32Array;
  /** Where the body begins in the file. */
  bodyStart: number;
  /** SHA-256 (hexadecimal) of head and checksums. */
  hash: string;
}>;

/**
 * Reads head and checksums.
 *
 * @param read Gives so many bytes of the file from a place on, fewer at its end.
 * @throws UserError for what is no shard, or one of another length than its head says.
 */
export function readOutline(
  path: string,
  fileBytes: number,
  read: (start: number, length: number) => Uint8Array,
): ShardOutline {
  const first = read(0, LONGEST_HEAD);
  const lineEnd = first.indexOf(0x0a);
  const head = lineEnd < 0 ? null : parseHead(first.subarray(0, lineEnd));
  if (head === null) throw damaged(path, "found another head than a shard's");
  const length = bodyBytes(head);
  const tableStart = lineEnd + 1;
  const bodyStart = tableStart + 4 * (1 + Math.ceil(length / BLOCK_BYTES));
  if (bodyStart + length !== fileBytes) {
    throw damaged(path, `found ${fileBytes} bytes where its head says ${bodyStart + length}`);
  }
  const outline = read(0, bodyStart);
  const table = new Uint32Array((bodyStart - tableStart) / 4);
  littleEndian(table).set(outline.subarray(tableStart));
  if (crc32(outline.subarray(0, tableStart)) !== table[0]) {
    throw damaged(path, "found another head");
  }
  const hash = createHash("sha256").update(outline).digest("hex");
  return { head, checksums: table.subarray(1), bodyStart, hash };
}

/** @throws UserError for a block that is not what was written. */
export function checkBlock(path: string, block: number, bytes: Uint8Array, checksum: number): void {
  if (crc32(bytes) !== checksum) throw damaged(path, `found other bytes in block ${block}`);
}

export function damaged(path: string, found: string): UserError {
  return new UserError(
    `${path}: expected the shard that was written, ${found}; delete this file and ` +
      "manifest.json beside it, and tokenize again",
  );
}

function parseHead(line: Uint8Array): ShardHead | null {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || value.format !== FORMAT) return null;
  const { format: _, ...head } = value;
  return isHead(head) ? head : null;
}

function isHead(value: Record<string, unknown>): value is ShardHead & Record<string, unknown> {
  const { key, job, number, idBytes, read, next } = value;
  return typeof key === "string" && [job, number, read].every(isCount) &&
    (idBytes === 2 || idBytes === 4) && (next === null || isPosition(next)) &&
    SIDES.every((side) => isSideCounts(value[side]));
}

function isPosition(value: unknown): boolean {
  const { part, document } = (value ?? {}) as Partial<JobPosition>;
  return isCount(part) && isCount(document);
}

export function isSideCounts(value: unknown): value is SideCounts {
  const { documents, tokens, bytes } = (value ?? {}) as Partial<SideCounts>;
  return [documents, tokens, bytes].every(isCount);
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}
