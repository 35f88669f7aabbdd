/** Held-out loss of a model: plain cross-entropy over every scored token. */

import { type Compiler, jit, type Jitted, type Tensor, tensor } from "../engine/mod.ts";
import {
  type BatchOptions,
  type Model,
  type ModelConfig,
  type TokenLosses,
  tokenLosses,
} from "../models/mod.ts";
import { batchesInOrder, type Windows } from "../text/mod.ts";

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
  windows: Windows,
  batchSize: number,
): Promise<Evaluation> {
  const windowLossNats = new Float64Array(windows.count);
  let totalNats = 0;
  let scoredTokens = 0;
  for (const { ids, start, rows } of batchesInOrder(windows, batchSize)) {
    const idsBN = tensor(ids, [batchSize, windows.contextLength], "int32");
    const { lossTB, scoredTB } = evaluator(params, idsBN);
    const losses = await lossTB.data() as Float32Array;
    const scored = await scoredTB.data() as Float32Array;
    for (const leaf of [idsBN, lossTB, scoredTB]) leaf.dispose();
    for (let row = 0; row < rows; row++) {
      let nats = 0, count = 0;
      for (let at = row; at < losses.length; at += batchSize) {
        nats += losses[at]!;
        count += scored[at]!;
      }
      windowLossNats[start + row] = count === 0 ? 0 : nats / count;
      totalNats += nats;
      scoredTokens += count;
    }
  }
  return { lossNats: totalNats / scoredTokens, scoredTokens, windowLossNats };
}
