/** Making shards of a source, and what is seen of it meanwhile. */

import { byteProgress } from "../figures/byte_progress.ts";
import {
  type DocumentSource,
  type PreparedSource,
  prepareSource,
  type PrepareSourceOptions,
} from "../text/mod.ts";

/** Trains a tokenizer and tokenizes, with a live display of both. */
export async function prepareShown(
  source: DocumentSource,
  options: Omit<PrepareSourceOptions, "onSample" | "onProgress">,
): Promise<PreparedSource> {
  const stored = source.parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const reading = byteProgress("reading for a tokenizer");
  const tokenizing = byteProgress("tokenizing");
  try {
    return await prepareSource(source, {
      ...options,
      onSample: ({ bytes, sampleBytes }) =>
        reading.update(bytes, Math.max(bytes, Math.min(sampleBytes, stored)), source.name),
      onProgress: ({ sourceBytes, totalBytes }) => {
        void reading.finish();
        void tokenizing.update(sourceBytes, totalBytes, source.name);
      },
    });
  } finally {
    await reading.finish();
    await tokenizing.finish();
  }
}
