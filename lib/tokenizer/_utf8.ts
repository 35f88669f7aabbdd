/**
 * Arbitrary bytes as JavaScript strings and back without loss: valid UTF-8 becomes its characters,
 * every other byte b the lone surrogate U+DC00 + b (Python's "surrogateescape"). A lone surrogate
 * is no letter, number or white space, so stray bytes fall into words of "other" characters.
 */

const ESCAPE = 0xdc00;

const fatalDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/** The length of the valid UTF-8 sequence at `start` (RFC 3629), 0 if there is none. */
function sequenceLength(bytes: Uint8Array, start: number): number {
  const first = bytes[start]!;
  if (first < 0x80) return 1;
  const length = first >= 0xc2 && first <= 0xdf
    ? 2
    : first >= 0xe0 && first <= 0xef
    ? 3
    : first >= 0xf0 && first <= 0xf4
    ? 4
    : 0;
  if (length === 0 || start + length > bytes.length) return 0;
  const second = bytes[start + 1]!;
  // The second byte rules out overlong forms, surrogates and code points past U+10FFFF.
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i = start + 2; i < start + length; i++) if ((bytes[i]! & 0xc0) !== 0x80) return 0;
  return length;
}

/** The index of the first byte that is not part of valid UTF-8; the length if all are. */
export function validLength(bytes: Uint8Array, start = 0): number {
  let end = start;
  while (end < bytes.length) {
    const length = sequenceLength(bytes, end);
    if (length === 0) break;
    end += length;
  }
  return end;
}

/** Bytes to an escaped string. */
export function escapeBytes(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = validLength(bytes, start);
    parts.push(fatalDecoder.decode(bytes.subarray(start, end)));
    if (end < bytes.length) parts.push(String.fromCharCode(ESCAPE + bytes[end]!));
    start = end + 1;
  }
  return parts.join("");
}

/** An escaped string to its bytes. */
export function unescapeBytes(text: string): Uint8Array {
  if (text.isWellFormed()) return utf8Encoder.encode(text);
  const bytes: number[] = [];
  for (const character of text) {
    const codePoint = character.codePointAt(0)!;
    if (codePoint >= ESCAPE && codePoint <= ESCAPE + 0xff) bytes.push(codePoint - ESCAPE);
    else bytes.push(...utf8Encoder.encode(character));
  }
  return Uint8Array.from(bytes);
}
