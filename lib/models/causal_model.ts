/**
 * Causal language model, CLM (paper §2.4): a causal stack and a linear head.
 *
 *   logits = Stack(embed(ids)) head;   position t predicts token t + 1, so N − 1 of N are scored
 *
 * The head has a bias in models that are trained towards entropies alone (paper §5.1).
 *
 * The loss of a token is its cross-entropy (language_model.ts), of a batch the mean over those that
 * are no pads (lib/train/step.ts).
 */

import { slice, type Tensor, zeros } from "../engine/mod.ts";
import {
  type AttentionDropout,
  initLinear,
  initNormal,
  type Linear,
  linear,
} from "../layers/mod.ts";
import type { Random } from "../random.ts";
import {
  type Backbone,
  type BackboneConfig,
  embedTokens,
  hiddenStates,
  initBackbone,
} from "./backbone.ts";
import { TRANSFORMER_DEVIATION } from "./transformer.ts";

export type CausalModelConfig = Readonly<{
  kind: "causal";
  backbone: BackboneConfig;
  /** True gives the head a bias, as entropy-aware training has it (paper §5.1). */
  headBias?: boolean;
}>;

export type CausalModel = Backbone & { head: Linear };

export function initCausalModel(
  { backbone, headBias = false }: CausalModelConfig,
  random: Random,
): CausalModel {
  const head = initHead(backbone, random.stream("head"), { isOuter: false, bias: headBias });
  return { ...initBackbone(backbone, random), head };
}

/**
 * The head, weight `[D, V]`: N(0, 0.02²) as part of a Llama model, else PyTorch's default, as in
 * mixers and wherever the reference sets it beside the stack (paper §2.1, §2.3). A bias, `[V]`,
 * starts as Hugging Face and PyTorch have it: 0 in a Llama model, else U(±1/√D).
 */
export function initHead(
  { architecture, width, vocabSize }: BackboneConfig,
  random: Random,
  { isOuter, bias = false }: { isOuter: boolean; bias?: boolean },
): Linear {
  if (architecture !== "transformer" || isOuter) {
    return initLinear(random, width, vocabSize, { bias });
  }
  const weight = initNormal(random, [width, vocabSize], TRANSFORMER_DEVIATION);
  return bias ? { weight, bias: zeros([vocabSize]) } : { weight };
}

/** Logits `[N−1, B, V]` for tokens 1 … N−1 of ids int32 `[N, B]`. */
export function causalLogits(
  config: CausalModelConfig,
  params: CausalModel,
  idsTB: Tensor,
  visibleBT: Tensor | null,
): Tensor {
  return linear(params.head, causalStates(config, params, idsTB, visibleBT));
}

/**
 * What the head reads to predict tokens 1 … N−1 of ids int32 `[N, B]`: `[N−1, B, D]`.
 *
 * @param attentionDropout Of transformers, in training alone (paper §5.2); none by default.
 */
export function causalStates(
  config: CausalModelConfig,
  params: CausalModel,
  idsTB: Tensor,
  visibleBT: Tensor | null,
  attentionDropout?: AttentionDropout,
): Tensor {
  const [length, batch] = idsTB.shape as [number, number];
  const embeddedTBD = embedTokens(params, idsTB);
  const statesTBD = hiddenStates(config.backbone, params, embeddedTBD, visibleBT, {
    attentionDropout,
  });
  return slice(statesTBD, [0, 0, 0], [length - 1, batch, config.backbone.width]);
}
