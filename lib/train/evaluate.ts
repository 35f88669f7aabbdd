/** Held-out loss of a model: plain cross-entropy over every scored token. */

import { type Compiler, jit, type Jitted, type Tensor, tensor } from "../engine/mod.ts";
import {
  type BatchOptions,
  type Model,
  type ModelConfig,
  type TokenLosses,
  tokenLosses,
} from "../models/mod.ts";
import { batchesInOrder, type WindowIds } from "../text/mod.ts";

/** Token losses of a batch of ids int32 `[B, N]`. */
export type LossEvaluator = (params: Model, idsBN: Tensor) => TokenLosses;

/** Token losses of a batch as one compiled function. */
export function compileEvaluator(
  config: ModelConfig,
  options: BatchOptions,
  compiler: Compiler,
): Jitted<[params: Model, idsBN: Tensor], TokenLosses> {
  return jit(
    "evaluation",
    (params: Model, idsBN: Tensor) => tokenLosses(config, params, idsBN, options),
    { compiler },
  );
}

export type Evaluation = Readonly<{
  /** Mean over the scored tokens, nats. */
  lossNats: number;
  scoredTokens: number;
  /** Mean loss of each window, nats: for intervals over the text. */
  windowLossNats: Float64Array;
}>;

/** The loss over all of `windows`, `batchSize` at a time. */
export async function evaluate(
  evaluator: LossEvaluator,
  params: Model,
  windows: WindowIds,
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
  windows: WindowIds,
  batchSize: number,
): AsyncGenerator<(number | null)[], void, void> {
  for (const { ids, rows } of batchesInOrder(windows, batchSize)) {
    const idsBN = tensor(ids, [batchSize, windows.contextLength], "int32");
    const { lossTB, scoredTB } = evaluator(params, idsBN);
    const losses = await lossTB.data() as Float32Array;
    const scored = await scoredTB.data() as Float32Array;
    for (const leaf of [idsBN, lossTB, scoredTB]) leaf.dispose();
    const targets = losses.length / batchSize;
    for (let row = 0; row < rows; row++) {
      yield Array.from({ length: targets }, (_, t) => {
        const at = t * batchSize + row;
        return scored[at] === 0 ? null : losses[at]!;
      });
    }
  }
}
