/**
 * How much a prediction changes with the memory (paper §4.4): two runs of the decoder, one with the
 * memory as it is, one with it changed, compared at the logits O and O' that predict each token.
 *
 *   occlusion  the memory taken away: zeros in its place, and a transformer does not see its slot
 *   shift      uniform noise on the embedding z
 *
 *   l1 = Σ_v |O_v − O'_v|     cosine = 1 − cos(O, O') ∈ [0, 2]     loss = |CE(O) − CE(O')|, nats
 *
 * The first two have no unit. The memory slot of a token join gives no token and is not compared.
 *
 * Legend: N tokens a window, T predicted tokens, B batch, P embedding size, M memory width,
 * V vocabulary.
 */

import {
  abs,
  add,
  div,
  maximum,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tensor,
  zerosLike,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  decoderLogits,
  encodeSequence,
  joinedSize,
  memoryOf,
  visibleTokens,
} from "../models/mod.ts";
import { createRandom } from "../random.ts";
import type { WindowIds } from "../text/mod.ts";
import { nextTokenLosses } from "./predictive.ts";
import {
  estimateBatches,
  type EstimatedModel,
  type EstimateOptions,
  requireMemory,
  type RowInputs,
  type WindowEstimates,
} from "./window_estimates.ts";

/** How far apart two predictions of each token are, by each of three measures. */
export type Contrast = Readonly<{
  l1: WindowEstimates;
  cosine: WindowEstimates;
  /** Nats. */
  loss: WindowEstimates;
}>;

/**
 * What each prediction is without the memory, against what it is with it.
 *
 * @throws UserError when the model has no memory, or the windows do not fit it.
 */
export async function memoryOcclusion(
  model: EstimatedModel,
  windows: WindowIds,
  options: EstimateOptions = {},
): Promise<Contrast> {
  const withMemory = requireMemory(model, "occlusion");
  const { config, padId } = withMemory;
  return await estimateBatches("memory occlusion", withMemory, windows, (params, idsNB) => {
    const visibleBN = visibleTokens(idsNB, padId);
    const memoryBM = memoryOf(params, encodeSequence(config, params, idsNB, visibleBN));
    return contrast(
      decoderLogits(config, params, memoryBM, idsNB, visibleBN),
      decoderLogits(config, params, zerosLike(memoryBM), idsNB, visibleBN, { occluded: true }),
      idsNB,
    );
  }, options);
}

/** Width of the noise of the paper's shift. */
const SHIFT_WIDTH = 2 ** -2;

export type ShiftOptions =
  & EstimateOptions
  & Readonly<{
    /**
     * The noise is uniform on [−width/2, width/2); 2⁻² by default. Symmetric, as everywhere here
     * (paper §12): noise of [0, width) would also move z by half its width, the same for all tokens.
     */
    width?: number;
    /** Window and seed decide the noise, whatever the batch; 0 by default. */
    seed?: number;
  }>;

/**
 * What each prediction is with noise on the embedding, against what it is without.
 *
 * @throws UserError when the model has no memory, the windows do not fit it, or an option is out of
 *   range.
 */
export async function memoryShift(
  model: EstimatedModel,
  windows: WindowIds,
  { width = SHIFT_WIDTH, seed = 0, ...options }: ShiftOptions = {},
): Promise<Contrast> {
  const withMemory = requireMemory(model, "shift");
  const { config, padId } = withMemory;
  const rowInputs = shiftNoise(joinedSize(config), width, seed);
  return await estimateBatches("memory shift", withMemory, windows, (params, idsNB, noiseBP) => {
    const visibleBN = visibleTokens(idsNB, padId);
    const zBP = encodeSequence(config, params, idsNB, visibleBN);
    const logitsOf = (zBP: Tensor) =>
      decoderLogits(config, params, memoryOf(params, zBP), idsNB, visibleBN);
    return contrast(logitsOf(zBP), logitsOf(add(zBP, noiseBP)), idsNB);
  }, { ...options, rowInputs });
}

/**
 * The noise `[B, P]` of windows, drawn on the host so that it is the same on every backend.
 *
 * @throws UserError when an option is out of range.
 */
export function shiftNoise(embeddingSize: number, width: number, seed: number): RowInputs {
  if (!(width > 0 && Number.isFinite(width))) {
    throw new UserError(`shift: expected noise of a width above zero, found ${width}`);
  }
  if (!Number.isSafeInteger(seed)) {
    throw new UserError(`shift: expected an integer seed, found ${seed}`);
  }
  const random = createRandom(seed).stream("memory shift");
  return (windows) => {
    const noise = new Float32Array(windows.length * embeddingSize);
    windows.forEach((window, row) => {
      const ofWindow = random.stream(`window ${window}`);
      noise.set(ofWindow.uniforms(embeddingSize, -width / 2, width / 2), row * embeddingSize);
    });
    return [tensor(noise, [windows.length, embeddingSize])];
  };
}

/** The three measures, each `[T, B]`, of two runs' logits `[T, B, V]`. */
function contrast(logits: Tensor, others: Tensor, idsNB: Tensor) {
  return {
    l1: sum(abs(sub(logits, others)), 2),
    cosine: cosineDistance(logits, others),
    loss: abs(sub(nextTokenLosses(logits, idsNB), nextTokenLosses(others, idsNB))),
  };
}

/**
 * 1 − cos over the last axis, as |a/|a| − b/|b||² / 2: the same number, but without the rounding
 * error of 1 − (almost 1) where the vectors hardly differ.
 */
export function cosineDistance(a: Tensor, b: Tensor): Tensor {
  return div(sum(square(sub(unitVectors(a), unitVectors(b))), -1), 2);
}

/** Vectors of the last axis at length 1; zero vectors, which have no direction, stay zero. */
function unitVectors(x: Tensor): Tensor {
  return div(x, maximum(sqrt(sum(square(x), -1, true)), 1e-12));
}
