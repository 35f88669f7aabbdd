import assert from "node:assert/strict";
import { remoteResources } from "../../lib/cli/_offline_html.ts";
import { renderReport } from "../../lib/cli/_report_page.ts";
import type { ClaimRow } from "../../lib/experiments/claims.ts";

const row: ClaimRow = {
  experiment: "E13",
  claim: "the augmented model is ahead of the causal one before the embedding is paid",
  metric: "held-out loss",
  unit: "nats/token",
  paper: null,
  ours: 0.12345,
  interval: [-0.1, 0.2],
  seeds: [0, 1],
  preset: "quick",
  verdict: "trend only",
  backend: "wasm",
  git: "abc<def",
};

Deno.test("renderReport() links pages, shows failures and needs no network", () => {
  const html = renderReport({
    preset: "quick",
    claims: [row],
    notebooks: [
      { name: "00_tour", page: "00_tour.html", failure: "", elapsedMilliseconds: 65_000 },
      { name: "01_a", page: null, failure: "Error: a < b", elapsedMilliseconds: 1 },
    ],
  });
  assert.match(html, /<a href="00_tour\.html">00_tour<\/a> \(1 min 05 s\)/);
  assert.match(html, /01_a: failed<pre>Error: a &lt; b<\/pre>/);
  assert.match(html, /<td class="verdict trend">trend only<\/td>/);
  assert.match(html, /abc&lt;def/);
  assert.deepEqual(remoteResources(html), []);
});
