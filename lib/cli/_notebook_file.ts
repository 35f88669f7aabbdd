/** Notebook files: what is in them, and the rules a committed one keeps. No kernel, no child process. */
import { Buffer } from "node:buffer";
import { basename } from "node:path";
import { UserError } from "../errors.ts";
import { hashParts } from "./_files.ts";

/** One output of a code cell, as far as it is looked at here. */
export interface NotebookOutput {
  readonly outputType: string;
  /** The MIME types of its bundle. */
  readonly mimeTypes: readonly string[];
  /** For errors: name and message. */
  readonly error: string | undefined;
}

export interface NotebookCell {
  readonly kind: "code" | "markdown" | "raw";
  readonly source: string;
  readonly tags: readonly string[];
  /** null for a cell that has not run, and for markdown. */
  readonly executionCount: number | null;
  readonly outputs: readonly NotebookOutput[];
}

export interface Notebook {
  /** File name without `.ipynb`. */
  readonly name: string;
  readonly kernel: string | undefined;
  readonly cells: readonly NotebookCell[];
  readonly sizeBytes: number;
}

/** What a committed notebook may weigh and hold. */
export const notebookLimits = {
  sizeBytes: 500_000,
  codeCells: 15,
  parameterCellWithin: 2,
} as const;

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join("");
  return typeof value === "string" ? value : "";
}

/** @throws UserError when the text is no notebook of format 4. */
export function parseNotebook(text: string, path: string): Notebook {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new UserError(`${path} is not JSON, so not a notebook`);
  }
  if (!isFields(content) || content["nbformat"] !== 4 || !Array.isArray(content["cells"])) {
    throw new UserError(`${path} is not a notebook of format 4`);
  }
  const metadata = isFields(content["metadata"]) ? content["metadata"] : {};
  const kernelspec = isFields(metadata["kernelspec"]) ? metadata["kernelspec"] : {};
  return {
    name: basename(path, ".ipynb"),
    kernel: typeof kernelspec["name"] === "string" ? kernelspec["name"] : undefined,
    cells: content["cells"].filter(isFields).map(parseCell),
    sizeBytes: Buffer.byteLength(text),
  };
}

function parseCell(cell: Fields): NotebookCell {
  const metadata = isFields(cell["metadata"]) ? cell["metadata"] : {};
  const outputs = Array.isArray(cell["outputs"]) ? cell["outputs"] : [];
  const kind = cell["cell_type"];
  return {
    kind: kind === "code" || kind === "markdown" ? kind : "raw",
    source: textOf(cell["source"]),
    tags: Array.isArray(metadata["tags"]) ? metadata["tags"].map(String) : [],
    executionCount: typeof cell["execution_count"] === "number" ? cell["execution_count"] : null,
    outputs: outputs.filter(isFields).map((output) => ({
      outputType: String(output["output_type"]),
      mimeTypes: isFields(output["data"]) ? Object.keys(output["data"]) : [],
      error: output["output_type"] === "error"
        ? `${String(output["ename"])}: ${String(output["evalue"])}`
        : undefined,
    })),
  };
}

/** The code cells that hold something, in order, numbered from 1 as a reader counts them. */
export function codeCells(
  notebook: Notebook,
): readonly { readonly number: number; readonly cell: NotebookCell }[] {
  return notebook.cells
    .filter((cell) => cell.kind === "code" && cell.source.trim() !== "")
    .map((cell, index) => ({ number: index + 1, cell }));
}

export interface JoinedCells {
  /** One module with the code of all cells. */
  readonly source: string;
  /** For each line of it, the code cell and the line in the cell, both from 1. */
  readonly origins: readonly { readonly cell: number; readonly line: number }[];
}

/** The code cells as one module: `deno check` and `deno lint` cannot read notebooks. */
export function joinCells(notebook: Notebook): JoinedCells {
  const lines: string[] = [];
  const origins: { cell: number; line: number }[] = [];
  for (const { number, cell } of codeCells(notebook)) {
    cell.source.split("\n").forEach((line, index) => {
      lines.push(line);
      origins.push({ cell: number, line: index + 1 });
    });
  }
  // Without an import or export the file would be a script, where top-level await is an error.
  lines.push("export {};");
  origins.push({ cell: codeCells(notebook).length, line: 1 });
  return { source: `${lines.join("\n")}\n`, origins };
}

/** Puts cell and line where a tool's message has the line of the joined module. */
export function locateInCells(message: string, joinedPath: string, joined: JoinedCells): string {
  const place = new RegExp(`(?:file://)?${escapeRegExp(joinedPath)}:(\\d+):(\\d+)`, "g");
  return message.replaceAll(place, (_, line: string, column: string) => {
    const origin = joined.origins[Number(line) - 1];
    return origin === undefined
      ? "the notebook"
      : `code cell ${origin.cell}, line ${origin.line}, column ${column}`;
  });
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** A hash of everything a reader wrote: the sources of all cells, in order, without outputs. */
export function hashSources(notebook: Notebook): string {
  return hashParts(notebook.cells.flatMap((cell) => [cell.kind, cell.source]));
}

/** What is wrong with how a notebook is built; nothing when it keeps the rules. */
export function structureProblems(notebook: Notebook): readonly string[] {
  const cells = codeCells(notebook);
  const problems: string[] = [];
  if (cells.length === 0) problems.push("has no code cell");
  if (cells.length > notebookLimits.codeCells) {
    problems.push(`has ${cells.length} code cells, at most ${notebookLimits.codeCells} are read`);
  }
  if (notebook.kernel !== "deno") {
    problems.push(`asks for kernel ${notebook.kernel ?? "(none)"}, expected deno`);
  }
  if (notebook.cells[0]?.kind !== "markdown") {
    problems.push("must open with a markdown cell that says what it asks");
  }
  const tagged = cells.filter(({ cell }) => cell.tags.includes("parameters"));
  if (tagged.length !== 1) {
    problems.push(`has ${tagged.length} cells tagged "parameters", expected one`);
  }
  if (tagged.some(({ number }) => number > notebookLimits.parameterCellWithin)) {
    problems.push(
      `its "parameters" cell must be among the first ${notebookLimits.parameterCellWithin} code cells`,
    );
  }
  return problems;
}

/** What is wrong with the outputs of a notebook that is committed as executed. */
export function outputProblems(notebook: Notebook): readonly string[] {
  const cells = codeCells(notebook);
  const problems: string[] = [];
  const counts = cells.map(({ cell }) => cell.executionCount);
  if (counts.every((count) => count === null)) return ["was not executed"];
  if (!counts.every((count, index) => count === index + 1)) {
    const shown = counts.map((count) => count ?? "–").join(", ");
    problems.push(`was not executed in one go from the top: the counts are ${shown}`);
  }
  for (const { number, cell } of cells) {
    const failed = cell.outputs.find((output) => output.error !== undefined);
    if (failed) problems.push(`code cell ${number} failed: ${failed.error?.split("\n")[0]}`);
  }
  const outputs = cells.flatMap(({ cell }) => cell.outputs);
  if (outputs.length === 0) problems.push("has no outputs");
  if (!outputs.some((output) => output.mimeTypes.includes("image/png"))) {
    problems.push("shows no figure with a PNG (image/png), so GitHub shows none");
  }
  const bare = outputs.filter((output) =>
    output.mimeTypes.includes("application/vnd.plotly.v1+json") &&
    !output.mimeTypes.includes("image/png")
  );
  if (bare.length > 0) problems.push(`${bare.length} plotly figures have no PNG beside them`);
  if (notebook.sizeBytes > notebookLimits.sizeBytes) {
    const kilobytes = (bytes: number) => Math.ceil(bytes / 1000);
    problems.push(
      `weighs ${kilobytes(notebook.sizeBytes)} kB, at most ${
        kilobytes(notebookLimits.sizeBytes)
      } kB are committed`,
    );
  }
  return problems;
}
