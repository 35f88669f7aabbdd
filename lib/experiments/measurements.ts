/** What is measured on held-out text once a run has ended. */

import {
  concat,
  disposeTree,
  jit,
  reshape,
  scalar,
  slice,
  type Tensor,
  tensor,
  tidy,
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
import { batchesInOrder, type Windows } from "../text/mod.ts";
import { evaluate, type LossEvaluator, type TrainingData } from "../train/mod.ts";
import { pickWindows, type PreparedData } from "./data.ts";

export type MeasurementRecord = LossRecord | SourceRecord | TokenValuesRecord;

/** What a loss form compared the training tokens with (paper §5.1). */
export type TokenValuesRecord = Readonly<{
  type: "measurement";
  what: "token values";
  /** Mean over the training tokens that have one: nats, or of attributions a share. */
  meanValue: number;
}>;

/** A loss under other conditions than the evaluations' of training. */
export type LossRecord =
  | Readonly<{
    type: "measurement";
    /** The embedding, rounded to `bits` a number at evaluation, scales from training text. */
    what: "quantized embedding";
    bits: number;
    lossNats: number;
  }>
  | Readonly<{
    type: "measurement";
    /**
     * Every sequence gets its neighbour's embedding: what the decoder does with a wrong one. Not
     * measured for batches of one window.
     */
    what: "foreign embedding";
    lossNats: number;
  }>
  | Readonly<{
    type: "measurement";
    /** Padded layouts: the loss over windows without padding alone (paper §3.3). */
    what: "full windows";
    lossNats: number;
    windows: number;
  }>;

/**
 * What is known of the held-out tokens that the loss is a mean over: `lossNats − surprisalNats` is
 * what a causal model loses to their source, without the noise of which tokens were drawn.
 */
export type SourceRecord = Readonly<{
  type: "measurement";
  what: "source entropy";
  /** Mean entropy of the tokens' exact distributions, given the tokens before each. */
  entropyNats: number;
  /** Mean −ln p of the tokens themselves by these distributions: the loss of a perfect model. */
  surprisalNats: number;
  /** Entropy of a token in the limit of long sequences; null where there is no closed form. */
  rateNats: number | null;
}>;

/** Training windows that the scales are taken from. */
const CALIBRATION_BATCHES = 8;

export type MeasurementOptions = Readonly<{
  batchSize: number;
  /** Bits a number at which the embedding is evaluated. */
  quantizedBits: readonly number[];
}>;

/** The loss over windows that are full; nothing for packed layouts, where all are. */
export async function measureFullWindows(
  evaluator: LossEvaluator,
  params: Model,
  { heldOut, padId }: TrainingData,
  batchSize: number,
): Promise<LossRecord[]> {
  if (padId === null) return [];
  const rows = [...heldOut.realTokens.keys()]
    .filter((row) => heldOut.realTokens[row] === heldOut.contextLength);
  if (rows.length === 0) return [];
  const { lossNats } = await evaluate(evaluator, params, pickWindows(heldOut, rows), batchSize);
  return [{ type: "measurement", what: "full windows", lossNats, windows: rows.length }];
}

/**
 * What is known of the scored held-out tokens: 1 … N − 1 of a full window and all of a padded one,
 * whose first is predicted from the pads before it; nothing for data of unknown entropy.
 */
export function measureSource(
  { exact, entropyRateNats, training: { heldOut } }: PreparedData,
): SourceRecord[] {
  if (exact === null) return [];
  const { contextLength, count, ids, realTokens } = heldOut;
  let entropyNats = 0, surprisalNats = 0, scored = 0;
  for (let row = 0; row < count; row++) {
    const real = realTokens[row]!;
    const end = (row + 1) * contextLength;
    const values = exact(ids.subarray(end - real, end));
    for (let t = real === contextLength ? 1 : 0; t < real; t++) {
      entropyNats += values.entropyNats[t]!;
      surprisalNats += values.surprisalNats[t]!;
      scored++;
    }
  }
  return [{
    type: "measurement",
    what: "source entropy",
    entropyNats: entropyNats / scored,
    surprisalNats: surprisalNats / scored,
    rateNats: entropyRateNats,
  }];
}

/** What quantization and a wrong embedding cost; nothing for models without an embedding. */
export async function measureEmbedding(
  config: ModelConfig,
  params: Model,
  data: TrainingData,
  { batchSize, quantizedBits }: MeasurementOptions,
): Promise<LossRecord[]> {
  if (config.kind !== "augmented" || config.memory !== "embedding") return [];
  const { padId, heldOut } = data;

  const lossesWith = (name: string, hook: (z: Tensor, scaleP: Tensor, code: Tensor) => Tensor) =>
    jit(name, (params: Model, idsBN: Tensor, scaleP: Tensor, code: Tensor) => {
      const applied: EmbeddingHook = (zBP) => hook(zBP, scaleP, code);
      return tokenLosses(config, params, idsBN, { padId, hook: applied });
    }, { compiler: "graph" });
  const quantized = lossesWith("quantized evaluation", quantizeUniformly);
  const foreign = lossesWith("foreign embedding evaluation", rotateRows);

  const scaleP = calibrate(config, params as AugmentedDecoder, data, batchSize);
  const records: LossRecord[] = [];
  const lossNats = async (losses: typeof quantized, code: Tensor, windows = heldOut) => {
    const evaluator: LossEvaluator = (params, { idsBN }) => losses(params, idsBN, scaleP, code);
    return (await evaluate(evaluator, params, windows, batchSize)).lossNats;
  };
  for (const bits of quantizedBits) {
    const code = scalar(largestCode(bits));
    records.push({
      type: "measurement",
      what: "quantized embedding",
      bits,
      lossNats: await lossNats(quantized, code),
    });
    code.dispose();
  }
  const unused = scalar(0);
  const neighbours = windowsWithNeighbour(heldOut, batchSize);
  if (neighbours.count > 0) {
    records.push({
      type: "measurement",
      what: "foreign embedding",
      lossNats: await lossNats(foreign, unused, neighbours),
    });
  }
  disposeTree([scaleP, unused]);
  quantized.dispose();
  foreign.dispose();
  return records;
}

/** Windows that share their batch with another: all, or all but a last one that is alone. */
function windowsWithNeighbour(windows: Windows, batchSize: number): Windows {
  const isLastAlone = batchSize === 1 || windows.count % batchSize === 1;
  if (!isLastAlone) return windows;
  const count = batchSize === 1 ? 0 : windows.count - 1;
  return pickWindows(windows, Array.from({ length: count }, (_, row) => row));
}

/**
 * Row b gets row b − 1's embedding, the first one the last's: a batch that is filled up repeats its
 * last window at the end, which must not get its own.
 */
function rotateRows(zBP: Tensor): Tensor {
  const [batch, size] = zBP.shape as [number, number];
  return concat([slice(zBP, [batch - 1, 0], [1, size]), slice(zBP, [0, 0], [batch - 1, size])], 0);
}

/** The scale of each number of the embedding, `[P]`, over some training windows. */
function calibrate(
  config: Extract<ModelConfig, { kind: "augmented" }>,
  params: AugmentedDecoder,
  { train, padId }: TrainingData,
  batchSize: number,
): Tensor {
  const encode = jit("embedding scales", (params: AugmentedDecoder, idsBN: Tensor) => {
    const idsNB = transpose(idsBN);
    const zBP = encodeSequence(config, params, idsNB, visibleTokens(idsNB, padId));
    return absoluteMaximum(zBP);
  }, { compiler: "graph" });
  const rows: Tensor[] = [];
  for (const { ids } of batchesInOrder(train, batchSize).take(CALIBRATION_BATCHES)) {
    const idsBN = tensor(ids, [batchSize, train.contextLength], "int32");
    rows.push(encode(params, idsBN));
    idsBN.dispose();
  }
  const scaleP = tidy(() => absoluteMaximum(concat(rows.map((row) => reshape(row, [1, -1])), 0)));
  disposeTree(rows);
  encode.dispose();
  return scaleP;
}
