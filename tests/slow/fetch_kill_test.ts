/** A download killed without warning, again and again, is in the end what was on the server. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { TEMPORARY_ENDING } from "../../lib/files.ts";
import { createRandom, type Random } from "../../lib/random.ts";
import { dataTask } from "../cli/_data_task.ts";
import { COMMIT, type HubServer, withHub } from "../text/_hub_server.ts";
import { parquetFile } from "../text/_parquet.ts";
import { withFiles } from "../text/_temporary.ts";

const KILLS = 40;
/** What is read of a shard's end at first. */
const METADATA_BYTES = 2 ** 18;

/** Bytes that compression leaves as they are. */
function randomTexts(random: Random, rows: number): string[] {
  return Array.from({ length: rows }, (_, row) =>
    `${row} ` +
    Array.from({ length: 1500 }, () => String.fromCharCode(33 + Math.floor(random.uniform() * 90)))
      .join(""));
}

/** Answers in small pieces with pauses between them, so that there is time to be killed in. */
function slowly(server: HubServer, chunkBytes: number, onFile: () => void): void {
  server.misbehave = async ({ url }, { proper }) => {
    const response = proper();
    const body = new Uint8Array(await response.arrayBuffer());
    if (!url.includes("/resolve/") || body.length <= METADATA_BYTES) {
      return new Response(body, response);
    }
    onFile();
    let at = 0;
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 15));
        controller.enqueue(body.slice(at, at + chunkBytes));
        at += chunkBytes;
        if (at >= body.length) controller.close();
      },
    });
    return new Response(stream, response);
  };
}

/** Everything in the cache but what a killed process was writing under another name. */
async function cacheOf(folder: string): Promise<Record<string, string>> {
  const hub = join(folder, ".cache", "hub");
  const found: [string, string][] = [];
  for (const entry of await readdir(hub, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith(TEMPORARY_ENDING)) continue;
    const path = join(entry.parentPath, entry.name);
    found.push([path.slice(hub.length), (await readFile(path)).toString("base64")]);
  }
  return Object.fromEntries(found.toSorted(([a], [b]) => a < b ? -1 : 1));
}

/** Whatever has its final name is whole: the bytes of the uninterrupted download. */
function assertPartOf(found: Record<string, string>, whole: Record<string, string>): number {
  let unfinished = 0;
  for (const [name, content] of Object.entries(found)) {
    if (name.endsWith(".part")) unfinished++;
    else assert.ok(content === whole[name], `${name} is not what it should be`);
  }
  return unfinished;
}

const random = createRandom(1).stream("texts");
const files = Object.fromEntries([2500, 1500, 2000].map((rows, shard) => [
  `data/train-0000${shard}.parquet`,
  parquetFile(randomTexts(random, rows), { codec: "SNAPPY", rowGroupSize: 500 }),
]));

for (const limit of [undefined, 3200]) {
  const name = limit === undefined ? "whole shards" : "a sample's row groups";
  Deno.test(`fetching ${name}, killed ${KILLS} times at random moments, ends with the same files`, () =>
    withHub(files, (server) =>
      withFiles({}, (whole) =>
        withFiles({}, async (killed) => {
          const argv = ["fetch", "hf:owner/name", ...(limit ? ["--limit", `${limit}`] : [])];
          const task = (folder: string) => dataTask(folder, argv, { HF_ENDPOINT: server.endpoint });
          const { code, stderr } = await (await task(whole)).output();
          assert.equal(code, 0, new TextDecoder().decode(stderr));
          const wanted = await cacheOf(whole);
          if (limit === undefined) {
            for (const [path, bytes] of Object.entries(files)) {
              const stored = wanted[`/owner--name/${COMMIT}/${path}`];
              assert.ok(stored === Buffer.from(bytes).toString("base64"), path);
            }
          }
          let onFile = () => {};
          slowly(server, limit === undefined ? 6000 : 2000, () => onFile());
          const moments = createRandom(2).stream(`kills ${limit}`);
          let finished = 0, unfinished = 0;
          for (let kill = 0; kill < KILLS; kill++) {
            const child = (await task(killed)).spawn();
            const ended = child.output();
            // Some moments lie in the start of the process, others from its first file on.
            let timer: ReturnType<typeof setTimeout> | undefined;
            const killWithin = (milliseconds: number) => {
              timer ??= setTimeout(() => child.kill("SIGKILL"), moments.uniform() * milliseconds);
            };
            onFile = () => killWithin(400);
            if (kill % 4 === 0) killWithin(1500);
            if ((await ended).code === 0) finished++;
            clearTimeout(timer);
            const found = await cacheOf(killed).catch(() => ({}));
            unfinished += assertPartOf(found, wanted) > 0 ? 1 : 0;
          }
          console.log(
            `of ${KILLS} runs ${finished} ended by themselves, ${unfinished} left a part`,
          );
          assert.ok(KILLS - finished >= 25, "most were killed");
          assert.ok(unfinished > KILLS / 4, "many were killed while bytes came");
          server.misbehave = undefined;
          const last = await (await task(killed)).output();
          assert.equal(last.code, 0, new TextDecoder().decode(last.stderr));
          assert.deepEqual(await cacheOf(killed), wanted);
        }))));
}
