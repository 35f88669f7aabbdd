/** Notebook 00: one small causal model, trained in a minute or two. */

import { ADAMW_DEFAULTS } from "../train/mod.ts";
import type { CorpusData } from "./data.ts";
import type { PresetName } from "./presets.ts";
import type { RunSpec } from "./run_spec.ts";

const STEPS: Readonly<Record<PresetName, number>> = { quick: 300, small: 1500, paper: 20000 };

/** The tour's model: a masked mixer of about half a million parameters on the built-in corpus. */
export function tourSpec(
  preset: PresetName,
  stepShare = 1,
): RunSpec & { readonly data: CorpusData } {
  const vocabSize = 2048;
  const contextLength = 64;
  const steps = Math.max(20, Math.round(STEPS[preset] * stepShare));
  return {
    arm: "CLM",
    family: "mixer",
    data: {
      corpus: "sotu",
      vocabSize,
      unit: "document",
      layout: "packed",
      contextLength,
      heldOutWindows: 256,
    },
    quantizedBits: [],
    training: {
      model: {
        kind: "causal",
        backbone: { architecture: "mixer", vocabSize, contextLength, width: 96, layerCount: 4 },
      },
      optimizer: ADAMW_DEFAULTS,
      schedule: { peakRate: 2e-3, warmupSteps: Math.min(50, Math.floor(steps / 10)), steps },
      batchSize: 32,
      seed: 1,
      logEvery: 5,
      evaluateEvery: Math.ceil(steps / 5),
    },
  };
}
