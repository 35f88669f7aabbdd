/** The compiled training and evaluation steps of a model. */

import {
  type Compiler,
  div,
  jit,
  type Jitted,
  maximum,
  sum,
  type Tensor,
  valueAndGradient,
} from "../engine/mod.ts";
import {
  type BatchOptions,
  type Model,
  type ModelConfig,
  type TokenLosses,
  tokenLosses,
} from "../models/mod.ts";
import { adamw, type AdamWConfig, type TrainState } from "./adamw.ts";

/** Mean cross-entropy over the scored tokens of a batch, in nats. */
export function meanLoss({ lossTB, scoredTB }: TokenLosses): Tensor {
  return div(sum(lossTB), maximum(sum(scoredTB), 1));
}

export type TrainStep = Jitted<
  [state: TrainState<Model>, scalars: Tensor, idsBN: Tensor],
  { state: TrainState<Model>; loss: Tensor; gradientNorm: Tensor }
>;

/** Forward, backward and AdamW update as one compiled function. */
export function compileTrainStep(
  config: ModelConfig,
  batch: BatchOptions,
  optimizer: AdamWConfig,
  compiler: Compiler,
): TrainStep {
  return jit("training step", (state: TrainState<Model>, scalars: Tensor, idsBN: Tensor) => {
    const { value, gradient } = valueAndGradient(
      (params) => meanLoss(tokenLosses(config, params, idsBN, batch)),
      state.params,
    );
    return { loss: value, ...adamw(state, gradient, scalars, optimizer) };
  }, { compiler });
}
