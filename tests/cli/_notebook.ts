/** A notebook that keeps every rule, to break in one place at a time. */

export interface CellDraft {
  type: "code" | "markdown";
  source: string;
  tags?: string[];
  count?: number | null;
  outputs?: unknown[];
}

export const png = { output_type: "display_data", data: { "image/png": "AA==" }, metadata: {} };

export function goodCells(): CellDraft[] {
  return [
    { type: "markdown", source: "# Which is ahead?" },
    { type: "code", source: "const preset = 1;", tags: ["parameters"], count: 1 },
    {
      type: "code",
      source: "const rows = [preset];\nrows.map((row) => row);",
      count: 2,
      outputs: [png],
    },
  ];
}

export function notebookText(cells: readonly CellDraft[], kernel = "deno"): string {
  return JSON.stringify({
    cells: cells.map(({ type, source, tags, count, outputs }, index) => ({
      cell_type: type,
      id: `cell-${index}`,
      metadata: tags === undefined ? {} : { tags },
      source: source.split(/(?<=\n)/),
      ...(type === "code" ? { execution_count: count ?? null, outputs: outputs ?? [] } : {}),
    })),
    metadata: {
      kernelspec: { display_name: "Deno", language: "typescript", name: kernel },
      language_info: { name: "typescript" },
    },
    nbformat: 4,
    nbformat_minor: 5,
  });
}
