import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../lib/errors.ts";
import { createRandom } from "../../lib/random.ts";
import {
  type DocumentSource,
  heldOutRows,
  openHubSource,
  openSource,
  type SourceDescriptor,
  type TextDocument,
} from "../../lib/text/mod.ts";
import {
  brokenOff,
  changed,
  COMMIT,
  type HubServer,
  type HubServerOptions,
  type Misbehaviour,
  QUICK,
  REPOSITORY,
  withHub,
} from "./_hub_server.ts";
import { refusalOf } from "../_refusal.ts";
import { craftedFile, dataPage, parquetFile, plainValues } from "./_parquet.ts";
import { withFiles } from "./_temporary.ts";

const random = createRandom(3).stream("texts");
const word = () => ["alpha", "beta", "gamma", "delta", "ünï"][Math.floor(random.uniform() * 5)]!;
const text = (id: string) =>
  `${id}: ${Array.from({ length: 60 }, () => `${word()}${Math.floor(random.uniform() * 1e6)}`)}`;
const shardTexts = [130, 70, 100].map((rows, shard) =>
  Array.from({ length: rows }, (_, row) => text(`${shard}/${row}`))
);
const paths = shardTexts.map((_, shard) => `data/train-0000${shard}.parquet`);
const files = Object.fromEntries(shardTexts.map((texts, shard) => [
  paths[shard]!,
  parquetFile(texts, { codec: shard === 1 ? "SNAPPY" : "ZSTD", rowGroupSize: 50 }),
]));
const wanted: TextDocument[] = shardTexts.flatMap((texts, shard) =>
  texts.map((text, row) => ({ id: `${paths[shard]}:${row + 1}`, text }))
);

type Hub = Extract<SourceDescriptor, { kind: "hub" }>;
const descriptor: Hub = {
  kind: "hub",
  repository: REPOSITORY,
  configuration: "data",
  revision: "main",
  textField: "text",
};

/** A served dataset and an empty cache for it. */
function withDataset(
  use: (server: HubServer, cacheFolder: string) => Promise<void>,
  options?: HubServerOptions,
): Promise<void> {
  return withHub(files, (server) => withFiles({}, (folder) => use(server, folder)), options);
}

const open = (
  { endpoint }: HubServer,
  cacheFolder: string,
  more: Partial<Hub & { log: (line: string) => void; refresh: boolean }> = {},
) => {
  const { log, refresh, ...rest } = more;
  return openHubSource({ ...descriptor, ...rest }, {
    cacheFolder,
    endpoint,
    retry: QUICK,
    ...(log && { log }),
    ...(refresh !== undefined && { refresh }),
  });
};

async function readAll(source: DocumentSource): Promise<TextDocument[]> {
  const documents: TextDocument[] = [];
  for (const part of source.parts) documents.push(...await Array.fromAsync(source.read(part)));
  return documents;
}

async function fetchAll(source: Awaited<ReturnType<typeof open>>): Promise<void> {
  for (const { isThere, fetch } of await source.items()) if (!isThere) await fetch();
}

/** Every file below a folder with its content. */
async function filesBelow(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(path.slice(folder.length), (await readFile(path)).toString("base64"));
  }
  return new Map([...found].toSorted(([a], [b]) => a < b ? -1 : 1));
}

Deno.test("openHubSource() lists row groups and reads all rows, once and in order", async () => {
  await withDataset(async (server, folder) => {
    const source = await open(server, folder);
    assert.equal(source.name, "name/data");
    assert.equal(source.licence, "odc-by");
    assert.equal(source.heldOutDocuments, 30);
    assert.deepEqual(source.descriptor, { ...descriptor, revision: COMMIT });
    assert.deepEqual(source.parts.map(({ name, documents }) => [name, documents]), [
      [`${paths[0]}#0`, 50],
      [`${paths[0]}#1`, 50],
      [`${paths[0]}#2`, 30],
      [`${paths[1]}#0`, 50],
      [`${paths[1]}#1`, 20],
      [`${paths[2]}#0`, 50],
      [`${paths[2]}#1`, 50],
    ]);
    assert.deepEqual(await readAll(source), wanted);
    // From disk the second time: nothing is asked for.
    const asked = server.requests.length;
    assert.deepEqual(await readAll(await open(server, folder)), wanted);
    assert.equal(server.requests.length, asked);
  });
});

Deno.test("openHubSource() opens in a worker's way, by descriptor and parts", async () => {
  await withDataset(async (server, folder) => {
    const source = await open(server, folder);
    const again = JSON.parse(JSON.stringify([source.descriptor, source.parts]));
    const options = { cacheFolder: folder, endpoint: server.endpoint, retry: QUICK };
    const opened = await openSource(again[0], { ...options, parts: again[1] });
    assert.deepEqual(await readAll(opened), wanted);
    const other = { ...source.parts[0]!, version: "0".repeat(64) };
    await assert.rejects(
      Array.fromAsync(opened.read(other)),
      new UserError(
        `hf:${REPOSITORY}: expected ${other.name} of version 000000000000, found it changed: ` +
          "start again",
      ),
    );
  });
});

Deno.test("openHubSource() with a limit asks for the text of the first rows only", async () => {
  await withDataset(async (server, folder) => {
    for (const limit of [1, 50, 60, 130, 200]) {
      const source = await open(server, folder, { limit });
      assert.deepEqual(await readAll(source), wanted.slice(0, limit), `limit ${limit}`);
      assert.equal(source.heldOutDocuments, Math.floor(limit / 10));
    }
    const asked = server.requests.filter(({ path }) => path.endsWith(paths[2]!));
    assert.deepEqual(asked, [], "the third shard is not touched");
    assert.ok(
      server.requests.every(({ path, range }) => range !== null || path.startsWith("/api/")),
    );
  });
});

Deno.test("heldOutRows() holds out the paper's rows, of a sample a tenth", () => {
  assert.deepEqual([9_672_101, 500_000, 50_000, 15, 9, 2, 1, 0].map(heldOutRows), [
    50_000,
    50_000,
    5_000,
    1,
    1,
    1,
    0,
    0,
  ]);
});

Deno.test("a HubSource's items() are whole shards, or row groups of what is wanted in part", async () => {
  await withDataset(async (server, folder) => {
    const names = async (limit?: number) =>
      (await (await open(server, folder, limit === undefined ? {} : { limit })).items())
        .map(({ name, isThere }) => [name, isThere]);
    assert.deepEqual(await names(150), [[paths[0], false], [`${paths[1]}#0`, false]]);
    await fetchAll(await open(server, folder, { limit: 150 }));
    assert.deepEqual(await names(150), [[paths[0], true], [`${paths[1]}#0`, true]]);
    assert.deepEqual(await names(), [[paths[0], true], [paths[1], false], [paths[2], false]]);
    await fetchAll(await open(server, folder));
    const stored = await filesBelow(folder);
    for (const path of paths) {
      const bytes = Buffer.from(files[path]!).toString("base64");
      assert.equal(stored.get(`/hub/owner--name/${COMMIT}/${path}`), bytes);
    }
    assert.ok([...stored.keys()].every((name) => !name.endsWith(".part")));
  });
});

/** What a server does to some requests for files; the API is left alone. */
const toFiles = (misbehave: Misbehaviour): Misbehaviour => (request, seen) =>
  request.url.includes("/api/") ? undefined : misbehave(request, seen);

const flip = (body: Uint8Array): Uint8Array =>
  body.map((byte, i) => i % 97 === 50 ? byte ^ 255 : byte);

const FAULTS: readonly (readonly [what: string, Misbehaviour])[] = [
  [
    "drops connections",
    (_, { count, proper }) => count % 3 > 0 ? brokenOff(proper(), 3000) : undefined,
  ],
  [
    "truncates",
    (_, { count, proper }) =>
      count % 2 > 0 ? changed(proper(), (body) => body.slice(0, body.length >> 1)) : undefined,
  ],
  [
    "answers 429 and 500 in turn",
    (_, { count }) =>
      count % 3 > 0
        ? new Response("", { status: [429, 500][count % 2]!, headers: { "retry-after": "0" } })
        : undefined,
  ],
  [
    "sends damaged pages at first",
    (_, { count, proper }) => count === 2 ? changed(proper(), flip) : undefined,
  ],
];

for (const [what, misbehave] of FAULTS) {
  Deno.test(`a HubSource loses and doubles nothing when the Hub ${what}`, async () => {
    await withDataset(async (sound, whole) => {
      await fetchAll(await open(sound, whole));
      await fetchAll(await open(sound, whole, { limit: 180 }));
      await withDataset(async (server, folder) => {
        server.misbehave = toFiles(misbehave);
        const log: string[] = [];
        await fetchAll(await open(server, folder, { log: (line) => log.push(line) }));
        assert.deepEqual(await readAll(await open(server, folder)), wanted);
        assert.deepEqual(await filesBelow(folder), await filesBelow(whole));
        assert.ok(log.length > 0, "it did misbehave");
      });
      await withDataset(async (server, folder) => {
        server.misbehave = toFiles(misbehave);
        const source = await open(server, folder, { limit: 120 });
        assert.deepEqual(await readAll(source), wanted.slice(0, 120));
      });
    });
  });
}

Deno.test("a HubSource gives up in one line when content stays damaged, and leaves no file", async () => {
  await withDataset(async (server, folder) => {
    const source = await open(server, folder);
    const few = await open(server, folder, { limit: 20 });
    server.misbehave = toFiles((_, { proper }) => changed(proper(), flip));
    const url = `${server.endpoint}/datasets/${REPOSITORY}/resolve/${COMMIT}/${paths[0]}`;
    await assert.rejects(fetchAll(source), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(
        error.message,
        /: expected its content, found SHA-256 [0-9a-f]{64} in place of [0-9a-f]{64}; gave up after 3 tries: try again later$/,
      );
      assert.ok(error.message.startsWith(url));
      return true;
    });
    await assert.rejects(fetchAll(few), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /expected its content, found .*expected Parquet, found [^\n]+$/);
      return true;
    });
    for (const [name, content] of await filesBelow(folder)) {
      assert.ok(name.endsWith(".json") || name.endsWith(".part") && content === "", name);
    }
    server.misbehave = undefined;
    await fetchAll(source);
    assert.deepEqual(await readAll(source), wanted);
  });
});

const REFUSED: readonly (readonly [what: string, bytes: () => Uint8Array, line: string])[] = [
  [
    "bytes that are no UTF-8",
    () =>
      craftedFile([{
        header: dataPage(2),
        body: plainValues(["good", Uint8Array.of(0x41, 0xff)]),
      }], { rows: 2 }),
    "row 2: expected UTF-8, found other bytes: convert the column",
  ],
  [
    "another encoding",
    () => craftedFile([{ header: dataPage(1, "DELTA_BYTE_ARRAY"), body: plainValues(["a"]) }]),
    "row 1: expected PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY, DELTA_LENGTH_BYTE_ARRAY, found " +
    "encoding DELTA_BYTE_ARRAY, which is not read: write the column with one of those",
  ],
];

for (const [what, bytes, line] of REFUSED) {
  Deno.test(`a HubSource gets what it refuses no second time: ${what}`, async () => {
    const path = "data/train.parquet";
    await withHub({ [path]: bytes() }, (server) =>
      withFiles({}, async (folder) => {
        const source = await open(server, folder);
        server.requests.length = 0;
        const refusal = await refusalOf(Array.fromAsync(source.read(source.parts[0]!)));
        assert.equal(refusal, `hf:${REPOSITORY}/${path}: ${line}`);
        assert.equal(server.requests.length, 1);
      }));
  });
}

Deno.test("a HubSource goes on with what had come when the Hub was lost", async () => {
  await withDataset(async (server, folder) => {
    const source = await open(server, folder);
    let left = 3;
    server.misbehave = toFiles((_, { proper }) =>
      left-- > 0 ? brokenOff(proper(), 2000) : new Response("", { status: 503 })
    );
    await assert.rejects(fetchAll(source), /found status 503; gave up after \d tries/);
    server.misbehave = undefined;
    server.requests.length = 0;
    await fetchAll(await open(server, folder));
    assert.equal(server.requests[0]!.range, `bytes=6000-${files[paths[0]!]!.length - 1}`);
    assert.deepEqual(await readAll(source), wanted);
  });
});

Deno.test("a HubSource's dropDamaged() removes what changed on disk, and no more", async () => {
  await withDataset(async (server, folder) => {
    const source = await open(server, folder, { limit: 180 });
    await fetchAll(source);
    const before = await filesBelow(folder);
    assert.deepEqual(await source.dropDamaged(), []);
    const base = join(folder, "hub", "owner--name", COMMIT);
    const shard = join(base, paths[0]!);
    await writeFile(shard, flip(await readFile(shard)));
    const group = join(base, `${paths[1]}.columns`, "text", "0.pages");
    await writeFile(group, flip(await readFile(group)));
    assert.deepEqual(await source.dropDamaged(), [paths[0], paths[1]]);
    await fetchAll(source);
    assert.deepEqual(await filesBelow(folder), before);
  });
});

Deno.test("openHubSource() stays with a branch's commit until it is told to look anew", async () => {
  await withDataset(async (server, folder) => {
    await open(server, folder);
    const next = "f".repeat(40);
    server.misbehave = ({ url }, { proper }) =>
      url.includes("/revision/")
        ? Response.json({ sha: next, cardData: {} })
        : url.includes(`/tree/${next}`)
        ? Response.json([{ type: "file", path: "data/x.parquet", oid: "1", size: 12 }])
        : proper();
    assert.equal((await open(server, folder)).parts.length, 7);
    await assert.rejects(open(server, folder, { refresh: true }), /data\/x\.parquet/);
  });
});

Deno.test("openHubSource() needs the Hub no more once all is on disk", async () => {
  await withFiles({}, async (folder) => {
    await withHub(files, async (server) => await fetchAll(await open(server, folder)));
    const nowhere = { endpoint: "http://127.0.0.1:9", requests: [], misbehave: undefined };
    assert.deepEqual(await readAll(await open(nowhere, folder)), wanted);
    await rm(join(folder, "hub"), { recursive: true });
    await assert.rejects(open(nowhere, folder), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(
        error.message,
        /^127\.0\.0\.1:9: expected a server that answers, found [^\n]+; check the network, or name a mirror in HF_ENDPOINT$/,
      );
      return true;
    });
  });
});

Deno.test("a HubSource's download is refused while another process is at it", async () => {
  await withDataset(async (server, folder) => {
    const source = await open(server, folder);
    const [item] = await source.items();
    const release: (() => void)[] = [];
    server.misbehave = toFiles((_, { proper }) =>
      new Promise((resolve) => release.push(() => resolve(proper())))
    );
    const first = item!.fetch();
    while (release.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await assert.rejects(item!.fetch(), /found another process that gets it: wait for its end$/);
    release[0]!();
    await first;
  });
});
