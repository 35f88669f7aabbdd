/** Tables of text with aligned columns, for the terminal and for outputs without HTML. */

export interface TextColumn {
  readonly title: string;
  readonly align?: "left" | "right";
  /** Longer cells are broken at spaces; default: never. */
  readonly maxWidth?: number;
}

function lengthOf(text: string): number {
  return [...text].length;
}

/** Breaks a text at spaces into lines of at most `maxWidth` characters, but for longer words. */
export function wrapWords(text: string, maxWidth: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && lengthOf(line) + 1 + lengthOf(word) > maxWidth) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function padded(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - lengthOf(text)));
  return align === "right" ? space + text : text + space;
}

/** One line a row (more where a cell is broken), a rule under the titles, no space at line ends. */
export function formatTextTable(
  columns: readonly TextColumn[],
  rows: readonly (readonly string[])[],
): string {
  const cells = [columns.map((column) => column.title), ...rows].map((row) =>
    columns.map((column, index) => wrapWords(row[index] ?? "", column.maxWidth ?? Infinity))
  );
  const widths = columns.map((_, index) =>
    Math.max(...cells.map((row) => Math.max(...row[index]!.map(lengthOf))))
  );
  const lines = cells.map((row) => {
    const height = Math.max(...row.map((cell) => cell.length));
    return Array.from(
      { length: height },
      (_, line) =>
        columns.map((column, index) =>
          padded(row[index]![line] ?? "", widths[index]!, column.align ?? "left")
        ).join("  ").trimEnd(),
    ).join("\n");
  });
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}
