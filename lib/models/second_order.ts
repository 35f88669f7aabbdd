/**
 * Second-order model, 2EEM (paper §4.6): a causal stack and a linear layer to one number, which
 * learns what another model says of every token, e.g. its loss or estimated entropy v_t, and so
 * gives in one pass what the other may need N passes for.
 *
 *   est = Stack(embed(ids)) w + b
 *   loss = mean over tokens of (ŝ_t − v_t)²,   t = 1 … N − 1
 *   ŝ_t = est_t       without shift: the model has read the token that it rates
 *   ŝ_t = est_{t−1}   with shift: it must give the number before it sees the token
 *
 * Without shift the model has read all that v_t depends on; with it the best that it can learn is the
 * mean of v_t over the tokens that may follow.
 *
 * Deviation: the reference's loss has pads too, with 0 for v. Here they are left out, as is the first
 * token behind them, of which nothing says how surprising it is (lib/models/language_model.ts): an
 * error that shrinks with the share of pads could not be compared.
 *
 * Legend: N tokens, B batch, D width.
 */

import { reshape, slice, type Tensor } from "../engine/mod.ts";
import { initLinear, type Linear, linear } from "../layers/mod.ts";
import type { Random } from "../random.ts";
import {
  type Backbone,
  type BackboneConfig,
  embedTokens,
  hiddenStates,
  initBackbone,
} from "./backbone.ts";

export type SecondOrderConfig = Readonly<{
  kind: "second-order";
  backbone: BackboneConfig;
  /** Whether a token is rated before it is seen. */
  shift: boolean;
}>;

/** The head's weight is `[D, 1]`, its bias `[1]`. */
export type SecondOrderModel = Backbone & { head: Linear };

/** The head starts as a PyTorch layer beside the stack, in every architecture (paper §2.3). */
export function initSecondOrderModel(
  { backbone }: SecondOrderConfig,
  random: Random,
): SecondOrderModel {
  const head = initLinear(random.stream("head"), backbone.width, 1);
  return { ...initBackbone(backbone, random), head };
}

/** The predicted numbers `[N−1, B]` of tokens 1 … N−1 of ids int32 `[N, B]`. */
export function secondOrderEstimates(
  { backbone, shift }: SecondOrderConfig,
  params: SecondOrderModel,
  idsNB: Tensor,
  visibleBN: Tensor | null,
): Tensor {
  const [length, batch] = idsNB.shape as [number, number];
  const statesNBD = hiddenStates(backbone, params, embedTokens(params, idsNB), visibleBN);
  const first = shift ? 0 : 1;
  const rating = slice(statesNBD, [first, 0, 0], [length - 1, batch, backbone.width]);
  return reshape(linear(params.head, rating), [length - 1, batch]);
}
