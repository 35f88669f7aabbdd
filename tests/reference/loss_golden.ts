/**
 * Writes `tests/golden/loss` anew and prints what changed. Run after raising `TRAINING_VERSION`
 * (lib/experiments/run_spec.ts), on TensorFlow:
 *
 *     deno run --allow-read --allow-env --allow-ffi --allow-sys \
 *       --allow-write=tests/golden/loss tests/reference/loss_golden.ts
 *
 * Losses that changed under the same version are refused: stored runs of the older code would be
 * taken for this code's. Losses that did not change are left as they are, last bits included.
 */

import { initEngine } from "../../lib/engine/mod.ts";
import { TRAINING_VERSION } from "../../lib/experiments/run_spec.ts";
import { readFileIfPresent } from "../../lib/files.ts";
import {
  computeLossCurves,
  describeChange,
  GOLDEN_LOSS_MODELS,
  type GoldenLosses,
  goldenLossFile,
} from "../train/_golden_loss.ts";

/** As in the test: below it, a difference is another processor's and no change. */
const TOLERANCE = 1e-5;

const NOTE = "This library's own output: it detects change and says nothing about correctness, " +
  "which tests/golden/models (PyTorch) does. Written by tests/reference/loss_golden.ts.";

await initEngine({ backend: "tensorflow" });

let refused = false;
for (const name of Object.keys(GOLDEN_LOSS_MODELS)) {
  const bytes = await readFileIfPresent(goldenLossFile(name).pathname);
  const old: GoldenLosses | null = bytes && JSON.parse(new TextDecoder().decode(bytes));
  const curves = await computeLossCurves(name, "graph");
  const change = old && describeChange(curves, old, TOLERANCE);
  if (old !== null && change !== null && old.trainingVersion === TRAINING_VERSION) {
    console.error(`${name}: refused, TRAINING_VERSION is still ${TRAINING_VERSION}: ${change}`);
    refused = true;
    continue;
  }
  const numbers = old !== null && change === null ? old : curves;
  const { trainLosses, heldOutLosses, measuredLosses } = numbers;
  const golden: GoldenLosses = {
    note: NOTE,
    trainingVersion: TRAINING_VERSION,
    trainLosses,
    heldOutLosses,
    measuredLosses,
  };
  await Deno.writeTextFile(goldenLossFile(name), `${JSON.stringify(golden, null, 1)}\n`);
  const before = old === null ? "new" : `version ${old.trainingVersion} → ${TRAINING_VERSION}`;
  console.log(`${name}: ${before}${old === null ? "" : `, ${change ?? "losses unchanged"}`}`);
}
if (refused) Deno.exit(1);
