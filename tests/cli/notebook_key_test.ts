import assert from "node:assert/strict";
import { join } from "node:path";
import { parseNotebook } from "../../lib/cli/_notebook_file.ts";
import { hashCode, notebookKey } from "../../lib/cli/_notebook_key.ts";
import { projectAt } from "../../lib/cli/_project.ts";
import { goodCells, notebookText } from "./_notebook.ts";

Deno.test("hashCode() follows lib, stored runs and pins, but not the command line", () => {
  const root = Deno.makeTempDirSync();
  const write = (path: string, text: string) => {
    Deno.mkdirSync(join(root, path, ".."), { recursive: true });
    Deno.writeTextFileSync(join(root, path), text);
  };
  try {
    write("deno.json", "{}");
    write("deno.lock", "{}");
    write("lib/train/loop.ts", "1");
    write("lib/cli/train.ts", "1");
    const project = projectAt(root);
    const first = hashCode(project);
    assert.equal(hashCode(project), first);
    write("lib/cli/train.ts", "2");
    write("lib/README.md", "2");
    assert.equal(hashCode(project), first);
    const seen = new Set([first]);
    const changes = [
      ["lib/train/loop.ts", "2"],
      ["lib/train/step.ts", "1"],
      ["data/runs/a.json", "1"],
      ["deno.json", "{ }"],
      ["deno.lock", "{ }"],
    ] as const;
    for (const [path, text] of changes) {
      write(path, text);
      const hash = hashCode(project);
      assert.ok(!seen.has(hash), `a change of ${path} must show`);
      seen.add(hash);
    }
    Deno.renameSync(join(root, "lib/train/step.ts"), join(root, "lib/train/other.ts"));
    assert.ok(!seen.has(hashCode(project)), "a new name must show");
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("notebookKey() differs by source, code, preset, library and forced backend", () => {
  const notebook = parseNotebook(notebookText(goodCells()), "a.ipynb");
  const other = parseNotebook(notebookText(goodCells().slice(0, 2)), "a.ipynb");
  const parts = { code: "c", preset: "quick", tensorflow: "t" } as const;
  const keys = [
    notebookKey(notebook, parts),
    notebookKey(other, parts),
    notebookKey(notebook, { ...parts, code: "d" }),
    notebookKey(notebook, { ...parts, preset: "small" }),
    notebookKey(notebook, { ...parts, tensorflow: null }),
  ];
  const before = Deno.env.get("KYL_BACKEND");
  try {
    Deno.env.set("KYL_BACKEND", before === "wasm" ? "cpu" : "wasm");
    keys.push(notebookKey(notebook, parts));
  } finally {
    if (before === undefined) Deno.env.delete("KYL_BACKEND");
    else Deno.env.set("KYL_BACKEND", before);
  }
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(notebookKey(notebook, parts), keys[0]);
});
