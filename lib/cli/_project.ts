/** Where things lie in the project. Paths are absolute. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Project {
  readonly root: string;
  readonly venv: string;
  /** The venv's Python; the file exists only after `setup`. */
  readonly python: string;
  readonly notebooks: string;
  readonly cache: string;
  readonly runs: string;
  readonly out: string;
}

export function projectAt(
  root: string = dirname(dirname(dirname(fileURLToPath(import.meta.url)))),
): Project {
  const venv = join(root, ".venv");
  const python = Deno.build.os === "windows"
    ? join(venv, "Scripts", "python.exe")
    : join(venv, "bin", "python");
  return {
    root,
    venv,
    python,
    notebooks: join(root, "notebooks"),
    cache: join(root, ".cache"),
    runs: join(root, "runs"),
    out: join(root, "out"),
  };
}
