/**
 * Detects that training gives other losses than it did. These golden files are this library's own
 * output, so they say that numbers changed, never that they are right: that is shown against
 * PyTorch (`tests/models/golden_test.ts`, files in `tests/golden/models`).
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { startBackend } from "../../lib/engine/backend.ts";
import { TRAINING_VERSION } from "../../lib/experiments/run_spec.ts";
import { onEveryBackend } from "../_backends.ts";
import {
  computeLossCurves,
  describeChange,
  GOLDEN_LOSS_MODELS,
  type GoldenLosses,
  goldenLossFile,
} from "./_golden_loss.ts";

const REGENERATE = "deno run --allow-read --allow-env --allow-ffi --allow-sys " +
  "--allow-write=tests/golden/loss tests/reference/loss_golden.ts";

/**
 * Relative. Two processors or compilers differ by some 1e-6 after these 30 steps, wasm, which adds
 * in another order, hardly more. GPUs multiply matrices with ten bits of mantissa (TF32).
 */
function toleranceOf(backend: string, device: string): number {
  if (device.startsWith("GPU")) return 1e-2;
  return backend === "tensorflow" ? 1e-5 : 1e-4;
}

/** XLA takes seconds to compile a step: one model of each family and kind. */
const WITH_XLA = ["mixer_clm", "transformer_eem"];

for (const name of Object.keys(GOLDEN_LOSS_MODELS)) {
  const golden: GoldenLosses = JSON.parse(readFileSync(goldenLossFile(name), "utf8"));

  Deno.test(`the golden losses of ${name} are of this TRAINING_VERSION`, () => {
    assert.equal(
      golden.trainingVersion,
      TRAINING_VERSION,
      `TRAINING_VERSION is ${TRAINING_VERSION}, the golden losses are of version ` +
        `${golden.trainingVersion}: regenerate with ${REGENERATE}`,
    );
  });

  onEveryBackend(`${name} has the losses of TRAINING_VERSION`, async ({ name: mode, backend }) => {
    const compiler = mode.endsWith("xla") ? "xla" : "graph";
    const { device } = await startBackend(backend);
    const found = await computeLossCurves(name, compiler);
    const change = describeChange(found, golden, toleranceOf(backend, device));
    assert.ok(
      change === null,
      `losses changed: raise TRAINING_VERSION and regenerate with ${REGENERATE} (${change})`,
    );
    assert.ok(found.trainLosses.at(-1)! < 0.9 * found.trainLosses[0]!, "training learns something");
  }, {
    only: [
      "tensorflow graph",
      "wasm",
      ...(WITH_XLA.includes(name) ? ["tensorflow xla"] : []),
    ],
  });
}

Deno.test("describeChange() finds every kind of change", () => {
  const golden = { trainLosses: [4, 2], heldOutLosses: [3], measuredLosses: [] };
  assert.equal(describeChange(golden, golden, 0), null);
  assert.equal(describeChange({ ...golden, trainLosses: [4, 2.0001] }, golden, 1e-4), null);
  assert.match(
    describeChange({ ...golden, trainLosses: [4, 2.001] }, golden, 1e-4)!,
    /trainLosses\[1\] was 2 and is 2.001; largest relative change 5.0e-4/,
  );
  assert.match(describeChange({ ...golden, heldOutLosses: [NaN] }, golden, 1e-4)!, /is NaN/);
  assert.match(describeChange({ ...golden, measuredLosses: [1] }, golden, 1)!, /0 numbers before/);
});
