/**
 * Token entropies from two models of neighbouring windows (paper §4.2), by the chain rule:
 *
 *   H(t_N | t_<N) = H(t_≤N) − H(t_<N) ≈ Σ_{i ≤ N} CE_θ₂(t_i) − Σ_{i < N} CE_θ₁(t_i)
 *
 * θ₂ reads windows of N tokens, θ₁ of N − 1. With embeddings of equally many bits these cancel, as far
 * as both models use theirs equally: whatever one is ahead of the other over a whole window ends up in
 * the estimate of its last token.
 * Sums, not means; the first token of a window is in neither, as it is scored by neither model.
 */

import { UserError } from "../errors.ts";
import { embeddingSize, type ModelConfig, sampleLength } from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import { compileEvaluator, windowLosses } from "../train/mod.ts";
import { type EstimatedModel, requireWindows, type WindowEstimates } from "./window_estimates.ts";

/**
 * The estimate, nats, of the last token of every window: the only one that a window gives.
 *
 * @param longer Of windows of N tokens, as long as `windows`.
 * @param shorter Of windows of N − 1 tokens, with an embedding of the same size.
 * @throws UserError when the models are not two of such a pair, trained on packed samples.
 */
export async function twoWindowEntropies(
  longer: EstimatedModel,
  shorter: EstimatedModel,
  windows: WindowIds,
  { batchSize = 64 }: Readonly<{ batchSize?: number | undefined }> = {},
): Promise<WindowEstimates> {
  const { contextLength, count } = windows;
  checkWindowPair(longer.config, shorter.config);
  requirePacked(longer.padId);
  requirePacked(shorter.padId);
  requireWindows(longer.config, windows);
  const beginnings = {
    contextLength: contextLength - 1,
    count,
    ids: windows.ids.filter((_, at) => at % contextLength !== contextLength - 1),
  };
  const whole = await windowSums(longer, windows, batchSize);
  const before = await windowSums(shorter, beginnings, batchSize);
  return whole.map((nats, window) => [
    ...new Array<null>(contextLength - 1).fill(null),
    nats - before[window]!,
  ]);
}

/** @throws UserError for a model trained on padded samples, whose windows are rarely full. */
export function requirePacked(padId: number | null): void {
  if (padId === null) return;
  throw new UserError(
    "two-window: expected models trained on packed samples, found one trained on left-padded ones; " +
      "use pad-shift",
  );
}

/**
 * Whether two models are a pair, before either is trained.
 *
 * @throws UserError when their windows are not N and N − 1, or embeddings differ in size.
 */
export function checkWindowPair(longer: ModelConfig, shorter: ModelConfig): void {
  const length = sampleLength(longer);
  if (sampleLength(shorter) !== length - 1) {
    throw new UserError(
      `two-window: expected a second model of windows of ${length - 1} tokens, one fewer than ` +
        `the first one's, found ${sampleLength(shorter)}`,
    );
  }
  if (embeddingSize(longer) !== embeddingSize(shorter)) {
    throw new UserError(
      `two-window: expected embeddings of equal size, whose bits cancel, found ` +
        `${embeddingSize(longer)} and ${embeddingSize(shorter)} numbers`,
    );
  }
}

/** Σ CE of every window, nats. */
async function windowSums(
  { config, params, padId }: EstimatedModel,
  windows: WindowIds,
  batchSize: number,
): Promise<number[]> {
  const evaluator = compileEvaluator(config, { padId }, "graph");
  const sums: number[] = [];
  try {
    for await (const losses of windowLosses(evaluator, params, windows, batchSize)) {
      sums.push(losses.reduce<number>((sum, loss) => sum + (loss ?? 0), 0));
    }
  } finally {
    evaluator.dispose();
  }
  return sums;
}
