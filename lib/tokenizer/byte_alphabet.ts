/**
 * The printable character that stands for each byte in the text form of a byte-level vocabulary
 * (`tokenizer.json`): printable Latin-1 bytes stand for themselves, the other 68 (controls, space,
 * no-break space, soft hyphen) take the characters from U+0100 on, in byte order.
 */

function isPrintableLatin1(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
}

/** The character of every byte, indexed by byte. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  let next = 0x100;
  return Array.from(
    { length: 256 },
    (_, byte) => String.fromCharCode(isPrintableLatin1(byte) ? byte : next++),
  );
})();

const BYTE_OF_CHARACTER = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

/** All bytes in the order of their characters: the order in which training numbers them. */
export const BYTES_IN_CHARACTER_ORDER: readonly number[] = Array.from(
  { length: 256 },
  (_, byte) => byte,
).sort((a, b) => BYTE_CHARACTERS[a]!.charCodeAt(0) - BYTE_CHARACTERS[b]!.charCodeAt(0));

/** Bytes to the text form of a vocabulary entry. */
export function spellBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]!).join("");
}

/** The bytes a vocabulary entry stands for; undefined if a character stands for no byte. */
export function unspellBytes(entry: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (const character of entry) {
    const byte = BYTE_OF_CHARACTER.get(character);
    if (byte === undefined) return undefined;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
