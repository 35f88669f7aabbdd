/** `out/report/index.html`: the claims and the way to the executed notebooks. Needs no network. */
import type { ClaimRow } from "../experiments/claims.ts";
import { claimCells, claimColumns } from "../figures/claims_table.ts";
import { formatElapsed } from "./_progress.ts";

export interface ReportedNotebook {
  readonly name: string;
  /** The page's file name, or null when the notebook failed. */
  readonly page: string | null;
  readonly failure: string;
  readonly elapsedMilliseconds: number;
}

export interface Report {
  readonly notebooks: readonly ReportedNotebook[];
  readonly claims: readonly ClaimRow[];
  readonly preset: string;
}

const style = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto;
    padding: 0 1rem; color: #1b1b1b; background: #fff; }
  table { border-collapse: collapse; width: 100%; font-size: 0.95rem; }
  th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.8rem 0.4rem 0;
    border-bottom: 1px solid #ddd; }
  td:nth-child(n+2) { white-space: nowrap; font-variant-numeric: tabular-nums; }
  .verdict { font-weight: 600; }
  .reproduced { color: #116329; } .trend { color: #7d4e00; }
  .not { color: #a40e26; } .beyond { color: #57606a; }
  pre { background: #f6f8fa; padding: 0.6rem; overflow-x: auto; }`;

const verdictClasses: Readonly<Record<ClaimRow["verdict"], string>> = {
  "reproduced": "reproduced",
  "trend only": "trend",
  "not reproduced": "not",
  "not comparable": "beyond",
};

export function renderReport(report: Report): string {
  const { notebooks, claims, preset } = report;
  const rows = claims.map((claim) => {
    const cells = claimCells(claim);
    const last = cells.length - 1;
    return `<tr title="${escapeHtml(describeRun(claim))}">${
      cells.map((cell, index) =>
        index === last
          ? `<td class="verdict ${verdictClasses[claim.verdict]}">${escapeHtml(cell)}</td>`
          : `<td>${escapeHtml(cell)}</td>`
      ).join("")
    }</tr>`;
  });
  const table = claims.length === 0
    ? "<p>No notebook wrote claims.</p>"
    : `<table><thead><tr>${claimColumns.map((title) => `<th>${title}</th>`).join("")}</tr></thead>
<tbody>
${rows.join("\n")}
</tbody></table>`;
  const links = notebooks.map(({ name, page, failure, elapsedMilliseconds }) =>
    page === null
      ? `<li>${escapeHtml(name)}: failed<pre>${escapeHtml(failure)}</pre></li>`
      : `<li><a href="${escapeHtml(page)}">${escapeHtml(name)}</a> (${
        formatElapsed(elapsedMilliseconds)
      })</li>`
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Know Your Limits: report</title>
<style>${style}
</style>
</head>
<body>
<h1>Know Your Limits</h1>
<p>The paper's claims against what ran here, at preset <code>${escapeHtml(preset)}</code>. Numbers
and settings: <a href="../results.json">results.json</a>.</p>
<h2>Claims</h2>
${table}
<h2>Notebooks</h2>
<ul>
${links.join("\n")}
</ul>
</body>
</html>
`;
}

function describeRun({ metric, seeds, preset, backend, git }: ClaimRow): string {
  return `${metric}; preset ${preset}, seeds ${seeds.join(", ") || "none"}, ${backend}, ${git}`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
