/**
 * What stands behind a file's header, one stream of a range coder:
 *
 *     scales that all embeddings share
 *     round by round:  of every window a flag, "by the model", and if it is, its embedding
 *                      the tokens, position by position (windows.ts)
 *
 * A flag costs what its counts so far say, embeddings and scales 8 bits a byte.
 */

import { setImmediate } from "node:timers/promises";
import type { Quantization } from "../qat/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { byteFrequencies, type Frequencies, uniformFrequencies } from "./frequencies.ts";
import type { Window } from "./layout.ts";
import type { Predictor } from "./predictor.ts";
import type { Interval } from "./range_coder.ts";

export type StreamOptions = Readonly<{
  predictor: Predictor;
  tokenizer: Tokenizer;
  /** Of its embeddings; null without. */
  embedding: Quantization | null;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: CodecProgress) => Promise<void> | void) | undefined;
}>;

/** In tokens. */
export type CodecProgress = Readonly<{ done: number; total: number }>;

/**
 * Ends work whose signal has been aborted. Reading tensors may take no turn of the event loop, and
 * without one nothing can abort.
 */
export async function takeTurn(signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return;
  await setImmediate();
  signal.throwIfAborted();
}

/** Frequencies that no model has a part in. */
export type FixedFrequencies = Readonly<{ raw: Frequencies; first: Frequencies }>;

export function fixedFrequencies(tokenizer: Tokenizer): FixedFrequencies {
  return { raw: byteFrequencies(tokenizer), first: uniformFrequencies(tokenizer.vocabSize) };
}

/** One of 256 bytes alike. */
export function byteInterval(byte: number): Interval {
  return { start: byte, size: 1, total: 256 };
}

/** Float32, little-endian, as scales stand in a file. */
export function scalesAsBytes(scales: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * scales.length);
  const view = new DataView(bytes.buffer);
  scales.forEach((scale, i) => view.setFloat32(4 * i, scale, true));
  return bytes;
}

export function scalesFromBytes(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** Tokens that a round codes. */
export function codedTokens(round: readonly Window[]): number {
  return round.reduce((sum, { known, end }) => sum + end - known, 0);
}
