import { table } from "arquero";
import assert from "node:assert/strict";
import { displaySymbol, tableDisplay } from "../../lib/figures/mod.ts";

const runs = table({ arm: ["CLM", "EEM <8>", "EEM 4"], loss: [4.123456, 4, 3.9] });

Deno.test("tableDisplay() limits rows and digits in HTML and text", async () => {
  const bundle = await tableDisplay(runs, { limit: 2, digits: 2 })[displaySymbol]();
  assert.equal(
    bundle["text/plain"],
    ["arm      loss", "───────  ────", "CLM      4.12", "EEM <8>     4", "… 1 more row"].join("\n"),
  );
  const html = String(bundle["text/html"]);
  assert.match(html, /4\.12</);
  assert.match(html, /EEM &lt;8&gt;/);
  assert.doesNotMatch(html, /EEM 4/);
});

Deno.test("tableDisplay() shows a table without rows", async () => {
  const bundle = await tableDisplay(table({ arm: [] }))[displaySymbol]();
  assert.equal(bundle["text/plain"], "arm\n───");
});
