import type { ColumnTable } from "arquero";
import { formatTextTable } from "./text_table.ts";
import { type Displayable, htmlDisplay } from "./display.ts";

export interface TableOptions {
  /** Rows shown; default 20. */
  readonly limit?: number;
  /** Digits after the point; default 4. */
  readonly digits?: number;
}

function cellText(value: unknown, digits: number): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") {
    return Number.isInteger(value) ? String(value) : String(Number(value.toFixed(digits)));
  }
  return String(value);
}

/** An arquero table as a notebook output: its own HTML, and aligned text where HTML is not shown. */
export function tableDisplay(table: ColumnTable, options: TableOptions = {}): Displayable {
  const { limit = 20, digits = 4 } = options;
  const names = table.columnNames();
  const shown = Math.min(limit, table.numRows());
  const rows = table.objects({ limit: shown }) as Record<string, unknown>[];
  const columns = names.map((title) => ({
    title,
    align: rows.some((row) => typeof row[title] === "number") ? "right" as const : "left" as const,
  }));
  const text = formatTextTable(
    columns,
    rows.map((row) => names.map((name) => cellText(row[name], digits))),
  );
  const rest = table.numRows() - shown;
  const format = Object.fromEntries(
    names.map((name) => [name, (value: unknown) => cellText(value, digits)]),
  );
  const more = rest > 0 ? `… ${rest} more row${rest === 1 ? "" : "s"}` : "";
  return htmlDisplay(
    table.toHTML({ limit, format }) + (more && `<p>${more}</p>`),
    more ? `${text}\n${more}` : text,
  );
}
