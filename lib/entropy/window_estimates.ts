/**
 * What estimators of token entropy take and give, and the loop over batches that they share.
 *
 * One convention holds for all of them: the entry at position t of a window is about token t. What
 * is measured at output t − 1, which predicts token t, therefore stands at t (paper §4.4). A token
 * with nothing before it has no estimate: the first of a window, and the first behind left pads.
 *
 * Legend: N tokens a window, B batch, S measurements a window.
 */

import { disposeTree, jit, type Tensor, tensor, transpose } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  type Model,
  type ModelConfig,
  sampleLength,
} from "../models/mod.ts";
import { batchesInOrder, type WindowIds } from "../text/mod.ts";

/** One list a window, one entry a position 0 … N − 1; null where there is no estimate. */
export type WindowEstimates = readonly (readonly (number | null)[])[];

/** What an estimator works with. */
export type EstimatedModel = Readonly<{
  config: ModelConfig;
  params: Model;
  /** The pad id of a model trained on left-padded samples; null for packed ones (paper §2.8). */
  padId: number | null;
}>;

/** An EEM with an encoder, whose memory can be changed. */
export type ModelWithMemory = Readonly<{
  config: AugmentedDecoderConfig & { memory: "embedding" };
  params: Extract<AugmentedDecoder, { encoder: unknown }>;
  padId: number | null;
}>;

export type EstimateOptions = Readonly<{
  /** Windows at a time, 16 by default; results depend on it by rounding alone. */
  batchSize?: number | undefined;
}>;

const DEFAULT_BATCH_SIZE = 16;

/**
 * The model, or its configuration alone, known to have a memory.
 *
 * @param estimator What needs it, for the message.
 * @throws UserError when it is no EEM with an encoder.
 */
export function requireMemory<M extends Pick<EstimatedModel, "config">>(
  model: M,
  estimator: string,
): M & Pick<ModelWithMemory, keyof M & keyof ModelWithMemory> {
  const { config } = model;
  if (config.kind !== "augmented" || config.memory !== "embedding") {
    const found = config.kind === "augmented" ? "one of zeros" : `kind ${config.kind}`;
    throw new UserError(
      `${estimator}: expected an encoder-augmented model, whose memory is an embedding of the ` +
        `sample, found ${found}`,
    );
  }
  return model as M & Pick<ModelWithMemory, keyof M & keyof ModelWithMemory>;
}

/**
 * @param estimator What needs the model, for the message.
 * @param reason Why no other will do: a clause without a full stop.
 * @throws UserError when a model is of another kind.
 */
export function requireKind(
  estimator: string,
  { kind }: ModelConfig,
  expected: readonly ModelConfig["kind"][],
  reason: string,
): void {
  if (expected.includes(kind)) return;
  throw new UserError(
    `${estimator}: expected a model of kind ${expected.join(" or ")}, found ${kind}; ${reason}`,
  );
}

/** @throws UserError when there are no windows, or none as long as the model's context. */
export function requireWindows(config: ModelConfig, { contextLength, count }: WindowIds): void {
  if (count === 0) throw new UserError("expected one window or more, found none; add text");
  const expected = sampleLength(config);
  if (contextLength === expected) return;
  throw new UserError(
    `expected windows of ${expected} tokens, the model's context, found ${contextLength}; ` +
      `cut the text into windows of ${expected}`,
  );
}

/** Estimates of all windows by `valueOf`, which is asked only where there is one. */
export function windowEstimates(
  { contextLength, count, ids }: WindowIds,
  padId: number | null,
  valueOf: (window: number, position: number) => number,
): WindowEstimates {
  return Array.from({ length: count }, (_, window) => {
    const isPad = (position: number) => ids[window * contextLength + position] === padId;
    return Array.from(
      { length: contextLength },
      (_, position) =>
        position === 0 || isPad(position - 1) || isPad(position) ? null : valueOf(window, position),
    );
  });
}

/**
 * Measures a batch of ids int32 `[N, B]`: one or more tensors `[S, B]` by name.
 *
 * @param rowInputs What else is known of every window, each `[B, …]`.
 */
export type Measure<Name extends string, Params extends Model> = (
  params: Params,
  idsNB: Tensor,
  ...rowInputs: Tensor[]
) => Record<Name, Tensor>;

/** The row inputs of windows given by number; of a batch that is filled up the last comes again. */
export type RowInputs = (windows: readonly number[]) => Tensor[];

/**
 * A compiled {@linkcode Measure} as a function of many windows, which gives the S measurements of
 * one after another. `dispose` frees what the compiler holds.
 *
 * @param label Stands in the engine's error messages.
 */
export function compileMeasure<Name extends string, Params extends Model>(
  label: string,
  measure: Measure<Name, Params>,
  { batchSize = DEFAULT_BATCH_SIZE }: EstimateOptions = {},
) {
  const measureBatch = jit(
    label,
    (params: Params, idsBN: Tensor, ...rowInputs: Tensor[]) =>
      measure(params, transpose(idsBN), ...rowInputs),
    // Few estimators run long enough to earn back what XLA takes to compile.
    { compiler: "graph" },
  );
  async function* measureWindows(
    params: Params,
    windows: WindowIds,
    rowInputs: RowInputs = () => [],
  ): AsyncGenerator<Record<Name, Float32Array>, void, void> {
    for (const { ids, start, rows } of batchesInOrder(windows, batchSize)) {
      const numbers = Array.from(
        { length: batchSize },
        (_, row) => start + Math.min(row, rows - 1),
      );
      const idsBN = tensor(ids, [batchSize, windows.contextLength], "int32");
      const inputs = rowInputs(numbers);
      const measured = measureBatch(params, idsBN, ...inputs);
      const read = await Promise.all(
        Object.entries<Tensor>(measured).map(async ([name, valuesSB]) =>
          [name, await valuesSB.data() as Float32Array] as const
        ),
      );
      disposeTree([idsBN, inputs, measured]);
      for (let row = 0; row < rows; row++) {
        yield Object.fromEntries(read.map(([name, values]) => [
          name,
          Float32Array.from(
            { length: values.length / batchSize },
            (_, at) => values[at * batchSize + row]!,
          ),
        ])) as Record<Name, Float32Array>;
      }
    }
  }
  return Object.assign(measureWindows, { dispose: measureBatch.dispose });
}

/**
 * Estimates of all windows from a function that measures a batch at its N − 1 outputs, in the order
 * of the tokens 1 … N − 1 that these predict.
 *
 * @param label Stands in the engine's error messages.
 * @throws UserError when there are no windows, or none as long as the model's context.
 */
export async function estimateBatches<Name extends string, Params extends Model>(
  label: string,
  { config, params, padId }: EstimatedModel & Readonly<{ params: Params }>,
  windows: WindowIds,
  measure: Measure<Name, Params>,
  { rowInputs, ...options }: EstimateOptions & Readonly<{ rowInputs?: RowInputs }> = {},
): Promise<Record<Name, WindowEstimates>> {
  requireWindows(config, windows);
  const measureWindows = compileMeasure(label, measure, options);
  const measured: Record<Name, Float32Array>[] = [];
  try {
    for await (const one of measureWindows(params, windows, rowInputs)) measured.push(one);
  } finally {
    measureWindows.dispose();
  }
  return Object.fromEntries(
    (Object.keys(measured[0]!) as Name[]).map((name) => [
      name,
      windowEstimates(
        windows,
        padId,
        (window, position) => measured[window]![name][position - 1]!,
      ),
    ]),
  ) as Record<Name, WindowEstimates>;
}
