/** Writing files so that a reader, or a run after a crash, never sees half of one. */

import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** The end of the names under which files are written; those of a killed process stay. */
export const TEMPORARY_ENDING = ".tmp";

/** Writes a file whole or not at all; makes its folder if need be. */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${crypto.randomUUID()}${TEMPORARY_ENDING}`;
  try {
    const file = await open(temporary, "w");
    try {
      await file.writeFile(content);
      await file.sync(); // a rename may reach the disk before the data does
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {}); // the first error is the one to tell
    throw error;
  }
}

/** The file's bytes, or null when there is no such file, nor a folder that could hold it. */
export async function readFileIfPresent(path: string): Promise<Uint8Array | null> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    const isMissing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isMissing) return null;
    throw error;
  }
}
