import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { constants, zstdCompressSync } from "node:zlib";
import { createRandom } from "../../lib/random.ts";
import { unzstdPage, unzstdStream } from "../../lib/text/zstd.ts";

const random = createRandom(2).stream("bytes");
/** Repeats itself now and then, so that frames have every kind of block. */
const content = Buffer.concat(
  Array.from({ length: 60 }, (_, i) => {
    if (i % 5 === 0) return Buffer.alloc(20_000, i);
    if (i % 3 === 0) return Buffer.from(`line ${i}\n`.repeat(2000));
    return Buffer.from(Array.from({ length: 5000 }, () => Math.floor(random.uniform() * 256)));
  }),
);
const frame = zstdCompressSync(content);
const withoutSize = zstdCompressSync(content, {
  params: { [constants.ZSTD_c_contentSizeFlag]: 0, [constants.ZSTD_c_checksumFlag]: 1 },
});

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function unpack(bytes: Uint8Array, size = 1000): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(unzstdStream(chunksOf(bytes, size))));
}

Deno.test("unzstdStream() unpacks all frames, whatever the chunks", async () => {
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]);
  const frames = Buffer.concat([frame, skippable, withoutSize, zstdCompressSync("end")]);
  const wanted = Buffer.concat([content, content, Buffer.from("end")]);
  for (const size of [7, 4096, 1 << 20]) {
    assert.ok((await unpack(frames, size)).equals(wanted), `chunks of ${size}`);
  }
});

Deno.test("unzstdStream() refuses frames that are cut off or none", async () => {
  for (const cut of [1, 3, 17, 100, frame.length >> 1, frame.length - 1]) {
    await assert.rejects(unpack(frame.subarray(0, cut)), Error, `cut at ${cut}`);
  }
  await assert.rejects(unpack(Buffer.from("no Zstandard at all, but text")), /zstd/);
  await assert.rejects(unpack(Buffer.alloc(0)), /unexpected end of file/);
});

/** The header of a frame that asks for 2 GB of memory. */
const greedy = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8]), Buffer.alloc(30)]);

Deno.test("unzstdStream() and unzstdPage() refuse windows that are too large", async () => {
  const said = /a window of 2147483648 bytes, more than 134217728/;
  const skippable = Buffer.from([0x51, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5]);
  for (const before of [[], [frame], [withoutSize, skippable, zstdCompressSync("")]]) {
    await assert.rejects(unpack(Buffer.concat([...before, greedy])), said);
    await assert.rejects(unpack(Buffer.concat([...before, greedy]), 61), said);
  }
  assert.throws(() => unzstdPage(greedy, 10), said);
});

Deno.test("unzstdPage() unpacks frames with and without their size, and several", () => {
  for (const page of [frame, withoutSize]) {
    assert.ok(Buffer.from(unzstdPage(page, content.length)).equals(content));
  }
  const two = Buffer.concat([frame, withoutSize]);
  const wanted = Buffer.concat([content, content]);
  assert.ok(Buffer.from(unzstdPage(two, wanted.length)).equals(wanted));
});

Deno.test("unzstdPage() refuses a page that becomes longer than it says", () => {
  for (const page of [frame, withoutSize, Buffer.concat([frame, frame])]) {
    assert.throws(
      () => unzstdPage(page, content.length - 1),
      new Error(`more than the ${content.length - 1} bytes of its header`),
    );
  }
});
