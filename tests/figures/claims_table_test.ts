import assert from "node:assert/strict";
import { JSDOM } from "jsdom";
import { UserError } from "../../lib/errors.ts";
import { claimCells, formatValue } from "../../lib/figures/claims_table.ts";
import { type Claim, claimsTable, displaySymbol, formatClaims } from "../../lib/figures/mod.ts";

const row: Claim = {
  experiment: "E13",
  claim: "the augmented model is ahead of the causal one before the embedding is paid",
  unit: "nats/token",
  paper: null,
  ours: 0.12345,
  interval: [-0.1, 0.2],
  verdict: "trend only",
};

Deno.test("formatValue() keeps what matters of a number", () => {
  assert.deepEqual(
    [0.12345, 0.000012345, 3, 0, -2.5, "> 1", null].map(formatValue),
    ["0.123", "0.0000123", "3", "0", "-2.500", "> 1", "–"],
  );
});

Deno.test("formatClaims() wraps claims and keeps every line within the width", () => {
  const table = formatClaims([row, { ...row, ours: null, interval: null }], 90);
  const lines = table.split("\n");
  assert.match(lines[0] ?? "", /^claim\s+paper\s+ours\s+interval\s+verdict$/);
  assert.match(table, /E13 the augmented .*–\s+0\.123 nats\/token\s+-0\.100 … 0\.200\s+trend only/);
  assert.ok(lines.every((line) => line.length <= 90), table);
  assert.ok(lines.length > 4, "the claim wraps");
  assert.equal(claimCells({ ...row, unit: "" })[2], "0.123");
});

Deno.test("claimsTable() is escaped HTML with the aligned text", async () => {
  const rows = [row, { ...row, claim: "EEM <i>CLM</i>" }];
  const bundle = await claimsTable(rows)[displaySymbol]();
  assert.equal(bundle["text/plain"], formatClaims(rows));
  const { document } = new JSDOM(String(bundle["text/html"])).window;
  assert.equal(document.querySelectorAll("tbody tr").length, 2);
  assert.equal(document.querySelectorAll("tbody td")[5].textContent, "E13 EEM <i>CLM</i>");
});

Deno.test("formatClaims() rejects an empty table", () => {
  assert.throws(() => formatClaims([]), UserError);
});
