import { gzipSync, zstdCompressSync } from "node:zlib";
import { dirname, join } from "node:path";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";

/** Runs `use` in a folder of its own with these files (names ending in .gz or .zst are compressed). */
export async function withFiles(
  files: Readonly<Record<string, string | Uint8Array>>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "text-test-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, compressed(name, content));
    }
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function compressed(name: string, content: string | Uint8Array): string | Uint8Array {
  if (name.endsWith(".gz")) return gzipSync(content);
  return name.endsWith(".zst") ? zstdCompressSync(content) : content;
}
