/** The compiled training and evaluation steps of a model. */

import {
  abs,
  add,
  type Compiler,
  disposeTree,
  jit,
  type Jitted,
  mul,
  namedLeaves,
  slice,
  square,
  sum,
  type Tensor,
  transpose,
  valueAndGradient,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { pickModules } from "../layers/mod.ts";
import {
  type AugmentedDecoder,
  type Autoencoder,
  type Backbone,
  type BatchOptions,
  checkAttentionDropout,
  initModel,
  type LossSum,
  meanOf,
  meanTokenLoss,
  type Model,
  type ModelConfig,
  needsValues,
  summedTokenLoss,
  sumOfLosses,
  tokenLosses,
  tokensAfterTokens,
} from "../models/mod.ts";
import {
  checkQuantizationAwareTraining,
  type QuantizationAwareTraining,
  quantizationHooks,
} from "../qat/mod.ts";
import { createRandom } from "../random.ts";
import { adamw, type AdamWConfig, type TrainState } from "./adamw.ts";
import type { Batch } from "./batch.ts";
import {
  checkObjective,
  needsEstimates,
  type Objective,
  objectiveLosses,
  objectiveOfMean,
  PLAIN,
} from "./objectives.ts";

/** What training leaves as it is: nothing, or an encoder trained before (paper §2.7). */
export type Frozen = { encoder: Backbone } | Readonly<Record<string, never>>;

/** What training changes: a model, without its encoder if that is frozen. */
export type Trainable = Model | Omit<Autoencoder, "encoder"> | Omit<AugmentedDecoder, "encoder">;

/** A model of its trained and its frozen part. */
export function joinModel(trainable: Trainable, frozen: Frozen): Model {
  return { ...trainable, ...frozen } as Model;
}

/** How the loss that training descends on differs from that of evaluation (paper §5, §6.2). */
export type LossOptions = Readonly<{
  /** The loss of a token; plain by default. */
  objective?: Objective;
  /** The share of attention weights that each step drops (paper §5.2); none by default. */
  attentionDropout?: number;
  /** Noise or rounding for the sake of quantization; none by default. */
  qat?: QuantizationAwareTraining;
  /** Added to the mean loss of a batch; none by default. */
  penalties?: Penalties;
}>;

/** Factors of Σ|w| and of Σw²/2 over all weights but gains and biases. */
export type Penalties = Readonly<{ l1?: number; l2?: number }>;

/** A batch, and the seeds, int32 `[2]`, of what is drawn anew in each step. */
export type StepBatch = Batch & Readonly<{ dropoutSeed?: Tensor; noiseSeed?: Tensor }>;

export type TrainStep = Jitted<
  [state: TrainState<Trainable>, frozen: Frozen, scalars: Tensor, batch: StepBatch],
  { state: TrainState<Trainable>; loss: Tensor; gradientNorm: Tensor }
>;

/**
 * Forward, backward and AdamW update as one compiled function. `loss` is what the update descends
 * on, penalties included.
 */
export function compileTrainStep(
  config: ModelConfig,
  options: BatchOptions,
  optimizer: AdamWConfig,
  compiler: Compiler,
  lossOptions: LossOptions = {},
): TrainStep {
  return jit(
    "training step",
    (state: TrainState<Trainable>, frozen: Frozen, scalars: Tensor, batch: StepBatch) => {
      const { value, gradient } = valueAndGradient(
        (params) => {
          const model = joinModel(params, frozen);
          const objective = lossOptions.objective ?? PLAIN;
          const mean = objective.form === "plain"
            ? meanTokenLoss(config, model, ...trainingInputs(model, batch, options, lossOptions))
            : meanOf(trainingLoss(config, model, batch, options, lossOptions));
          const loss = objectiveOfMean(objective, mean);
          return penaltyTerms(params, lossOptions.penalties)
            .reduce((total, term) => add(total, term), loss);
        },
        state.params,
      );
      return { loss: value, ...adamw(state, gradient, scalars, optimizer) };
    },
    { compiler },
  );
}

/** The ids of a batch, and what acts on it in training. */
function trainingInputs(
  model: Model,
  { idsBN, dropoutSeed, noiseSeed, ...values }: StepBatch,
  options: BatchOptions,
  { objective = PLAIN, attentionDropout: rate, qat }: LossOptions,
): [idsBN: Tensor, options: BatchOptions] {
  const dropout = rate === undefined ? {} : { attentionDropout: { rate, seed: dropoutSeed! } };
  return [idsBN, {
    ...options,
    ...values,
    ...dropout,
    ...(qat && quantizationHooks(qat, model, noiseSeed)),
    ...(objective.form === "label-smoothing" ? { uniform: true } : {}),
  }];
}

/** What training descends on the mean of, over a batch; flooding makes more of the mean. */
export function trainingLoss(
  config: ModelConfig,
  model: Model,
  batch: StepBatch,
  options: BatchOptions,
  lossOptions: LossOptions,
): LossSum {
  const { objective = PLAIN } = lossOptions;
  const inputs = trainingInputs(model, batch, options, lossOptions);
  if (objective.form === "plain") return summedTokenLoss(config, model, ...inputs);
  const losses = tokenLosses(config, model, ...inputs);
  if (!needsEstimates(objective)) {
    return sumOfLosses({ ...losses, lossTB: objectiveLosses(objective, losses) });
  }
  // Estimators say nothing of a document's first token, so training leaves it out.
  const idsNB = transpose(batch.idsBN);
  const compared = { ...losses, scoredTB: tokensAfterTokens(idsNB, options.padId) };
  const valuesNB = transpose(batch.valuesBN!);
  const estimatesTB = slice(valuesNB, [1, 0], compared.scoredTB.shape as [number, number]);
  const lossTB = objectiveLosses(objective, compared, estimatesTB);
  return sumOfLosses({ ...compared, lossTB });
}

/** What penalties add to the mean loss of a batch. */
export function penaltyTerms(params: Trainable, { l1, l2 }: Penalties = {}): Tensor[] {
  // Biases of mixing heads have an axis for the heads, too.
  const weights = namedLeaves(params)
    .filter(({ name, tensor }) => tensor.rank >= 2 && !name.endsWith("bias"))
    .map(({ tensor }) => tensor);
  const total = (of: (weight: Tensor) => Tensor) =>
    weights.map((weight) => sum(of(weight))).reduce((all, one) => add(all, one));
  return [
    ...(l1 === undefined ? [] : [mul(total(abs), l1)]),
    ...(l2 === undefined ? [] : [mul(total(square), l2 / 2)]),
  ];
}

/**
 * Checks what a model is trained on.
 *
 * @throws UserError when an option is out of range or does not apply to the model.
 */
export function checkLossOptions(
  model: ModelConfig,
  { objective = PLAIN, attentionDropout, qat, penalties = {} }: LossOptions,
): void {
  checkObjective(objective);
  if (objective.form !== "plain" && model.kind !== "causal") {
    throw new UserError(
      `objective ${objective.form}: expected a causal model, found ${model.kind}; ` +
        "leave it out, all others are trained on their plain loss",
    );
  }
  if (attentionDropout !== undefined) checkAttentionDropout(model, attentionDropout);
  if (qat !== undefined) checkQat(model, qat);
  for (const [name, factor] of Object.entries(penalties)) {
    if (name !== "l1" && name !== "l2") {
      throw new UserError(`penalties: expected l1 or l2, found ${name}`);
    }
    if (factor > 0 && Number.isFinite(factor)) continue;
    throw new UserError(`penalties.${name}: expected a positive number, found ${factor}`);
  }
}

function checkQat(model: ModelConfig, qat: QuantizationAwareTraining): void {
  checkQuantizationAwareTraining(qat);
  if (qat.at === "embedding" || qat.at === "residual") checkEmbedding(model, qat.at);
  if (!Array.isArray(qat.modules)) return;
  const example = initModel(model, createRandom(0));
  try {
    pickModules(example, qat.modules);
  } finally {
    disposeTree(example);
  }
}

/** The embedding is noised or rounded on its way to the decoder, the residual ahead of `down`. */
function checkEmbedding(model: ModelConfig, at: "embedding" | "residual"): void {
  const isAugmented = model.kind === "augmented";
  const hasEmbedding = isAugmented && model.memory === "embedding";
  if (hasEmbedding && (at === "embedding" || model.embeddingSize !== undefined)) return;
  const wanted = at === "embedding" ? "an embedding" : "an embeddingSize";
  const found = isAugmented ? "one without" : `a model of kind ${model.kind}`;
  throw new UserError(
    `qat.at ${at}: expected an augmented decoder with ${wanted}, found ${found}; use outputs or weights`,
  );
}

/** Whether training windows must have a number per token. */
export function needsTokenValues(model: ModelConfig, { objective = PLAIN }: LossOptions): boolean {
  return needsValues(model) || needsEstimates(objective);
}
