/**
 * How long a compressed file must be by the model's losses alone, part by part, to hold against its
 * real bytes: the exact form H(x) = |e| ln 2 + Σ CE_i of the accounting (paper §3.1) over the
 * windows of the file.
 *
 * Nothing of the codec has a part in it but the cut into windows: losses are those of the full pass
 * that training uses, embeddings are rounded by `fakeQuantize`, and no frequency is rounded. Not
 * predicted are flags and the last byte's rest, under 0.1 %, and windows that the codec writes
 * without the model.
 *
 * Legend: N tokens a window, P embedding size, R windows.
 */

import { type FilePlan, HEADER_BYTES, layoutRounds, type Window } from "../codec/mod.ts";
import { disposeTree, jit, type Tensor, tensor, transpose } from "../engine/mod.ts";
import {
  type AugmentedDecoder,
  type EmbeddingHook,
  embeddingSize,
  encodeSequence,
  type Model,
  type ModelConfig,
  sampleLength,
  stacksOf,
} from "../models/mod.ts";
import {
  fakeQuantize,
  type Quantization,
  sharedBits,
  sharedScalesOf,
  storedBits,
} from "../qat/mod.ts";
import { batchesInOrder, type WindowIds } from "../text/mod.ts";
import { compileEvaluator, windowLosses } from "../train/mod.ts";

export type PredictedFile = Readonly<{
  bits: Readonly<{
    header: number;
    /** Scales that all embeddings share. */
    scales: number;
    /** |e| of every window. */
    embeddings: number;
    /** log₂ V for each token that nothing comes before (paper §3.2). */
    firstTokens: number;
    /** Σ CE_i / ln 2 over all other tokens. */
    tokens: number;
  }>;
  /** The sum of the parts in bytes, not rounded up. */
  fileBytes: number;
}>;

/**
 * Predicts the length of the file that `compress` makes of these tokens with this plan.
 *
 * @param options.padId Fills up windows, where the text is shorter than one.
 */
export async function predictFile(
  { config, params }: Readonly<{ config: ModelConfig; params: Model }>,
  ids: Int32Array,
  { overlap, lanes, embedding }: FilePlan,
  { padId, batchSize }: Readonly<{ padId: number; batchSize: number }>,
): Promise<PredictedFile> {
  const contextLength = sampleLength(config);
  const P = embeddingSize(config);
  const windows = layoutRounds({
    tokenCount: ids.length,
    laneCount: lanes,
    contextLength,
    overlap,
  }).flat();
  const rows = windowIds(ids, windows, contextLength, padId);
  const scales = embedding === null
    ? new Float32Array(0)
    : sharedScalesOf(await embeddingsOf({ config, params }, rows, batchSize), P, embedding);
  const hook = embedding === null ? undefined : roundTo(embedding, scales);
  const evaluator = compileEvaluator(config, { padId: null, ...(hook && { hook }) }, "graph");
  let lossNats = 0;
  let firstTokens = 0;
  try {
    let row = 0;
    for await (const targets of windowLosses(evaluator, params, rows, batchSize)) {
      const { start, known, end } = windows[row++]!;
      if (known === start) firstTokens++;
      // Target t is token t + 1 of the window.
      for (let t = Math.max(known - start, 1); t < end - start; t++) lossNats += targets[t - 1]!;
    }
  } finally {
    evaluator.dispose();
  }
  const bits = {
    header: 8 * HEADER_BYTES,
    scales: embedding === null ? 0 : sharedBits(P, embedding),
    embeddings: embedding === null ? 0 : windows.length * storedBits(P, embedding),
    firstTokens: firstTokens * Math.log2(stacksOf(config).at(-1)!.vocabSize),
    tokens: lossNats / Math.LN2,
  };
  return { bits, fileBytes: Object.values(bits).reduce((sum, part) => sum + part, 0) / 8 };
}

function windowIds(
  ids: Int32Array,
  windows: readonly Window[],
  contextLength: number,
  padId: number,
): WindowIds {
  const rows = new Int32Array(windows.length * contextLength).fill(padId);
  windows.forEach(({ start, end }, row) => rows.set(ids.subarray(start, end), row * contextLength));
  return { contextLength, count: windows.length, ids: rows };
}

/** The embeddings `[R, P]` of windows. */
async function embeddingsOf(
  { config, params }: Readonly<{ config: ModelConfig; params: Model }>,
  windows: WindowIds,
  batchSize: number,
): Promise<Float32Array> {
  if (config.kind !== "augmented") throw new RangeError("expected a model with an embedding");
  const encode = jit(
    "embeddings of windows",
    (params: AugmentedDecoder, idsBN: Tensor) =>
      encodeSequence(config, params, transpose(idsBN), null),
    { compiler: "graph" },
  );
  const P = embeddingSize(config);
  const valuesRP = new Float32Array(windows.count * P);
  let row = 0;
  try {
    for (const { ids, rows } of batchesInOrder(windows, batchSize)) {
      const idsBN = tensor(ids, [batchSize, windows.contextLength], "int32");
      const zBP = encode(params as AugmentedDecoder, idsBN);
      valuesRP.set((await zBP.data() as Float32Array).subarray(0, rows * P), row * P);
      row += rows;
      disposeTree([idsBN, zBP]);
    }
  } finally {
    encode.dispose();
  }
  return valuesRP;
}

/** Rounds embeddings `[B, P]` with scales that all windows share, if the format has such. */
function roundTo(embedding: Quantization, scales: Float32Array): EmbeddingHook {
  return (zBP) => {
    if (scales.length === 0) return fakeQuantize(embedding)(zBP);
    const shape = embedding.scaling === "tensor" ? [] : [scales.length];
    return fakeQuantize(embedding, { scale: tensor(scales, shape) })(zBP);
  };
}
