/** What rounding costs a trained run, module by module, and how its activations are spread. */

import { disposeTree, jit, type Tensor, tensor } from "../engine/mod.ts";
import { type Hooks, pickModules } from "../layers/mod.ts";
import { initModel, type Model, tokenLosses } from "../models/mod.ts";
import { fakeQuantize, parseQuantization, quantizationHooks } from "../qat/mod.ts";
import { createRandom } from "../random.ts";
import {
  type ActivationStatistics,
  activationStatistics,
  type Condition,
  type QuantizedLoss,
  quantizedLosses,
  type QuantizedModel,
  sensitivityConditions,
  type TemperedLoss,
  temperedLoss,
} from "../measure/mod.ts";
import { type Batch, evaluate, type TrainingData } from "../train/mod.ts";

import type { RunSpec } from "./run_spec.ts";
import { firstWindows } from "./window_subsets.ts";

export type RoundingRecord =
  | (Readonly<{ type: "measurement"; what: "rounded modules" }> & QuantizedLoss)
  | (Readonly<{ type: "measurement"; what: "activations" }> & ActivationStatistics)
  | Readonly<{
    type: "measurement";
    /** The loss with training's own noise or rounding, which other evaluations leave out. */
    what: "as trained";
    lossNats: number;
  }>
  | (
    & Readonly<{
      type: "measurement";
      what: "tempered";
      /** Of the embedding; null where it is not rounded. */
      quantization: string | null;
    }>
    & TemperedLoss
  );

/** Significant digits of a histogram's edges that records keep. */
const EDGE_DIGITS = 6;

/** Training windows on which temperatures are fitted. */
const FITTED_WINDOWS = 512;

type Rounding = NonNullable<RunSpec["rounding"]>;

/**
 * Checks what `rounding` asks for, by a model made for it, before the run's own is trained.
 *
 * @throws UserError for modules that the model has not, and sites and formats that do not apply.
 */
export function checkRounding(
  { rounding, training: { model: config, batchSize } }: RunSpec,
  { heldOut, padId }: TrainingData,
): void {
  if (rounding === undefined) return;
  const params = initModel(config, createRandom(0));
  try {
    // It refuses at once what it would refuse, and computes nothing until a loss is asked for.
    quantizedLosses({ config, params, padId }, heldOut, conditionsOf(params, rounding), {
      batchSize,
    });
    const { tempered = [], activations = [] } = rounding;
    pickModules(params, [...activations, ...tempered.length > 0 ? ["down"] : []]);
    for (const name of tempered) if (name !== null) parseQuantization(name);
  } finally {
    disposeTree(params);
  }
}

/** What is named, then the sweep. */
function conditionsOf(params: Model, { conditions = [], sweep }: Rounding): Condition[] {
  return [...conditions, ...sweep ? sensitivityConditions(params, sweep) : []];
}

/** What `rounding` of the run's specification asks for; nothing without it. */
export async function measureRounding(
  model: QuantizedModel,
  data: TrainingData,
  { rounding, training }: RunSpec,
): Promise<RoundingRecord[]> {
  if (rounding === undefined) return [];
  const { heldOut } = data;
  const { batchSize } = training;
  const { tempered = [], activations = [] } = rounding;
  const conditions = conditionsOf(model.params, rounding);
  const records: RoundingRecord[] = await measureAsTrained(model, data, training);
  for await (const loss of quantizedLosses(model, heldOut, conditions, { batchSize })) {
    records.push({ type: "measurement", what: "rounded modules", ...loss });
  }
  for (const quantization of tempered) {
    const fitted = await temperedLoss(model, {
      fitOn: firstWindows(data.train, FITTED_WINDOWS),
      windows: heldOut,
      batchSize,
      hooks: embeddingIn(quantization),
    });
    records.push({ type: "measurement", what: "tempered", quantization, ...fitted });
  }
  if (activations.length === 0) return records;
  const described = await activationStatistics(model, heldOut, activations, { batchSize });
  for (const { histogram: { edges, counts }, ...statistics } of described) {
    const shortened = edges.map((edge) => Number(edge.toPrecision(EDGE_DIGITS)));
    const histogram = { edges: shortened, counts };
    records.push({ type: "measurement", what: "activations", ...statistics, histogram });
  }
  return records;
}

function embeddingIn(quantization: string | null): Hooks {
  if (quantization === null) return {};
  return { down: { output: fakeQuantize(parseQuantization(quantization)) } };
}

/** Noise of its own for every batch, as in training, from a stream that training does not read. */
async function measureAsTrained(
  { config, params, padId }: QuantizedModel,
  { heldOut }: TrainingData,
  { qat, batchSize, seed }: RunSpec["training"],
): Promise<RoundingRecord[]> {
  if (qat === undefined) return [];
  const losses = jit(
    "evaluation as trained",
    (params: Model, { idsBN, ...values }: Batch, seed: Tensor) =>
      tokenLosses(config, params, idsBN, {
        padId,
        ...values,
        ...quantizationHooks(qat, params, seed),
      }),
    { compiler: "graph" },
  );
  const key = createRandom(seed).stream("noise of evaluation").bits() | 0;
  let count = 0;
  try {
    const { lossNats } = await evaluate(
      (params, batch) => {
        const seed = tensor([key, count++], [2], "int32");
        const result = losses(params, batch, seed);
        seed.dispose();
        return result;
      },
      params,
      heldOut,
      batchSize,
    );
    return [{ type: "measurement", what: "as trained", lossNats }];
  } finally {
    losses.dispose();
  }
}
