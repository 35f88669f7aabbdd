/** Every estimator of this folder by name, for runs and command lines. */

import { UserError } from "../errors.ts";
import type { ModelConfig } from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import { gradientTimesInput } from "./gradient_input.ts";
import { type Contrast, memoryOcclusion, memoryShift } from "./occlusion.ts";
import { padShiftEntropies, requirePads } from "./pad_shift.ts";
import {
  predictiveEntropies,
  requireCausal,
  requireNextTokens,
  tokenCrossEntropies,
} from "./predictive.ts";
import { requireSecondOrder, secondOrderEntropies } from "./second_order.ts";
import { checkWindowPair, requirePacked, twoWindowEntropies } from "./two_window.ts";
import {
  type EstimatedModel,
  type EstimateOptions,
  requireMemory,
  type WindowEstimates,
} from "./window_estimates.ts";

export const ESTIMATORS = [
  "loss",
  "predictive-entropy",
  "pad-shift",
  "two-window",
  "second-order",
  "occlusion-l1",
  "occlusion-cosine",
  "occlusion-loss",
  "shift-l1",
  "shift-cosine",
  "shift-loss",
  "gradient-input",
] as const;
export type EstimatorName = (typeof ESTIMATORS)[number];

/** What decides, beside the model, whether an estimator applies. */
export type EstimatorSetting = Readonly<{
  /** The pad id of a model trained on left-padded samples, null for packed ones. */
  padId: number | null;
  /** The two-window form's model of windows of N − 1 tokens. */
  shorter?: ModelConfig | undefined;
}>;

export type EstimatorOptions =
  & Pick<EstimateOptions, "batchSize">
  & Readonly<{ shorter?: EstimatedModel | undefined }>;

type Estimator = Readonly<{
  isAttribution?: boolean;
  check: (config: ModelConfig, setting: EstimatorSetting) => void;
  run: (
    model: EstimatedModel,
    windows: WindowIds,
    options: EstimatorOptions,
  ) => Promise<WindowEstimates>;
}>;

const attribution = (name: string, run: Estimator["run"]): Estimator => ({
  isAttribution: true,
  check: (config) => requireMemory({ config }, name),
  run,
});

const metric = (
  name: string,
  contrast: typeof memoryOcclusion | typeof memoryShift,
  which: keyof Contrast,
) =>
  attribution(
    name,
    async (model, windows, options) => (await contrast(model, windows, options))[which],
  );

const TABLE: Readonly<Record<EstimatorName, Estimator>> = {
  loss: {
    check: (config) => requireNextTokens("loss", config),
    run: tokenCrossEntropies,
  },
  "predictive-entropy": {
    check: requireCausal,
    run: predictiveEntropies,
  },
  "pad-shift": {
    check: (config, { padId }) => {
      requireMemory({ config }, "pad-shift");
      requirePads(padId);
    },
    run: padShiftEntropies,
  },
  "two-window": {
    check: (config, { padId, shorter }) => {
      requireNextTokens("two-window", config);
      requirePacked(padId);
      checkWindowPair(config, requireShorter(shorter));
    },
    run: (model, windows, { shorter, ...options }) =>
      twoWindowEntropies(model, requireShorter(shorter), windows, options),
  },
  "second-order": {
    check: requireSecondOrder,
    run: secondOrderEntropies,
  },
  "occlusion-l1": metric("occlusion-l1", memoryOcclusion, "l1"),
  "occlusion-cosine": metric("occlusion-cosine", memoryOcclusion, "cosine"),
  "occlusion-loss": metric("occlusion-loss", memoryOcclusion, "loss"),
  "shift-l1": metric("shift-l1", memoryShift, "l1"),
  "shift-cosine": metric("shift-cosine", memoryShift, "cosine"),
  "shift-loss": metric("shift-loss", memoryShift, "loss"),
  "gradient-input": attribution("gradient-input", gradientTimesInput),
};

/** Whether it estimates entropies or losses, in nats; attributions count as numbers without a unit. */
export function isInNats(name: EstimatorName): boolean {
  return TABLE[name].isAttribution !== true;
}

/** @throws UserError when an estimator does not apply to a model, trained or not yet. */
export function checkEstimator(
  name: EstimatorName,
  config: ModelConfig,
  setting: EstimatorSetting,
): void {
  TABLE[name].check(config, setting);
}

/**
 * The estimates of all tokens of windows.
 *
 * @throws UserError as {@linkcode checkEstimator} does, and when the windows do not fit the model.
 */
export async function estimateWindows(
  name: EstimatorName,
  model: EstimatedModel,
  windows: WindowIds,
  options: EstimatorOptions = {},
): Promise<WindowEstimates> {
  const { padId, config } = model;
  checkEstimator(name, config, { padId, shorter: options.shorter?.config });
  return await TABLE[name].run(model, windows, options);
}

function requireShorter<Shorter>(shorter: Shorter | undefined): Shorter {
  if (shorter !== undefined) return shorter;
  throw new UserError(
    "two-window: expected a second model, of windows that are one token shorter, found none",
  );
}
