/**
 * The loss with one temperature of the logits (Guo et al. 2017), fitted on other text: what a model
 * loses that has been made imprecise but still sure of itself, less what it loses by being too sure.
 */

import { div, jit, scalar, type Tensor } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import type { Hooks } from "../layers/mod.ts";
import { type Model, needsValues, tokenLosses } from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import { type Batch, evaluate } from "../train/mod.ts";
import { requireBatches } from "./_model_checks.ts";
import type { QuantizedModel } from "./sensitivity.ts";

/** The loss is convex in 1/temperature, so that a golden section finds the least one. */
const SEARCHED = { low: 1 / 16, high: 64, steps: 24 } as const;

export type TemperedLoss = Readonly<{
  /** What the logits were divided by, between 1/16 and 64. */
  temperature: number;
  /** Mean over the scored tokens of `windows`, nats. */
  lossNats: number;
}>;

/**
 * Fits the temperature on the windows `fitOn`, then measures the loss over `windows` with it.
 *
 * @param hooks What else is done to the model's modules; nothing by default.
 * @throws UserError for second-order models, which have no logits, windows that do not fit the model,
 *   and modules that it has not.
 */
export async function temperedLoss(
  { config, params, padId }: QuantizedModel,
  { fitOn, windows, batchSize, hooks = {} }: Readonly<{
    fitOn: WindowIds;
    windows: WindowIds;
    batchSize: number;
    hooks?: Hooks;
  }>,
): Promise<TemperedLoss> {
  if (needsValues(config)) {
    throw new UserError("a temperature: expected a model with logits, found a second-order one");
  }
  for (const read of [fitOn, windows]) requireBatches(config, read, batchSize);
  const head = config.kind === "causal" ? "head" : "decoder.head";
  const losses = jit(
    "tempered evaluation",
    (params: Model, { idsBN }: Batch, temperature: Tensor) => {
      const { output = (y: Tensor) => y, ...others } = hooks[head] ?? {};
      const tempered = { ...others, output: (y: Tensor) => div(output(y), temperature) };
      return tokenLosses(config, params, idsBN, { padId, hooks: { ...hooks, [head]: tempered } });
    },
    { compiler: "graph" },
  );
  const lossAt = async (temperature: number, read: WindowIds) => {
    const divisor = scalar(temperature);
    try {
      const { lossNats } = await evaluate(
        (params, batch) => losses(params, batch, divisor),
        params,
        read,
        batchSize,
      );
      return lossNats;
    } finally {
      divisor.dispose();
    }
  };
  try {
    const least = await goldenSection((x) => lossAt(Math.exp(x), fitOn), {
      low: Math.log(SEARCHED.low),
      high: Math.log(SEARCHED.high),
      steps: SEARCHED.steps,
    });
    const temperature = Math.exp(least);
    return { temperature, lossNats: await lossAt(temperature, windows) };
  } finally {
    losses.dispose();
  }
}

/** Where a function with one minimum between `low` and `high` is least, after so many values. */
async function goldenSection(
  of: (x: number) => Promise<number>,
  { low, high, steps }: Readonly<{ low: number; high: number; steps: number }>,
): Promise<number> {
  const share = (Math.sqrt(5) - 1) / 2;
  let [left, right] = [high - share * (high - low), low + share * (high - low)];
  let [atLeft, atRight] = [await of(left), await of(right)];
  for (let step = 2; step < steps; step++) {
    if (atLeft < atRight) {
      [high, right, atRight] = [right, left, atLeft];
      left = high - share * (high - low);
      atLeft = await of(left);
    } else {
      [low, left, atLeft] = [left, right, atRight];
      right = low + share * (high - low);
      atRight = await of(right);
    }
  }
  return (low + high) / 2;
}
