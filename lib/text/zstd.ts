/**
 * Zstandard in bounded memory (npm:fzstd). The runtime's own `node:zlib` cannot stand in: it stops
 * without a word after the first frame of a file and where a file was cut off, so that text is lost.
 */

import { Decompress, decompress } from "fzstd";

/** What a decoder must keep of what it wrote; larger windows are refused, as by the zstd tool. */
const MOST_WINDOW_BYTES = 2 ** 27;
/** A frame's bytes are handed on in pieces so small that none can become more than 128 MB. */
const PIECE_BYTES = 4096;
const MAGIC = 0xfd2fb528;
const MOST_HEADER_BYTES = 18;

type FrameHeader = Readonly<{ bytes: number; window: number; content?: number; hasCheck: boolean }>;

/** The header of the frame at the start; undefined where there is none, or not all of it. */
function readHeader(frame: Uint8Array): FrameHeader | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < 6 || view.getUint32(0, true) !== MAGIC) return undefined;
  const descriptor = frame[4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeCode = descriptor >> 6;
  const sizeBytes = sizeCode === 0 ? Number(isSingleSegment) : 2 ** sizeCode;
  const sizeAt = (isSingleSegment ? 5 : 6) + dictionaryBytes;
  if (frame.length < sizeAt + sizeBytes) return undefined;
  const sizes = [
    () => frame[sizeAt]!,
    () => view.getUint16(sizeAt, true) + 256,
    () => view.getUint32(sizeAt, true),
    () => Number(view.getBigUint64(sizeAt, true)),
  ];
  const content = sizeBytes === 0 ? undefined : sizes[sizeCode]!();
  const base = 2 ** (10 + (frame[5]! >> 3));
  return {
    bytes: sizeAt + sizeBytes,
    window: isSingleSegment ? content! : base + base / 8 * (frame[5]! & 7),
    ...(content !== undefined && { content }),
    hasCheck: (descriptor & 4) !== 0,
  };
}

function checkWindow(header: FrameHeader | undefined): void {
  if (header === undefined || header.window <= MOST_WINDOW_BYTES) return;
  throw new Error(`a window of ${header.window} bytes, more than ${MOST_WINDOW_BYTES}`);
}

/** Whether these are the first eight bytes of a frame that decoders skip: its length is in them. */
function isSkippable(head: Uint8Array): boolean {
  return head.length === 8 && (head[0]! & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d &&
    head[3] === 0x18;
}

/** What the header of a block says: one that repeats a byte has only that. */
function readBlock(bytes: Uint8Array, at: number): { isLast: boolean; size: number } {
  const block = bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16;
  return { isLast: (block & 1) === 1, size: (block >> 1 & 3) === 1 ? 1 : block >> 3 };
}

/** Where the frame at the start ends, by the sizes of its blocks; past the end if it is cut off. */
function frameEnd(bytes: Uint8Array, header: FrameHeader): number {
  let at = header.bytes;
  for (let isLast = false; !isLast && at + 3 <= bytes.length;) {
    const block = readBlock(bytes, at);
    isLast = block.isLast;
    at += 3 + block.size;
  }
  return at + (header.hasCheck ? 4 : 0);
}

/**
 * Looks at every frame's header as a stream goes by.
 *
 * @returns a function of the next bytes, which throws for a window that is too large.
 */
function windowGuard(): (bytes: Uint8Array) => void {
  let pending: number[] = []; // What has come of a header: a frame's or a block's.
  let skip = 0;
  let frame: FrameHeader | undefined;
  return (bytes) => {
    for (let at = 0; at < bytes.length;) {
      if (skip > 0) {
        const skipped = Math.min(skip, bytes.length - at);
        skip -= skipped;
        at += skipped;
        continue;
      }
      pending.push(bytes[at++]!);
      if (frame !== undefined) {
        if (pending.length < 3) continue;
        const { isLast, size } = readBlock(Uint8Array.from(pending), 0);
        skip = size + (isLast && frame.hasCheck ? 4 : 0);
        if (isLast) frame = undefined;
      } else {
        const head = Uint8Array.from(pending);
        if (isSkippable(head)) skip = new DataView(head.buffer).getUint32(4, true);
        else if ((frame = readHeader(head)) !== undefined) checkWindow(frame);
        else if (head.length <= MOST_HEADER_BYTES) continue;
        else skip = Infinity; // No frame: that is the decoder's to say.
      }
      pending = [];
    }
  };
}

/** All frames of a stream. Damage that is valid Zstandard is not seen: checksums are not checked. */
export async function* unzstdStream(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  let isEmpty = true;
  const guard = windowGuard();
  const decoder = new Decompress((chunk) => {
    if (chunk.length > 0) ready.push(chunk);
  });
  for await (const chunk of chunks) {
    isEmpty = false;
    guard(chunk);
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      decoder.push(chunk.subarray(at, at + PIECE_BYTES));
      const written = ready;
      ready = [];
      yield* written;
    }
  }
  if (isEmpty) throw new Error("unexpected end of file");
  decoder.push(new Uint8Array(0), true);
  yield* ready;
}

/**
 * A page of a Parquet file, of which is known how long it becomes.
 *
 * @throws Error for one that becomes longer, without having taken much more memory.
 */
export function unzstdPage(bytes: Uint8Array, length: number): Uint8Array {
  const header = readHeader(bytes);
  checkWindow(header);
  // One frame that says its size is written straight into an array of it.
  if (header?.content === length && frameEnd(bytes, header) === bytes.length) {
    return decompress(bytes);
  }
  const page = new Uint8Array(length);
  let at = 0;
  const decoder = new Decompress((chunk) => {
    if (at + chunk.length > length) throw new Error(`more than the ${length} bytes of its header`);
    page.set(chunk, at);
    at += chunk.length;
  });
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    decoder.push(bytes.subarray(from, from + PIECE_BYTES), from + PIECE_BYTES >= bytes.length);
  }
  return page.subarray(0, at);
}
