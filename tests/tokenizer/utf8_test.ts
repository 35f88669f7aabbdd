import assert from "node:assert/strict";
import { escapeBytes, unescapeBytes, validLength } from "../../lib/tokenizer/_utf8.ts";

Deno.test("escapeBytes() keeps valid UTF-8, byte order mark included", () => {
  const text = "\ufeffé東🙂\u0000\ud7ff\ue000\u{10ffff}";
  assert.equal(escapeBytes(new TextEncoder().encode(text)), text);
});

Deno.test("escapeBytes() escapes what RFC 3629 forbids, byte by byte", () => {
  const cases: [string, number[]][] = [
    ["lone continuation", [0x80]],
    ["overlong, 2 bytes", [0xc1, 0xbf]],
    ["overlong, 3 bytes", [0xe0, 0x9f, 0xbf]],
    ["surrogate", [0xed, 0xa0, 0x80]],
    ["overlong, 4 bytes", [0xf0, 0x8f, 0xbf, 0xbf]],
    ["past U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
    ["no lead byte", [0xf8, 0xff]],
    ["cut off", [0xe6, 0x9d]],
  ];
  for (const [name, bytes] of cases) {
    const expected = bytes.map((byte) => String.fromCharCode(0xdc00 + byte)).join("");
    assert.equal(escapeBytes(Uint8Array.from([0x61, ...bytes])), `a${expected}`, name);
    assert.deepEqual(unescapeBytes(`é${expected}`), Uint8Array.from([0xc3, 0xa9, ...bytes]), name);
  }
});

Deno.test("escapeBytes() goes on after a stray byte", () => {
  assert.equal(escapeBytes(Uint8Array.of(0xe6, 0x41, 0xc3, 0xa9)), "\udce6Aé");
});

Deno.test("validLength() finds the first stray byte", () => {
  assert.equal(validLength(Uint8Array.of(0x41, 0xc3, 0xa9, 0xff, 0x41)), 3);
  assert.equal(validLength(Uint8Array.of(0x41, 0xff, 0xc3, 0xa9), 2), 4);
});
