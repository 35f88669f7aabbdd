/**
 * The two forms in which pad-shift (pad_shift.ts) gets the summed losses of all prefixes of windows.
 *
 * Legend: N context, T length of a batch of prefixes, B windows, R prefixes, P embedding size.
 */

import { jit, type Tensor, tensor, transpose } from "../engine/mod.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  decoderLogits,
  encodePrefixes,
  memoryOf,
  tokenLosses,
} from "../models/mod.ts";
import { nextTokenLosses } from "./predictive.ts";

/** Windows without their pads. */
export type Tokens = Readonly<{
  rows: readonly Int32Array[];
  contextLength: number;
  padId: number;
}>;

type AugmentedModel = Readonly<{ config: AugmentedDecoderConfig; params: AugmentedDecoder }>;

/** A prefix, by the number of its window and its length. */
type Prefix = Readonly<{ window: number; length: number }>;

/** Gives Σ CE, nats, of some prefixes. */
type PrefixSums = (prefixes: readonly Prefix[]) => Promise<Float64Array>;

/** The fast form's batches have one of this many lengths. */
const LENGTH_STEPS = 8;

/** Σ CE, nats, of every prefix of every row: by the row's number and the prefix's length. */
export async function prefixSums(
  form: "plain" | "fast",
  { config, params }: AugmentedModel,
  tokens: Tokens,
  batchSize: number,
): Promise<Float64Array[]> {
  const { rows, contextLength } = tokens;
  const { sums: sumsOf, dispose } = form === "fast"
    ? await fastSums(config, params, tokens, batchSize)
    : plainSums(config, params, tokens, batchSize);
  const sums = rows.map((row) => new Float64Array(row.length + 1));
  const steps = form === "fast" ? LENGTH_STEPS : 1;
  try {
    for (const prefixes of prefixBatches(rows, contextLength, steps, batchSize)) {
      const nats = await sumsOf(prefixes);
      prefixes.forEach(({ window, length }, at) => sums[window]![length] = nats[at]!);
    }
  } finally {
    dispose();
  }
  return sums;
}

/** How many positions the fast form's decoder reads for a prefix of `length` tokens. */
export function batchLength(contextLength: number, length: number): number {
  const step = Math.ceil(contextLength / LENGTH_STEPS);
  return Math.min(contextLength, Math.ceil(length / step) * step);
}

/** All prefixes of two tokens and more, batches of lengths within N / `steps` of each other. */
function* prefixBatches(
  rows: readonly Int32Array[],
  contextLength: number,
  steps: number,
  batchSize: number,
): Generator<Prefix[]> {
  const step = Math.ceil(contextLength / steps);
  for (let longest = step; longest - step < contextLength; longest += step) {
    const prefixes = rows.flatMap((row, window) => {
      const [first, last] = [Math.max(2, longest - step + 1), Math.min(longest, row.length)];
      return Array.from(
        { length: Math.max(0, last - first + 1) },
        (_, at) => ({ window, length: first + at }),
      );
    });
    for (let start = 0; start < prefixes.length; start += batchSize) {
      yield prefixes.slice(start, start + batchSize);
    }
  }
}

type Sums = Readonly<{ sums: PrefixSums; dispose: () => void }>;

function plainSums(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  { rows, contextLength, padId }: Tokens,
  batchSize: number,
): Sums {
  const losses = jit(
    "pad-shift, plain",
    (params: AugmentedDecoder, idsRN: Tensor) =>
      tokenLosses(config, params, idsRN, { padId }).lossTB,
    { compiler: "graph" },
  );
  const sums: PrefixSums = async (prefixes) => {
    const ids = new Int32Array(batchSize * contextLength).fill(padId);
    prefixes.forEach(({ window, length }, at) =>
      ids.set(rows[window]!.subarray(0, length), (at + 1) * contextLength - length)
    );
    const idsRN = tensor(ids, [batchSize, contextLength], "int32");
    const lossTR = losses(params, idsRN);
    const nats = await lossTR.data() as Float32Array;
    for (const leaf of [idsRN, lossTR]) leaf.dispose();
    // Row t − 1 has the loss of token t; the prefix's own first token is left out.
    return sumColumns(nats, batchSize, prefixes, ({ length }) => [
      contextLength - length,
      contextLength - 1,
    ]);
  };
  return { sums, dispose: losses.dispose };
}

async function fastSums(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  { rows, contextLength, padId }: Tokens,
  batchSize: number,
): Promise<Sums> {
  const embeddings = await embedPrefixes(config, params, { rows, contextLength, padId }, batchSize);
  const isAway = config.join === undefined || config.join === "token";
  const losses = jit(
    "pad-shift, fast",
    (params: AugmentedDecoder, zRP: Tensor, idsRT: Tensor, memoryDistanceB: Tensor) => {
      const idsTR = transpose(idsRT);
      const memoryRM = memoryOf(params, zRP);
      const logits = decoderLogits(config, params, memoryRM, idsTR, null, {
        memoryDistanceB: isAway ? memoryDistanceB : undefined,
      });
      return nextTokenLosses(logits, idsTR);
    },
    { compiler: "graph", maxShapes: LENGTH_STEPS },
  );
  const sums: PrefixSums = async (prefixes) => {
    const longest = batchLength(contextLength, prefixes[0]!.length);
    // What stands behind a prefix is not seen by it: any token will do.
    const ids = new Int32Array(batchSize * longest).fill(padId);
    const distances = new Float32Array(batchSize);
    const { size } = embeddings;
    const z = new Float32Array(batchSize * size);
    prefixes.forEach(({ window, length }, at) => {
      ids.set(rows[window]!.subarray(0, length), at * longest);
      distances[at] = contextLength - length;
      z.set(embeddings.of(window, length), at * size);
    });
    const inputs = [
      tensor(z, [batchSize, size]),
      tensor(ids, [batchSize, longest], "int32"),
      tensor(distances, [batchSize]),
    ] as const;
    const lossTR = losses(params, ...inputs);
    const nats = await lossTR.data() as Float32Array;
    for (const leaf of [...inputs, lossTR]) leaf.dispose();
    return sumColumns(nats, batchSize, prefixes, ({ length }) => [0, length - 1]);
  };
  return { sums, dispose: losses.dispose };
}

/** The embedding of every prefix of every row, from one encoder pass over each. */
async function embedPrefixes(
  config: AugmentedDecoderConfig,
  params: AugmentedDecoder,
  { rows, contextLength, padId }: Tokens,
  batchSize: number,
): Promise<{ size: number; of: (window: number, length: number) => Float32Array }> {
  const encode = jit(
    "embeddings of prefixes",
    (params: AugmentedDecoder, idsBN: Tensor) =>
      transpose(encodePrefixes(config, params, transpose(idsBN)), [1, 0, 2]),
    { compiler: "graph" },
  );
  const parts: Float32Array[] = [];
  let size = 0;
  try {
    for (let start = 0; start < rows.length; start += batchSize) {
      const ids = new Int32Array(batchSize * contextLength).fill(padId);
      rows.slice(start, start + batchSize).forEach((row, at) => ids.set(row, at * contextLength));
      const idsBN = tensor(ids, [batchSize, contextLength], "int32");
      const zBNP = encode(params, idsBN);
      size = zBNP.shape[2]!;
      parts.push(await zBNP.data() as Float32Array);
      for (const leaf of [idsBN, zBNP]) leaf.dispose();
    }
  } finally {
    encode.dispose();
  }
  const of = (window: number, length: number) => {
    const at = (window % batchSize * contextLength + length - 1) * size;
    return parts[Math.floor(window / batchSize)]!.subarray(at, at + size);
  };
  return { size, of };
}

/** Sums in float64 over rows `[from, to)` of each prefix's column of `nats [T, R]`. */
function sumColumns(
  nats: Float32Array,
  columns: number,
  prefixes: readonly Prefix[],
  range: (prefix: Prefix) => [from: number, to: number],
): Float64Array {
  return Float64Array.from(prefixes, (prefix, column) => {
    const [from, to] = range(prefix);
    let sum = 0;
    for (let t = from; t < to; t++) sum += nats[t * columns + column]!;
    return sum;
  });
}
