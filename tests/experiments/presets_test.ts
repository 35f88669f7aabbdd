import assert from "node:assert/strict";
import { scaleSteps } from "../../lib/experiments/arms.ts";
import { BASELINE_PRESETS } from "../../lib/experiments/presets.ts";

Deno.test("scaleSteps() shortens a preset and keeps its parts in proportion", () => {
  const { quick } = BASELINE_PRESETS;
  assert.equal(scaleSteps(quick, 1), quick);
  const half = scaleSteps(quick, 0.5);
  assert.equal(half.steps, quick.steps / 2);
  assert.ok(half.warmupSteps >= 1 && half.warmupSteps < half.steps / 5);
  const least = scaleSteps(quick, 1e-6);
  assert.equal(least.steps, 12);
  assert.ok(least.warmupSteps < least.steps && least.evaluateEvery < least.steps);
  assert.deepEqual(least.seeds, quick.seeds);
});
