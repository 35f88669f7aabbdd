import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { checkModelConfig } from "../lib/models/mod.ts";
import { checkSource } from "../lib/text/mod.ts";

const root = new URL("../", import.meta.url);
const readme = await Deno.readTextFile(new URL("README.md", root));

Deno.test("README.md's local links and images lead to files", async () => {
  const targets = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1]!)
    .filter((target) => !/^https?:/.test(target));
  assert.ok(targets.length > 0);
  for (const target of targets) await Deno.stat(new URL(target, root));
});

Deno.test("README.md's figure is one that a committed notebook shows", async () => {
  const image = /!\[[^\]]*\]\(([^)]+\.png)\)/.exec(readme)![1]!;
  const png = Buffer.from(await Deno.readFile(new URL(image, root))).toString("base64");
  const notebook = await Deno.readTextFile(
    new URL("notebooks/01_baseline_vs_augmented.ipynb", root),
  );
  assert.ok(notebook.replaceAll("\\n", "").includes(png), "the notebook was executed again: copy");
});

Deno.test("README.md lists every task", async () => {
  const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  for (const task of Object.keys(config.tasks)) {
    assert.ok(readme.includes(`\`${task}\``), `${task} is missing`);
  }
});

Deno.test("README.md's CONFIG.json is a model's configuration", () => {
  const [, json] = /```json\n([^`]*)```/.exec(readme)!;
  assert.equal(checkModelConfig(JSON.parse(json!), "README.md").kind, "augmented");
});

Deno.test("README.md's sources of known entropy are descriptions that can be read", () => {
  const [, lines] = /```jsonl\n([^`]*)```/.exec(readme)!;
  const kinds = lines!.trim().split("\n").map((line) => checkSource(JSON.parse(line), "README.md"));
  assert.equal(new Set(kinds.map(({ kind }) => kind)).size, 5);
});

Deno.test("README.md has no number left to be filled in", () => {
  assert.doesNotMatch(readme, /\b(MINUTES|QUICK|SMALL)_?[A-Z0-9]+\b/);
});
