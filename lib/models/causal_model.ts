/**
 * Causal language model, CLM (paper §2.4): a causal stack and a linear head. Position t predicts
 * token t + 1; N − 1 of N tokens are scored.
 */

import { slice, type Tensor } from "../engine/mod.ts";
import { initLinear, initNormal, type Linear, linear } from "../layers/mod.ts";
import type { Random } from "../random.ts";
import {
  type Backbone,
  type BackboneConfig,
  embedTokens,
  hiddenStates,
  initBackbone,
} from "./backbone.ts";
import { TRANSFORMER_DEVIATION } from "./transformer.ts";

export type CausalModelConfig = Readonly<{ kind: "causal"; backbone: BackboneConfig }>;

export type CausalModel = Backbone & { head: Linear };

/** The head is N(0, 0.02²) for transformers and PyTorch's default for mixers (paper §2.1, §2.3). */
export function initCausalModel(config: CausalModelConfig, random: Random): CausalModel {
  const { architecture, width, vocabSize } = config.backbone;
  const headRandom = random.stream("head");
  const head = architecture === "transformer"
    ? { weight: initNormal(headRandom, [width, vocabSize], TRANSFORMER_DEVIATION) }
    : initLinear(headRandom, width, vocabSize, { bias: false });
  return { ...initBackbone(config.backbone, random), head };
}

/** Logits `[N−1, B, V]` for tokens 1 … N−1 of ids int32 `[N, B]`. */
export function causalLogits(
  config: CausalModelConfig,
  params: CausalModel,
  idsTB: Tensor,
  visibleBT: Tensor | null,
): Tensor {
  const [length, batch] = idsTB.shape as [number, number];
  const embeddedTBD = embedTokens(params, idsTB);
  const statesTBD = hiddenStates(config.backbone, params, embeddedTBD, visibleBT);
  const predicting = slice(statesTBD, [0, 0, 0], [length - 1, batch, config.backbone.width]);
  return linear(params.head, predicting);
}
