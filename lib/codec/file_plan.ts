/** How a text is cut into windows and its embeddings are written: what a file is made with. */

import { UserError } from "../errors.ts";
import { checkReadsTokens, embeddingSize, type ModelConfig, sampleLength } from "../models/mod.ts";
import {
  formatQuantization,
  parseQuantization,
  type Quantization,
  storedBits,
} from "../qat/mod.ts";
import { checkEmbeddingFormat, MOST_LANES } from "./container.ts";
import { checkOverlap } from "./layout.ts";

/** What a caller may choose; the decoder reads all of it in the header. */
export type FileOptions = Readonly<{
  /**
   * Tokens that a window has from the one before: it costs time to read them, and bits only where
   * there are embeddings, one for fewer new tokens. By default half a window for causal models and
   * one token for encoder-augmented ones.
   */
  overlap?: number | undefined;
  /** Parts of the text that are read at once; by default up to 64, each of many windows. */
  lanes?: number | undefined;
  /** Of an encoder-augmented model's embeddings; {@linkcode DEFAULT_EMBEDDING} by default. */
  embedding?: Quantization | undefined;
}>;

/** 4 bits a number, as in the paper's accounting, the scales shared by all windows. */
export const DEFAULT_EMBEDDING = parseQuantization("int4/channel");

const DEFAULT_LANES = 64;

/** So many windows a lane, so that the first ones, which have no context, are few. */
const WINDOWS_PER_LANE = 16;

/** All of it. */
export type FilePlan = Readonly<{
  overlap: number;
  lanes: number;
  embedding: Quantization | null;
}>;

/**
 * The options of a file of so many tokens, with their defaults filled in.
 *
 * @throws UserError for options that do not fit the model, and for a model that does not predict
 *   tokens one after another.
 */
export function planFile(
  config: ModelConfig,
  tokenCount: number,
  { overlap, lanes, embedding }: FileOptions = {},
): FilePlan {
  checkReadsTokens(config);
  const N = sampleLength(config);
  const P = embeddingSize(config);
  if (P === 0 && embedding !== undefined) {
    throw new UserError(
      `embedding format: expected none, since a causal model has no embedding, found ${
        formatQuantization(embedding)
      }; leave it out`,
    );
  }
  if (embedding !== undefined) {
    checkEmbeddingFormat(embedding);
    storedBits(P, embedding);
  }
  if (overlap !== undefined) checkOverlap(overlap, N);
  if (lanes !== undefined && !(Number.isInteger(lanes) && lanes >= 1 && lanes <= MOST_LANES)) {
    throw new UserError(`lanes: expected 1 … ${MOST_LANES}, found ${lanes}`);
  }
  const many = Math.floor(tokenCount / (WINDOWS_PER_LANE * N));
  return {
    overlap: overlap ?? (P > 0 ? Math.min(1, N - 1) : Math.floor(N / 2)),
    // No lane is empty, whatever was asked for.
    lanes: Math.max(1, Math.min(lanes ?? Math.min(DEFAULT_LANES, many), tokenCount)),
    embedding: P > 0 ? embedding ?? DEFAULT_EMBEDDING : null,
  };
}
