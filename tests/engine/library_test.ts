import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findTensorFlowLibrary } from "../../lib/engine/_library.ts";

const FILE = Deno.build.os === "darwin" ? "libtensorflow_cc.2.dylib" : "libtensorflow_cc.so.2";

function withFolder(use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "library_test_"));
  try {
    use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("findTensorFlowLibrary() finds the wheel of the project's .venv", () =>
  withFolder((root) => {
    const wheel = join(root, ".venv", "lib", "python3.12", "site-packages", "tensorflow");
    mkdirSync(wheel, { recursive: true });
    mkdirSync(join(root, ".venv", "lib", "other"));
    writeFileSync(join(wheel, FILE), "");
    const { path, searched } = findTensorFlowLibrary({ root });
    assert.equal(path, join(wheel, FILE));
    assert.deepEqual(searched, [wheel]);
  }));

Deno.test("findTensorFlowLibrary() takes the file that the variable names before all others", () =>
  withFolder((root) => {
    const file = join(root, "own.so");
    writeFileSync(file, "");
    assert.equal(findTensorFlowLibrary({ root, variable: file }).path, file);
  }));

Deno.test("findTensorFlowLibrary() does not search on when the variable names no file", () => {
  const { path, searched } = findTensorFlowLibrary({ variable: "/nowhere/own.so" });
  assert.equal(path, null);
  assert.deepEqual(searched, ["LIBTENSORFLOW=/nowhere/own.so"]);
});

Deno.test("findTensorFlowLibrary() takes an empty variable for none and says where it looked", () =>
  withFolder((root) => {
    const { searched } = findTensorFlowLibrary({ root, variable: "" });
    assert.equal(searched[0], join(root, ".venv/lib/python3/site-packages/tensorflow"));
    assert.ok(searched.includes("/usr/local/lib"));
  }));
