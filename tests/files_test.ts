import assert from "node:assert/strict";
import { join } from "node:path";
import { readFileIfPresent, writeFileAtomically } from "../lib/files.ts";
import { withFiles } from "./text/_temporary.ts";

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
}

Deno.test("writeFileAtomically() makes folders and writes text and bytes", () =>
  withFiles({}, async (folder) => {
    const path = join(folder, "a", "b", "text.txt");
    await writeFileAtomically(path, "zwölf\n");
    assert.equal(await Deno.readTextFile(path), "zwölf\n");
    await writeFileAtomically(join(folder, "bytes"), Uint8Array.of(0, 255, 10));
    assert.deepEqual(await Deno.readFile(join(folder, "bytes")), Uint8Array.of(0, 255, 10));
    assert.deepEqual(namesIn(join(folder, "a", "b")), ["text.txt"]);
  }));

Deno.test("writeFileAtomically() replaces a file whole, longer by shorter", () =>
  withFiles({ file: "x".repeat(10_000) }, async (folder) => {
    await writeFileAtomically(join(folder, "file"), "short");
    assert.equal(await Deno.readTextFile(join(folder, "file")), "short");
    assert.deepEqual(namesIn(folder), ["file"]);
  }));

Deno.test("writeFileAtomically() never changes the file that readers hold open", () =>
  withFiles({ file: "old content" }, async (folder) => {
    using reader = await Deno.open(join(folder, "file"));
    await writeFileAtomically(join(folder, "file"), "new");
    const buffer = new Uint8Array(100);
    const count = await reader.read(buffer);
    assert.equal(new TextDecoder().decode(buffer.subarray(0, count ?? 0)), "old content");
  }));

Deno.test("writeFileAtomically() that cannot replace leaves the target and no other file", () =>
  withFiles({ "target/inside": "kept" }, async (folder) => {
    // A folder that is not empty stands where the file should go: the last step, renaming, fails.
    await assert.rejects(writeFileAtomically(join(folder, "target"), "content"));
    assert.deepEqual(namesIn(folder), ["target"]);
    assert.equal(await Deno.readTextFile(join(folder, "target", "inside")), "kept");
  }));

Deno.test("writeFileAtomically() that fails while writing leaves the old file and no other", () =>
  withFiles({ file: "old" }, async (folder) => {
    const unwritable = 5 as unknown as string;
    await assert.rejects(writeFileAtomically(join(folder, "file"), unwritable));
    assert.equal(await Deno.readTextFile(join(folder, "file")), "old");
    assert.deepEqual(namesIn(folder), ["file"]);
  }));

Deno.test("readFileIfPresent() gives bytes, null for no file, and other errors as they are", () =>
  withFiles({ file: "abc" }, async (folder) => {
    assert.deepEqual(await readFileIfPresent(join(folder, "file")), Uint8Array.of(97, 98, 99));
    assert.equal(await readFileIfPresent(join(folder, "none")), null);
    assert.equal(await readFileIfPresent(join(folder, "no", "folder")), null);
    assert.equal(await readFileIfPresent(join(folder, "file", "no folder")), null);
    await assert.rejects(readFileIfPresent(folder));
  }));
