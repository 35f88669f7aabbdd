import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { UserError } from "../../../lib/errors.ts";
import { openSource, ShardSet, type Side, tokenizeSource } from "../../../lib/text/mod.ts";
import { withFiles } from "../_temporary.ts";
import { madeDocuments, madeSource, readShards, SMALL, TINY_TOKENIZER } from "./_made_source.ts";

const DOCUMENTS = madeDocuments(200);
const open = { cacheFolder: "unused" };

/** Documents of a set, side by side, as ids. */
function idsOf(shards: ShardSet, side: Side): number[][] {
  const { documents } = shards.manifest[side];
  return Array.from({ length: documents }, (_, number) => [...shards.documentIds(side, number)]);
}

const encoded = (texts: readonly string[]) =>
  texts.filter((text) => text !== "").map((text) => [...TINY_TOKENIZER.encode(text)]);

Deno.test("tokenizeSource() holds out by content, whatever the order and the parts", () =>
  withFiles({}, async (shardsFolder) => {
    const isHeldOut = (text: string) =>
      parseInt(createHash("sha256").update(text).digest("hex").slice(0, 8), 16) < 0.1 * 2 ** 32;
    const texts = DOCUMENTS.map(({ text }) => text);
    const wanted = {
      train: encoded(texts.filter((text) => !isHeldOut(text))),
      heldOut: encoded(texts.filter(isHeldOut)),
    };
    assert.ok(wanted.heldOut.length > 5 && wanted.train.length > 100);

    const source = madeSource(DOCUMENTS);
    const { folder, manifest } = await tokenizeSource(source, TINY_TOKENIZER, {
      shardsFolder,
      open,
      ...SMALL,
    });
    const shards = await ShardSet.open(folder);
    assert.deepEqual(idsOf(shards, "train"), wanted.train);
    assert.deepEqual(idsOf(shards, "heldOut"), wanted.heldOut);
    assert.ok(manifest.shards.length > 10, "several shards a job, several jobs");
    assert.equal(manifest.read, DOCUMENTS.length);
    for (const side of ["train", "heldOut"] as const) {
      const { documents, tokens, bytes } = manifest[side];
      assert.equal(documents, wanted[side].length);
      assert.equal(tokens, wanted[side].flat().length);
      const decoded = wanted[side].map((ids) => TINY_TOKENIZER.decodeBytes(ids).length);
      assert.equal(bytes, decoded.reduce((sum, length) => sum + length, 0));
      decoded.forEach((length, d) => assert.equal(shards.documentBytes(side, d), length));
    }

    const reversed = madeSource(DOCUMENTS.toReversed(), { partDocuments: 11 });
    const other = await tokenizeSource(reversed, TINY_TOKENIZER, { shardsFolder, open, ...SMALL });
    assert.deepEqual(
      idsOf(await ShardSet.open(other.folder), "heldOut"),
      wanted.heldOut.toReversed(),
    );
  }));

Deno.test("tokenizeSource() holds out a source's first documents, as many as it says", () =>
  withFiles({}, async (shardsFolder) => {
    const texts = DOCUMENTS.map(({ text }) => text);
    for (const held of [13, 60]) {
      const source = madeSource(DOCUMENTS, { heldOutDocuments: held });
      const options = { shardsFolder, open, ...SMALL };
      const { folder } = await tokenizeSource(source, TINY_TOKENIZER, options);
      const shards = await ShardSet.open(folder);
      assert.deepEqual(idsOf(shards, "heldOut"), encoded(texts.slice(0, held)));
      assert.deepEqual(idsOf(shards, "train"), encoded(texts.slice(held)));
    }
  }));

Deno.test("tokenizeSource() cuts documents into units within their side", () =>
  withFiles({}, async (shardsFolder) => {
    const documents = Array.from({ length: 30 }, (_, i) => ({
      id: `${i}`,
      text: `First sentence of ${i}. Second one!\n\nAnother paragraph.`,
    }));
    const source = madeSource(documents, { heldOutDocuments: 2 });
    const options = { shardsFolder, open, ...SMALL };
    const textsOf = async (unit: "paragraph" | "sentence") => {
      const { folder } = await tokenizeSource(source, TINY_TOKENIZER, { ...options, unit });
      return idsOf(await ShardSet.open(folder), "heldOut").map((ids) => TINY_TOKENIZER.decode(ids));
    };
    assert.deepEqual(
      await textsOf("paragraph"),
      [0, 1].flatMap((i) => [`First sentence of ${i}. Second one!`, "Another paragraph."]),
    );
    assert.deepEqual(
      await textsOf("sentence"),
      [0, 1].flatMap((i) => [`First sentence of ${i}.`, "Second one!", "Another paragraph."]),
    );
  }));

Deno.test("tokenizeSource() leaves the same bytes with any number of workers", () =>
  withFiles(
    Object.fromEntries(
      [0, 1, 2, 3].map((file) => [
        `texts/${file}.jsonl`,
        madeDocuments(60, 10 + file).map(({ text }) => JSON.stringify({ text: `${text}.` }))
          .join("\n"),
      ]),
    ),
    async (folder) => {
      const path = join(folder, "texts");
      const source = await openSource({ kind: "local", path, textField: "text" }, {
        cacheFolder: folder,
      });
      const bytesWith = async (workers: number) => {
        const shardsFolder = join(folder, `shards ${workers}`);
        const options = { shardsFolder, open: { cacheFolder: folder }, ...SMALL, workers };
        return readShards((await tokenizeSource(source, TINY_TOKENIZER, options)).folder);
      };
      const alone = await bytesWith(0);
      assert.ok(alone.size > 5, `${alone.size} files`);
      assert.deepEqual(await bytesWith(1), alone);
      assert.deepEqual(await bytesWith(3), alone);
    },
  ));

Deno.test("tokenizeSource() goes on behind what is whole, and makes damaged shards anew", () =>
  withFiles({}, async (shardsFolder) => {
    const source = madeSource(DOCUMENTS);
    const options = { shardsFolder, open, ...SMALL };
    const { folder } = await tokenizeSource(source, TINY_TOKENIZER, options);
    const whole = readShards(folder);
    const shardNames = [...whole.keys()].filter((name) => name.endsWith(".shard"));

    let read = 0;
    const counted: typeof source = {
      ...source,
      async *read(part) {
        for await (const document of source.read(part)) {
          read++;
          yield document;
        }
      },
    };
    await tokenizeSource(counted, TINY_TOKENIZER, options);
    assert.equal(read, 0, "a finished set is found");

    Deno.removeSync(join(folder, "manifest.json"));
    Deno.writeTextFileSync(join(folder, `${shardNames[1]}.123.tmp`), "half a shard");
    await tokenizeSource(counted, TINY_TOKENIZER, options);
    assert.equal(read, 0, "whole shards are kept");
    assert.deepEqual(readShards(folder), whole);

    const [cut, flipped] = [shardNames[2]!, shardNames[5]!];
    Deno.truncateSync(join(folder, cut), whole.get(cut)!.length - 1);
    Deno.writeFileSync(join(folder, flipped), whole.get(flipped)!.with(20, 0));
    Deno.removeSync(join(folder, "manifest.json"));
    await tokenizeSource(counted, TINY_TOKENIZER, options);
    assert.ok(read > 0 && read < DOCUMENTS.length / 2, `${read} documents read again`);
    assert.deepEqual(readShards(folder), whole);
  }));

Deno.test("tokenizeSource() says what is wrong in one line, with workers and without", () =>
  withFiles(
    { "bad.jsonl": '{"text": "fine"}\n{"text": 5}\n', "good.txt": "fine" },
    async (folder) => {
      const options = { shardsFolder: join(folder, "shards"), open: { cacheFolder: folder } };
      const openFile = (name: string) =>
        openSource({ kind: "local", path: join(folder, name), textField: "text" }, {
          cacheFolder: folder,
        });
      const bad = await openFile("bad.jsonl");
      for (const workers of [0, 2]) {
        await assert.rejects(
          tokenizeSource(bad, TINY_TOKENIZER, { ...options, workers }),
          (error) => error instanceof UserError && /bad\.jsonl:2: /.test(error.message),
        );
        await assert.rejects(
          tokenizeSource(await openFile("good.txt"), TINY_TOKENIZER, {
            ...options,
            workers,
            signal: AbortSignal.abort(),
          }),
          (error) => error instanceof UserError && /stopped/.test(error.message),
        );
      }
      const short = madeSource(DOCUMENTS);
      const lying = {
        ...short,
        parts: short.parts.map((part) => ({ ...part, documents: 9 })),
      };
      await assert.rejects(
        tokenizeSource(lying, TINY_TOKENIZER, { ...options, workers: 0 }),
        /made: expected 9 documents in part 0, found 7/,
      );
    },
  ));

Deno.test("tokenizeSource() writes no manifest over shards that are not what was written", () =>
  withFiles({}, async (shardsFolder) => {
    const source = madeSource(DOCUMENTS);
    const spoiling: typeof source = {
      ...source,
      // When the last part is read, the first job's only shard is cut.
      async *read(part) {
        yield* source.read(part);
        if (part !== source.parts.at(-1)) return;
        const [{ name }] = [...Deno.readDirSync(shardsFolder)] as [Deno.DirEntry];
        Deno.truncateSync(join(shardsFolder, name, "00000.000.shard"), 100);
      },
    };
    const options = { shardsFolder, open, ...SMALL };
    await assert.rejects(
      tokenizeSource(spoiling, TINY_TOKENIZER, options),
      (error) =>
        error instanceof UserError && /00000\.000\.shard: expected the shard/.test(error.message),
    );
    const { manifest } = await tokenizeSource(source, TINY_TOKENIZER, options);
    assert.equal(manifest.read, DOCUMENTS.length);
  }));
