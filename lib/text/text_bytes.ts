/** Bytes as text, and how many of them one document may have. */

/** The most bytes that a line, a Parquet value or any other streamed document may have. */
export const MOST_DOCUMENT_BYTES = 64_000_000;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The text, without a byte order mark; undefined for bytes that are no UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** `12.3 MB`, `1.4 GB`: decimal, as the Hub and `ls -h --si` count. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value.toFixed(value < 100 ? 1 : 0)} ${units[power - 1]}`;
}

/** What an error says, on one line. */
export function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ").trim();
}
