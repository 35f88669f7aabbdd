/**
 * The embeddings of an encoder-augmented model's windows as records of bytes, which is what both
 * sides of a file make the decoder's memory of.
 *
 * Legend: L lanes, N tokens a window, P embedding size.
 */

import {
  type Quantization,
  readEmbeddings,
  sharedBits,
  sharedScalesOf,
  storedBits,
  storeEmbeddings,
} from "../qat/mod.ts";
import { notFinite } from "./frequencies.ts";
import type { Window } from "./layout.ts";
import type { Predictor } from "./predictor.ts";
import { takeTurn } from "./stream.ts";

/** How embeddings are written, and the scales that all of them share. */
export type EmbeddingCode = Readonly<{
  quantization: Quantization;
  P: number;
  scales: Float32Array<ArrayBuffer>;
}>;

/** Bytes of one embedding. */
export function recordBytes(P: number, quantization: Quantization): number {
  return storedBits(P, quantization) / 8;
}

/** Bytes of the shared scales. */
export function scaleBytes(P: number, quantization: Quantization): number {
  return sharedBits(P, quantization) / 8;
}

/** Of every window its embedding as it is written: round by round, one after the other. */
export type EmbeddedWindows = Readonly<{
  code: EmbeddingCode;
  recordOf(window: Window): Uint8Array;
}>;

/**
 * Embeds all windows of a file and rounds their embeddings to a format, with scales that are the
 * largest magnitudes among them.
 *
 * @throws UserError for embeddings that are not finite.
 */
export async function embedWindows(
  predictor: Predictor,
  ids: Int32Array,
  rounds: readonly (readonly Window[])[],
  { padId, quantization, signal }: Readonly<{
    /** Fills up windows of less than N tokens, which a file has only where it is shorter itself. */
    padId: number;
    quantization: Quantization;
    signal?: AbortSignal | undefined;
  }>,
): Promise<EmbeddedWindows> {
  const { laneCount, contextLength, embeddingSize: P } = predictor;
  const windows = rounds.flat();
  const valuesRP = new Float32Array(windows.length * P);
  let row = 0;
  for (const round of rounds) {
    await takeTurn(signal);
    const idsLN = new Int32Array(laneCount * contextLength).fill(padId);
    for (const { lane, start, end } of round) {
      idsLN.set(ids.subarray(start, end), lane * contextLength);
    }
    const embeddedLP = await predictor.embed(idsLN);
    for (const { lane } of round) {
      valuesRP.set(embeddedLP.subarray(lane * P, (lane + 1) * P), P * row++);
    }
  }
  if (!valuesRP.every(Number.isFinite)) throw notFinite("embeddings");
  const scales = sharedScalesOf(valuesRP, P, quantization);
  const bytes = storeEmbeddings(valuesRP, P, quantization, sharedOf(scales));
  const size = recordBytes(P, quantization);
  const rowOf = new Map(windows.map((window, row) => [window, row]));
  return {
    code: { quantization, P, scales },
    recordOf: (window) =>
      bytes.subarray(rowOf.get(window)! * size, (rowOf.get(window)! + 1) * size),
  };
}

/**
 * The embeddings `[L, P]` that a round's records hold; zeros in lanes without one.
 *
 * @throws UserError for records that are never written.
 */
export function laneEmbeddings(
  laneCount: number,
  { quantization, P, scales }: EmbeddingCode,
  records: ReadonlyMap<number, Uint8Array>,
): Float32Array {
  const embeddingsLP = new Float32Array(laneCount * P);
  for (const [lane, record] of records) {
    embeddingsLP.set(readEmbeddings(record, P, quantization, sharedOf(scales)), lane * P);
  }
  return embeddingsLP;
}

/** Formats without shared scales take none. */
function sharedOf(scales: Float32Array): Float32Array | undefined {
  return scales.length === 0 ? undefined : scales;
}
