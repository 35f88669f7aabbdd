/**
 * How surprised a causal model is by each token of a text: its cross-entropy on the token, given
 * the tokens before it (paper §4.5).
 */

import { disposeTree, jit, type Tensor, tensor } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { type Model, type ModelConfig, sampleLength, tokenLosses } from "../models/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";

export type TokenSurprisal = Readonly<{
  id: number;
  /** The token as text; bytes of a split character show as the replacement character. */
  text: string;
  /** Place in the text, from 0. */
  position: number;
  /** Null for the first token, which nothing predicts. */
  lossNats: number | null;
  /** How many tokens before it the model saw. */
  context: number;
}>;

/**
 * The surprisal of every token of `text`. A text longer than the model's context N is read in
 * windows that overlap by half: from the second on, only tokens with N/2 tokens before them count.
 * A shorter text is filled up behind its end, which a causal model cannot see.
 *
 * @throws UserError when the model is not causal, the tokenizer is another model's, or the text has
 *   fewer than two tokens.
 */
export async function tokenSurprisals(
  config: ModelConfig,
  params: Model,
  tokenizer: Tokenizer,
  text: string,
): Promise<TokenSurprisal[]> {
  if (config.kind !== "causal") {
    throw new UserError("token surprisals need a causal model, found an encoder-augmented one");
  }
  if (tokenizer.vocabSize !== config.backbone.vocabSize) {
    throw new UserError(
      `expected the model's tokenizer, of ${config.backbone.vocabSize} entries, found one of ${tokenizer.vocabSize}`,
    );
  }
  const ids = tokenizer.encode(text);
  if (ids.length < 2) {
    throw new UserError(`expected a text of two tokens or more, found ${ids.length}`);
  }
  const length = sampleLength(config);
  const stride = Math.max(1, Math.floor(length / 2));
  const starts = [0];
  while (starts.at(-1)! + length < ids.length) starts.push(starts.at(-1)! + stride);

  const losses = jit(
    "token surprisals",
    (params: Model, idsBN: Tensor) => tokenLosses(config, params, idsBN, { padId: null }).lossTB,
    { compiler: "graph" },
  );
  const lossNats = new Array<number | null>(ids.length).fill(null);
  const context = new Array<number>(ids.length).fill(0);
  for (const start of starts) {
    const window = new Int32Array(length).fill(tokenizer.padId);
    window.set(ids.subarray(start, start + length));
    const idsBN = tensor(window, [1, length], "int32");
    const lossTB = losses(params, idsBN);
    const values = await lossTB.data();
    disposeTree([idsBN, lossTB]);
    for (let at = 1; at < length && start + at < ids.length; at++) {
      if (start > 0 && at < length - stride) continue;
      lossNats[start + at] = values[at - 1]!;
      context[start + at] = at;
    }
  }
  losses.dispose();
  return Array.from(ids, (id, position) => ({
    id,
    text: tokenizer.tokenText(id),
    position,
    lossNats: lossNats[position]!,
    context: context[position]!,
  }));
}
