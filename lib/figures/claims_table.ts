/** The table "claim / paper / ours / interval / verdict": text, and HTML for a notebook. */

import { UserError } from "../errors.ts";
import type { Verdict } from "../measure/mod.ts";
import { type Displayable, escapeHtml, htmlDisplay } from "./display.ts";
import { wrapWords } from "./text_table.ts";

/** One claim of the paper beside our number. */
export interface Claim {
  /** The experiment's number in the paper's list (paper §9), e.g. `E13`. */
  readonly experiment: string;
  /** The claim in words. */
  readonly claim: string;
  /** e.g. `nats/token`, `bits/byte`. */
  readonly unit: string;
  /** The paper's number or words; null where it gives none. */
  readonly paper: number | string | null;
  /** Our number; null where the quantity does not exist at this scale. */
  readonly ours: number | null;
  /** Lower and upper end around `ours`; null without one, e.g. for one seed. */
  readonly interval: readonly [low: number, high: number] | null;
  readonly verdict: Verdict;
}

const verdictColours: Readonly<Record<Verdict, string>> = {
  "reproduced": "#00694D",
  "trend only": "#8A5A00",
  "not reproduced": "#A63A00",
  "not comparable": "#5F6368",
};

/** A number with as many digits as help: three after the point, or four significant ones. */
export function formatValue(value: number | string | null): string {
  if (value === null) return "–";
  if (typeof value === "string") return value;
  if (Number.isInteger(value)) return String(value);
  const small = value !== 0 && Math.abs(value) < 0.001;
  return small || Math.abs(value) >= 1e6 ? value.toPrecision(3) : value.toFixed(3);
}

export const claimColumns = ["claim", "paper", "ours", "interval", "verdict"] as const;

/** One row's cells, in the order of `claimColumns`. */
export function claimCells(row: Claim): readonly string[] {
  const unit = row.unit === "" ? "" : ` ${row.unit}`;
  return [
    `${row.experiment} ${row.claim}`,
    formatValue(row.paper),
    row.ours === null ? "–" : `${formatValue(row.ours)}${unit}`,
    row.interval === null
      ? "–"
      : `${formatValue(row.interval[0])} … ${formatValue(row.interval[1])}`,
    row.verdict,
  ];
}

/**
 * The table for a terminal of the given width: the claims wrap, the numbers keep their columns.
 *
 * @throws UserError when there are no rows.
 */
export function formatClaims(rows: readonly Claim[], columns = 100): string {
  if (rows.length === 0) {
    throw new UserError(
      "table of claims: expected rows, found none; run a notebook that makes some",
    );
  }
  const cells = rows.map(claimCells);
  const widths = claimColumns.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0))
  );
  const gaps = 2 * (claimColumns.length - 1);
  const others = widths.slice(1).reduce((sum, width) => sum + width, 0);
  const claimWidth = Math.max(24, Math.min(widths[0] ?? 0, columns - others - gaps));
  const layOut = (row: readonly string[]) =>
    wrapWords(row[0] ?? "", claimWidth).map((part, index) =>
      [part.padEnd(claimWidth)]
        .concat(index === 0 ? row.slice(1).map((cell, at) => cell.padEnd(widths[at + 1] ?? 0)) : [])
        .join("  ").trimEnd()
    );
  const rule = "─".repeat(claimWidth + others + gaps);
  return [...layOut(claimColumns), rule, ...cells.flatMap(layOut)].join("\n");
}

/**
 * The table for a notebook, with `formatClaims` as its text.
 *
 * @throws UserError when there are no rows.
 */
export function claimsTable(rows: readonly Claim[]): Displayable {
  const text = formatClaims(rows);
  const style = "padding:4px 10px;text-align:left;vertical-align:top;";
  const head = claimColumns.map((title) => `<th style="${style}">${title}</th>`).join("");
  const body = rows.map((row) => {
    const verdict = `font-weight:bold;color:${verdictColours[row.verdict]};`;
    const cells = claimCells(row).map((cell, index) => {
      const emphasis = claimColumns[index] === "verdict" ? verdict : "";
      return `<td style="${style}${emphasis}">${escapeHtml(cell)}</td>`;
    });
    return `<tr>${cells.join("")}</tr>`;
  });
  const table = "border-collapse:collapse;background-color:#FFFFFF;color:#222222;";
  return htmlDisplay(
    `<table style="${table}"><thead><tr>${head}</tr></thead><tbody>${
      body.join("")
    }</tbody></table>`,
    text,
  );
}
