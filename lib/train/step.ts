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
  type AugmentedDecoder,
  type Autoencoder,
  type Backbone,
  type BatchOptions,
  type Model,
  type ModelConfig,
  type TokenLosses,
  tokenLosses,
} from "../models/mod.ts";
import { adamw, type AdamWConfig, type TrainState } from "./adamw.ts";
import type { Batch } from "./batch.ts";

/** Mean loss over the scored tokens of a batch: nats, of second-order models nats². */
export function meanLoss({ lossTB, scoredTB }: TokenLosses): Tensor {
  return div(sum(lossTB), maximum(sum(scoredTB), 1));
}

/** What training leaves as it is: nothing, or an encoder trained before (paper §2.7). */
export type Frozen = { encoder: Backbone } | Readonly<Record<string, never>>;

/** What training changes: a model, without its encoder if that is frozen. */
export type Trainable = Model | Omit<Autoencoder, "encoder"> | Omit<AugmentedDecoder, "encoder">;

/** A model of its trained and its frozen part. */
export function joinModel(trainable: Trainable, frozen: Frozen): Model {
  return { ...trainable, ...frozen } as Model;
}

export type TrainStep = Jitted<
  [state: TrainState<Trainable>, frozen: Frozen, scalars: Tensor, batch: Batch],
  { state: TrainState<Trainable>; loss: Tensor; gradientNorm: Tensor }
>;

/** Forward, backward and AdamW update as one compiled function. */
export function compileTrainStep(
  config: ModelConfig,
  options: BatchOptions,
  optimizer: AdamWConfig,
  compiler: Compiler,
): TrainStep {
  return jit(
    "training step",
    (state: TrainState<Trainable>, frozen: Frozen, scalars: Tensor, batch: Batch) => {
      const { idsBN, ...values } = batch;
      const { value, gradient } = valueAndGradient(
        (params) =>
          meanLoss(
            tokenLosses(config, joinModel(params, frozen), idsBN, { ...options, ...values }),
          ),
        state.params,
      );
      return { loss: value, ...adamw(state, gradient, scalars, optimizer) };
    },
    { compiler },
  );
}
