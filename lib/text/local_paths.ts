/**
 * Which local files a source has: one file, those under a folder, or those a pattern fits
 * (`texts/*.jsonl`, `texts/**`). Nothing outside of that folder is read, whatever its links say.
 */

import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, matchesGlob, resolve, sep } from "node:path";
import { UserError } from "../errors.ts";
import { oneLine } from "./text_bytes.ts";

export const SUPPORTED = ".txt, .md, .jsonl, .parquet, or one of these with .gz or .zst";

const WILDCARD = /[*?[{]/;

const KINDS = ["txt", "md", "jsonl", "parquet"] as const;
export type FileKind = Readonly<{
  kind: typeof KINDS[number];
  compression: "none" | "gzip" | "Zstandard";
}>;

export type LocalFiles = Readonly<{
  /** What the names are relative to. */
  folder: string;
  /** Paths with `/`, in code-unit order. */
  names: readonly string[];
}>;

/** What a file is by its name. @throws UserError for other files. */
export function fileKind(path: string): FileKind {
  const [, kind, ending] = /\.(txt|md|jsonl|parquet)(\.gz|\.zst)?$/i.exec(path.toLowerCase()) ?? [];
  if (kind === undefined) {
    throw new UserError(
      `${path}: expected ${SUPPORTED}, found another kind of file: remove it, or name a pattern such as 'texts/**/*.md'`,
    );
  }
  return {
    kind: kind as FileKind["kind"],
    compression: ending === undefined ? "none" : ending === ".gz" ? "gzip" : "Zstandard",
  };
}

/** Whether there is nothing under a name, as opposed to something that cannot be read. */
export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** What a file system call gives; its failure as a `UserError`. */
export async function attempt<Value>(path: string, call: Promise<Value>): Promise<Value> {
  try {
    return await call;
  } catch (error) {
    const found = isMissing(error) ? "a link to nothing" : oneLine(error);
    throw new UserError(`${path}: expected a readable file or folder, found ${found}`);
  }
}

/** The files under a folder, by path with `/`, in code-unit order. Hidden ones do not count. */
async function listFolder(folder: string, depth: number): Promise<string[]> {
  const paths: string[] = [];
  const root = await attempt(folder, realpath(folder));
  const isInside = (path: string) => path === root || path.startsWith(join(root, sep));
  const visit = async (relative: string, parents: readonly string[]) => {
    const here = join(folder, relative);
    const real = await attempt(here, realpath(here));
    if (parents.includes(real)) {
      throw new UserError(`${here}: expected a folder, found a link in a circle: remove it`);
    }
    for (const entry of await attempt(here, readdir(real, { withFileTypes: true }))) {
      if (entry.name.startsWith(".")) continue;
      const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
      const full = join(folder, path);
      if (entry.isSymbolicLink() && !isInside(await attempt(full, realpath(full)))) {
        throw new UserError(
          `${full}: expected a file within ${folder}, found a link out of it: copy what it leads to`,
        );
      }
      const isFolder = entry.isSymbolicLink()
        ? (await attempt(full, stat(full))).isDirectory()
        : entry.isDirectory();
      if (!isFolder) paths.push(path);
      else if (path.split("/").length < depth) await visit(path, [...parents, real]);
    }
  };
  await visit("", []);
  return paths.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** What a source is called: the file without its endings, the folder, or that of the pattern. */
export function localName(source: string): string {
  const segments = source.split("/");
  const first = segments.findIndex((segment) => WILDCARD.test(segment));
  const path = first === -1 ? source : segments.slice(0, first).join("/");
  return basename(resolve(path)).replace(/(\.(txt|md|jsonl|parquet))?(\.gz|\.zst)?$/i, "");
}

/** The files that fit a pattern, under the folder that it names before its first wildcard. */
async function listPattern(pattern: string): Promise<LocalFiles> {
  const segments = pattern.split(sep === "\\" ? /[\\/]/ : "/");
  const first = segments.findIndex((segment) => WILDCARD.test(segment));
  const rest = segments.slice(first);
  if (rest.includes("..")) {
    throw new UserError(
      `${pattern}: expected a pattern that stays in its folder, found ".." after a wildcard`,
    );
  }
  const folder = segments.slice(0, first).join("/") || (first === 0 ? "." : "/");
  const depth = rest.some((segment) => segment.includes("**")) ? Infinity : rest.length;
  let names: string[] = [];
  try {
    if ((await stat(folder)).isDirectory()) names = await listFolder(folder, depth);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  names = names.filter((name) => matchesGlob(name, rest.join("/")));
  if (names.length === 0) {
    throw new UserError(`${pattern}: expected files that fit the pattern, found none in ${folder}`);
  }
  return { folder, names };
}

/**
 * The files of a source, of supported kinds all of them.
 *
 * @throws UserError for what is not there, is no text, or lies outside.
 */
export async function listLocalFiles(source: string): Promise<LocalFiles> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(source)).isDirectory();
  } catch (error) {
    if (!isMissing(error)) return await attempt(source, Promise.reject(error));
    if (WILDCARD.test(source)) return checkKinds(await listPattern(source));
    throw new UserError(
      `${source}: expected a file, a folder, a pattern or a name (sotu, tfjs, fineweb-edu, finemath, hf:…), found none`,
    );
  }
  if (!isFolder) return checkKinds({ folder: dirname(source), names: [basename(source)] }, source);
  const names = await listFolder(source, Infinity);
  if (names.length === 0) {
    throw new UserError(`${source}: expected files (${SUPPORTED}), found an empty folder`);
  }
  return checkKinds({ folder: source, names });
}

function checkKinds(files: LocalFiles, only?: string): LocalFiles {
  for (const name of files.names) fileKind(only ?? join(files.folder, name));
  return files;
}

/**
 * The path of a file of a source.
 *
 * @throws UserError for a name that climbs out of the folder.
 */
export function localPath(folder: string, name: string): string {
  if (!name.split("/").includes("..")) return join(folder, ...name.split("/"));
  throw new UserError(`${name}: expected a file within ${folder}, found a path out of it`);
}
