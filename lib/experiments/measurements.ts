/** What is measured on held-out text once a run has ended: what its embedding is worth in bits. */

import {
  type Compiler,
  concat,
  disposeTree,
  jit,
  reshape,
  scalar,
  slice,
  type Tensor,
  tensor,
  transpose,
} from "../engine/mod.ts";
import {
  type AugmentedDecoder,
  type EmbeddingHook,
  encodeSequence,
  type Model,
  type ModelConfig,
  tokenLosses,
  visibleTokens,
} from "../models/mod.ts";
import { absoluteMaximum, largestCode, quantizeUniformly } from "../qat/mod.ts";
import { batchesInOrder } from "../text/mod.ts";
import { evaluate, type TrainingData } from "../train/mod.ts";

export type MeasurementRecord =
  | Readonly<{
    type: "measurement";
    /** The embedding, rounded to `bits` a number at evaluation, scales from training text. */
    what: "quantized embedding";
    bits: number;
    lossNats: number;
  }>
  | Readonly<{
    type: "measurement";
    /** Every sequence gets its neighbour's embedding: what the decoder does with a wrong one. */
    what: "foreign embedding";
    lossNats: number;
  }>;

/** Training windows that the scales are taken from. */
const CALIBRATION_BATCHES = 8;

/** All measurements of a trained model; none for models without an embedding. */
export function measureEmbedding(
  config: ModelConfig,
  params: Model,
  data: TrainingData,
  options: { batchSize: number; quantizedBits: readonly number[]; compiler: Compiler },
): MeasurementRecord[] {
  if (config.kind !== "augmented" || config.memory !== "embedding") return [];
  const { batchSize, quantizedBits, compiler } = options;
  const { padId, heldOut } = data;

  const lossesWith = (name: string, hook: (z: Tensor, scaleP: Tensor, code: Tensor) => Tensor) =>
    jit(name, (params: Model, idsBN: Tensor, scaleP: Tensor, code: Tensor) => {
      const applied: EmbeddingHook = (zBP) => hook(zBP, scaleP, code);
      return tokenLosses(config, params, idsBN, { padId, hook: applied });
    }, { compiler });
  const quantized = lossesWith("quantized evaluation", quantizeUniformly);
  const foreign = lossesWith("foreign embedding evaluation", rotateRows);

  const scaleP = calibrate(config, params as AugmentedDecoder, data, batchSize, compiler);
  const records: MeasurementRecord[] = [];
  const lossNats = (losses: typeof quantized, code: Tensor) =>
    evaluate((params, ids) => losses(params, ids, scaleP, code), params, heldOut, batchSize)
      .lossNats;
  for (const bits of quantizedBits) {
    const code = scalar(largestCode(bits));
    records.push({
      type: "measurement",
      what: "quantized embedding",
      bits,
      lossNats: lossNats(quantized, code),
    });
    code.dispose();
  }
  const unused = scalar(0);
  records.push({
    type: "measurement",
    what: "foreign embedding",
    lossNats: lossNats(foreign, unused),
  });
  disposeTree([scaleP, unused]);
  quantized.dispose();
  foreign.dispose();
  return records;
}

/** Row b gets row b + 1's embedding, the last one the first's. */
function rotateRows(zBP: Tensor): Tensor {
  const [batch, size] = zBP.shape as [number, number];
  return concat([slice(zBP, [1, 0], [batch - 1, size]), slice(zBP, [0, 0], [1, size])], 0);
}

/** The scale of each number of the embedding, `[P]`, over some training windows. */
function calibrate(
  config: Extract<ModelConfig, { kind: "augmented" }>,
  params: AugmentedDecoder,
  { train, padId }: TrainingData,
  batchSize: number,
  compiler: Compiler,
): Tensor {
  const encode = jit("embedding scales", (params: AugmentedDecoder, idsBN: Tensor) => {
    const idsNB = transpose(idsBN);
    const zBP = encodeSequence(config, params, idsNB, visibleTokens(idsNB, padId));
    return absoluteMaximum(zBP);
  }, { compiler });
  const rows: Tensor[] = [];
  for (const { ids } of batchesInOrder(train, batchSize).take(CALIBRATION_BATCHES)) {
    const idsBN = tensor(ids, [batchSize, train.contextLength], "int32");
    rows.push(encode(params, idsBN));
    idsBN.dispose();
  }
  const stacked = concat(rows.map((row) => reshape(row, [1, -1])), 0);
  const scaleP = absoluteMaximum(stacked);
  disposeTree([stacked, ...rows]);
  encode.dispose();
  return scaleP;
}
