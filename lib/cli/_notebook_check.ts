/** The checks on committed notebooks, each counted as a test: format, types, lint, structure, outputs. */
import { join } from "node:path";
import { UserError } from "../errors.ts";
import { listFolder, removeIfPresent } from "./_files.ts";
import {
  joinCells,
  type JoinedCells,
  locateInCells,
  type Notebook,
  outputProblems,
  parseNotebook,
  structureProblems,
} from "./_notebook_file.ts";
import { runChild } from "./_process.ts";
import type { Project } from "./_project.ts";

export interface CheckResult {
  readonly notebook: string;
  readonly check: string;
  /** Empty when the check passed. */
  readonly problems: readonly string[];
}

/** The notebooks of the project, by name (`00_tour`), in order. */
export function listNotebooks(project: Project): readonly string[] {
  return listFolder(project.notebooks)
    .filter((name) => name.endsWith(".ipynb"))
    .map((name) => name.replace(/\.ipynb$/, ""));
}

/**
 * The notebooks meant by words such as `00`, `00_tour` or `notebooks/00_tour.ipynb`; all of them for
 * no words.
 * @throws UserError that lists the notebooks there are.
 */
export function selectNotebooks(project: Project, words: readonly string[]): readonly string[] {
  const all = listNotebooks(project);
  if (words.length === 0) return all;
  const selected = words.map((word) => {
    const name = word.replace(/^.*[\\/]/, "").replace(/\.ipynb$/, "");
    const fits = all.filter((one) => one === name);
    const found = fits.length > 0 ? fits : all.filter((one) => one.startsWith(name));
    const [first, second] = found;
    if (first === undefined || second !== undefined) {
      const what = first === undefined ? "no notebook" : "more than one notebook";
      throw new UserError(
        `${what} fits "${word}"; there are: ${all.join(", ") || "none in notebooks/"}`,
      );
    }
    return first;
  });
  return all.filter((name) => selected.includes(name));
}

export interface CheckScope {
  /** Leaves the outputs unchecked: for work in progress. */
  readonly codeOnly: boolean;
}

/** Runs every check on every notebook named; `onResult` hears of each as it ends. */
export async function checkNotebooks(
  project: Project,
  names: readonly string[],
  scope: CheckScope,
  onResult: (result: CheckResult) => void,
): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  const report = (notebook: string, check: string, problems: readonly string[]) => {
    const result = { notebook, check, problems };
    results.push(result);
    onResult(result);
  };
  // One level below the root, so that "../lib" in a cell means the same as in notebooks/.
  const folder = join(project.root, ".notebook_cells");
  try {
    for (const name of names) {
      const path = join(project.notebooks, `${name}.ipynb`);
      const text = Deno.readTextFileSync(path);
      let notebook: Notebook;
      try {
        notebook = parseNotebook(text, path);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        report(name, "structure", [error.message]);
        continue;
      }
      report(name, "structure", structureProblems(notebook));
      Deno.mkdirSync(folder, { recursive: true });
      const copy = join(folder, `${name}.ipynb`);
      report(name, "format", await formatProblems(project, text, copy));
      const joined = joinCells(notebook);
      const module = join(folder, `${name}.ts`);
      Deno.writeTextFileSync(module, joined.source);
      report(
        name,
        "types",
        await toolProblems(project, ["check", "--quiet", module], module, joined),
      );
      const rules = join(project.root, "lib", "cli", "_notebook_lint.json");
      const lint = ["lint", "--quiet", "--config", rules, module];
      report(name, "lint", await toolProblems(project, lint, module, joined));
      if (!scope.codeOnly) report(name, "outputs", outputProblems(notebook));
    }
  } finally {
    removeIfPresent(folder);
  }
  return results;
}

/**
 * Formats a copy and compares: on notebooks `deno fmt --check` also fails for files that formatting
 * leaves as they are, unless its cache has seen them before.
 */
async function formatProblems(
  project: Project,
  text: string,
  copy: string,
): Promise<readonly string[]> {
  Deno.writeTextFileSync(copy, text);
  const { code, output } = await runChild(Deno.execPath(), ["fmt", "--quiet", copy], {
    cwd: project.root,
    env: { NO_COLOR: "1" },
  });
  if (code !== 0) return [`cannot be formatted: ${output.split("\n")[0]}`];
  return Deno.readTextFileSync(copy) === text ? [] : ["is not formatted: run deno fmt notebooks/"];
}

async function toolProblems(
  project: Project,
  args: readonly string[],
  module: string,
  joined: JoinedCells,
): Promise<readonly string[]> {
  const { code, output } = await runChild(Deno.execPath(), args, {
    cwd: project.root,
    env: { NO_COLOR: "1" },
  });
  if (code === 0) return [];
  const said = output.split("\nStack backtrace:")[0] ?? output;
  return locateInCells(said.trim(), module, joined).split("\n");
}
