/**
 * Datasets of the Hub on this disk, under `<cache>/hub/<owner>--<name>/`: what the Hub listed, whole
 * shards under their own paths in a folder of their commit, and beside a shard that is not there
 * whole a folder with row groups of its text column.
 */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../errors.ts";
import { readFileIfPresent, writeFileAtomically } from "../files.ts";
import { download, fileSize, hashFile, TRIES } from "./download.ts";
import { openStored } from "./file_bytes.ts";
import type { HttpClient } from "./http.ts";
import { type HubDescriptor, type HubListing, type HubShard, listHub } from "./hub_listing.ts";
import { readTextColumn, readTextGroup, type TextColumn } from "./parquet.ts";
import { DamagedError } from "./parquet_pages.ts";

export type HubCacheOptions = Readonly<{
  cacheFolder: string;
  endpoint: string;
  client: HttpClient;
  log?: (line: string) => void;
}>;

/** A stored JSON document; null if there is none. */
async function readJson<Value>(path: string): Promise<Value | null> {
  const bytes = await readFileIfPresent(path);
  if (bytes === null) return null;
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new UserError(`${path}: expected JSON, found ${(error as Error).message}: remove it`);
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, JSON.stringify(value));
}

function repositoryFolder({ cacheFolder }: HubCacheOptions, { repository }: HubDescriptor): string {
  return join(cacheFolder, "hub", repository.replace("/", "--"));
}

/**
 * What a dataset has: as it was listed before, so that a branch stays where it was and nothing is
 * asked for what is on disk, else as the Hub says.
 */
export async function cachedListing(
  descriptor: HubDescriptor,
  options: HubCacheOptions & { refresh?: boolean },
): Promise<HubListing> {
  const { configuration = "", revision } = descriptor;
  const folder = join(repositoryFolder(options, descriptor), "listings");
  const pathOf = (of: string) =>
    join(folder, `${encodeURIComponent(`${configuration}@${of}`)}.json`);
  const kept = options.refresh ? null : await readJson<HubListing>(pathOf(revision));
  if (kept !== null) return kept;
  const listing = await listHub(options.client, options.endpoint, descriptor);
  // Under the commit too, by which an opened source is known.
  for (const name of [listing.commit, revision]) await writeJson(pathOf(name), listing);
  return listing;
}

/** One shard of a dataset: its text column, from disk or from the Hub. */
export type CachedShard = Readonly<{
  shard: HubShard;
  isWhole(): Promise<boolean>;
  column(): Promise<TextColumn>;
  /** Whether a row group's text is on disk, in the whole shard or by itself. */
  hasGroup(group: number): Promise<boolean>;
  /** Gets all of the shard, checked by its SHA-256. */
  fetchWhole(onBytes?: (bytes: number) => void): Promise<void>;
  /** Gets the text of a row group, checked by decoding it. */
  fetchGroup(group: number, onBytes?: (bytes: number) => void): Promise<void>;
  /** The texts of a row group by pages; it is got first if it is not on disk. */
  readGroup(group: number): AsyncIterable<readonly string[]>;
  /** Removes what is on disk but not what came; returns whether there was any. */
  dropDamaged(): Promise<boolean>;
}>;

export function cachedShard(
  descriptor: HubDescriptor,
  { commit }: Pick<HubListing, "commit">,
  shard: HubShard,
  options: HubCacheOptions,
): CachedShard {
  const { client, endpoint, log } = options;
  const { repository, textField } = descriptor;
  const path = join(repositoryFolder(options, descriptor), commit, ...shard.path.split("/"));
  const columnFolder = join(`${path}.columns`, encodeURIComponent(textField));
  const layout = join(columnFolder, "layout.json");
  const groupPath = (group: number) => join(columnFolder, `${group}.pages`);
  const remotePath = shard.path.split("/").map(encodeURIComponent).join("/");
  const url = `${endpoint}/datasets/${repository}/resolve/${commit}/${remotePath}`;
  const name = `hf:${repository}/${shard.path}`;
  const isWhole = async () => await fileSize(path) === shard.size;

  async function readRemote(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    let at = 0;
    for await (const chunk of client.range({ url, start, end, size: shard.size })) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  async function findColumn(): Promise<TextColumn> {
    const kept = await readJson<TextColumn>(layout);
    if (kept !== null) return kept;
    const stored = await isWhole() ? await openStored(path) : undefined;
    try {
      const column = stored === undefined
        ? await readRemoteColumn()
        : await readTextColumn(stored, textField);
      await writeJson(layout, column);
      return column;
    } finally {
      await stored?.close();
    }
  }

  /** What is damaged on the way may come well the next time. */
  async function readRemoteColumn(left = TRIES): Promise<TextColumn> {
    try {
      return await readTextColumn({ name, size: shard.size, read: readRemote }, textField);
    } catch (error) {
      if (!(error instanceof DamagedError) || left === 1) throw error;
      log?.(`${error.message}; getting it anew`);
      return await readRemoteColumn(left - 1);
    }
  }

  let known: Promise<TextColumn> | undefined;
  const column = () =>
    known ??= findColumn().catch((error) => {
      known = undefined;
      throw error;
    });

  async function fetchGroup(group: number, onBytes?: (bytes: number) => void): Promise<void> {
    const found = await column();
    const { start, bytes } = found.groups[group]!;
    await download(groupPath(group), { url, start, end: start + bytes, size: shard.size }, {
      client,
      check: async (partial) => {
        // Called as the shard is: the file at this path does not stay.
        for await (const _ of readStored(partial, found, group, { start, called: name }));
      },
      ...(onBytes && { onBytes }),
      ...(log && { log }),
    });
  }

  /** Of the whole shard, or of a file that starts at `start` of it. */
  async function* readStored(
    file: string,
    found: TextColumn,
    group: number,
    { start = 0, called = file }: { start?: number; called?: string } = {},
  ) {
    const stored = await openStored(file);
    const read = (from: number, to: number) => stored.read(from - start, to - start);
    try {
      yield* readTextGroup({ ...stored, name: called, read }, found, found.groups[group]!);
    } finally {
      await stored.close();
    }
  }

  const hasGroup = async (group: number) =>
    await isWhole() ||
    await fileSize(groupPath(group)) === (await column()).groups[group]!.bytes;

  return {
    shard,
    isWhole,
    column,
    hasGroup,
    fetchGroup,
    fetchWhole: (onBytes) =>
      download(path, { url, start: 0, end: shard.size, size: shard.size }, {
        client,
        ...(shard.sha256 !== undefined && { sha256: shard.sha256 }),
        ...(onBytes && { onBytes }),
        ...(log && { log }),
      }),
    async *readGroup(group) {
      const found = await column();
      if (await isWhole()) return yield* readStored(path, found, group);
      if (!await hasGroup(group)) await fetchGroup(group);
      const { start } = found.groups[group]!;
      yield* readStored(groupPath(group), found, group, { start });
    },
    async dropDamaged() {
      await rm(layout, { force: true }); // It has no checksum: it is read anew.
      known = undefined;
      if (await isWhole()) {
        if (shard.sha256 === undefined || await hashFile(path) === shard.sha256) return false;
        await rm(path);
        return true;
      }
      let dropped = false;
      const found = await column();
      for (const [group, { start }] of found.groups.entries()) {
        if (!await hasGroup(group)) continue;
        try {
          for await (const _ of readStored(groupPath(group), found, group, { start }));
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
          await rm(groupPath(group));
          dropped = true;
        }
      }
      return dropped;
    },
  };
}
