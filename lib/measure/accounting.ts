/**
 * What a model's prediction of a text costs, with everything paid for (paper §3.1–3.2).
 *
 * A causal model needs its cross-entropy and nothing else. An encoder-augmented model (EEM) has seen
 * the text, through an embedding of n_p numbers at b_p bits each, and these bits are part of the
 * message:
 *
 *     BPB(CLM) = (L_t/L_b) L / ln 2
 *     BPB_emb  = n_p b_p / (N L_b/L_t)
 *     L_o      = BPB_emb ln 2 (L_b/L_t) = n_p b_p ln 2 / N
 *     L_norm   = L_EEM + L_o        BPB(EEM) = (L_t/L_b) L_norm / ln 2
 *
 * L is a mean cross-entropy in nats per token, L_b/L_t the bytes per token, N the tokens that share
 * one embedding. Which N is a choice (§3.3), so it is always an explicit {@linkcode Amortization}.
 *
 * Deviation: the authors' plotting script labels the offset 0.1739 "8-bit"; by the formula it is the
 * 4-bit value (0.1733), and is treated as such here (§3.2).
 */
import { UserError } from "../errors.ts";
import { requireCount, requireFinite, requirePositive, requireValues } from "./_checks.ts";

/**
 * The tokens over which one embedding is paid off.
 *
 * - `"context"`: the context length N, pads included: the paper's accounting. Exact for packed
 *   samples, flattering for padded ones.
 * - `"real tokens"`: the mean number of tokens per sample that are not pads.
 *
 * A reproduction reports both (§3.3). Make one with {@linkcode overContext} or
 * {@linkcode overRealTokens}.
 */
export interface Amortization {
  readonly over: "context" | "real tokens";
  readonly tokensPerEmbedding: number;
}

/** What an EEM hands its decoder: `parameterCount` (n_p) numbers at `bitsPerParameter` (b_p) bits. */
export interface EmbeddingPrice {
  readonly parameterCount: number;
  /** May be fractional (a measured entropy) or 0 (a control whose memory slot carries nothing). */
  readonly bitsPerParameter: number;
  readonly amortization: Amortization;
}

/** Pays one embedding off over a context of `contextLength` tokens, pads included (§3.1). */
export function overContext(contextLength: number): Amortization {
  requireCount("the context length", contextLength, 1);
  return { over: "context", tokensPerEmbedding: contextLength };
}

/**
 * Pays one embedding off over the tokens that are not pads (§3.3).
 *
 * @param realTokens number of non-pad tokens of each sample. Their arithmetic mean is what makes
 *   total embedding bits / total real tokens come out right.
 */
export function overRealTokens(realTokens: ArrayLike<number>): Amortization {
  requireValues("real tokens per sample", realTokens, 1);
  let total = 0;
  for (let i = 0; i < realTokens.length; i++) total += realTokens[i]!;
  const tokensPerEmbedding = total / realTokens.length;
  requirePositive("the mean number of real tokens per sample", tokensPerEmbedding);
  return { over: "real tokens", tokensPerEmbedding };
}

/**
 * Bits per byte of a loss: `BPB = (L_t/L_b) L / ln 2` (§3.1).
 *
 * @param lossNats nats per token; a difference of losses, which may be negative, converts as well.
 * @param bytesPerToken L_b/L_t: bytes of the scored text / number of scored tokens.
 */
export function bitsPerByte(lossNats: number, bytesPerToken: number): number {
  requireFinite("the loss", lossNats);
  requirePositive("bytes per token", bytesPerToken);
  return lossNats / Math.LN2 / bytesPerToken;
}

/** |e| = n_p b_p: bits of one embedding. */
export function embeddingBits(price: EmbeddingPrice): number {
  requireCount("the embedding's parameter count", price.parameterCount, 1);
  requireFinite("bits per embedding parameter", price.bitsPerParameter);
  if (price.bitsPerParameter < 0) {
    throw new UserError(
      `bits per embedding parameter must not be negative, found ${price.bitsPerParameter}`,
    );
  }
  return price.parameterCount * price.bitsPerParameter;
}

/** The embedding's bits per token, n_p b_p / N (§3.2, second column). */
export function embeddingBitsPerToken(price: EmbeddingPrice): number {
  requirePositive("tokens per embedding", price.amortization.tokensPerEmbedding);
  return embeddingBits(price) / price.amortization.tokensPerEmbedding;
}

/** L_o = n_p b_p ln 2 / N: the embedding's price in nats per token (§3.1). */
export function embeddingLossNats(price: EmbeddingPrice): number {
  return embeddingBitsPerToken(price) * Math.LN2;
}

/** BPB_emb: the embedding's price in bits per byte (§3.1). Also the floor of an EEM's BPB. */
export function embeddingBitsPerByte(price: EmbeddingPrice, bytesPerToken: number): number {
  return bitsPerByte(embeddingLossNats(price), bytesPerToken);
}

/** L_norm = L + L_o: an EEM's loss in nats per token with its embedding paid (§3.1). */
export function normalizedLossNats(lossNats: number, price: EmbeddingPrice): number {
  return requireFinite("the loss", lossNats) + embeddingLossNats(price);
}

/**
 * The price in nats per token of each sample's first token, which no model here predicts, sent as one
 * of `vocabSize` equally likely ids: ln V / N (§3.2). A CLM leaves it out just as an EEM does, so it
 * matters for a true compressed size, not for comparing the two.
 */
export function firstTokenLossNats(vocabSize: number, amortization: Amortization): number {
  requireCount("the vocabulary size", vocabSize, 1);
  requirePositive("tokens per sample", amortization.tokensPerEmbedding);
  return Math.log(vocabSize) / amortization.tokensPerEmbedding;
}

/**
 * BPB(EEM) = (L_t/L_b) L_norm / ln 2 (§3.1): bits per byte with the embedding paid.
 *
 * @param lossNats the EEM's mean cross-entropy, nats per token.
 * @param options `firstTokenVocabSize`: also pay log2 V bits for each sample's first token.
 */
export function bpbOfEem(
  lossNats: number,
  bytesPerToken: number,
  price: EmbeddingPrice,
  options: { readonly firstTokenVocabSize?: number } = {},
): number {
  const firstToken = options.firstTokenVocabSize === undefined
    ? 0
    : firstTokenLossNats(options.firstTokenVocabSize, price.amortization);
  return bitsPerByte(normalizedLossNats(lossNats, price) + firstToken, bytesPerToken);
}

/**
 * H(x) = |e| ln 2 + Σ CE_i, in nats: the whole message for one sample (§3.1). It needs no choice of N
 * and no averaging, so it is the exact form; the functions above are its mean per token up to the
 * difference between N tokens and the N-1 that are scored.
 *
 * Deviation: a review quotes the formula with |e| / ln 2 and a mean added to a sum; bits become nats
 * by multiplying with ln 2, and both terms are sums here.
 *
 * @param lossSumNats the sum of the sample's token losses.
 * @param embeddingSizeBits |e|; 0 for a CLM.
 */
export function codeLengthNats(lossSumNats: number, embeddingSizeBits: number): number {
  requireFinite("the summed loss", lossSumNats);
  requireFinite("the embedding's size in bits", embeddingSizeBits);
  if (embeddingSizeBits < 0) {
    throw new UserError(
      `the embedding's size must not be negative, found ${embeddingSizeBits} bits`,
    );
  }
  return embeddingSizeBits * Math.LN2 + lossSumNats;
}
