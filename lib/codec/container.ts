/**
 * The file: a header of 64 bytes, then the payload. Numbers are little-endian.
 *
 *      0  4  magic "KYLc"
 *      4  1  version
 *      5  1  kind: 0 stored as it is, 1 by a causal model, 2 by an encoder-augmented one
 *      6  1  backend whose arithmetic the model's logits come from
 *      7  1  number format of the embeddings; 0 for none
 *      8  8  the model's hash, its first bytes
 *     16  8  the tokenizer's
 *     24  4  N, tokens a window
 *     28  4  overlap of windows, tokens
 *     32  2  lanes
 *     34  2  threads that the logits were computed on
 *     36  8  bytes of the original
 *     44  8  tokens of the original
 *     52  8  SHA-256 of the original, its first bytes
 *     60  4  CRC-32 of everything else in the file
 *
 * The CRC tells damage before anything is decoded, the hashes another model, the SHA-256 a decoder
 * whose arithmetic is not the encoder's. A stored file keeps the fields of the attempt to make it
 * shorter, but for the embeddings' format.
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { BackendName } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { formatQuantization, parseQuantization, type Quantization } from "../qat/mod.ts";

/** Nothing grows by more than this. */
export const HEADER_BYTES = 64;

const MAGIC = "KYLc";
/** Raised with every change after which older files read otherwise. */
export const FILE_VERSION = 1;
const KINDS = ["stored", "causal", "augmented"] as const;
/** By their number in the header; new ones go to the end. */
const BACKENDS: readonly BackendName[] = ["tensorflow", "webgpu", "wasm", "cpu"];
const HASH_BYTES = 8;

/** The tokenizer makes one string of a text, and strings are no longer. */
const MOST_BYTES = 2 ** 29 - 24;

/** Parts of a text that are read at once. */
export const MOST_LANES = 1024;

/** Formats of embeddings by their number in the header; new ones go to the end. */
const EMBEDDING_FORMATS = [
  "none",
  "fp16",
  "bf16",
  "e4m3fn",
  "e5m2",
  "e3m2",
  "nf4/row",
  "nf4/tensor",
  ...Array.from({ length: 15 }, (_, index) => `int${index + 2}`).flatMap((name) => [
    `${name}/row`,
    `${name}/channel`,
    `${name}/tensor`,
  ]),
];

export type FileHeader = Readonly<{
  kind: typeof KINDS[number];
  backend: BackendName;
  threads: number;
  /** Null for kinds other than `augmented`. */
  embedding: Quantization | null;
  /** Hexadecimal. */
  modelHash: string;
  tokenizerHash: string;
  contextLength: number;
  overlap: number;
  laneCount: number;
  originalBytes: number;
  tokenCount: number;
  /** Of the original: {@linkcode checksumOf}. */
  checksum: string;
}>;

/** The first bytes of the SHA-256, hexadecimal. */
export function checksumOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 2 * HASH_BYTES);
}

/** What of a longer hash stands in a header. */
export function shortHash(hash: string): string {
  return hash.slice(0, 2 * HASH_BYTES);
}

/** @throws UserError for more bytes than a file may hold. */
export function checkLength(bytes: number): void {
  if (bytes <= MOST_BYTES) return;
  throw new UserError(
    `expected at most ${MOST_BYTES} bytes, found ${bytes}; cut the file and compress the parts`,
  );
}

/** @throws UserError for a format that files do not have. */
export function checkEmbeddingFormat(embedding: Quantization): void {
  formatNumber(embedding);
}

function formatNumber(embedding: Quantization | null): number {
  if (embedding === null) return 0;
  const name = formatQuantization(embedding);
  const number = EMBEDDING_FORMATS.indexOf(name);
  if (number > 0) return number;
  throw new UserError(
    `embedding format: expected one of a known size, found ${name}; leave out the outlier threshold`,
  );
}

export function formatFile(header: FileHeader, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode(MAGIC));
  view.setUint8(4, FILE_VERSION);
  view.setUint8(5, KINDS.indexOf(header.kind));
  view.setUint8(6, BACKENDS.indexOf(header.backend));
  view.setUint8(7, formatNumber(header.embedding));
  file.set(Uint8Array.fromHex(shortHash(header.modelHash)), 8);
  file.set(Uint8Array.fromHex(shortHash(header.tokenizerHash)), 16);
  view.setUint32(24, header.contextLength, true);
  view.setUint32(28, header.overlap, true);
  view.setUint16(32, header.laneCount, true);
  view.setUint16(34, header.threads, true);
  view.setBigUint64(36, BigInt(header.originalBytes), true);
  view.setBigUint64(44, BigInt(header.tokenCount), true);
  file.set(Uint8Array.fromHex(header.checksum), 52);
  file.set(payload, HEADER_BYTES);
  view.setUint32(60, checksumOfFile(file), true);
  return file;
}

/**
 * Reads the header, and checks that the whole file is as it was written.
 *
 * @throws UserError for what is no such file, or one that is cut short or damaged.
 */
export function readHeader(file: Uint8Array): FileHeader {
  const magic = new TextDecoder("latin1").decode(file.subarray(0, MAGIC.length));
  if (magic !== MAGIC) {
    throw new UserError(
      "expected a file that deno task compress wrote, found another; check its name",
    );
  }
  if (file.length < HEADER_BYTES) {
    throw new UserError(
      `expected at least ${HEADER_BYTES} bytes, found ${file.length}: the file is cut short; ` +
        "copy it anew",
    );
  }
  const view = new DataView(file.buffer, file.byteOffset);
  const version = view.getUint8(4);
  if (version !== FILE_VERSION) {
    throw new UserError(
      `expected a file of version ${FILE_VERSION}, found version ${version}; use the release that ` +
        "wrote it",
    );
  }
  if (view.getUint32(60, true) !== checksumOfFile(file)) {
    throw new UserError(
      "expected the file as it was written, found one that is cut short or damaged (its CRC-32 " +
        "does not fit); copy it anew",
    );
  }
  const hex = (at: number) => file.subarray(at, at + HASH_BYTES).toHex();
  const kind = KINDS[view.getUint8(5)];
  const backend = BACKENDS[view.getUint8(6)];
  const embedding = EMBEDDING_FORMATS[view.getUint8(7)];
  const sizes = {
    contextLength: view.getUint32(24, true),
    overlap: view.getUint32(28, true),
    laneCount: view.getUint16(32, true),
    threads: view.getUint16(34, true),
    originalBytes: Number(view.getBigUint64(36, true)),
    tokenCount: Number(view.getBigUint64(44, true)),
  };
  if (kind === undefined || backend === undefined || embedding === undefined) throw strange();
  checkSizes(sizes, kind === "stored" ? file.length - HEADER_BYTES : null);
  return {
    kind,
    backend,
    embedding: embedding === "none" ? null : parseQuantization(embedding),
    modelHash: hex(8),
    tokenizerHash: hex(16),
    ...sizes,
    checksum: hex(52),
  };
}

/** Refuses sizes that no writer gives, before anything of that size is made. */
function checkSizes(
  { contextLength, overlap, laneCount, threads, originalBytes, tokenCount }: Pick<
    FileHeader,
    "contextLength" | "overlap" | "laneCount" | "threads" | "originalBytes" | "tokenCount"
  >,
  storedBytes: number | null,
): void {
  const isRight = tokenCount <= originalBytes && originalBytes <= MOST_BYTES &&
    overlap < contextLength && laneCount >= 1 && laneCount <= MOST_LANES &&
    laneCount <= Math.max(1, tokenCount) && threads >= 1 &&
    (storedBytes === null || storedBytes === originalBytes);
  if (!isRight) throw strange();
}

function strange(): UserError {
  return new UserError(
    "expected a header that deno task compress wrote, found sizes or formats that it never writes; " +
      "compress the original anew",
  );
}

function checksumOfFile(file: Uint8Array): number {
  return crc32(file.subarray(HEADER_BYTES), crc32(file.subarray(0, HEADER_BYTES - 4)));
}
