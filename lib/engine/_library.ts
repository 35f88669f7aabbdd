/** Where TensorFlow's shared library is found on this machine. */

import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

/** The environment variable that names the library file, before every other place. */
export const LIBRARY_VARIABLE = "LIBTENSORFLOW";

const FILE_NAMES: readonly string[] = Deno.build.os === "darwin"
  ? ["libtensorflow_cc.2.dylib", "libtensorflow.2.dylib", "libtensorflow.dylib"]
  : ["libtensorflow_cc.so.2", "libtensorflow.so.2", "libtensorflow.so"];

const SYSTEM_FOLDERS: readonly string[] = Deno.build.os === "darwin"
  ? ["/usr/local/lib", "/opt/homebrew/lib"]
  : [
    "/usr/local/lib",
    "/usr/lib",
    `/usr/lib/${Deno.build.arch === "aarch64" ? "aarch64" : "x86_64"}-linux-gnu`,
  ];

export type LibrarySearch = Readonly<{
  /** The first file found, or null. */
  path: string | null;
  /** Every place that was looked at, in order, for messages. */
  searched: readonly string[];
}>;

/**
 * Looks for libtensorflow: the file that `LIBTENSORFLOW` names, the TensorFlow wheel in the
 * project's `.venv`, the system's library folders. A `LIBTENSORFLOW` that names no file is not
 * passed over: the search ends there with `path: null`.
 */
export function findTensorFlowLibrary(
  { root = fileURLToPath(new URL("../..", import.meta.url)), variable }: {
    root?: string;
    variable?: string | undefined;
  } = {},
): LibrarySearch {
  if (variable !== undefined && variable !== "") {
    const searched = [`${LIBRARY_VARIABLE}=${variable}`];
    return { path: existsSync(variable) ? variable : null, searched };
  }
  const searched: string[] = [];
  for (const folder of [...wheelFolders(join(root, ".venv", "lib")), ...SYSTEM_FOLDERS]) {
    searched.push(folder);
    for (const name of FILE_NAMES) {
      const path = join(folder, name);
      if (existsSync(path)) return { path, searched };
    }
  }
  return { path: null, searched };
}

function wheelFolders(library: string): string[] {
  const pythons = existsSync(library)
    ? readdirSync(library).filter((name) => name.startsWith("python"))
    : ["python3"];
  return pythons.map((name) => join(library, name, "site-packages", "tensorflow"));
}
