/** Tiny models and windows for estimators. */

import assert from "node:assert/strict";
import type { EstimatedModel, WindowEstimates } from "../../lib/entropy/mod.ts";
import { UserError } from "../../lib/errors.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import type { WindowIds } from "../../lib/text/mod.ts";
import { assertClose } from "../_numbers.ts";
import { LENGTH, livelyModel } from "../models/_tiny.ts";

export function estimated<Config extends ModelConfig>(config: Config, padId: number | null = null) {
  return { config, params: livelyModel(config), padId } satisfies EstimatedModel;
}

export function windowsOf(ids: Int32Array, contextLength = LENGTH): WindowIds {
  return { contextLength, count: ids.length / contextLength, ids };
}

/** The windows one after another. */
export function joined(...parts: readonly Int32Array[]): WindowIds {
  return windowsOf(Int32Array.from(parts.flatMap((part) => [...part])));
}

/** Fails unless both have estimates at the same places, within `tolerance` of each other. */
export function assertEstimates(
  found: WindowEstimates,
  expected: WindowEstimates,
  tolerance: number,
  what: string,
): void {
  const isThere = (estimates: WindowEstimates) =>
    estimates.map((window) => window.map((estimate) => estimate !== null));
  const numbers = (estimates: WindowEstimates) =>
    estimates.flat().filter((estimate) => estimate !== null);
  assert.deepEqual(isThere(found), isThere(expected), `${what}: places`);
  assertClose(numbers(found), numbers(expected), tolerance, what);
}

/** What `act` says in the UserError that it must throw, at once or in its promise. */
export async function refusalOf(act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    return error.message;
  }
  assert.fail("expected an error");
}
