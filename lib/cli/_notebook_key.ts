/** What an executed notebook depends on, as one key: the same key, the same outputs. */
import { join, relative } from "node:path";
import { hashParts, listFilesBelow, readTextIfPresent } from "./_files.ts";
import { hashSources, type Notebook } from "./_notebook_file.ts";
import type { PresetName } from "../experiments/presets.ts";
import type { Project } from "./_project.ts";

/** Variables that choose the backend, and with it the numbers. */
const backendVariables = ["KYL_BACKEND", "LIBTENSORFLOW"] as const;

/**
 * Covers the library without its command line, the stored runs and the pinned packages. Seeds are
 * part of the notebook's source and of the presets in the library.
 */
export function hashCode(project: Project): string {
  const files = [
    ...listFilesBelow(join(project.root, "lib"), [".ts"])
      .filter((path) => !relative(project.root, path).startsWith(join("lib", "cli"))),
    ...listFilesBelow(join(project.root, "data"), [".json", ".jsonl"]),
    join(project.root, "deno.json"),
    join(project.root, "deno.lock"),
  ];
  return hashParts(
    files.flatMap((path) => [relative(project.root, path), readTextIfPresent(path) ?? ""]),
  );
}

export interface NotebookKeyParts {
  /** Of `hashCode`. */
  readonly code: string;
  readonly preset: PresetName;
  /** The text in the place of the preset's, and how much of it. */
  readonly corpus?: string | undefined;
  readonly limit?: number | undefined;
  /** The TensorFlow requirement installed, or null. */
  readonly tensorflow: string | null;
}

export function notebookKey(notebook: Notebook, parts: NotebookKeyParts): string {
  return hashParts([
    hashSources(notebook),
    parts.code,
    parts.preset,
    `${parts.corpus ?? ""} ${parts.limit ?? ""}`,
    parts.tensorflow ?? "none",
    ...backendVariables.map((name) => Deno.env.get(name) ?? ""),
  ]);
}
