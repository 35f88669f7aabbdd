/**
 * Held-out loss of a model: plain cross-entropy over every scored token, nats, or the squared error
 * of a second-order model's estimates, nats².
 */

import { type Compiler, disposeTree, jit, type Jitted } from "../engine/mod.ts";
import {
  type BatchOptions,
  type Model,
  type ModelConfig,
  type TokenLosses,
  tokenLosses,
} from "../models/mod.ts";
import { batchesInOrder, type StoredWindows, type WindowIds } from "../text/mod.ts";
import { type Batch, batchTensors } from "./batch.ts";

/** Token losses of a batch. */
export type LossEvaluator = (params: Model, batch: Batch) => TokenLosses;

/** Token losses of a batch as one compiled function. */
export function compileEvaluator(
  config: ModelConfig,
  options: BatchOptions,
  compiler: Compiler,
): Jitted<[params: Model, batch: Batch], TokenLosses> {
  return jit(
    "evaluation",
    (params: Model, { idsBN, ...values }: Batch) =>
      tokenLosses(config, params, idsBN, { ...options, ...values }),
    { compiler },
  );
}

export type Evaluation = Readonly<{
  /** Mean over the scored tokens, nats; of second-order models nats², as everywhere here. */
  lossNats: number;
  scoredTokens: number;
  /** Mean loss of each window, nats: for intervals over the text. */
  windowLossNats: Float64Array;
}>;

/** The loss over all of `windows`, `batchSize` at a time. */
export async function evaluate(
  evaluator: LossEvaluator,
  params: Model,
  windows: WindowIds | StoredWindows,
  batchSize: number,
): Promise<Evaluation> {
  const windowLossNats = new Float64Array(windows.count);
  let window = 0;
  let totalNats = 0;
  let scoredTokens = 0;
  for await (const targets of windowLosses(evaluator, params, windows, batchSize)) {
    let nats = 0, count = 0;
    for (const loss of targets) {
      if (loss === null) continue;
      nats += loss;
      count++;
    }
    windowLossNats[window++] = count === 0 ? 0 : nats / count;
    totalNats += nats;
    scoredTokens += count;
  }
  return { lossNats: totalNats / scoredTokens, scoredTokens, windowLossNats };
}

/**
 * The losses of every window's targets, nats, window after window: the last S of N tokens, null
 * for those that are not scored.
 */
export async function* windowLosses(
  evaluator: LossEvaluator,
  params: Model,
  windows: WindowIds | StoredWindows,
  batchSize: number,
): AsyncGenerator<(number | null)[], void, void> {
  for (const { rows, ...batchRows } of batchesInOrder(windows, batchSize)) {
    const batch = batchTensors(batchRows, windows.contextLength);
    const { lossTB, scoredTB } = evaluator(params, batch);
    const losses = await lossTB.data() as Float32Array;
    const scored = await scoredTB.data() as Float32Array;
    disposeTree([batch, lossTB, scoredTB]);
    const targets = losses.length / batchSize;
    for (let row = 0; row < rows; row++) {
      yield Array.from({ length: targets }, (_, t) => {
        const at = t * batchSize + row;
        return scored[at] === 0 ? null : losses[at]!;
      });
    }
  }
}
