/**
 * What compressors without a model make of a text: those that are on this machine, run on it, each
 * result decoded again and compared byte by byte.
 */

import { Buffer } from "node:buffer";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../errors.ts";

export type ClassicalRecord = Readonly<{
  /** With its level, e.g. `xz -9e`. */
  name: string;
  version: string;
  /** What was run, in a folder where the text is the file `original`. */
  command: string;
  /** Of the file it wrote, headers and checksums included; of 7-Zip, of the archive. */
  bytes: number;
  /** Wall-clock time of one run, the start of the process included. */
  encodeSeconds: number;
  decodeSeconds: number;
}>;

/** A compressor that is not on this machine, and the Debian package that brings it. */
export type AbsentCompressor = Readonly<{ name: string; debianPackage: string }>;

export type ClassicalResults = Readonly<{
  /** In the order of {@linkcode classicalCompressors}' list, gzip first. */
  records: readonly ClassicalRecord[];
  absent: readonly AbsentCompressor[];
}>;

type Compressor = Readonly<{
  name: string;
  /** Names of the program; the first that is there is run. */
  programs: readonly string[];
  debianPackage: string;
  /** What makes it say its version. */
  versionArgs: readonly string[];
  /** Makes `packed` of the file `original`. */
  encodeArgs: readonly string[];
  packed: string;
  /** Writes the original of `packed` to standard output. */
  decodeArgs: readonly string[];
}>;

const ORIGINAL = "original";

/** For programs that are used alike: a level, and a file ending. */
function plain(
  program: string,
  levelArgs: readonly string[],
  ending: string,
  more: Partial<Compressor> = {},
): Compressor {
  const packed = `${ORIGINAL}.${ending}`;
  return {
    name: [program, ...levelArgs].join(" "),
    programs: [program],
    debianPackage: program,
    versionArgs: ["--version"],
    encodeArgs: [...levelArgs, "-k", ORIGINAL],
    packed,
    decodeArgs: ["-d", "-c", packed],
    ...more,
  };
}

/** PPMd keeps statistics of so many bytes of context, in so much memory. */
function sevenZip(order: number, memory: string): Compressor {
  const packed = "packed.7z";
  return {
    name: `7-Zip PPMd o=${order}`,
    programs: ["7zz", "7z", "7za"],
    debianPackage: "7zip",
    versionArgs: ["i"],
    encodeArgs: ["a", "-bd", `-m0=PPMd:o=${order}:mem=${memory}`, packed, ORIGINAL],
    packed,
    decodeArgs: ["e", "-so", packed],
  };
}

/**
 * Each at its strongest, on one thread. PPMd twice: what 7-Zip takes at -mx=9, and an order that
 * suits texts of up to some megabytes better.
 */
const COMPRESSORS: readonly Compressor[] = [
  // Without the file's name and time.
  plain("gzip", ["-9"], "gz", { encodeArgs: ["-9", "-n", "-k", ORIGINAL] }),
  plain("bzip2", ["-9"], "bz2", { versionArgs: ["--help"] }),
  plain("xz", ["-9e"], "xz", {
    debianPackage: "xz-utils",
    encodeArgs: ["-9e", "-T1", "-k", ORIGINAL],
  }),
  plain("zstd", ["-19"], "zst", { encodeArgs: ["-q", "-19", ORIGINAL] }),
  plain("zstd", ["--ultra", "-22"], "zst", { encodeArgs: ["-q", "--ultra", "-22", ORIGINAL] }),
  // The largest window that every decoder of the format takes (RFC 7932).
  plain("brotli", ["-q", "11"], "br", { encodeArgs: ["-q", "11", "-w", "24", ORIGINAL] }),
  sevenZip(32, "192m"),
  sevenZip(10, "256m"),
];

/** Programs that {@linkcode classicalCompressors} may run. */
export const CLASSICAL_PROGRAMS: readonly string[] = [
  ...new Set(COMPRESSORS.flatMap(({ programs }) => programs)),
];

export type ClassicalOptions = Readonly<{
  /** By their names; all by default. */
  only?: readonly string[] | undefined;
  /** Aborting it ends the work with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Before each compressor: how many have been run. */
  onProgress?:
    | ((progress: Readonly<{ name: string; done: number; total: number }>) => Promise<void> | void)
    | undefined;
}>;

/**
 * Runs every compressor that is there on a text, one after the other, in a temporary folder.
 *
 * @throws UserError for a compressor that fails or whose file does not give the text back.
 */
export async function classicalCompressors(
  original: Uint8Array,
  { only, signal, onProgress }: ClassicalOptions = {},
): Promise<ClassicalResults> {
  const compressors = COMPRESSORS.filter(({ name }) => only?.includes(name) ?? true);
  const records: ClassicalRecord[] = [];
  const absent: AbsentCompressor[] = [];
  const folder = await Deno.makeTempDir({ prefix: "compressors-" });
  try {
    await Deno.writeFile(join(folder, ORIGINAL), original);
    for (const [done, compressor] of compressors.entries()) {
      const { name, debianPackage } = compressor;
      await onProgress?.({ name, done, total: compressors.length });
      const found = await findProgram(compressor, { folder, signal });
      if (found === null) absent.push({ name, debianPackage });
      else records.push(await measure(compressor, found, original, { folder, signal }));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { records, absent };
}

type Place = Readonly<{ folder: string; signal: AbortSignal | undefined }>;

type Program = Readonly<{ program: string; version: string }>;

async function findProgram(
  { programs, versionArgs }: Compressor,
  place: Place,
): Promise<Program | null> {
  for (const program of programs) {
    try {
      const { stdout, stderr } = await run(program, versionArgs, place);
      const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
      return { program, version: /\d+(\.\d+)+/.exec(said)?.[0] ?? "of unknown version" };
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

async function measure(
  { name, encodeArgs, packed, decodeArgs }: Compressor,
  { program, version }: Program,
  original: Uint8Array,
  place: Place,
): Promise<ClassicalRecord> {
  const encoded = await succeed(name, program, encodeArgs, place);
  const path = join(place.folder, packed);
  const { size: bytes } = await Deno.stat(path);
  const decoded = await succeed(name, program, decodeArgs, place);
  await Deno.remove(path);
  if (Buffer.compare(decoded.stdout, original) !== 0) {
    throw new UserError(
      `${name}: expected the original to come back, found other bytes; check the program ${program}`,
    );
  }
  return {
    name,
    version,
    command: [program, ...encodeArgs].join(" "),
    bytes,
    encodeSeconds: encoded.seconds,
    decodeSeconds: decoded.seconds,
  };
}

/** @throws UserError for a program that does not end well. */
async function succeed(
  name: string,
  program: string,
  args: readonly string[],
  place: Place,
): Promise<Finished> {
  const finished = await run(program, args, place);
  if (finished.code === 0) return finished;
  const reason = new TextDecoder().decode(finished.stderr).trim().split("\n", 1)[0]!;
  throw new UserError(
    `${name}: expected ${[program, ...args].join(" ")} to succeed, found exit code ` +
      `${finished.code}${reason === "" ? "" : ` (${reason})`}; repair or remove the program`,
  );
}

type Finished = Readonly<{
  code: number;
  stdout: Uint8Array;
  stderr: Uint8Array;
  seconds: number;
}>;

/** @throws Deno.errors.NotFound when there is no such program. */
async function run(
  program: string,
  args: readonly string[],
  { folder, signal }: Place,
): Promise<Finished> {
  signal?.throwIfAborted();
  const start = performance.now();
  const command = new Deno.Command(program, {
    args: [...args],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(signal && { signal }),
    // The terminal's Ctrl-C comes through the signal: a program that it ends has not failed.
    detached: Deno.build.os !== "windows",
  });
  const { code, stdout, stderr } = await untilAborted(command.output(), signal);
  return { code, stdout, stderr, seconds: (performance.now() - start) / 1000 };
}

/** Does not wait for what a program has started itself, as 7z does where it is a script. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
