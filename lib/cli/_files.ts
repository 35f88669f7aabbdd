/** Small file helpers of the command line. */
import { createHash } from "node:crypto";

/** The file's text, or undefined when there is no such file. */
export function readTextIfPresent(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether the path leads to something; a link to nothing does not. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

export function removeIfPresent(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** The names in a folder, sorted; none when there is no such folder. */
export function listFolder(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map((entry) => entry.name).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Paths of the files below a folder that end in one of the given endings, sorted. */
export function listFilesBelow(folder: string, endings: readonly string[]): string[] {
  const found: string[] = [];
  for (const name of listFolder(folder)) {
    const path = `${folder}/${name}`;
    if (Deno.statSync(path).isDirectory) found.push(...listFilesBelow(path, endings));
    else if (endings.some((ending) => name.endsWith(ending))) found.push(path);
  }
  return found;
}

/** sha-256, hexadecimal, over parts that cannot run into each other. */
export function hashParts(parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex");
}

function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}
