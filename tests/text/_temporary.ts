import { gzipSync } from "node:zlib";
import { dirname, join } from "node:path";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";

/** Runs `use` in a folder of its own with these files (names ending in .gz are compressed). */
export async function withFiles(
  files: Readonly<Record<string, string | Uint8Array>>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "text-test-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, name.endsWith(".gz") ? gzipSync(content) : content);
    }
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
