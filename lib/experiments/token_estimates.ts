/** Estimates per token, made once a run has ended. */

import {
  checkEstimator,
  type EstimatedModel,
  estimateWindows,
  type EstimatorName,
  tokenBytes,
  transferEstimates,
  type WindowEstimates,
} from "../entropy/mod.ts";
import { UserError } from "../errors.ts";
import { sampleLength } from "../models/mod.ts";
import type { WindowIds, Windows } from "../text/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { type DataSpec, pickWindows, type PreparedData, type PreparedText } from "./data.ts";
import type { RunSpec } from "./run_spec.ts";

/** Estimates of the tokens of full held-out windows: what figures over tokens are drawn from. */
export type EstimatesRecord = Readonly<{
  type: "measurement";
  what: "token estimates";
  estimator: EstimatorName;
  /** One list a window of {@linkcode fullWindows}; nats, attributions without a unit. */
  values: WindowEstimates;
}>;

/** Digits after the point that records keep. */
const DIGITS = 4;

/**
 * The first held-out windows without padding.
 *
 * @throws UserError when there are fewer.
 */
export function fullWindows(heldOut: Windows, count: number): Windows {
  const rows = [...heldOut.realTokens.keys()]
    .filter((row) => heldOut.realTokens[row] === heldOut.contextLength)
    .slice(0, count);
  if (rows.length < count) {
    throw new UserError(
      `token estimates: expected ${count} held-out windows without padding, found ${rows.length} ` +
        "of " + `${heldOut.count}; hold out more windows or shorten the context`,
    );
  }
  return pickWindows(heldOut, rows);
}

/**
 * Checks what estimating needs, before anything is trained.
 *
 * @param onto The data that estimates are handed on to, if the run asks for it.
 * @throws UserError when an estimator does not apply to the run's model, when there are too few
 *   windows, and when the run's model cannot read the text of other windows.
 */
export function checkEstimates(
  { training: { model }, estimates, data }: RunSpec,
  { tokenizer, training }: PreparedData,
  onto: PreparedData | undefined,
): void {
  if (estimates === undefined) return;
  const { padId } = training;
  if (onto !== undefined && (tokenizer === null || padId === null)) {
    throw new UserError(
      "estimates.onto: expected a run on left-padded samples of a text, which may be shorter than " +
        `its context, found one on ${tokenizer === null ? "made sequences" : "packed samples"}`,
    );
  }
  // The id has the content of the run's own corpus, and of the other one nothing but its name.
  if (estimates.onto !== undefined && estimates.onto.corpus !== corpusOf(data)) {
    throw new UserError(
      `estimates.onto: expected the run's own corpus, found ${estimates.onto.corpus}`,
    );
  }
  fullWindows((onto?.training ?? training).heldOut, estimates.windows);
  const shorter = estimates.shorter?.training.model;
  for (const name of estimates.of) checkEstimator(name, model, { padId, shorter });
}

function corpusOf(data: DataSpec): string | null {
  return "corpus" in data ? data.corpus : null;
}

/** What estimating needs beside the model that a run has trained. */
export type EstimateInputs = Readonly<{
  heldOut: Windows;
  /** The model's; null for made sequences. */
  tokenizer: Tokenizer | null;
  /** The two-window form's other model. */
  shorter?: EstimatedModel | undefined;
  /** The data that estimates are handed on to. */
  onto?: PreparedText | undefined;
}>;

/** Records of the estimators that a run asks for. */
export async function measureTokens(
  { estimates, training: { batchSize } }: RunSpec,
  model: EstimatedModel,
  { heldOut, tokenizer, shorter, onto }: EstimateInputs,
): Promise<EstimatesRecord[]> {
  if (estimates === undefined) return [];
  const { windows: count, of } = estimates;
  const records: EstimatesRecord[] = [];
  for (const estimator of of) {
    const estimate = (windows: WindowIds) =>
      estimateWindows(estimator, model, windows, { batchSize, shorter });
    const values = onto === undefined
      ? await estimate(fullWindows(heldOut, count))
      : await estimateOnto(model, tokenizer!, onto, count, estimate);
    records.push({
      type: "measurement",
      what: "token estimates",
      estimator,
      values: short(values),
    });
  }
  return records;
}

/**
 * Estimates of another tokenizer's tokens: their text is read by the model's own tokenizer, padded
 * on the left, and every byte hands its token's estimate on (paper §4.5). Of a text that is longer
 * than the context, the end is read.
 */
async function estimateOnto(
  { config, padId }: EstimatedModel,
  tokenizer: Tokenizer,
  { tokenizer: target, training }: PreparedText,
  count: number,
  estimate: (windows: WindowIds) => Promise<WindowEstimates>,
): Promise<WindowEstimates> {
  const windows = fullWindows(training.heldOut, count);
  const rowOf = (row: number) =>
    windows.ids.subarray(row * windows.contextLength, (row + 1) * windows.contextLength);
  const texts = Array.from({ length: count }, (_, row) => target.decodeBytes(rowOf(row)));
  const own = texts.map((bytes) => tokenizer.encodeBytes(bytes));
  const contextLength = sampleLength(config);
  const ids = new Int32Array(count * contextLength).fill(padId!);
  own.forEach((tokens, row) => {
    const kept = tokens.slice(-contextLength);
    ids.set(kept, (row + 1) * contextLength - kept.length);
  });
  const estimates = await estimate({ contextLength, count, ids });
  return own.map((tokens, row) => {
    const unread = contextLength - tokens.length;
    const values = Array.from(tokens, (_, t) => estimates[row]![unread + t] ?? null);
    return transferEstimates(
      tokenBytes(tokenizer, tokens, values),
      tokenBytes(target, rowOf(row)),
    );
  });
}

function short(values: WindowEstimates): WindowEstimates {
  return values.map((row) => row.map((value) => value && Number(value.toFixed(DIGITS))));
}
