/**
 * A cache entry on disk: one line of JSON (format, length, SHA-256), then the content. It is
 * written under another name and renamed, so that it is there whole or not at all; what was
 * damaged later is told by length and checksum.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { UserError } from "./errors.ts";
import { readFileIfPresent, writeFileAtomically } from "./files.ts";

const FORMAT = "know-your-limits cache 1";

function headerOf(content: Uint8Array): Uint8Array {
  const sha256 = createHash("sha256").update(content).digest("hex");
  const header = JSON.stringify({ format: FORMAT, bytes: content.length, sha256 });
  return new TextEncoder().encode(`${header}\n`);
}

/** The content; "absent" if there is no such file, "damaged" if it is not what was written. */
export async function readCacheFile(path: string): Promise<Uint8Array | "absent" | "damaged"> {
  const file = await readFileIfPresent(path);
  if (file === null) return "absent";
  const content = file.subarray(file.indexOf(0x0a) + 1);
  const header = headerOf(content);
  const isIntact = header.length + content.length === file.length &&
    header.every((byte, i) => byte === file[i]);
  return isIntact ? content : "damaged";
}

/** Writes the content atomically, making the folder if need be. */
export async function writeCacheFile(path: string, content: Uint8Array): Promise<void> {
  try {
    await writeFileAtomically(path, Buffer.concat([headerOf(content), content]));
  } catch (error) {
    throw new UserError(
      `${dirname(path)}: expected a cache folder to write to, found ${(error as Error).message}`,
    );
  }
}

/** The numbers' own bytes: every machine Deno runs on is little-endian. */
export function littleEndian(
  numbers: Int32Array | Uint16Array | Uint32Array | Float32Array,
): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}
