import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { COMMIT, type HubServer, withHub } from "../text/_hub_server.ts";
import { parquetFile } from "../text/_parquet.ts";
import { withFiles } from "../text/_temporary.ts";
import { dataTask } from "./_data_task.ts";

const path = "data/train-00000.parquet";
const texts = Array.from(
  { length: 200 },
  (_, i) => `Document ${i}: ${"some words ".repeat(i % 40)}`,
);
const files = { [path]: parquetFile(texts, { rowGroupSize: 50 }) };

async function data(folder: string, argv: readonly string[], env?: Record<string, string>) {
  const { code, stdout, stderr } = await (await dataTask(folder, argv, env)).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  // Deno says so where another process of it starts at the same time.
  const said = decode(stderr).replaceAll(/^.*Blocking waiting for file lock.*\n/gm, "");
  return { code, stdout: decode(stdout), stderr: said };
}

const withServer = (use: (folder: string, server: HubServer) => Promise<void>) =>
  withHub(files, (server) => withFiles({}, (folder) => use(folder, server)));

async function cached(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, ".cache", "hub"), { recursive: true });
  return names.filter((name) => /\.(parquet|pages|part)$/.test(name)).toSorted();
}

Deno.test("deno task data fetch gets a sample, with its token, and then has it", () =>
  withServer(async (folder, server) => {
    const env = { HF_ENDPOINT: `${server.endpoint}/`, HF_TOKEN: "secret" };
    const sample = ["fetch", "hf:owner/name", "--limit", "70"];
    const dry = await data(folder, ["--", ...sample, "--dry-run"], env);
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, /^hf:owner\/name: 70 documents, (.+); \1 of it would be got\n$/);
    assert.deepEqual(await cached(folder), []);

    const { code, stdout, stderr } = await data(folder, sample, env);
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^hf:owner\/name: 70 documents, [\d.]+ k?B, the first 7 held out, licence odc-by\n$/,
    );
    assert.match(stderr, /^fetching, data\/train-00000\.parquet#1.* · MB 0\.1\/0\.1 · done$/m);
    const folderOf = `owner--name/${COMMIT}/${path}.columns/text`;
    assert.deepEqual(await cached(folder), [`${folderOf}/0.pages`, `${folderOf}/1.pages`]);
    assert.ok(server.requests.every(({ authorization }) => authorization === "Bearer secret"));

    const asked = server.requests.length;
    assert.equal((await data(folder, sample, env)).stdout, stdout);
    assert.equal(server.requests.length, asked);
  }));

Deno.test("deno task data fetch stops at Ctrl-C, and goes on where it stopped", () =>
  withServer(async (folder, server) => {
    const bytes = files[path]!;
    const env = { HF_ENDPOINT: server.endpoint };
    let release = () => {};
    let isHalf = () => {};
    const half = new Promise<void>((resolve) => isHalf = resolve);
    server.misbehave = (request, { proper }) => {
      if (request.headers.get("range") !== `bytes=0-${bytes.length - 1}`) return undefined;
      const body = new ReadableStream({
        async start(controller) {
          controller.enqueue(bytes.slice(0, 1000));
          isHalf();
          await new Promise<void>((resolve) => release = resolve);
          controller.close();
        },
      });
      return new Response(body, proper());
    };
    const child = (await dataTask(folder, ["fetch", "hf:owner/name"], env)).spawn();
    const ended = child.output();
    await half;
    while (!(await cached(folder)).some((name) => name.endsWith(".part"))) await pause(20);
    await pause(300);
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    release();
    const said = new TextDecoder().decode(stderr);
    assert.equal(code, 130, said);
    assert.match(said, /^stopped: the same command goes on from here$/m);
    server.misbehave = undefined;
    server.requests.length = 0;
    const again = await data(folder, ["fetch", "hf:owner/name"], env);
    assert.equal(again.code, 0, again.stderr);
    assert.equal(server.requests[0]!.range, `bytes=1000-${bytes.length - 1}`);
    assert.deepEqual(await cached(folder), [`owner--name/${COMMIT}/${path}`]);
    const stored = await Deno.readFile(join(folder, ".cache/hub", `owner--name/${COMMIT}/${path}`));
    assert.ok(Buffer.from(stored).equals(bytes));
  }));

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

Deno.test("deno task data fetch --check gets anew what is damaged", () =>
  withServer(async (folder, server) => {
    const env = { HF_ENDPOINT: server.endpoint };
    const command = ["fetch", "hf:owner/name"];
    assert.equal((await data(folder, command, env)).code, 0);
    const stored = join(folder, ".cache/hub", `owner--name/${COMMIT}/${path}`);
    await writeFile(stored, new Uint8Array(files[path]!.length));
    const { code, stderr } = await data(folder, [...command, "--check"], env);
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`^${path}: was damaged$`, "m"));
    assert.ok(Buffer.from(await Deno.readFile(stored)).equals(files[path]!));
  }));

Deno.test("deno task data says in one line what is wrong", () =>
  withServer(async (folder, server) => {
    const env = { HF_ENDPOINT: server.endpoint };
    const cases: readonly (readonly [argv: string[], code: number, said: RegExp, env?: object])[] =
      [
        [
          ["ftech"],
          2,
          /unknown subcommand "ftech", did you mean fetch\? Known: list, fetch, stats/,
        ],
        [["fetch", folder], 2, /expected a dataset of the Hub, found what is on this disk already/],
        [["fetch", "hf:owner"], 1, /expected hf:OWNER\/NAME, .*, found hf:owner/],
        [["fetch", "hf:no/thing"], 1, /expected a file, found status 404: check the name/],
        [["fetch", "hf:a/b"], 1, /HF_ENDPOINT: expected an address .*, found ftp:/, {
          HF_ENDPOINT: "ftp://x",
        }],
        [
          ["stats", join(folder, "none")],
          1,
          /expected a file, a folder, a pattern or a name \(sotu, tfjs, .*\), found none/,
        ],
        [
          ["stats", "sotu", "--tokenizer", "none.json"],
          1,
          /none\.json: expected a tokenizer\.json, found none; make one with/,
        ],
      ];
    for (const [argv, code, said, more] of cases) {
      const result = await data(folder, argv, { ...env, ...more });
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, said);
      assert.match(result.stderr, /^error: [^\n]+\n$/);
    }
  }));

Deno.test("deno task data stats measures a folder and a dataset", () =>
  withServer(async (folder, server) => {
    const lines = [...texts, texts[0]!].map((text) => JSON.stringify({ body: text })).join("\n");
    await writeFile(join(folder, "a.jsonl"), lines);
    const field = ["--text-field", "body", "--vocabulary", "280", "--json"];
    const { code, stdout, stderr } = await data(folder, ["stats", "a.jsonl", ...field]);
    assert.equal(code, 0, stderr);
    const stats = JSON.parse(stdout);
    const all = [...texts, texts[0]!];
    assert.equal(stats.documents, 201);
    assert.equal(stats.bytes, Buffer.byteLength(all.join("")));
    assert.equal(stats.vocabulary, 280);
    assert.ok(stats.tokens > 0 && stats.tokens < stats.bytes);
    assert.equal(stats.duplicateShare, 1 - new Set(all).size / all.length);
    assert.ok(stats.gzipRatio > 5 && stats.zstdRatio > 5);
    const counted = stats.lengths.reduce(
      (sum: number, bin: { documents: number }) => sum + bin.documents,
      0,
    );
    assert.equal(counted, 201);

    const hub = await data(folder, ["stats", "hf:owner/name", "--vocabulary", "280"], {
      HF_ENDPOINT: server.endpoint,
    });
    assert.equal(hub.code, 0, hub.stderr);
    assert.match(hub.stdout, /^documents +200$/m);
    assert.match(hub.stdout, /^licence +odc-by$/m);
    assert.match(hub.stdout, /^bytes per token +\d\.\d{3}$/m);
    assert.match(hub.stdout, /^ *tokens +documents +share/m);
  }));

Deno.test("deno task data list shows every source with its command", () =>
  withServer(async (folder) => {
    const { code, stdout, stderr } = await data(folder, ["list"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^fineweb-edu +9,672,101 +28\.5 GB +odc-by .*data -- fetch fineweb-edu$/m);
    assert.match(stdout, /^sotu +233 +10\.8 MB +Apache-2\.0/m);
    assert.match(stdout, /^tfjs +818 +3\.6 MB +MIT and Apache-2\.0/m);
    const json = JSON.parse((await data(folder, ["list", "--json"])).stdout);
    assert.deepEqual(Object.keys(json), ["sotu", "tfjs", "fineweb-edu", "finemath"]);
  }));
