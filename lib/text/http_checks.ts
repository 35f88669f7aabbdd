/** What of an HTTP response is as it should be, and which failures may pass. */

import { UserError } from "../errors.ts";
import { oneLine } from "./text_bytes.ts";

/** Bytes `start` to `end` (not including it) of a file of `size` bytes. */
export type RemoteRange = Readonly<{ url: string; start: number; end: number; size: number }>;

/** A failure that may pass, and how long the server says it lasts. */
export class Passing extends Error {
  constructor(message: string, readonly retryAfterMs?: number) {
    super(message);
  }
}

/** Seconds or a date, as milliseconds from now. */
export function parseRetryAfter(value: string | null, now = Date.now()): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Of a file of the Hub, what stands before `/resolve/`; else the address without its query. */
function pageOf(url: string): string {
  return url.replace(/\/resolve\/.*|\?.*/, "");
}

export function statusError(url: string, response: Response, hasToken: boolean): Error {
  const { status, headers } = response;
  if (status === 429 || status === 408 || status >= 500) {
    return new Passing(`status ${status}`, parseRetryAfter(headers.get("retry-after")));
  }
  const page = pageOf(url);
  if (status === 401 || status === 403) {
    return new UserError(
      `${url}: expected access, found status ${status}: accept the conditions at ${page} and set ` +
        `HF_TOKEN to ${hasToken ? "another token" : "a token"} that may read it`,
    );
  }
  const remedy = status === 404 ? "check the name" : "try again later";
  return new UserError(`${url}: expected a file, found status ${status}: ${remedy}`);
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Passing(`broken JSON (${oneLine(error)})`);
  }
}

/** The address of the next page that a Link header names; of the same server, as it gets the token. */
export function nextPage(url: string, link: string | null): string | undefined {
  const found = /<([^>]+)>\s*;\s*rel="?next"?/.exec(link ?? "")?.[1];
  if (found === undefined) return undefined;
  const next = new URL(found, url);
  if (next.origin === new URL(url).origin) return next.href;
  throw new UserError(`${url}: expected its next page on the same server, found ${next.origin}`);
}

/**
 * @returns how many bytes at the start of the body are not wanted: a server that knows no ranges
 * sends all, which will do where the rest of a file is wanted.
 */
export function checkRange(
  { status, headers }: Response,
  { start, end, size }: RemoteRange,
): number {
  if (status === 206) {
    const found = headers.get("content-range");
    const wanted = `bytes ${start}-${end - 1}/${size}`;
    if (found === wanted) return 0;
    throw new Passing(`"${found}" in place of "${wanted}"`);
  }
  const length = headers.get("content-length");
  if (length !== null && Number(length) !== size) {
    throw new Passing(`${length} bytes in place of ${size}`);
  }
  if (end === size) return start;
  throw new Passing("all of the file in place of a range");
}
