/**
 * How long a compressed file must be by the model's losses alone, part by part, to hold against its
 * real bytes: the exact form H(x) = |e| ln 2 + Σ CE_i of the accounting (paper §3.1) over the
 * windows of the file.
 *
 * Nothing of the codec has a part in it but the cut into windows: losses are those of the full pass
 * that training uses, embeddings are rounded by `fakeQuantize`, and no frequency is rounded. A window
 * that takes less without the model, 8 bits a byte, is written so. Not predicted are flags and the
 * last byte, and that no token takes more than 26 bits, which makes files of models that are very
 * sure a little shorter: together under 0.1 %.
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
} from "../models/mod.ts";
import {
  fakeQuantize,
  type Quantization,
  sharedBits,
  sharedScalesOf,
  storedBits,
} from "../qat/mod.ts";
import { batchesInOrder, type WindowIds } from "../text/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
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
    /** Windows without the model. */
    raw: number;
  }>;
  /** The sum of the parts in bytes, not rounded up. */
  fileBytes: number;
}>;

export type PredictedModel = Readonly<{ config: ModelConfig; params: Model; tokenizer: Tokenizer }>;

/** Predicts the length of the file that `compress` makes of these tokens with this plan. */
export async function predictFile(
  { config, params, tokenizer }: PredictedModel,
  ids: Int32Array,
  { overlap, lanes, embedding }: FilePlan,
  { batchSize }: Readonly<{ batchSize: number }>,
): Promise<PredictedFile> {
  const contextLength = sampleLength(config);
  const P = embeddingSize(config);
  const windows = layoutRounds({
    tokenCount: ids.length,
    laneCount: lanes,
    contextLength,
    overlap,
  }).flat();
  // Pads fill up windows where the text is shorter than one.
  const rows = windowIds(ids, windows, contextLength, tokenizer.padId);
  const scales = embedding === null
    ? new Float32Array(0)
    : sharedScalesOf(await embeddingsOf({ config, params }, rows, batchSize), P, embedding);
  const hook = embedding === null ? undefined : roundTo(embedding, scales);
  const evaluator = compileEvaluator(config, { padId: null, ...(hook && { hook }) }, "graph");
  const rawBits = bytePrices(tokenizer);
  const firstBits = Math.log2(tokenizer.vocabSize);
  const recordBits = embedding === null ? 0 : storedBits(P, embedding);
  const bits = {
    header: 8 * HEADER_BYTES,
    scales: embedding === null ? 0 : sharedBits(P, embedding),
    embeddings: 0,
    firstTokens: 0,
    tokens: 0,
    raw: 0,
  };
  try {
    let row = 0;
    for await (const targets of windowLosses(evaluator, params, rows, batchSize)) {
      const { start, known, end } = windows[row++]!;
      const firsts = known === start ? firstBits : 0;
      let lossNats = 0;
      // Target t is token t + 1 of the window.
      for (let t = Math.max(known - start, 1); t < end - start; t++) lossNats += targets[t - 1]!;
      const raw = ids.subarray(known, end).reduce((sum, id) => sum + rawBits[id]!, 0);
      if (raw < recordBits + firsts + lossNats / Math.LN2) {
        bits.raw += raw;
      } else {
        bits.embeddings += recordBits;
        bits.firstTokens += firsts;
        bits.tokens += lossNats / Math.LN2;
      }
    }
  } finally {
    evaluator.dispose();
  }
  return { bits, fileBytes: Object.values(bits).reduce((sum, part) => sum + part, 0) / 8 };
}

/** What each token takes without a model, bits: p ∝ 256^−length. */
function bytePrices({ vocabSize, tokenBytes }: Tokenizer): Float64Array {
  const lengths = Float64Array.from({ length: vocabSize }, (_, id) => tokenBytes(id).length);
  const total = lengths.reduce((sum, length) => sum + (length === 0 ? 0 : 256 ** -length), 0);
  return lengths.map((length) => 8 * length + Math.log2(total));
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
  { config, params }: Pick<PredictedModel, "config" | "params">,
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
