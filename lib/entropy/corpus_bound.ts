/**
 * The entropy of a corpus from encoder-augmented models with smaller and smaller embeddings (paper
 * §4.1). A sequence can be told by its embedding of |e| bits and what the decoder is then still
 * unsure of, so
 *
 *   H ≤ |e| ln 2 + Σ CE      nats per sequence, whatever |e|,
 *
 * if CE is the loss with the embedding rounded to its |e| bits, and the smallest embedding with which
 * no loss is left is the paper's estimate of H. Both hold of held-out sequences, given their first
 * token, which is not scored.
 */

import { UserError } from "../errors.ts";

/** What a model with an embedding of some size leaves of a sequence. */
export type EmbeddedSequence = Readonly<{
  /** |e|: the bits of a sequence's embedding. */
  embeddingBits: number;
  /** Mean over held-out sequences of Σ CE over their tokens, nats, with the embedding rounded. */
  sequenceNats: number;
  /** Tokens of a sequence. */
  tokens: number;
}>;

/** An upper bound on the entropy. */
export type EntropyBound =
  & EmbeddedSequence
  & Readonly<{ natsPerSequence: number; natsPerToken: number }>;

/** Bounds for one corpus. */
export type CorpusEntropy = Readonly<{
  /** One for each model, the smallest embedding first. */
  bounds: readonly EntropyBound[];
  tightest: EntropyBound;
  /** Of the smallest embedding that leaves no loss; null if every one leaves some. */
  lossless: EntropyBound | null;
}>;

/** |e| ln 2 + Σ CE. */
export function entropyBound(row: EmbeddedSequence): EntropyBound {
  const natsPerSequence = row.embeddingBits * Math.LN2 + row.sequenceNats;
  return { ...row, natsPerSequence, natsPerToken: natsPerSequence / row.tokens };
}

/**
 * @param rows One a model, in any order.
 * @param tolerance Up to how many nats per token count as no loss.
 * @throws UserError without rows, for numbers out of range, and when the sequences differ in length.
 */
export function corpusEntropy(
  rows: readonly EmbeddedSequence[],
  { tolerance }: Readonly<{ tolerance: number }>,
): CorpusEntropy {
  if (rows.length === 0) {
    throw new UserError("corpus entropy: expected one model or more, found none");
  }
  requireNumber("the tolerance, nats per token,", tolerance);
  for (const { embeddingBits, sequenceNats, tokens } of rows) {
    requireNumber("embedding bits", embeddingBits);
    requireNumber("nats of a sequence", sequenceNats);
    if (!(tokens > 0) || tokens !== rows[0]!.tokens) {
      throw new UserError(
        `corpus entropy: expected sequences of one length from all models, found ` +
          `${rows[0]!.tokens} and ${tokens} tokens`,
      );
    }
  }
  const bounds = rows.map(entropyBound).sort((a, b) => a.embeddingBits - b.embeddingBits);
  const tightest = bounds.reduce((best, bound) =>
    bound.natsPerSequence < best.natsPerSequence ? bound : best
  );
  const lossless = bounds.find(({ sequenceNats, tokens }) => sequenceNats / tokens <= tolerance);
  return { bounds, tightest, lossless: lossless ?? null };
}

function requireNumber(what: string, value: number): void {
  if (Number.isFinite(value) && value >= 0) return;
  throw new UserError(`corpus entropy: expected ${what} of 0 or more, found ${value}`);
}
