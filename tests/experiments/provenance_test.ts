import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { withFiles } from "../text/_temporary.ts";

const SOURCE = new URL("../../lib/experiments/provenance.ts", import.meta.url);

/** `gitCommit()` of a copy of the module in `folder`: it asks about the folder that it lies in. */
async function commitAt(folder: string): Promise<string> {
  const path = join(folder, "provenance.ts");
  await Deno.copyFile(SOURCE, path);
  const { gitCommit } = await import(pathToFileURL(path).href);
  return await gitCommit();
}

async function git(folder: string, ...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
  const command = new Deno.Command("git", { args: [...identity, ...args], cwd: folder });
  const { success, stdout, stderr } = await command.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("gitCommit() is unknown outside of a repository", () =>
  withFiles({}, async (folder) => {
    assert.equal(await commitAt(folder), "unknown");
  }));

Deno.test("gitCommit() is the commit; changed files make it dirty, new ones do not", () =>
  withFiles({ "tracked.txt": "a" }, async (folder) => {
    await git(folder, "init", "--quiet");
    await git(folder, "add", "tracked.txt");
    await git(folder, "commit", "--quiet", "--no-gpg-sign", "--message", "first");
    const commit = await git(folder, "rev-parse", "HEAD");
    assert.equal(await commitAt(folder), commit.slice(0, 12));
    await Deno.writeTextFile(join(folder, "tracked.txt"), "b");
    assert.equal(await commitAt(folder), `${commit.slice(0, 12)}-dirty`);
  }));
