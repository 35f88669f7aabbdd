/**
 * What a second-order model says of every token (paper §4.6): in one pass, the number that the
 * estimator which it was trained on would give, as well as it has learned to.
 *
 * Legend: N tokens a window, B batch.
 */

import {
  type ModelConfig,
  type SecondOrderConfig,
  secondOrderEstimates,
  type SecondOrderModel,
  visibleTokens,
} from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import {
  estimateBatches,
  type EstimatedModel,
  type EstimateOptions,
  requireKind,
  type WindowEstimates,
} from "./window_estimates.ts";

/** @throws UserError for any but a second-order model. */
export function requireSecondOrder(config: ModelConfig): asserts config is SecondOrderConfig {
  requireKind("second-order", config, ["second-order"], "others learned no number of every token");
}

/**
 * The predicted number of every token, in the unit of what the model was trained on: nats for
 * entropies and losses.
 *
 * @throws UserError when the model is no second-order one, or the windows do not fit it.
 */
export async function secondOrderEntropies(
  model: EstimatedModel,
  windows: WindowIds,
  options: EstimateOptions = {},
): Promise<WindowEstimates> {
  const { config, padId } = model;
  requireSecondOrder(config);
  const { estimate } = await estimateBatches(
    "second-order estimates",
    model,
    windows,
    (params, idsNB) => {
      const visibleBN = visibleTokens(idsNB, padId);
      const second = params as SecondOrderModel;
      return { estimate: secondOrderEstimates(config, second, idsNB, visibleBN) };
    },
    options,
  );
  return estimate;
}
