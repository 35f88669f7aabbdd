/**
 * A range of a remote file as a local one: it has its name only when it is whole and checked. What
 * has come of it before stays, and the next call goes on from there.
 */

import { createHash } from "node:crypto";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { UserError } from "../errors.ts";
import type { HttpClient } from "./http.ts";
import type { RemoteRange } from "./http_checks.ts";
import { isMissing } from "./local_paths.ts";
import { DamagedError } from "./parquet_pages.ts";
import { oneLine } from "./text_bytes.ts";

export type DownloadOptions = Readonly<{
  client: HttpClient;
  /** What its content must have. */
  sha256?: string;
  /**
   * Looks at the whole content before it gets its name. A `DamagedError` is reason to get it anew;
   * what else it throws would be the same again.
   */
  check?: (path: string) => Promise<void>;
  /** Receives how many bytes of the range there are. */
  onBytes?: (bytes: number) => void;
  log?: (line: string) => void;
}>;

/** The ending of what has not come whole. */
export const PARTIAL_ENDING = ".part";
/** How often damaged content is got anew. */
export const TRIES = 3;
const READ_BYTES = 2 ** 20;

export async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** SHA-256 (hexadecimal) of a file's content. */
export async function hashFile(path: string): Promise<string> {
  using file = await Deno.open(path);
  const hash = createHash("sha256");
  await hashRest(file, hash);
  return hash.digest("hex");
}

async function hashRest(file: Deno.FsFile, hash: ReturnType<typeof createHash>): Promise<number> {
  const buffer = new Uint8Array(READ_BYTES);
  let bytes = 0;
  for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
    hash.update(buffer.subarray(0, read));
    bytes += read;
  }
  return bytes;
}

/** What a call to the disk gives; its failure as a `UserError`. */
async function onDisk<Value>(path: string, call: () => Promise<Value>): Promise<Value> {
  try {
    return await call();
  } catch (error) {
    throw new UserError(
      `${path}: expected a file to write to, found ${
        oneLine(error)
      }: make room, or write elsewhere`,
    );
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/** Gets what is missing of the range into an open file. @returns what is wrong with it, if anything. */
async function complete(
  file: Deno.FsFile,
  partial: string,
  range: RemoteRange,
  { client, sha256, check, onBytes }: DownloadOptions,
): Promise<string | undefined> {
  const length = range.end - range.start;
  if ((await file.stat()).size > length) await file.truncate();
  await file.seek(0, Deno.SeekMode.Start);
  const hash = createHash("sha256");
  let bytes = await hashRest(file, hash);
  onBytes?.(bytes);
  for await (const chunk of client.range({ ...range, start: range.start + bytes })) {
    await onDisk(partial, () => writeAll(file, chunk));
    hash.update(chunk);
    onBytes?.(bytes += chunk.length);
  }
  await onDisk(partial, () => file.sync()); // a rename may reach the disk before the data does
  const found = hash.digest("hex");
  if (sha256 !== undefined && found !== sha256) return `SHA-256 ${found} in place of ${sha256}`;
  try {
    await check?.(partial);
  } catch (error) {
    if (error instanceof DamagedError) return oneLine(error);
    await file.truncate(); // Nothing vouches for what is refused.
    throw error;
  }
}

/**
 * Makes `path` the range's content, if it is not there.
 *
 * @throws UserError when the network gives up, the content stays damaged, or another process is at
 *   it, and whatever `check` refuses.
 */
export async function download(
  path: string,
  range: RemoteRange,
  options: DownloadOptions,
): Promise<void> {
  const length = range.end - range.start;
  const isThere = async () => await fileSize(path) === length;
  if (await isThere()) return options.onBytes?.(length);
  const partial = `${path}${PARTIAL_ENDING}`;
  using file = await onDisk(partial, async () => {
    await mkdir(dirname(path), { recursive: true });
    return await Deno.open(partial, { read: true, write: true, create: true });
  });
  // The lock ends with the process, however that ends.
  if (!await file.tryLock(true)) {
    throw new UserError(
      `${partial}: expected to be alone, found another process that gets it: wait for its end`,
    );
  }
  if (await isThere()) {
    await rm(partial, { force: true }); // another process had just renamed its own
    return options.onBytes?.(length);
  }
  for (let left = TRIES;;) {
    const wrong = await complete(file, partial, range, options);
    if (wrong === undefined) break;
    await file.truncate(); // to be got from its start
    if (--left === 0) {
      throw new UserError(
        `${range.url}: expected its content, found ${wrong}; gave up after ${TRIES} tries: ` +
          "try again later",
      );
    }
    options.log?.(`${range.url}: ${wrong}; getting it anew`);
  }
  await rename(partial, path);
}
