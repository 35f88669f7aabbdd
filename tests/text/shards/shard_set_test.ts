import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { createRandom } from "../../../lib/random.ts";
import { ShardSet, tokenizeSource } from "../../../lib/text/mod.ts";
import { refusalOf } from "../../_refusal.ts";
import { withFiles } from "../_temporary.ts";
import { madeDocuments, madeSource, SMALL, TINY_TOKENIZER } from "./_made_source.ts";

/** Uses the folder of a set of small shards. */
async function withShards(use: (folder: string, shard: string) => Promise<void>): Promise<void> {
  await withFiles({}, async (shardsFolder) => {
    const options = { shardsFolder, open: { cacheFolder: shardsFolder }, ...SMALL };
    const source = madeSource(madeDocuments(100));
    const { folder, manifest } = await tokenizeSource(source, TINY_TOKENIZER, options);
    await use(folder, join(folder, manifest.shards[1]!.file));
  });
}

/** Reads every byte of every side. */
async function readAll(folder: string): Promise<void> {
  const shards = await ShardSet.open(folder);
  for (const side of ["train", "heldOut"] as const) {
    for (let document = 0; document < shards.manifest[side].documents; document++) {
      shards.documentIds(side, document);
      shards.documentBytes(side, document);
    }
  }
}

Deno.test("ShardSet refuses a shard with any byte flipped, wherever it lies", () =>
  withShards(async (folder, shard) => {
    const whole = Deno.readFileSync(shard);
    const random = createRandom(1).stream("flips");
    for (let flip = 0; flip < 60; flip++) {
      const at = Math.floor(random.uniform() * whole.length);
      Deno.writeFileSync(shard, whole.with(at, whole[at]! ^ (1 << (flip % 8))));
      const refusal = await refusalOf(readAll(folder));
      assert.ok(refusal.startsWith(`${shard}: expected the shard that was written, found `));
      assert.match(refusal, /; delete this file and manifest\.json beside it, and tokenize again$/);
    }
    Deno.writeFileSync(shard, whole);
    await readAll(folder);
  }));

Deno.test("ShardSet refuses shards that are cut, longer, exchanged or missing", () =>
  withShards(async (folder, shard) => {
    const whole = Deno.readFileSync(shard);
    const head = whole.indexOf(0x0a);
    for (const length of [0, 1, head, head + 1, head + 9, whole.length - 1]) {
      Deno.writeFileSync(shard, whole.subarray(0, length));
      assert.match(await refusalOf(ShardSet.open(folder)), /expected the shard that was written/);
    }
    Deno.writeFileSync(shard, new Uint8Array([...whole, 0]));
    assert.match(
      await refusalOf(ShardSet.open(folder)),
      new RegExp(`found ${whole.length + 1} bytes where its head says ${whole.length};`),
    );
    const { shards } = (await manifestOf(folder)) as { shards: { file: string }[] };
    Deno.copyFileSync(join(folder, shards[2]!.file), shard);
    assert.match(await refusalOf(ShardSet.open(folder)), /found another than its manifest says/);
    Deno.removeSync(shard);
    assert.match(await refusalOf(ShardSet.open(folder)), /expected a shard, found none/);
  }));

async function manifestOf(folder: string): Promise<Record<string, unknown>> {
  return JSON.parse(await Deno.readTextFile(join(folder, "manifest.json")));
}

/** Writes a manifest with these changes and the checksum that fits them. */
// deno-lint-ignore no-explicit-any
async function lie(folder: string, changes: (manifest: any) => void): Promise<void> {
  const { format, checksum: _, ...content } = await manifestOf(folder);
  changes(content);
  const checksum = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  const path = join(folder, "manifest.json");
  await Deno.writeTextFile(path, JSON.stringify({ format, checksum, ...content }));
}

Deno.test("ShardSet refuses a manifest that is damaged, missing, or lies", () =>
  withShards(async (folder) => {
    const path = join(folder, "manifest.json");
    const text = Deno.readTextFileSync(path);
    const refusal = () => refusalOf(readAll(folder));
    const again = () => Deno.writeTextFileSync(path, text);

    for (const damage of [text.slice(0, -20), text.replace(/"read": \d+/, '"read": 1'), "[]"]) {
      Deno.writeTextFileSync(path, damage);
      const found = await refusal();
      assert.ok(found.startsWith(`${path}: expected the manifest that was written, found `), found);
    }
    // deno-lint-ignore no-explicit-any
    const lies: readonly (readonly [RegExp, (manifest: any) => void])[] = [
      [/other totals \(train\)/, ({ train }) => train.tokens += 16],
      [/found another than its manifest says/, ({ train, shards }) => {
        train.tokens += 16;
        shards[1].train.tokens += 16;
      }],
      [/found another than its manifest says/, (manifest) => manifest.key = "0".repeat(64)],
      [/found another than its manifest says/, ({ shards }) => shards[1].hash = shards[2].hash],
      [/fields that are missing or no counts/, ({ heldOut }) => heldOut.documents = -1],
      [/fields that are missing or no counts/, ({ shards }) => shards[0].file = "../other.shard"],
      [/fields that are missing or no counts/, (manifest) => delete manifest.tokenizer],
    ];
    for (const [found, change] of lies) {
      again();
      await lie(folder, change);
      assert.match(await refusal(), found);
    }
    Deno.removeSync(path);
    assert.match(await refusal(), /expected the manifest of a finished set of shards, found none/);
    again();
    await readAll(folder);
  }));
