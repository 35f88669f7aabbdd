/**
 * Bytes over HTTP that arrive whole or not at all: a request that fails goes on where it stopped,
 * after a growing pause, and gives up with one line.
 */

import { UserError } from "../errors.ts";
import {
  checkRange,
  nextPage,
  parseJson,
  Passing,
  type RemoteRange,
  statusError,
} from "./http_checks.ts";
import { oneLine } from "./text_bytes.ts";

export type RetryPolicy = Readonly<{
  /** How many requests in a row may bring nothing. */
  attempts: number;
  /** The longest pause after the first failure; it doubles with each, up to `mostPauseMs`. */
  pauseMs: number;
  mostPauseMs: number;
  /** How long nothing may come. */
  timeoutMs: number;
}>;

const DEFAULT_POLICY: RetryPolicy = {
  attempts: 8,
  pauseMs: 1000,
  mostPauseMs: 60_000,
  timeoutMs: 30_000,
};
/** Longer than this is not waited for, even if a server asks for it. */
const MOST_RETRY_AFTER_MS = 600_000;
const MOST_REDIRECTS = 5;
/** What Deno's fetch says where no connection came about: no such host, nobody listens. */
const UNREACHABLE = /client error \(Connect\): (.*)$/;
/** A server that was never reached is hardly reached later. */
const FIRST_CONNECTIONS = 3;
const MOST_JSON_BYTES = 64_000_000;

export type HttpOptions = Readonly<{
  /** The token is sent to this server only, not where it redirects to. */
  endpoint: string;
  token?: string;
  retry?: Partial<RetryPolicy>;
  signal?: AbortSignal;
  /** Receives a line for each failure that is tried again. */
  log?: (line: string) => void;
}>;

export type HttpClient = Readonly<{
  /** The range's bytes, each once, in order. @throws UserError when it gives up. */
  range(range: RemoteRange): AsyncIterable<Uint8Array>;
  /** A JSON document and the address of its next page, if it has one. */
  json(url: string): Promise<{ value: unknown; next?: string }>;
}>;

export function httpClient(options: HttpOptions): HttpClient {
  const { endpoint, token, signal, log = () => {} } = options;
  const policy = { ...DEFAULT_POLICY, ...options.retry };
  const home = new URL(endpoint).origin;

  /** The response after redirects, which keep the range but not the token. */
  async function request(url: string, headers: Record<string, string>, abort: AbortSignal) {
    let at = new URL(url);
    for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
      const authorization = token !== undefined && at.origin === home
        ? { authorization: `Bearer ${token}` }
        : undefined;
      const response = await fetch(at, {
        // Compressed on the way, ranges would count other bytes.
        headers: { "accept-encoding": "identity", ...headers, ...authorization },
        redirect: "manual",
        signal: abort,
      });
      const location = response.headers.get("location");
      if (response.status < 300 || response.status >= 400 || location === null) return response;
      await response.body?.cancel();
      const next = new URL(location, at);
      if (at.protocol === "https:" && next.protocol !== "https:") {
        throw new UserError(`${url}: expected a redirect to https, found ${next.origin}`);
      }
      at = next;
    }
    throw new UserError(`${url}: expected a file, found more than ${MOST_REDIRECTS} redirects`);
  }

  /** The chunks of one response; ends it when nothing comes for too long. */
  async function* receive(
    url: string,
    headers: Record<string, string>,
    check: (response: Response) => void,
  ): AsyncGenerator<Uint8Array, Response> {
    const controller = new AbortController();
    const stop = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", stop);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const wait = () => {
      clearTimeout(timer);
      const late = new Passing(`nothing for ${policy.timeoutMs / 1000} s`);
      timer = setTimeout(() => controller.abort(late), policy.timeoutMs);
    };
    try {
      signal?.throwIfAborted();
      wait();
      const response = await request(url, headers, controller.signal);
      if (!response.ok) {
        await response.body?.cancel();
        throw statusError(url, response, token !== undefined);
      }
      check(response);
      for await (const chunk of response.body ?? []) {
        clearTimeout(timer); // Whoever takes the chunk may be slow.
        yield chunk;
        wait();
      }
      return response;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      controller.abort();
    }
  }

  /** Runs `attempt` until it ends; it says whether there was progress before it failed. */
  async function* persist<Value>(
    url: string,
    attempt: () => AsyncGenerator<Value>,
  ): AsyncGenerator<Value> {
    let mostFailures = Math.min(policy.attempts, FIRST_CONNECTIONS);
    for (let failures = 0;;) {
      try {
        for await (const value of attempt()) {
          yield value;
          failures = 0;
          mostFailures = policy.attempts;
        }
        return;
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof UserError) throw error;
        failures++;
        const unreachable = UNREACHABLE.exec(oneLine(error))?.[1];
        if (unreachable === undefined) mostFailures = policy.attempts;
        const host = new URL(url).host;
        const asked = error instanceof Passing ? error.retryAfterMs : undefined;
        const longest = Math.min(policy.mostPauseMs, policy.pauseMs * 2 ** (failures - 1));
        const pause = asked ?? longest * (0.5 + Math.random() / 2);
        if (unreachable !== undefined && failures >= mostFailures) {
          throw new UserError(
            `${host}: expected a server that answers, found ${unreachable}; check the network, or ` +
              "name a mirror in HF_ENDPOINT",
          );
        }
        if (failures >= policy.attempts || pause > MOST_RETRY_AFTER_MS) {
          const wish = asked === undefined ? "" : `, wait ${Math.ceil(asked / 1000)} s`;
          throw new UserError(
            `${url}: expected a file, found ${oneLine(error)}${wish}; gave up after ` +
              `${failures} ${failures === 1 ? "try" : "tries"}: the same command goes on from here`,
          );
        }
        const what = unreachable === undefined
          ? `${url}: ${oneLine(error)}`
          : `${host}: ${unreachable}`;
        log(`${what}; trying again in ${(pause / 1000).toFixed(1)} s`);
        await sleep(pause, signal);
      }
    }
  }

  async function* range({ url, start, end, size }: RemoteRange): AsyncGenerator<Uint8Array> {
    let at = start;
    yield* persist(url, async function* () {
      if (at >= end) return;
      let skip = 0;
      const check = (response: Response) => {
        skip = checkRange(response, { url, start: at, end, size });
      };
      for await (let chunk of receive(url, { range: `bytes=${at}-${end - 1}` }, check)) {
        if (skip > 0) {
          const skipped = Math.min(skip, chunk.length);
          skip -= skipped;
          chunk = chunk.subarray(skipped);
        }
        if (chunk.length > end - at) throw new Passing("more bytes than it should have");
        at += chunk.length;
        if (chunk.length > 0) yield chunk;
      }
      if (at < end) throw new Passing(`the connection closed with ${end - at} bytes to come`);
    });
  }

  async function json(url: string) {
    let result: { value: unknown; next?: string } | undefined;
    const all = persist(url, async function* () {
      let text = "";
      let next: string | undefined;
      const decoder = new TextDecoder();
      const chunks = receive(url, {}, ({ headers }) => next = nextPage(url, headers.get("link")));
      for await (const chunk of chunks) {
        text += decoder.decode(chunk, { stream: true });
        if (text.length > MOST_JSON_BYTES) {
          throw new UserError(
            `${url}: expected a listing, found more than ${MOST_JSON_BYTES} bytes`,
          );
        }
      }
      result = { value: parseJson(text), ...(next !== undefined && { next }) };
      yield undefined;
    });
    for await (const _ of all);
    return result!;
  }

  return { range, json };
}

async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
