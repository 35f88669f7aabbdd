/**
 * Estimates of every token of a text, however long it is. A text longer than a model's context N is
 * read in windows that overlap by half: from the second on, only tokens with N/2 tokens before them
 * count. The last window ends where the text ends. `two-window` rates the last token of a window
 * alone: its windows are one token apart.
 *
 * A text shorter than N is filled up: behind its end for causal models, which cannot see what stands
 * there; with pads before it for augmented models that were trained so (paper §2.8).
 */

import { UserError } from "../errors.ts";
import { type ModelConfig, sampleLength, stacksOf } from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { ensembleRecords } from "./ensemble.ts";
import {
  checkEstimator,
  estimateWindows,
  type EstimatorName,
  type EstimatorOptions,
} from "./estimators.ts";
import type { TokenEstimate } from "./token_estimate.ts";
import type { EstimatedModel } from "./window_estimates.ts";

export type TextOptions =
  & Pick<EstimatorOptions, "batchSize">
  & Readonly<{
    /** The models of N − 1 tokens of `two-window`, one for each model. */
    shorter?: EstimatedModel | readonly EstimatedModel[] | undefined;
    /** Learns now and then how many windows have been read, of how many in all. */
    onProgress?: ((done: number, total: number) => Promise<void> | void) | undefined;
    /**
     * Tokens that a model reads between two reports of progress, 2^18 by default: seconds of work
     * for small models, and more than what compiling takes, which comes anew each time.
     */
    tokensAtOnce?: number | undefined;
  }>;

/** Estimators with a pass for every token of a window. */
const PASS_PER_TOKEN: readonly EstimatorName[] = ["pad-shift", "gradient-input"];

/**
 * Estimates of the tokens of a text, in their order. Of several models, an ensemble, it gives the
 * mean and its standard error. The first token has nothing before it and no estimate; `two-window`
 * has none for the first N − 1 tokens.
 *
 * @throws UserError when the estimator does not apply to a model, the tokenizer is another model's,
 *   or the text is too short.
 */
export async function estimateText(
  name: EstimatorName,
  models: EstimatedModel | readonly EstimatedModel[],
  tokenizer: Tokenizer,
  text: string,
  { shorter, batchSize, onProgress, tokensAtOnce = 1 << 18 }: TextOptions = {},
): Promise<TokenEstimate[]> {
  const members = withShorter(name, listOf(models), shorter === undefined ? [] : listOf(shorter));
  const ids = tokenizer.encode(text);
  const plans = members.map(({ model, shorter }) => {
    return { model, shorter, starts: textWindows(name, model, tokenizer, ids.length, shorter) };
  });
  const total = plans.reduce((sum, { starts }) => sum + starts.length, 0);
  let done = 0;
  const records: TokenEstimate[][] = [];
  for (const { model, shorter, starts } of plans) {
    const contextLength = sampleLength(model.config);
    const passes = PASS_PER_TOKEN.includes(name) ? contextLength : 1;
    const size = Math.max(1, Math.floor(tokensAtOnce / (passes * contextLength)));
    const estimates: (number | null)[] = [];
    for (const some of chunks(starts, size)) {
      const windows = cutWindows(ids, some, contextLength, tokenizer.padId);
      const rows = await estimateWindows(name, model, windows, { batchSize, shorter });
      rows.forEach((row, at) =>
        estimates.push(...row.slice(estimates.length - some[at]!, ids.length - some[at]!))
      );
      done += some.length;
      await onProgress?.(done, total);
    }
    records.push(Array.from(ids, (id, position) => ({
      id,
      text: tokenizer.tokenText(id),
      position,
      estimate: estimates[position]!,
      standardError: null,
      bytes: tokenizer.tokenBytes(id),
    })));
  }
  return records.length === 1 ? records[0]! : ensembleRecords(records);
}

function listOf<Item>(items: Item | readonly Item[]): readonly Item[] {
  return Array.isArray(items) ? items : [items as Item];
}

/**
 * Each model with the shorter one of its `two-window` pair, if there are such.
 *
 * @throws UserError without models, when there are not as many shorter ones, and when the estimator
 *   has no use for them.
 */
export function withShorter<Member>(
  name: EstimatorName,
  models: readonly Member[],
  shorter: readonly Member[],
): { model: Member; shorter: Member | undefined }[] {
  if (models.length === 0) throw new UserError("expected a model or several, found none");
  if (shorter.length > 0 && name !== "two-window") {
    throw new UserError(
      `${name}: expected no shorter model, found ${shorter.length}; two-window alone reads by two`,
    );
  }
  if (shorter.length > 0 && shorter.length !== models.length) {
    throw new UserError(
      `two-window: expected a shorter model for each of ${models.length}, found ${shorter.length}`,
    );
  }
  return models.map((model, at) => ({ model, shorter: shorter[at] }));
}

/** A model without its weights, which suffices to tell whether it can read a text. */
export type ModelOutline = Omit<EstimatedModel, "params">;

/**
 * Where windows start in which a model reads a text of `textLength` tokens.
 *
 * @throws UserError as {@linkcode estimateText} does: what can be known without weights.
 */
export function textWindows(
  name: EstimatorName,
  model: ModelOutline,
  tokenizer: Tokenizer,
  textLength: number,
  shorter?: ModelOutline,
): number[] {
  const { config, padId } = model;
  checkEstimator(name, config, { padId, shorter: shorter?.config });
  for (const one of shorter === undefined ? [config] : [config, shorter.config]) {
    const { vocabSize } = stacksOf(one)[0]!;
    if (tokenizer.vocabSize === vocabSize) continue;
    throw new UserError(
      `expected the model's tokenizer, of ${vocabSize} entries, found one of ` +
        `${tokenizer.vocabSize}; use the one that lies beside the model's weights`,
    );
  }
  return windowStarts(textLength, {
    contextLength: sampleLength(config),
    stride: name === "two-window" ? 1 : undefined,
    shortText: shortTextOf(name, model),
  });
}

/** Where tokens go that do not fill a window; null where nothing but a full one will do. */
type ShortText = "first" | "last" | null;

function shortTextOf(name: EstimatorName, { config, padId }: ModelOutline): ShortText {
  if (name === "two-window") return null;
  if (!seesWholeWindow(config)) return "first";
  return padId === null ? null : "last";
}

/** Whether a token's estimate depends on what stands behind it. */
function seesWholeWindow(config: ModelConfig): boolean {
  return config.kind === "augmented" && config.memory === "embedding";
}

/**
 * Where windows of a text start; before 0 if what is missing is to be filled up in front. Windows
 * are taken in this order, and a token's estimate is that of the first to hold it: the one with most
 * tokens before it.
 *
 * @throws UserError when the text is too short.
 */
export function windowStarts(
  textLength: number,
  { contextLength, stride = Math.max(1, Math.floor(contextLength / 2)), shortText }: Readonly<{
    contextLength: number;
    stride?: number | undefined;
    shortText: ShortText;
  }>,
): number[] {
  if (textLength < 2) {
    throw new UserError(`expected a text of two tokens or more, found ${textLength}; add text`);
  }
  const last = textLength - contextLength;
  if (last < 0 && shortText === null) {
    throw new UserError(
      `expected a text of ${contextLength} tokens or more, the context of a model that reads full ` +
        `windows alone, found ${textLength}; add text, or train a model with a shorter context or, ` +
        "if it is an augmented one, on padded samples",
    );
  }
  if (last <= 0) return [shortText === "last" ? last : 0];
  const starts: number[] = [];
  for (let start = 0; start < last; start += stride) starts.push(start);
  return [...starts, last];
}

/** Windows of a text that start at the given places, with `fillId` where there is no text. */
export function cutWindows(
  ids: Int32Array,
  starts: readonly number[],
  contextLength: number,
  fillId: number,
): WindowIds {
  const cut = new Int32Array(starts.length * contextLength).fill(fillId);
  starts.forEach((start, row) => {
    const held = ids.subarray(Math.max(0, start), start + contextLength);
    cut.set(held, row * contextLength + Math.max(0, -start));
  });
  return { contextLength, count: starts.length, ids: cut };
}

function* chunks<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
