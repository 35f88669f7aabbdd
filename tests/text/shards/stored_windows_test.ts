import assert from "node:assert/strict";
import { join } from "node:path";
import { createRandom } from "../../../lib/random.ts";
import {
  batchesInOrder,
  BatchIterator,
  makeWindows,
  ShardSet,
  type StoredWindows,
  storedWindows,
  type TokenizedDocuments,
  tokenizeSource,
} from "../../../lib/text/mod.ts";
import { openShard } from "../../../lib/text/shards/files.ts";
import { countSide, formatShard } from "../../../lib/text/shards/format.ts";
import { totalOf, writeManifest } from "../../../lib/text/shards/manifest.ts";
import { trainTokenizer } from "../../../lib/tokenizer/mod.ts";
import { refusalOf } from "../../_refusal.ts";
import { withFiles } from "../_temporary.ts";
import { madeDocuments, madeSource, SMALL, TINY_TOKENIZER } from "./_made_source.ts";

const DOCUMENTS = madeDocuments(200);
const HELD_OUT = 20;
const LAYOUTS = ["packed", "padded"] as const;

/** Uses a set of many small shards of the documents; the first ones are held out. */
async function withShards(
  use: (folder: string, shards: ShardSet) => Promise<void> | void,
  tokenizer = TINY_TOKENIZER,
): Promise<void> {
  await withFiles({}, async (shardsFolder) => {
    const source = madeSource(DOCUMENTS, { heldOutDocuments: HELD_OUT });
    const options = { shardsFolder, open: { cacheFolder: shardsFolder }, ...SMALL };
    const { folder } = await tokenizeSource(source, tokenizer, options);
    await use(folder, await ShardSet.open(folder));
  });
}

/** The training documents as they are held in memory. */
function inMemory(): TokenizedDocuments {
  const encoded = DOCUMENTS.slice(HELD_OUT).map(({ text }) => [...TINY_TOKENIZER.encode(text)]);
  const offsets = [0];
  for (const ids of encoded) offsets.push(offsets.at(-1)! + ids.length);
  return {
    ids: Uint16Array.from(encoded.flat()),
    offsets: Int32Array.from(offsets),
    byteCount: 0,
    vocabSize: TINY_TOKENIZER.vocabSize,
  };
}

Deno.test("storedWindows() are those that makeWindows() cuts, in any order", () =>
  withShards((_, shards) => {
    for (const layout of LAYOUTS) {
      for (const contextLength of [2, 16, 77]) {
        const options = { contextLength, layout };
        const wanted = makeWindows(inMemory(), TINY_TOKENIZER, options);
        const stored = storedWindows(shards, "train", TINY_TOKENIZER, options);
        assert.equal(stored.count, wanted.count);
        assert.deepEqual(stored.read(Array.from({ length: wanted.count }, (_, i) => i)), wanted);
        const rows = createRandom(3).permutation(wanted.count).slice(0, 9);
        const { ids, realTokens, byteCounts } = stored.read(rows);
        rows.forEach((row, i) => {
          assert.deepEqual(
            ids.subarray(i * contextLength, (i + 1) * contextLength),
            wanted.ids.subarray(row * contextLength, (row + 1) * contextLength),
          );
          assert.equal(realTokens[i], wanted.realTokens[row]);
          assert.equal(byteCounts[i], wanted.byteCounts[row]);
        });
      }
    }
  }));

Deno.test("storedWindows() have ids of four bytes where the vocabulary is large", () => {
  // Words of two Chinese characters of 300 each: far more of them than uint16 has numbers.
  const character = (i: number) => String.fromCodePoint(0x4e00 + i);
  const words = Array.from(
    { length: 75_000 },
    (_, i) => character(Math.floor(i / 300)) + character(i % 300),
  );
  const large = trainTokenizer([words.join(" ")], { vocabSize: 70_000, minFrequency: 1 });
  assert.ok(large.vocabSize > 65_536);
  const documents = words.filter((_, i) => i % 150 === 0)
    .map((word) => ({ id: word, text: ` ${word}` }));
  const wanted = documents.slice(40).flatMap(({ text }) => [...large.encode(text)]);
  assert.ok(Math.max(...wanted) > 65_535);
  return withFiles({}, async (shardsFolder) => {
    const source = madeSource(documents, { heldOutDocuments: 40 });
    const options = { shardsFolder, open: { cacheFolder: shardsFolder }, workers: 0 };
    const { folder } = await tokenizeSource(source, large, options);
    const sizes = { contextLength: wanted.length, layout: "packed" } as const;
    const windows = storedWindows(await ShardSet.open(folder), "train", large, sizes);
    assert.deepEqual([...windows.read([0]).ids], wanted);
  });
});

Deno.test("BatchIterator gives the same stored windows whatever the cache holds", () =>
  withShards(async (folder) => {
    for (const layout of LAYOUTS) {
      const batches = [];
      for (const cacheBytes of [0, 3000, 1e9]) {
        const shards = await ShardSet.open(folder, { cacheBytes });
        const options = { contextLength: 16, layout };
        const windows = storedWindows(shards, "train", TINY_TOKENIZER, options);
        const iterator = new BatchIterator(windows, { batchSize: 8, seed: 4 });
        batches.push(Array.from({ length: 30 }, () => iterator.next()));
        assert.ok(shards.cachedBytes <= Math.max(cacheBytes, 2 ** 17), `${shards.cachedBytes}`);
      }
      assert.deepEqual(batches[1], batches[0]);
      assert.deepEqual(batches[2], batches[0]);
    }
  }));

Deno.test("BatchIterator reads the blocks of a group once, wherever shards begin in them", () =>
  withFiles({}, async (folder) => {
    // The same file by 32 names: 4,106 chunks, of which the first group has those of an eighth.
    const key = "made", tokens = 128 * 2 ** 16 + 20_000, shardCount = 32;
    const train = {
      ids: new Uint16Array(tokens),
      ends: Uint32Array.of(tokens),
      byteCounts: Uint32Array.of(tokens),
    };
    const none = new Uint32Array(0);
    const heldOut = { ids: new Uint16Array(0), ends: none, byteCounts: none };
    const head = { key, job: 0, number: 0, idBytes: 2, read: 1, next: null } as const;
    const names = Array.from({ length: shardCount }, (_, number) => `${number}.shard`);
    const paths = names.map((name) => join(folder, name));
    Deno.writeFileSync(paths[0]!, formatShard(head, { train, heldOut }));
    for (const path of paths.slice(1)) Deno.linkSync(paths[0]!, path);
    const { hash } = openShard(paths[0]!);
    const sides = { train: countSide(train), heldOut: countSide(heldOut) };
    const shards = names.map((file) => ({ file, read: 1, hash, ...sides }));
    await writeManifest(folder, {
      key,
      source: { name: "made", licence: null, parts: [] },
      tokenizer: { hash: TINY_TOKENIZER.hash, vocabSize: TINY_TOKENIZER.vocabSize },
      unit: "document",
      read: shardCount,
      shards,
      train: totalOf(shards, "train"),
      heldOut: totalOf(shards, "heldOut"),
    });
    const set = await ShardSet.open(folder);
    const sizes = { contextLength: 4096, layout: "packed" } as const;
    const windows = storedWindows(set, "train", TINY_TOKENIZER, sizes);
    const touched = new Set<string>();
    const noting: StoredWindows = {
      ...windows,
      read: (rows) => {
        for (const row of Array.from(rows)) {
          for (const token of [row * 4096, row * 4096 + 4095]) {
            touched.add(
              `${Math.floor(token / tokens)} ${Math.floor(2 * (token % tokens) / 2 ** 17)}`,
            );
          }
        }
        return windows.read(rows);
      },
    };
    const iterator = new BatchIterator(noting, { batchSize: 64, seed: 1 });
    for (let window = 0; window < 512 * 16; window += 64) iterator.next();
    assert.ok(touched.size > 900 && touched.size <= 1100, `${touched.size} blocks`);
    assert.equal(set.blocksRead, touched.size);
  }));

Deno.test("batchesInOrder() goes through stored windows as through those in memory", () =>
  withShards((_, shards) => {
    const options = { contextLength: 16, layout: "padded" } as const;
    const stored = storedWindows(shards, "train", TINY_TOKENIZER, options);
    const wanted = makeWindows(inMemory(), TINY_TOKENIZER, options);
    assert.deepEqual([...batchesInOrder(stored, 7)], [...batchesInOrder(wanted, 7)]);
  }));

Deno.test("storedWindows() says what does not fit", () =>
  withShards(async (_, shards) => {
    const refusal = (contextLength: number, tokenizer = TINY_TOKENIZER) =>
      refusalOf((async () => {
        const options = { contextLength, layout: "packed" } as const;
        await Promise.resolve(storedWindows(shards, "heldOut", tokenizer, options));
      })());
    assert.match(await refusal(1e6), /^made, held out: expected tokens for one context of 1000000/);
    assert.match(await refusal(1), /expected a context of 2 tokens or more, found 1/);
    const other = trainTokenizer(["another text"], { vocabSize: 258 });
    assert.match(await refusal(4, other), /expected the tokenizer of these shards, found another/);
  }));
