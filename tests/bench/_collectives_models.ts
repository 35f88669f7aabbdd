/** What collectives_bench.ts measures: a batch of training_bench.ts's larger size. */

import { backboneConfig, type ModelConfig } from "../../lib/models/mod.ts";

export const VOCABULARY = 4096;
export const CONTEXT = 128;
/** Of all workers together. */
export const BATCH = 32;

const causal = (family: "mixer" | "transformer"): ModelConfig => ({
  kind: "causal",
  backbone: backboneConfig(family, {
    vocabSize: VOCABULARY,
    contextLength: CONTEXT,
    width: 128,
    layerCount: 4,
    headCount: 4,
  }),
});

export const MODELS: Readonly<Record<string, ModelConfig>> = {
  "mixer CLM": causal("mixer"),
  "transformer CLM": causal("transformer"),
};

/** Numbers in the tensors that are reduced alone, for latency and bandwidth: up to 64 MB. */
export const REDUCED: readonly number[] = [1, 1 << 14, 1 << 18, 1 << 22, 1 << 24];
