/**
 * Documents from local files and folders: `.txt` and `.md` (a file is a document), `.jsonl` (a line
 * is a document), each also compressed as `.gz`. Whatever cannot be read as that is a `UserError`
 * that names file and line; nothing is skipped silently.
 */

import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { UserError } from "../errors.ts";
import type { TextDocument } from "./document.ts";

const SUPPORTED = ".txt, .md, .jsonl, or one of these with .gz";
const LINE_FEED = 0x0a;

const unzip = promisify(gunzip);

/** `.txt`, `.md` or `.jsonl`; undefined for other files. */
function kindOf(path: string): string | undefined {
  return /\.(txt|md|jsonl)(\.gz)?$/i.exec(path)?.[1]?.toLowerCase();
}

/** Whether there is nothing under a name, as opposed to something that cannot be read. */
function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** What a file system call gives; its failure as a `UserError`. */
async function attempt<Value>(path: string, call: Promise<Value>): Promise<Value> {
  try {
    return await call;
  } catch (error) {
    const found = isMissing(error) ? "a link to nothing" : oneLine(error);
    throw new UserError(`${path}: expected a readable file or folder, found ${found}`);
  }
}

function oneLine(error: unknown): string {
  return (error as Error).message.replace(/\s+/g, " ");
}

/** The files under a folder, by path with `/`, in code-unit order. Hidden ones do not count. */
async function listFolder(folder: string): Promise<string[]> {
  const paths: string[] = [];
  const visit = async (relative: string, parents: readonly string[]) => {
    const here = join(folder, relative);
    const real = await attempt(here, realpath(here));
    if (parents.includes(real)) {
      throw new UserError(`${here}: expected a folder, found a link in a circle: remove it`);
    }
    for (const name of await attempt(here, readdir(real))) {
      if (name.startsWith(".")) continue;
      const path = relative === "" ? name : `${relative}/${name}`;
      const found = await attempt(join(folder, path), stat(join(folder, path)));
      if (found.isDirectory()) await visit(path, [...parents, real]);
      else paths.push(path);
    }
  };
  await visit("", []);
  return paths.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

async function readBytes(path: string): Promise<Uint8Array> {
  const bytes = await attempt(path, readFile(path));
  if (!/\.gz$/i.test(path)) return bytes;
  try {
    return await unzip(bytes);
  } catch (error) {
    throw new UserError(
      `${path}: expected gzip data, found ${oneLine(error)}: compress the file anew`,
    );
  }
}

/** Lines as bytes, without their ends. */
function* linesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found === -1 ? bytes.length : found;
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function parsePlain(bytes: Uint8Array, path: string, id: string): TextDocument {
  const text = decodeUtf8(bytes);
  if (text === undefined) {
    let line = 0;
    for (const lineBytes of linesOf(bytes)) {
      line++;
      if (decodeUtf8(lineBytes) === undefined) break;
    }
    throw notUtf8(path, line);
  }
  if (text.trim() === "") {
    throw new UserError(`${path}:1: expected text, found an empty file: fill or remove it`);
  }
  return { id, text };
}

function notUtf8(path: string, line: number): UserError {
  return new UserError(
    `${path}:${line}: expected UTF-8, found other bytes: convert the file (iconv -t utf-8)`,
  );
}

function parseLine(bytes: Uint8Array, path: string, line: number, textField: string) {
  const content = decodeUtf8(bytes);
  if (content === undefined) throw notUtf8(path, line);
  if (content.trim() === "") return undefined;
  let record: unknown;
  try {
    record = JSON.parse(content);
  } catch (error) {
    throw new UserError(
      `${path}:${line}: expected one JSON object a line, found broken JSON ` +
        `(${oneLine(error)})`,
    );
  }
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    throw new UserError(
      `${path}:${line}: expected a JSON object, found ${content.trim().slice(0, 40)}`,
    );
  }
  if (!Object.hasOwn(record, textField)) {
    throw new UserError(
      `${path}:${line}: expected a field "${textField}", found ` +
        `${Object.keys(record).map((key) => `"${key}"`).join(", ") || "none"}: ` +
        `name the field that holds the text`,
    );
  }
  const text = (record as Record<string, unknown>)[textField];
  if (typeof text !== "string") {
    throw new UserError(
      `${path}:${line}: expected text in field "${textField}", found ` +
        JSON.stringify(text).slice(0, 40),
    );
  }
  if (text.trim() === "") {
    throw new UserError(
      `${path}:${line}: expected text in field "${textField}", found none: remove the line`,
    );
  }
  return text;
}

function parseJsonLines(bytes: Uint8Array, path: string, id: string, textField: string) {
  const documents: TextDocument[] = [];
  let line = 0;
  for (const lineBytes of linesOf(bytes)) {
    line++;
    const text = parseLine(lineBytes, path, line, textField);
    if (text !== undefined) documents.push({ id: `${id}:${line}`, text });
  }
  if (documents.length === 0) {
    throw new UserError(`${path}:1: expected JSON lines, found an empty file: fill or remove it`);
  }
  return documents;
}

async function readDocuments(path: string, id: string, textField: string) {
  const kind = kindOf(path);
  if (kind === undefined) {
    throw new UserError(`${path}: expected ${SUPPORTED}, found another kind of file: remove it`);
  }
  const bytes = await readBytes(path);
  return kind === "jsonl"
    ? parseJsonLines(bytes, path, id, textField)
    : [parsePlain(bytes, path, id)];
}

/**
 * The documents of a file, or of all files under a folder, in the order of their paths. Ids are
 * paths relative to `source`, so that a corpus is the same wherever it lies.
 */
export async function readLocalDocuments(
  source: string,
  textField: string,
): Promise<TextDocument[]> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(source)).isDirectory();
  } catch (error) {
    if (!isMissing(error)) return await attempt(source, Promise.reject(error));
    throw new UserError(
      `${source}: expected a file, a folder or the name of a built-in corpus (sotu, tfjs), found none`,
    );
  }
  if (!isFolder) return await readDocuments(source, basename(source), textField);
  const paths = await listFolder(source);
  if (paths.length === 0) {
    throw new UserError(`${source}: expected files (${SUPPORTED}), found an empty folder`);
  }
  const documents: TextDocument[] = [];
  for (const path of paths) {
    documents.push(...await readDocuments(join(source, ...path.split("/")), path, textField));
  }
  return documents;
}
