/** The bytes behind a file's header (stream.ts) to tokens. */

import { type EmbeddingCode, laneEmbeddings, recordBytes, scaleBytes } from "./embeddings.ts";
import { createFlags } from "./flags.ts";
import { intervalOf, tokenAt, TOTAL } from "./frequencies.ts";
import type { Window } from "./layout.ts";
import { createRangeDecoder, type RangeDecoder } from "./range_coder.ts";
import {
  byteInterval,
  codedTokens,
  fixedFrequencies,
  scalesFromBytes,
  type StreamOptions,
} from "./stream.ts";
import { codeRound } from "./windows.ts";

/**
 * @param ids Of all tokens; it is filled in.
 * @throws UserError for bytes that were not written by this model, as far as it shows.
 */
export async function decodeStream(
  payload: Uint8Array,
  ids: Int32Array,
  { predictor, tokenizer, rounds, embedding, signal, onProgress }:
    & StreamOptions
    & Readonly<{ rounds: Iterable<readonly Window[]> }>,
): Promise<void> {
  const { padId } = tokenizer;
  const { laneCount, embeddingSize: P } = predictor;
  const { raw, first } = fixedFrequencies(tokenizer);
  const reader = createRangeDecoder(payload);
  const flags = createFlags();
  const code: EmbeddingCode | null = embedding && {
    quantization: embedding,
    P,
    scales: scalesFromBytes(readBytes(reader, scaleBytes(P, embedding))),
  };
  let done = 0;
  for (const windows of rounds) {
    const modelled = new Set();
    const records = new Map<number, Uint8Array>();
    for (const window of windows) {
      if (!flags.read(reader)) continue;
      modelled.add(window);
      if (code !== null) {
        records.set(window.lane, readBytes(reader, recordBytes(P, code.quantization)));
      }
    }
    await codeRound(predictor, windows, {
      ids,
      padId,
      embeddingsLP: code === null ? new Float32Array(0) : laneEmbeddings(laneCount, code, records),
      isModelled: (window) => modelled.has(window),
      raw,
      first,
      signal,
    }, (_, frequencies) => {
      const id = tokenAt(frequencies, reader.peek(TOTAL));
      reader.read(intervalOf(frequencies, id));
      return id;
    });
    done += codedTokens(windows);
    await onProgress?.({ done, total: ids.length });
  }
}

function readBytes(reader: RangeDecoder, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => {
    const byte = reader.peek(256);
    reader.read(byteInterval(byte));
    return byte;
  });
}
