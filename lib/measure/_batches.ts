import { requireWindows } from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import { type ModelConfig, needsValues } from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import { requireCount } from "./_checks.ts";

/** @throws UserError unless a model can read the windows, so many at a time. */
export function requireBatches(config: ModelConfig, windows: WindowIds, batchSize: number): void {
  requireWindows(config, windows);
  requireCount("windows in a batch", batchSize, 1);
  if (!needsValues(config) || windows.values !== undefined) return;
  throw new UserError(
    "a second-order model: expected windows with the values that it learned, found none",
  );
}
