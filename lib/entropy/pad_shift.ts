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
 * Legend: N context, L prefix length, T length of a batch of prefixes, B windows, R prefixes,
 * P embedding size.
 */

import { jit, type Tensor, tensor, transpose } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  decoderLogits,
  encodePrefixes,
  hasRelativePositions,
  memoryOf,
  tokenLosses,
} from "../models/mod.ts";
import type { WindowIds } from "../text/mod.ts";
import { nextTokenLosses } from "./predictive.ts";
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

/** A prefix, by the number of its window and its length. */
type Prefix = Readonly<{ window: number; length: number }>;

/** Gives Σ CE, nats, of some prefixes. */
type PrefixSums = (prefixes: readonly Prefix[]) => Promise<Float64Array>;

/** The fast form's batches have one of this many lengths. */
const LENGTH_STEPS = 8;

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
  const sumOf = isFast
    ? await fastSums(config, params, tokens, batchSize)
    : plainSums(config, params, tokens, batchSize);

  const sums = rows.map((row) => new Float64Array(row.length + 1));
  for (const prefixes of prefixBatches(rows, contextLength, isFast ? LENGTH_STEPS : 1, batchSize)) {
    const nats = await sumOf.sums(prefixes);
    prefixes.forEach(({ window, length }, at) => sums[window]![length] = nats[at]!);
  }
  sumOf.dispose();
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

/** How many positions the fast form's decoder reads for a prefix of `length` tokens. */
export function batchLength(contextLength: number, length: number): number {
  const step = Math.ceil(contextLength / LENGTH_STEPS);
  return Math.min(contextLength, Math.ceil(length / step) * step);
}

/** A window's tokens without the pads before them. */
function realTokens(windows: WindowIds, window: number, padId: number): Int32Array {
  const { contextLength, ids } = windows;
  const row = ids.subarray(window * contextLength, (window + 1) * contextLength);
  const first = row.findIndex((id) => id !== padId);
  return first < 0 ? row.subarray(contextLength) : row.subarray(first);
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

type Tokens = Readonly<{ rows: readonly Int32Array[]; contextLength: number; padId: number }>;
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
  for (let start = 0; start < rows.length; start += batchSize) {
    const ids = new Int32Array(batchSize * contextLength).fill(padId);
    rows.slice(start, start + batchSize).forEach((row, at) => ids.set(row, at * contextLength));
    const idsBN = tensor(ids, [batchSize, contextLength], "int32");
    const zBNP = encode(params, idsBN);
    size = zBNP.shape[2]!;
    parts.push(await zBNP.data() as Float32Array);
    for (const leaf of [idsBN, zBNP]) leaf.dispose();
  }
  encode.dispose();
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
