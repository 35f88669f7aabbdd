import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../lib/errors.ts";
import { readCacheFile, writeCacheFile } from "../lib/cache_file.ts";
import { withFiles } from "./text/_temporary.ts";

const content = Uint8Array.of(1, 10, 2, 10, 3);

Deno.test("readCacheFile() gives what writeCacheFile() wrote, and nothing else is left", async () => {
  await withFiles({}, async (folder) => {
    const path = join(folder, "deep", "entry");
    assert.equal(await readCacheFile(path), "absent");
    await writeCacheFile(path, content);
    await writeCacheFile(path, content);
    assert.deepEqual(new Uint8Array(await readCacheFile(path) as Uint8Array), content);
    assert.deepEqual(await readdir(join(folder, "deep")), ["entry"]);
    await writeCacheFile(path, new Uint8Array(0));
    assert.equal((await readCacheFile(path)).length, 0);
  });
});

Deno.test("readCacheFile() tells every damage", async () => {
  await withFiles({}, async (folder) => {
    const path = join(folder, "entry");
    await writeCacheFile(path, content);
    const file = new Uint8Array(await readFile(path));
    for (let at = 0; at < file.length; at++) {
      const flipped = file.slice();
      flipped[at]! ^= 1;
      await writeFile(path, flipped);
      assert.equal(await readCacheFile(path), "damaged", `byte ${at}`);
      await writeFile(path, file.subarray(0, at));
      assert.equal(await readCacheFile(path), "damaged", `cut to ${at}`);
    }
    await writeFile(path, [file, Uint8Array.of(0)]);
    assert.equal(await readCacheFile(path), "damaged");
  });
});

Deno.test("writeCacheFile() says that it cannot write, and leaves nothing", async () => {
  await withFiles({ "file": "in the way" }, async (folder) => {
    const path = join(folder, "file", "entry");
    await assert.rejects(
      writeCacheFile(path, content),
      (error) =>
        error instanceof UserError &&
        error.message.startsWith(
          `${join(folder, "file")}: expected a cache folder to write to, found `,
        ),
    );
    assert.deepEqual(await readdir(folder), ["file"]);
  });
});
