/** Made-up runs of notebook 01, with the losses that a test gives them. */

import assert from "node:assert/strict";
import {
  CLM,
  eemArm,
  PRICED_BITS,
  REFERENCE_START,
  WIDE_CLM,
  ZEROS,
} from "../../lib/experiments/baseline_arms.ts";
import { type ArmSummary, summarizeArms } from "../../lib/experiments/arm_summary.ts";
import type { RunResult } from "../../lib/experiments/run.ts";
import type { RunSpec } from "../../lib/experiments/run_spec.ts";
import type { RunRecord } from "../../lib/experiments/run_store.ts";
import { ADAMW_DEFAULTS } from "../../lib/train/mod.ts";
import { tinySpec } from "./_tiny.ts";

export const EEM = eemArm(64);
export const SEEDS = [42, 43, 44];
export const STEPS = 100;
export const TOKENS_PER_STEP = 65_536;

type Layout = "packed" | "padded";

/** What a made-up run measured. Losses in nats per token. */
export interface Made {
  readonly family?: string;
  readonly arm: string;
  readonly seed?: number;
  readonly layout?: Layout;
  /** At the middle of the run and at its end. */
  readonly losses: readonly [middle: number, end: number];
  /** Numbers in the embedding; 0 for models without one. */
  readonly numbers?: number;
  /** By bits. */
  readonly rounded?: Readonly<Record<number, number>>;
  readonly foreign?: number;
  readonly full?: number;
  readonly meanRealTokens?: number;
}

/** A run as the store gives it: of the paper's context length, with the losses given. */
export function makeRun(made: Made): RunResult {
  const { family = "transformer", arm, seed = 42, layout = "packed", losses, numbers = 0 } = made;
  const records: RunRecord[] = [];
  for (const [step, lossNats] of [[STEPS / 2, losses[0]], [STEPS, losses[1]]] as const) {
    const tokens = step * TOKENS_PER_STEP;
    records.push({
      type: "train",
      step,
      tokens,
      lossNats: 99,
      gradientNorm: 1,
      learningRate: 1,
      tokensPerSecond: 1,
    });
    records.push({ type: "evaluation", step, tokens, lossNats, scoredTokens: 1000 });
  }
  if (made.full !== undefined) {
    records.push({ type: "measurement", what: "full windows", lossNats: made.full, windows: 5 });
  }
  for (const [bits, lossNats] of Object.entries(made.rounded ?? {})) {
    const what = "quantized embedding";
    records.push({ type: "measurement", what, bits: Number(bits), lossNats });
  }
  if (made.foreign !== undefined) {
    records.push({ type: "measurement", what: "foreign embedding", lossNats: made.foreign });
  }
  const tokens = STEPS * TOKENS_PER_STEP;
  records.push({ type: "end", step: STEPS, tokens, reason: "finished" });
  const spec: RunSpec = {
    arm,
    family,
    data: {
      corpus: "sotu",
      vocabSize: 8000,
      unit: "document",
      layout,
      contextLength: 1024,
      heldOutWindows: 64,
    },
    quantizedBits: PRICED_BITS,
    training: {
      model: tinySpec("", "clm").training.model,
      optimizer: ADAMW_DEFAULTS,
      schedule: { peakRate: 1, warmupSteps: 1, steps: STEPS },
      batchSize: 64,
      seed,
      logEvery: 50,
      evaluateEvery: 50,
    },
  };
  const facts = {
    parameterCount: 1000 + numbers,
    embeddingSize: numbers,
    bytesPerToken: 3.92,
    meanRealTokens: made.meanRealTokens ?? 1024,
    trainWindows: 9,
    heldOutWindows: 64,
  };
  const config = { id: `${family} ${arm} ${seed}`, spec, facts, backend: "cpu", git: "abc" };
  return { config, records, source: "stored" };
}

export function assertNear(found: number, expected: number, what: string, tolerance = 1e-9): void {
  assert.ok(Math.abs(found - expected) < tolerance, `${what}: ${found}, not ${expected}`);
}

/** The paper's transformer EEM at the end of its training (paper §3.3, all samples, 500k steps). */
export const PAPER_EEM: Made = {
  arm: EEM,
  losses: [2.379, 2.1566],
  numbers: 64,
  rounded: { 4: 2.1566, 8: 2.1566 },
  meanRealTokens: 688,
};
export const PAPER_CLM: Made = { arm: CLM, losses: [2.5801, 2.515], meanRealTokens: 688 };

export function oneArm(made: Made): ArmSummary {
  return summarizeArms([makeRun(made)])[0]!;
}

/** Losses of every arm of the notebook for one seed; `shift` moves each by its own share. */
export function allArms(seed: number, shift = 0): RunResult[] {
  const runs: RunResult[] = [];
  for (const [family, base] of [["mixer", 4], ["transformer", 3]] as const) {
    const isMixer = family === "mixer";
    const common = { family, seed };
    runs.push(
      makeRun({ ...common, arm: CLM, losses: [base + 1, base] }),
      makeRun({ ...common, arm: WIDE_CLM, losses: [base + 1, base - 0.05] }),
      makeRun({ ...common, arm: ZEROS, losses: [base + 1, base + 0.01] }),
      makeRun({
        ...common,
        arm: EEM,
        numbers: 64,
        // A lead of 0.2 (0.1) at the middle and of 0.6 (0.5) at the end.
        losses: isMixer ? [base + 0.8, base - 0.6 + shift] : [base + 0.9, base - 0.5 + shift],
        rounded: { 2: base, 3: base - 0.1, 4: base - 0.3 + shift, 8: base - 0.45 + shift },
        foreign: base + 0.7 + 2 * shift,
      }),
    );
    if (isMixer) continue;
    runs.push(makeRun({
      ...common,
      arm: REFERENCE_START,
      numbers: 64,
      losses: [base + 0.9, base - 0.2 + 2 * shift],
      rounded: { 2: base, 3: base, 4: base, 8: base - 0.1 },
      foreign: base + 2,
    }));
  }
  return runs;
}

/** The padded arms, half of whose tokens are pads. */
export function paddedArms(seed: number, shift = 0): RunResult[] {
  const common = { seed, layout: "padded", meanRealTokens: 512 } as const;
  return [
    makeRun({ ...common, arm: CLM, losses: [4, 3.5], full: 3.6 }),
    makeRun({
      ...common,
      arm: EEM,
      numbers: 64,
      losses: [4, 2.7 + shift],
      rounded: { 4: 2.8 + shift, 8: 2.7 + shift },
      foreign: 9,
      full: 2.9 + 2 * shift,
    }),
  ];
}

export const CONTEXT = { preset: "small", backend: "cpu", git: "abc" };
export const PRICE4 = 64 * 4 * Math.LN2 / 1024;
export const PRICE8 = 2 * PRICE4;
