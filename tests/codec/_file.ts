/** Files taken apart and put together again, by the layout that container.ts documents. */

const CRC_AT = 60;
const HEADER_SIZE = 64;

/** Fields of the header by name: where they are and how many bytes they take. */
export const FIELDS = {
  magic: [0, 4],
  version: [4, 1],
  kind: [5, 1],
  backend: [6, 1],
  embedding: [7, 1],
  modelHash: [8, 8],
  tokenizerHash: [16, 8],
  contextLength: [24, 4],
  overlap: [28, 4],
  laneCount: [32, 2],
  threads: [34, 2],
  originalBytes: [36, 8],
  tokenCount: [44, 8],
  checksum: [52, 8],
} as const satisfies Record<string, readonly [at: number, bytes: number]>;

export type Field = keyof typeof FIELDS;

/** CRC-32 (IEEE 802.3, as in zip files), bit by bit. */
export function crc32(bytes: Iterable<number>): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** The file with a CRC that fits. */
export function sealed(file: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = file.slice();
  const crc = crc32([...copy.subarray(0, CRC_AT), ...copy.subarray(HEADER_SIZE)]);
  new DataView(copy.buffer).setUint32(CRC_AT, crc, true);
  return copy;
}

/** The file with other fields, little-endian, and a CRC that fits. */
export function withFields(
  file: Uint8Array,
  fields: Readonly<Partial<Record<Field, number | bigint>>>,
): Uint8Array<ArrayBuffer> {
  const copy = file.slice();
  for (const [name, value] of Object.entries(fields)) {
    const [at, bytes] = FIELDS[name as Field];
    for (let i = 0; i < bytes; i++) {
      copy[at + i] = Number(BigInt.asUintN(8, BigInt(value) >> BigInt(8 * i)));
    }
  }
  return sealed(copy);
}
