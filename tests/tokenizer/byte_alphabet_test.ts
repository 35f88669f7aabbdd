import assert from "node:assert/strict";
import {
  BYTE_CHARACTERS,
  BYTES_IN_CHARACTER_ORDER,
  spellBytes,
  unspellBytes,
} from "../../lib/tokenizer/byte_alphabet.ts";

Deno.test("BYTE_CHARACTERS has the known stand-ins", () => {
  assert.equal(BYTE_CHARACTERS[0x41], "A");
  assert.equal(BYTE_CHARACTERS[0x20], "Ġ");
  assert.equal(BYTE_CHARACTERS[0x0a], "Ċ");
  assert.equal(BYTE_CHARACTERS[0xad], "Ń");
  assert.equal(new Set(BYTE_CHARACTERS).size, 256);
});

Deno.test("BYTES_IN_CHARACTER_ORDER starts at ! and ends at the soft hyphen", () => {
  assert.equal(BYTES_IN_CHARACTER_ORDER[0], 0x21);
  assert.equal(BYTES_IN_CHARACTER_ORDER[188], 0x00);
  assert.equal(BYTES_IN_CHARACTER_ORDER[255], 0xad);
});

Deno.test("spellBytes() and unspellBytes() are inverse", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  assert.deepEqual(unspellBytes(spellBytes(bytes)), bytes);
  assert.equal(unspellBytes("a b"), undefined);
});
