/**
 * Token entropies from one encoder-augmented model (paper §4.3): how much the summed loss of a
 * sequence grows with its last token,
 *
 *   H(t_L | t_<L) ≈ S_L − S_{L−1},   S_L = Σ_{1 ≤ j < L} CE(t_j; z of t_0 … t_{L−1})
 *
 * for prefixes of L tokens, padded on the left to the model's context. The embedding's bits are in
 * both terms and cancel, so the estimates of a window add up to its loss WITHOUT the embedding's
 * |e| ln 2. N − 1 evaluations a window: the reference makes 2N, each term twice.
 *
 * Two forms give the same numbers:
 *
 *   plain  every padded prefix goes through the whole model.
 *   fast   where encoder and decoder tell positions by distance alone, moving a prefix changes
 *          nothing but its distance to the memory's slot. The embeddings of all prefixes are then
 *          states of ONE encoder pass, and the decoder reads prefixes without their pads, in
 *          batches of about equal length.
 *
 * Deviation: the first token is in no S. The reference has it, predicted from the pad before it, in
 * all but the longest prefix, which has no pad: −CE(t_0) would end up in the last token's estimate.
 *
 * Legend: N context, L prefix length.
 */

import { UserError } from "../errors.ts";
import { type AugmentedDecoderConfig, hasRelativePositions } from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import { prefixSums } from "./_prefix_sums.ts";
import {
  type EstimatedModel,
  requireMemory,
  requireWindows,
  type WindowEstimates,
} from "./window_estimates.ts";

export type PadShiftOptions = Readonly<{
  /** `auto`, the default, is `fast` where it is exact. */
  form?: "auto" | "plain" | "fast";
  /** Prefixes at once; 64 by default. */
  batchSize?: number | undefined;
}>;

/**
 * Entropy estimates, nats, of every token of a window but the first; windows may be left-padded.
 *
 * @throws UserError for a model without an embedding or that was trained without pads, for windows
 *   of another length, and when `fast` is asked for where it is not exact.
 */
export async function padShiftEntropies(
  model: EstimatedModel,
  windows: WindowIds,
  { form = "auto", batchSize = 64 }: PadShiftOptions = {},
): Promise<WindowEstimates> {
  const { config, params, padId } = requireMemory(model, "pad-shift");
  requirePads(padId);
  requireWindows(config, windows);
  const { contextLength } = windows;
  if (form === "fast" && !isShiftable(config)) {
    throw new UserError(
      "pad-shift, fast form: expected causal transformers with rotary positions on both sides, " +
        "read at the last position; use the plain form",
    );
  }
  const rows = Array.from(
    { length: windows.count },
    (_, window) => realTokens(windows, window, padId),
  );
  const isFast = form === "fast" || (form === "auto" && isShiftable(config));
  const tokens = { rows, contextLength, padId };
  const sums = await prefixSums(isFast ? "fast" : "plain", { config, params }, tokens, batchSize);
  return rows.map((row, window) => {
    const pads = contextLength - row.length;
    return Array.from({ length: contextLength }, (_, t) => {
      const length = t - pads + 1;
      return length < 2 ? null : sums[window]![length]! - sums[window]![length - 1]!;
    });
  });
}

/** @throws UserError for a model that has never seen a pad. */
export function requirePads(padId: number | null): asserts padId is number {
  if (padId !== null) return;
  throw new UserError(
    "pad-shift: expected a model trained on left-padded samples, found one trained on packed ones, " +
      "which has never seen a pad; train it with the padded layout, or use two-window",
  );
}

/** Whether moving a sequence to other positions changes nothing but its distance to the memory. */
export function isShiftable(config: AugmentedDecoderConfig): boolean {
  if (config.memory !== "embedding" || (config.readPosition ?? -1) !== -1) return false;
  const { encoder, decoder } = config;
  return hasRelativePositions(encoder) && hasRelativePositions(decoder) &&
    !("causal" in encoder && encoder.causal === false);
}

/**
 * A window's tokens without the pads before them.
 *
 * @throws UserError when there are pads behind a token.
 */
function realTokens(windows: WindowIds, window: number, padId: number): Int32Array {
  const { contextLength, ids } = windows;
  const row = ids.subarray(window * contextLength, (window + 1) * contextLength);
  const first = row.findIndex((id) => id !== padId);
  const tokens = first < 0 ? row.subarray(contextLength) : row.subarray(first);
  if (!tokens.includes(padId)) return tokens;
  throw new UserError(
    `pad-shift: expected pads before a window's tokens only, found one behind them in window ${window}`,
  );
}
