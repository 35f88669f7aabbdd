import type { Tree } from "../engine/mod.ts";
import { requireWindows } from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import { pickModules } from "../layers/mod.ts";
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

/**
 * The modules that are asked for, in the order of the tree.
 *
 * @throws UserError for a name that is none of a module, and when there are none.
 */
export function requireModules(params: Tree, modules: readonly string[] | "all"): string[] {
  const names = pickModules(params, modules);
  if (names.length > 0) return names;
  throw new UserError('modules: expected the name of one or more, or "all", found none');
}
