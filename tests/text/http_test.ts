import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { UserError } from "../../lib/errors.ts";
import { httpClient, type HttpOptions } from "../../lib/text/http.ts";
import { parseRetryAfter } from "../../lib/text/http_checks.ts";
import {
  brokenOff,
  changed,
  COMMIT,
  type HubServer,
  type Misbehaviour,
  QUICK,
  REPOSITORY,
  withHub,
} from "./_hub_server.ts";

const content = new Uint8Array(300_000).map((_, i) => (i * i) >> 5);
const files = { "data/a.bin": content };

function client({ endpoint }: HubServer, options: Partial<HttpOptions> = {}) {
  return httpClient({ endpoint, retry: QUICK, ...options });
}

const urlOf = (endpoint: string) =>
  `${endpoint}/datasets/${REPOSITORY}/resolve/${COMMIT}/data/a.bin`;

async function read(
  server: HubServer,
  { start = 0, end = content.length, ...options }: Partial<
    HttpOptions & { start: number; end: number }
  > = {},
): Promise<Uint8Array> {
  const range = { url: urlOf(server.endpoint), start, end, size: content.length };
  return Buffer.concat(await Array.fromAsync(client(server, options).range(range)));
}

function assertSame(found: Uint8Array, wanted: Uint8Array): void {
  assert.ok(Buffer.from(found).equals(wanted), `${found.length} bytes, wanted ${wanted.length}`);
}

Deno.test("httpClient()'s range() gives the bytes asked for", async () => {
  await withHub(files, async (server) => {
    for (const [start, end] of [[0, 300_000], [0, 1], [1, 70_000], [299_999, 300_000], [5, 5]]) {
      assertSame(await read(server, { start: start!, end: end! }), content.subarray(start, end));
    }
  });
});

/** What a server does to the first requests, and what the log says of it. */
const FAULTS: readonly (readonly [what: string, Misbehaviour, log: RegExp])[] = [
  [
    "drops connections",
    (_, { count, proper }) => count < 4 ? brokenOff(proper(), 50_000 * count) : undefined,
    /trying again in/,
  ],
  [
    "drops them before the first byte",
    (_, { count, proper }) => count < 3 ? brokenOff(proper(), 0) : undefined,
    /trying again in/,
  ],
  [
    "sends less than it says it does",
    (_, { count, proper }) =>
      count < 3 ? changed(proper(), (body) => body.slice(0, 1000)) : undefined,
    /closed with \d+ bytes to come/,
  ],
  [
    "sends more",
    (_, { count, proper }) =>
      count < 2 ? changed(proper(), (body) => new Uint8Array([...body, 1, 2, 3])) : undefined,
    /more bytes than it should have/,
  ],
  [
    "answers 429 with Retry-After in seconds",
    (_, { count }) =>
      count < 3 ? new Response("", { status: 429, headers: { "retry-after": "0" } }) : undefined,
    /status 429; trying again in 0.0 s/,
  ],
  [
    "answers 500",
    (_, { count }) => count < 4 ? new Response("", { status: 500 }) : undefined,
    /500/,
  ],
  [
    "answers 503",
    (_, { count }) => count < 2 ? new Response("", { status: 503 }) : undefined,
    /503/,
  ],
  [
    "claims another size",
    (_, { count, proper }) => {
      if (count > 1) return undefined;
      const response = proper();
      response.headers.set("content-range", "bytes 0-299999/999999");
      return response;
    },
    /"bytes 0-299999\/999999" in place of "bytes 0-299999\/300000"/,
  ],
  [
    "sends another range",
    (_, { count, proper }) => {
      if (count > 1) return undefined;
      const response = proper();
      response.headers.set("content-range", "bytes 1-300000/300000");
      return response;
    },
    /in place of "bytes 0-299999/,
  ],
];

for (const [what, misbehave, said] of FAULTS) {
  Deno.test(`httpClient()'s range() loses and doubles nothing when a server ${what}`, async () => {
    await withHub(files, async (server) => {
      server.misbehave = misbehave;
      const lines: string[] = [];
      assertSame(await read(server, { log: (line) => lines.push(line) }), content);
      assert.match(lines.join("\n"), said);
    });
  });
}

Deno.test("httpClient()'s range() goes on at the byte where it stopped", async () => {
  await withHub(files, async (server) => {
    server.misbehave = (_, { count, proper }) =>
      count === 1 ? brokenOff(proper(), 50_000) : undefined;
    await read(server);
    assert.deepEqual(
      server.requests.map(({ range }) => range),
      ["bytes=0-299999", "bytes=50000-299999"],
    );
  });
});

Deno.test("httpClient()'s range() takes all of a file for its rest, but not for a part", async () => {
  await withHub(files, async (server) => {
    server.misbehave = () => new Response(content.slice());
    assertSame(await read(server), content);
    assertSame(await read(server, { start: 200_000 }), content.subarray(200_000));
    await assert.rejects(
      read(server, { start: 0, end: 100 }),
      new UserError(
        `${urlOf(server.endpoint)}: expected a file, found all of the file in place of a range; ` +
          "gave up after 4 tries: the same command goes on from here",
      ),
    );
  });
});

Deno.test("httpClient() gives up in one line, after as many tries as it has", async () => {
  await withHub(files, async (server) => {
    server.misbehave = () => new Response("", { status: 502 });
    await assert.rejects(
      read(server),
      new UserError(
        `${urlOf(server.endpoint)}: expected a file, found status 502; gave up after 4 tries: ` +
          "the same command goes on from here",
      ),
    );
    assert.equal(server.requests.length, QUICK.attempts);
  });
});

Deno.test("httpClient() does not wait for ever when a server asks for it", async () => {
  await withHub(files, async (server) => {
    server.misbehave = () => new Response("", { status: 429, headers: { "retry-after": "86400" } });
    await assert.rejects(
      read(server),
      /found status 429, wait 86400 s; gave up after 1 try: the same command goes on from here$/,
    );
  });
});

Deno.test("httpClient() waits as long as Retry-After says", async () => {
  await withHub(files, async (server) => {
    server.misbehave = (_, { count }) =>
      count === 1 ? new Response("", { status: 429, headers: { "retry-after": "1" } }) : undefined;
    const start = performance.now();
    await read(server);
    assert.ok(performance.now() - start >= 990);
  });
});

Deno.test("parseRetryAfter() reads seconds and dates", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  assert.equal(parseRetryAfter("120", now), 120_000);
  assert.equal(parseRetryAfter("Thu, 01 Jan 2026 00:00:30 GMT", now), 30_000);
  assert.equal(parseRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", now), 0);
  assert.equal(parseRetryAfter("soon", now), undefined);
  assert.equal(parseRetryAfter(null, now), undefined);
});

Deno.test("httpClient() ends a connection on which nothing comes", async () => {
  await withHub(files, async (server) => {
    const release: (() => void)[] = [];
    server.misbehave = (_, { count, proper }) =>
      count > 1 ? undefined : new Promise((resolve) => release.push(() => resolve(proper())));
    const lines: string[] = [];
    const retry = { ...QUICK, timeoutMs: 100 };
    assertSame(await read(server, { retry, log: (line) => lines.push(line) }), content);
    assert.match(lines.join("\n"), /nothing for 0.1 s; trying again/);
    for (const end of release) end();
  });
});

for (const status of [401, 403]) {
  Deno.test(`httpClient() says what to do about status ${status}, at once`, async () => {
    await withHub(files, async (server) => {
      server.misbehave = () => new Response("", { status });
      const page = `${server.endpoint}/datasets/${REPOSITORY}`;
      await assert.rejects(
        read(server),
        new UserError(
          `${urlOf(server.endpoint)}: expected access, found status ${status}: accept the ` +
            `conditions at ${page} and set HF_TOKEN to a token that may read it`,
        ),
      );
      await assert.rejects(read(server, { token: "wrong" }), /HF_TOKEN to another token/);
      assert.equal(server.requests.length, 2);
    });
  });
}

Deno.test("httpClient() follows redirects with the range but without the token", async () => {
  await withHub(files, async (store) => {
    await withHub(files, async (server) => {
      const part = await read(server, { token: "secret", start: 100, end: 200 });
      assertSame(part, content.subarray(100, 200));
      assert.deepEqual(server.requests.map((request) => request.authorization), ["Bearer secret"]);
      assert.deepEqual(store.requests.map(({ range, authorization }) => [range, authorization]), [
        ["bytes=100-199", null],
      ]);
    }, { redirectTo: store.endpoint });
  });
});

Deno.test("httpClient() refuses endless redirects", async () => {
  await withHub(files, async (server) => {
    server.misbehave = ({ url }) => Response.redirect(url, 302);
    await assert.rejects(read(server), /expected a file, found more than 5 redirects/);
  });
});

Deno.test("httpClient()'s json() reads pages, tries broken ones again, and keeps its token", async () => {
  await withHub(files, async (server) => {
    const url = `${server.endpoint}/api/datasets/${REPOSITORY}/revision/main`;
    server.misbehave = (_, { count }) => count === 1 ? new Response('{"sha": ') : undefined;
    const { value, next } = await client(server).json(url);
    assert.equal((value as { sha: string }).sha, COMMIT);
    assert.equal(next, undefined);
    server.misbehave = () =>
      Response.json([], { headers: { link: '<http://elsewhere.test/>; rel="next"' } });
    await assert.rejects(
      client(server).json(url),
      new UserError(
        `${url}: expected its next page on the same server, found http://elsewhere.test`,
      ),
    );
  });
});

Deno.test("httpClient() stops at once when its signal aborts", async () => {
  await withHub(files, async (server) => {
    const controller = new AbortController();
    server.misbehave = () => new Response("", { status: 500 });
    const reading = read(server, {
      signal: controller.signal,
      retry: { ...QUICK, pauseMs: 60_000, mostPauseMs: 60_000 },
      log: () => controller.abort(new Error("stopped here")),
    });
    const start = performance.now();
    await assert.rejects(reading, /stopped here/);
    assert.ok(performance.now() - start < 5000);
  });
});
