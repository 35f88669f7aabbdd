/** Where tests of `runAll` keep their runs, and what they watch of it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../../lib/errors.ts";
import {
  runAll,
  type RunOptions,
  type RunProgress,
  type RunSpec,
  type StoreFolders,
} from "../../lib/experiments/mod.ts";
import { tinySpec } from "./_tiny.ts";

export function optionsIn(folder: string): RunOptions & { folders: StoreFolders } {
  return {
    folders: { runs: join(folder, "runs"), published: join(folder, "published") },
    cacheFolder: join(folder, "cache"),
  };
}

/** Asserts that each message is given for its run before any other is trained. */
export async function refuses(
  folder: string,
  bad: readonly (readonly [RunSpec, RegExp])[],
): Promise<void> {
  for (const [spec, message] of bad) {
    await assert.rejects(
      runAll([tinySpec(folder, "eem"), spec], optionsIn(folder)),
      (error) => {
        assert.ok(error instanceof UserError, String(error));
        assert.match(error.message, message);
        return true;
      },
    );
    await assert.rejects(Deno.stat(optionsIn(folder).folders.runs), Deno.errors.NotFound);
  }
}

/** Runs that train, by arm and updates so far. */
export function watchProgress() {
  const seen: string[] = [];
  const onProgress = ({ spec, record, stepsDone, steps }: RunProgress) => {
    if (record.type === "train") seen.push(`${spec.arm} ${stepsDone} of ${steps}`);
  };
  return { seen, onProgress };
}

/** What {@linkcode watchProgress} sees of a run of twelve steps. */
export function twelveSteps(arm: string, before: number, steps: number): string[] {
  return [2, 4, 6, 8, 10, 12].map((step) => `${arm} ${before + step} of ${steps}`);
}
