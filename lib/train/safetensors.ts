/**
 * The safetensors format (huggingface/safetensors): named tensors and string metadata, readable by
 * PyTorch and Hugging Face tools. Float32 and int32, little endian; other floating-point types are
 * read as float32.
 */

import { UserError } from "../errors.ts";

export type StoredTensor = Readonly<{
  shape: readonly number[];
  data: Float32Array | Int32Array;
}>;

export type StoredTensors = Readonly<{
  tensors: ReadonlyMap<string, StoredTensor>;
  metadata: Readonly<Record<string, string>>;
}>;

type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };

const HEADER_LENGTH_BYTES = 8;

/** The types that are read: bytes a number, and how the bytes become an array. */
const TYPES: Readonly<
  Record<string, { size: number; read: (bytes: ArrayBuffer) => StoredTensor["data"] }>
> = {
  F32: { size: 4, read: (bytes) => new Float32Array(bytes) },
  F16: { size: 2, read: (bytes) => Float32Array.from(new Float16Array(bytes)) },
  BF16: { size: 2, read: readBfloat16 },
  F64: { size: 8, read: (bytes) => Float32Array.from(new Float64Array(bytes)) },
  I32: { size: 4, read: (bytes) => new Int32Array(bytes) },
};

/** A bfloat16 is the upper half of a float32. */
function readBfloat16(bytes: ArrayBuffer): Float32Array {
  return new Float32Array(Uint32Array.from(new Uint16Array(bytes), (half) => half << 16).buffer);
}

/** The bytes of a safetensors file. */
export function formatSafetensors({ tensors, metadata }: StoredTensors): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    const end = offset + data.byteLength;
    const dtype = data instanceof Float32Array ? "F32" : "I32";
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = JSON.stringify(header);
  // Spaces after the header align the data to 8 bytes, as the format recommends.
  const encoded = new TextEncoder().encode(json);
  const padded = Math.ceil(encoded.length / 8) * 8;
  const bytes = new Uint8Array(HEADER_LENGTH_BYTES + padded + offset).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(encoded, HEADER_LENGTH_BYTES);
  let position = HEADER_LENGTH_BYTES + padded;
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return bytes;
}

/**
 * Reads a safetensors file; F16, BF16 and F64 become float32, of which F64 is rounded.
 *
 * @param name The file's name, for messages.
 * @throws UserError when the bytes are not a complete safetensors file of floating-point and int32
 *   tensors.
 */
export function parseSafetensors(bytes: Uint8Array, name: string): StoredTensors {
  const broken = (found: string) =>
    new UserError(`${name}: expected a complete safetensors file, found ${found}`);
  if (bytes.length < HEADER_LENGTH_BYTES) throw broken(`${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  const start = HEADER_LENGTH_BYTES + headerLength;
  if (start > bytes.length) throw broken("a header that is longer than the file");
  let header: Record<string, Entry> & { __metadata__?: Record<string, string> };
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(HEADER_LENGTH_BYTES, start)));
  } catch {
    throw broken("a header that is not JSON");
  }
  if (!isRecord(header)) throw broken("a header that is not an object");
  const { __metadata__: metadata = {}, ...entries } = header;
  const tensors = new Map<string, StoredTensor>();
  for (const [tensorName, entry] of Object.entries(entries)) {
    if (!isRecord(entry) || !Array.isArray(entry.shape) || !Array.isArray(entry.data_offsets)) {
      throw broken(`${tensorName} without shape or data_offsets`);
    }
    const { dtype, shape, data_offsets: [from, to] } = entry;
    const size = shape.reduce((product, length) => product * length, 1);
    const type = Object.hasOwn(TYPES, dtype) ? TYPES[dtype]! : undefined;
    if (type === undefined) {
      throw new UserError(
        `${name}: expected tensors of type ${
          Object.keys(TYPES).join(", ")
        }, found ${tensorName} of type ${dtype}; convert it or leave it out`,
      );
    }
    if (to - from !== type.size * size || start + to > bytes.length || from < 0) {
      throw broken(
        `${tensorName} with bytes ${from} to ${to}, ${bytes.length - start} in the file`,
      );
    }
    // Not slice(), which shares memory where the bytes are a Node Buffer.
    const copy = new Uint8Array(bytes.subarray(start + from, start + to)).buffer;
    tensors.set(tensorName, { shape, data: type.read(copy) });
  }
  return { tensors, metadata };
}

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
