/**
 * Estimates of a corpus on disk, beside its token ids: estimating takes hours, and what is trained
 * on estimates (paper §4.6) needs the same ones again when it goes on.
 *
 * A file (lib/cache_file.ts) holds a line of JSON that says what it is of, then a float32 a token,
 * row by row, little-endian, NaN where there is no estimate. Estimates beside other tokens would
 * train a model on noise without anyone noticing, so a file that is not of the windows, model and
 * estimator asked for is an error, and so is a damaged one: neither is made anew.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { littleEndian, readCacheFile, writeCacheFile } from "../cache_file.ts";
import { UserError } from "../errors.ts";
import type { WindowIds } from "../text/mod.ts";
import type { WindowEstimates } from "./window_estimates.ts";

/** What estimates are of, beside the tokens. */
export type EntropyKey = Readonly<{
  /** The run or model that estimated, e.g. a run's id; for the truth of a source the source's key. */
  model: string;
  /** A name of `ESTIMATORS`, or `entropy`, `surprisal` or `corruption` of a known source. */
  estimator: string;
}>;

/** Its number is raised whenever this file's layout changes. */
const FORMAT = "know-your-limits entropies 1";

/** All that a file must agree in with what is asked for, in the order in which it is told. */
function identityOf({ model, estimator }: EntropyKey, { contextLength, count, ids }: WindowIds) {
  if (ids.length !== count * contextLength) {
    throw new UserError(
      `expected ${count} windows of ${contextLength} tokens, ${count * contextLength} ids, found ` +
        `${ids.length}; cut the text into windows again`,
    );
  }
  const idsSha256 = createHash("sha256").update(littleEndian(ids)).digest("hex");
  return { format: FORMAT, model, estimator, contextLength, count, idsSha256 };
}

/**
 * Where estimates are stored: `<folder>/entropies-<hash>.bin`, the hash over model, estimator, shape
 * of the windows and their ids.
 *
 * @throws UserError when the ids are not `count` windows.
 */
export function entropyPath(folder: string, key: EntropyKey, windows: WindowIds): string {
  const identity = JSON.stringify(identityOf(key, windows));
  return join(folder, `entropies-${createHash("sha256").update(identity).digest("hex")}.bin`);
}

/**
 * Stores estimates, rounded to float32, and gives the file's path.
 *
 * @param folder Where the corpus is cached too; made if need be.
 * @throws UserError when there is not one finite number or null for each token of the windows, and
 * when the folder cannot be written to.
 */
export async function writeEntropies(
  folder: string,
  key: EntropyKey,
  windows: WindowIds,
  estimates: WindowEstimates,
): Promise<string> {
  const path = entropyPath(folder, key, windows);
  const values = packEstimates(key, windows, estimates);
  const present = values.filter((value) => !Number.isNaN(value));
  const header = {
    ...identityOf(key, windows),
    // For those who look into the file; JSON's null is the mean of none.
    estimatedTokens: present.length,
    mean: present.reduce((sum, value) => sum + value, 0) / present.length,
  };
  const line = new TextEncoder().encode(`${JSON.stringify(header)}\n`);
  const content = new Uint8Array(line.length + values.byteLength);
  content.set(line);
  content.set(littleEndian(values), line.length);
  await writeCacheFile(path, content);
  return path;
}

/**
 * The estimates in a file, or null if there is none.
 *
 * @throws UserError when the file is damaged, or of another model, estimator, window shape or of
 * other tokens.
 */
export async function readEntropies(
  path: string,
  key: EntropyKey,
  windows: WindowIds,
): Promise<WindowEstimates | null> {
  const expected = identityOf(key, windows);
  const content = await readCacheFile(path);
  if (content === "absent") return null;
  const fail = (wanted: string, found: string): never => {
    throw new UserError(
      `${path}: expected ${wanted}, found ${found}; delete the file to have them estimated anew`,
    );
  };
  if (content === "damaged") return fail("estimates as they were written", "a damaged file");

  const start = content.indexOf(0x0a) + 1;
  const header = parseObject(content.subarray(0, start));
  for (const [field, value] of Object.entries(expected)) {
    if (header[field] === value) continue;
    fail(`${field} ${value}`, String(header[field] ?? "none"));
  }
  const values = new Float32Array(windows.ids.length);
  const found = content.length - start;
  if (found !== values.byteLength) {
    fail(`${values.byteLength} bytes of estimates`, String(found));
  }
  littleEndian(values).set(content.subarray(start));
  const { contextLength, count } = windows;
  return Array.from({ length: count }, (_, window) =>
    Array.from(
      values.subarray(window * contextLength, (window + 1) * contextLength),
      (value) => Number.isNaN(value) ? null : value,
    ));
}

/**
 * The estimates in store, or those that `make` gives, which are stored. They are rounded to float32
 * either way, so that a run that goes on computes what an uninterrupted one does.
 *
 * @param options `log` receives a line when they are made.
 * @throws UserError as {@linkcode readEntropies} and {@linkcode writeEntropies} do.
 */
export async function storedEntropies(
  folder: string,
  key: EntropyKey,
  windows: WindowIds,
  make: () => Promise<WindowEstimates>,
  { log = () => {} }: Readonly<{ log?: ((line: string) => void) | undefined }> = {},
): Promise<WindowEstimates> {
  const stored = await readEntropies(entropyPath(folder, key, windows), key, windows);
  if (stored !== null) return stored;
  log(`estimating ${key.estimator} of ${windows.count} windows by ${key.model}`);
  const estimates = await make();
  await writeEntropies(folder, key, windows, estimates);
  return estimates.map((row) => row.map((value) => value === null ? null : Math.fround(value)));
}

/** Estimates in a row, NaN where there is none. */
function packEstimates(
  { model, estimator }: EntropyKey,
  { contextLength, count }: WindowIds,
  estimates: WindowEstimates,
): Float32Array<ArrayBuffer> {
  const fail = (expected: string, found: string) => {
    throw new UserError(
      `${estimator} by ${model}: expected ${expected}, found ${found}; ` +
        "estimate the very windows that the estimates are stored for",
    );
  };
  if (estimates.length !== count) {
    fail(`estimates of ${count} windows`, String(estimates.length));
  }
  const values = new Float32Array(count * contextLength).fill(NaN);
  for (const [window, row] of estimates.entries()) {
    if (row.length !== contextLength) {
      fail(`${contextLength} estimates of window ${window}`, String(row.length));
    }
    for (const [position, value] of row.entries()) {
      if (value === null) continue;
      if (!Number.isFinite(Math.fround(value))) {
        fail(`a float32 or null at position ${position} of window ${window}`, String(value));
      }
      values[window * contextLength + position] = value;
    }
  }
  return values;
}

/** The fields of a JSON object; none if the text is nothing of the kind. */
function parseObject(json: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(new TextDecoder().decode(json)));
  } catch {
    return {}; // an intact file of another kind: the fields that it lacks are told
  }
}
