/**
 * The second built-in corpus: code. The JavaScript of TensorFlow.js as its npm packages hold it, 3.6
 * MB in 818 files (MIT and Apache-2.0), which are there wherever this library runs. Tests, bundles of
 * several files and source maps are left out, and so are the licence comments that files begin with,
 * which are all the same.
 */

import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { UserError } from "../errors.ts";
import type { TextDocument } from "./document.ts";

export const TFJS_LICENCE = "MIT and Apache-2.0";
export const TFJS_PART = { name: "tfjs", version: "4.22.0", bytes: 3_633_671, documents: 818 };

const PACKAGES = ["tfjs-core", "tfjs-layers", "tfjs-converter", "tfjs-data"] as const;

/** Folders of compiled modules, which are as they were written, one file each. */
const FOLDER = "dist";
const LEFT_OUT = /_test\.js$|(^|\/)tf-[^/]*$/;
const SOURCE_MAP = /^\/\/# sourceMappingURL=.*\n?/gm;
const LICENCE = /^\/\*\*\n \* @license[\s\S]*?\*\/\n/;

function packageFolders(): string[] {
  try {
    const umbrella = createRequire(import.meta.url).resolve("@tensorflow/tfjs/package.json");
    const { resolve } = createRequire(umbrella);
    return PACKAGES.map((name) => dirname(resolve(`@tensorflow/${name}/package.json`)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    throw new UserError(
      "expected the packages of @tensorflow/tfjs in node_modules, found none: " +
        "run `deno task setup`",
    );
  }
}

/** All modules, by package and path; ids as `tfjs-core/engine.js`. */
export async function readTfjsSource(
  folders: readonly string[] = packageFolders(),
): Promise<TextDocument[]> {
  const documents = await Promise.all(folders.map(async (folder, index) => {
    const paths = (await readdir(join(folder, FOLDER), { recursive: true }))
      .map((path) => path.replaceAll("\\", "/"))
      .filter((path) => path.endsWith(".js") && !LEFT_OUT.test(path))
      .sort((a, b) => a < b ? -1 : 1);
    return await Promise.all(paths.map(async (path) => ({
      id: `${PACKAGES[index]}/${path}`,
      text: (await readFile(join(folder, FOLDER, path), "utf8"))
        .replaceAll(SOURCE_MAP, "")
        .replace(LICENCE, ""),
    })));
  }));
  return documents.flat().filter(({ text }) => text.trim() !== "");
}
