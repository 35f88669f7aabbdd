/**
 * Which Parquet files a dataset of the Hugging Face Hub has: `/api/datasets/…` gives the commit, the
 * licence and what the dataset's card says of its configurations, `…/tree/…` the files.
 */

import { matchesGlob } from "node:path";
import { UserError } from "../errors.ts";
import type { SourceDescriptor } from "./document_source.ts";
import type { HttpClient } from "./http.ts";

export type HubDescriptor = Extract<SourceDescriptor, { kind: "hub" }>;

export type HubShard = Readonly<{
  path: string;
  size: number;
  /** Of its content, if the Hub keeps it as a large file. */
  sha256?: string;
  /** Changes with the content. */
  version: string;
}>;

export type HubListing = Readonly<{
  commit: string;
  licence?: string;
  /** In the order of their paths. */
  shards: readonly HubShard[];
}>;

type Card = Readonly<{ license?: unknown; configs?: unknown }>;
type Configuration = Readonly<{ name: string; isDefault: boolean; patterns: readonly string[] }>;

const TRAIN = "train";

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function strings(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string");
}

/** The patterns of a configuration's files: those of its training split, if it has splits. */
function patternsOf(files: unknown): string[] {
  const splits = (Array.isArray(files) ? files : [files]).filter(isRecord);
  if (splits.length === 0) return strings(files);
  const train = splits.filter(({ split }) => split === TRAIN);
  return (train.length > 0 ? train : splits).flatMap(({ path }) => strings(path));
}

function configurationsOf(card: Card): Configuration[] {
  return (Array.isArray(card.configs) ? card.configs : []).filter(isRecord).flatMap((config) => {
    const { config_name: name, data_files, default: isDefault } = config;
    if (typeof name !== "string") return [];
    return [{ name, isDefault: isDefault === true, patterns: patternsOf(data_files) }];
  });
}

/** The patterns of the files asked for; a name that is no configuration's is a folder. */
function chooseFiles({ repository, configuration }: HubDescriptor, card: Card): readonly string[] {
  const all = configurationsOf(card);
  if (configuration !== undefined) {
    return all.find(({ name }) => name === configuration)?.patterns ?? [`${configuration}/**`];
  }
  if (all.length === 0) return ["**"];
  const chosen = all.find(({ isDefault }) => isDefault) ??
    all.find(({ name }) => name === "default") ?? (all.length === 1 ? all[0] : undefined);
  if (chosen !== undefined) return chosen.patterns;
  throw new UserError(
    `hf:${repository}: expected one of its configurations, found none named: take ` +
      all.slice(0, 8).map(({ name }) => `hf:${repository}/${name}`).join(", ") +
      (all.length > 8 ? ", …" : ""),
  );
}

/** The folder before a pattern's first wildcard. */
function folderOf(pattern: string): string {
  const segments = pattern.split("/").slice(0, -1);
  const first = segments.findIndex((segment) => /[*?[{]/.test(segment));
  return (first === -1 ? segments : segments.slice(0, first)).join("/");
}

/** @throws UserError for a path that would lead out of the folder it is kept in. */
function checkPath(repository: string, path: string): void {
  // deno-lint-ignore no-control-regex
  const isStrange = /[\\\x00-\x1f]|^\/|^[A-Za-z]:/.test(path);
  if (!isStrange && path.split("/").every((part) => part !== "" && !/^\.\.?$/.test(part))) return;
  throw new UserError(
    `hf:${repository}: expected paths within the dataset, found ${JSON.stringify(path)}`,
  );
}

function shardOf(repository: string, entry: Record<string, unknown>): HubShard {
  const { path, size, oid, lfs } = entry;
  const large = isRecord(lfs) ? lfs : undefined;
  const sha256 = large?.oid;
  const bytes = large?.size ?? size;
  if (typeof path !== "string" || !Number.isSafeInteger(bytes) || typeof oid !== "string") {
    throw new UserError(
      `hf:${repository}: expected files with path, size and oid, found ` +
        JSON.stringify(entry).slice(0, 120),
    );
  }
  checkPath(repository, path);
  const isHash = typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
  return {
    path,
    size: bytes as number,
    version: isHash ? sha256 : oid,
    ...(isHash && { sha256 }),
  };
}

async function listFolder(client: HttpClient, url: string, repository: string) {
  const entries: Record<string, unknown>[] = [];
  for (let page: string | undefined = url; page !== undefined;) {
    const { value, next } = await client.json(page);
    if (!Array.isArray(value)) {
      throw new UserError(`hf:${repository}: expected a list of files at ${url}, found another`);
    }
    for (const entry of value) if (isRecord(entry)) entries.push(entry);
    page = next;
  }
  return entries;
}

/**
 * Asks the Hub for a dataset's Parquet files.
 *
 * @throws UserError when there is no such dataset or configuration, or none of it is Parquet.
 */
export async function listHub(
  client: HttpClient,
  endpoint: string,
  descriptor: HubDescriptor,
): Promise<HubListing> {
  const { repository, configuration, revision } = descriptor;
  const api = `${endpoint}/api/datasets/${repository}`;
  const { value: info } = await client.json(`${api}/revision/${encodeURIComponent(revision)}`);
  const commit = isRecord(info) ? info.sha : undefined;
  if (typeof commit !== "string" || !/^[0-9a-f]{7,64}$/.test(commit)) {
    throw new UserError(`hf:${repository}: expected a commit of revision ${revision}, found none`);
  }
  const card: Card = isRecord(info) && isRecord(info.cardData) ? info.cardData : {};
  const patterns = chooseFiles(descriptor, card).map((pattern) => pattern.replace(/^\.?\//, ""));
  const shards = new Map<string, HubShard>();
  for (const folder of new Set(patterns.map(folderOf))) {
    const path = folder.split("/").map(encodeURIComponent).join("/");
    const tree = `${api}/tree/${commit}${path === "" ? "" : `/${path}`}?recursive=true`;
    for (const entry of await listFolder(client, tree, repository)) {
      if (entry.type !== "file") continue;
      const shard = shardOf(repository, entry);
      const fits = patterns.some((pattern) => matchesGlob(shard.path, pattern));
      if (fits && shard.path.endsWith(".parquet")) shards.set(shard.path, shard);
    }
  }
  if (shards.size === 0) {
    const what = configuration === undefined ? "" : `/${configuration}`;
    throw new UserError(
      `hf:${repository}${what}: expected Parquet files, found none: take another configuration, ` +
        `or what the Hub converted, hf:${repository}${what}@refs/convert/parquet`,
    );
  }
  const [licence] = strings(card.license);
  return {
    commit,
    ...(licence !== undefined && { licence }),
    shards: [...shards.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}
