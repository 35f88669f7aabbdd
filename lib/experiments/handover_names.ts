/** Names of notebook 03's arms; each is one model wherever a figure or claim speaks of it. */

import type { Join } from "../models/mod.ts";
import type { Family } from "./baseline_arms.ts";

export const handoverArm = {
  /** Not the causal models of notebook 02, whose encoders are frozen here. */
  clm: (architecture: string) => `${architecture} CLM`,
  /** At the best of the learning rates tried for it. */
  ownRate: (architecture: string) => `${architecture} CLM, rate of its own`,
  join: (encoder: Family, decoder: Family, join: Join) => `${encoder} → ${decoder}, ${join}`,
  /** Embedding and head start as the CLM's do, which makes the two comparable. */
  likeCausal: "transformer → transformer, token, started like the CLM",
  encoderHeads: (heads: number) => `encoder with ${heads} heads, embedding`,
  encoderKernel: (kernel: number, join: Join) => `encoder kernel ${kernel}, ${join}`,
  frozen: (source: string) => `frozen encoder of: ${source}`,
  trained: (encoder: string) => `trained encoder, as of: ${encoder}`,
  deeper: (source: string) => `frozen encoder of: ${source}, twice as deep a decoder`,
  /** An autoencoder that was trained for fewer steps. */
  early: (source: string, steps: number) => `${source}, ${steps} steps`,
  noEncoder: "no encoder",
  inverse: (source: string) => `autoencoder on the frozen encoder of: ${source}`,
  scanned: (numbers: number) => `${numbers} ${numbers === 1 ? "number" : "numbers"}`,
  latent: (bits: number, numbers: number) =>
    `${bits} bits, ${numbers} ${numbers === 1 ? "number" : "numbers"}`,
} as const;
