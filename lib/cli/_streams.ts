/** What a command reads and writes: files, or a pipe by the name `-`. */
import { dirname, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { writeFileAtomically } from "../files.ts";
import { exists } from "./_files.ts";

/** Stands for standard input or output in the place of a file's name. */
export const STANDARD = "-";

export const STANDARD_INPUT = "standard input";
const STANDARD_OUTPUT = "standard output";

/** @throws UserError for what cannot be read. */
export async function readInput(path: string, what = "a file"): Promise<Uint8Array<ArrayBuffer>> {
  if (path === STANDARD) {
    return new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
  }
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new UserError(`${path}: expected ${what} that can be read: ${reasonOf(error)}`);
  }
}

/**
 * Before any work is done: a folder that is not there is most often a slip.
 *
 * @param label Stands in the message.
 */
export function checkFolder(path: string, label = path): void {
  const folder = dirname(path);
  if (exists(folder)) return;
  throw new UserError(`${label}: expected an existing folder, found no ${folder}; make it`);
}

/** Writes a file whole or not at all. */
export async function writeOutput(
  path: string,
  content: string | Uint8Array,
  label = path,
): Promise<void> {
  try {
    await writeFileAtomically(path, content);
  } catch (error) {
    throw new UserError(`${label}: expected a file that can be written: ${reasonOf(error)}`);
  }
}

/** Where a command's result goes, and where what it says of it does. */
export type Output = Readonly<{
  /** In messages. */
  name: string;
  /** Standard error where the result itself goes to standard output. */
  say: (text: string) => void;
  write(bytes: Uint8Array): Promise<void>;
}>;

/**
 * Checks the place of a result before any work is done.
 *
 * @throws UserError for a folder that is not there, for a file that is, unless `force`, for the file
 *   that is read, and for a terminal.
 */
export function openOutput(
  path: string,
  { input, force }: { input: string; force: boolean },
): Output {
  if (path === STANDARD) {
    if (Deno.stdout.isTerminal()) {
      throw new UserError(
        `${STANDARD_OUTPUT}: expected a pipe or a file, found a terminal; name a file with -o`,
      );
    }
    return { name: STANDARD_OUTPUT, say: console.error, write: writeStandardOutput };
  }
  checkFolder(path);
  if (exists(path)) {
    if (!Deno.statSync(path).isFile) {
      throw new UserError(
        `${path}: expected a file's name, found a folder or a device; name a file with -o`,
      );
    }
    if (input !== STANDARD && Deno.realPathSync(path) === Deno.realPathSync(resolve(input))) {
      throw new UserError(
        `${path}: expected another file than the one that is read; name one with -o`,
      );
    }
    if (!force) {
      throw new UserError(
        `${path}: expected no file of this name, found one; name another with -o, or overwrite it ` +
          "with --force",
      );
    }
  }
  return { name: path, say: console.log, write: (bytes) => writeOutput(path, bytes) };
}

async function writeStandardOutput(bytes: Uint8Array): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  } catch (error) {
    throw new UserError(`${STANDARD_OUTPUT}: expected a reader of all bytes: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  return (error as Error).message.replaceAll(/\s+/g, " ");
}
