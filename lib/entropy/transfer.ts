/**
 * Estimates of one tokenizer's tokens, carried over to another one's tokens of the same text (paper
 * §4.5: losses of a large model on its own vocabulary, compared with a small one's).
 *
 * They meet in the text's BYTES. The paper goes through characters, which is the same for ASCII; a
 * token of a byte-level vocabulary can end inside a character, and then only bytes say how much of
 * the character is whose.
 */

import { UserError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";

/** One token: how many bytes of the text it is, and its estimate. */
export type TokenBytes = Readonly<{ bytes: number; value: number | null }>;

/**
 * `mean`  each byte carries its token's estimate, a token gets the mean over its bytes, as in the
 *         paper; bytes without an estimate do not count.
 * `sum`   each byte carries an equal share of its token's estimate, a token gets their sum: the
 *         total stays what it was, as losses of a text should.
 */
export const TRANSFER_METHODS = ["mean", "sum"] as const;
export type TransferMethod = (typeof TRANSFER_METHODS)[number];

/** The tokens' bytes, and their estimates if given; special tokens have none of the text's bytes. */
export function tokenBytes(
  tokenizer: Tokenizer,
  ids: ArrayLike<number>,
  values?: readonly (number | null)[],
): TokenBytes[] {
  return Array.from(ids, (id, at) => ({
    bytes: tokenizer.tokenBytes(id).length,
    value: values?.[at] ?? null,
  }));
}

/**
 * An estimate for each token of `target`, in the unit of the source's; null for tokens none of whose
 * bytes has one, and for special tokens.
 *
 * @param source Tokens with estimates.
 * @param target Tokens of the same text; their own estimates do not count.
 * @throws UserError when the two are not equally many bytes.
 */
export function transferEstimates(
  source: readonly TokenBytes[],
  target: readonly Pick<TokenBytes, "bytes">[],
  method: TransferMethod = "mean",
): (number | null)[] {
  const [given, wanted] = [totalBytes(source), totalBytes(target)];
  if (given !== wanted) {
    throw new UserError(
      `transfer: expected the same text on both sides, found ${given} and ${wanted} bytes; ` +
        `give both tokenizers the same text, and keep all of its tokens`,
    );
  }
  const ofByte = source.flatMap(({ bytes, value }) =>
    new Array<number | null>(bytes).fill(
      value !== null && method === "sum" ? value / bytes : value,
    )
  );
  let start = 0;
  return target.map(({ bytes }) => {
    const values = ofByte.slice(start, start += bytes).filter((value) => value !== null);
    if (values.length === 0) return null;
    const total = values.reduce((sum, value) => sum + value, 0);
    return method === "sum" ? total : total / values.length;
  });
}

function totalBytes(tokens: readonly Pick<TokenBytes, "bytes">[]): number {
  return tokens.reduce((sum, { bytes }) => sum + bytes, 0);
}
