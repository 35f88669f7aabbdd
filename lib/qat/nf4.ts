/**
 * NF4, the 4-bit data type of QLoRA (Dettmers et al. 2023): 16 levels that share numbers of a normal
 * distribution evenly among them, times the largest magnitude of each block of 64 numbers.
 *
 * Legend: C last axis, L blocks of a row, R rows, S numbers of a block.
 */

import {
  concat,
  div,
  greater,
  mul,
  notEqual,
  reshape,
  scalar,
  slice,
  straightThrough,
  type Tensor,
  where,
  zeros,
} from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { absoluteMaximum, SMALLEST_SCALE } from "./integers.ts";

/**
 * The published levels, in float32. They are quantiles of the normal distribution: 8 from one half
 * to q, 9 from 1 − q to one half with 0 in both, divided by the largest, for q = 0.9677083.
 */
export const NF4_LEVELS: Float32Array = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);

/** Halfway between level i and level i + 1; a number exactly there takes the lower level. */
const BOUNDARIES = NF4_LEVELS.slice(1).map((level, i) => (NF4_LEVELS[i]! + level) / 2);

/** Numbers that share a scale. */
export const NF4_BLOCK_SIZE = 64;

/** Codes 0 … 15 of numbers, one each, and the scale of every block of them. */
export type Nf4Blocks = Readonly<{
  codes: Uint8Array<ArrayBuffer>;
  scales: Float32Array<ArrayBuffer>;
}>;

/**
 * x as NF4 and back, with the straight-through gradient 1; NaN stays NaN. The same numbers on every backend,
 * compiled or not; on WebGPU within a division's rounding.
 *
 * @param scaling Where blocks begin. "tensor": every `blockSize` numbers in memory order, as in
 *   bitsandbytes. "row": anew with each vector along the last axis, so that no two share a scale. A
 *   last block may be shorter.
 * @throws UserError unless blockSize is a whole number above 0.
 */
export function castToNf4(
  x: Tensor,
  blockSize = NF4_BLOCK_SIZE,
  scaling: "tensor" | "row" = "tensor",
): Tensor {
  checkBlockSize(blockSize);
  const rowLength = scaling === "row" ? x.shape.at(-1)! : x.size;
  const size = Math.min(blockSize, rowLength);
  return straightThrough(x, (x) => {
    const rowsRC = reshape(x, [-1, rowLength]);
    const blocksLS = reshape(padRows(rowsRC, size), [-1, size]);
    const levelsRC = reshape(castBlocks(blocksLS), [rowsRC.shape[0]!, -1]);
    return reshape(slice(levelsRC, [0, 0], [-1, rowLength]), x.shape);
  });
}

/** Zeros after each row, up to a multiple of `size`. */
function padRows(rowsRC: Tensor, size: number): Tensor {
  const [rows, length] = rowsRC.shape as [number, number];
  const missing = -length % size + size;
  return missing === size ? rowsRC : concat([rowsRC, zeros([rows, missing])], 1);
}

function castBlocks(blocksLS: Tensor): Tensor {
  const scaleL1 = absoluteMaximum(blocksLS, "row");
  const unitLS = mul(blocksLS, div(1, scaleL1)); // beyond ±1 by rounding at most
  let levelLS: Tensor = scalar(NF4_LEVELS[0]!);
  BOUNDARIES.forEach((boundary, i) => {
    levelLS = where(greater(unitLS, boundary), scalar(NF4_LEVELS[i + 1]!), levelLS);
  });
  const isNanLS = notEqual(unitLS, unitLS);
  return mul(where(isNanLS, unitLS, levelLS), scaleL1);
}

/**
 * What {@linkcode castToNf4} makes of the numbers in memory order, as codes and scales.
 *
 * @throws UserError for a number that is not finite, and as `castToNf4`.
 */
export function encodeNf4(values: Float32Array, blockSize = NF4_BLOCK_SIZE): Nf4Blocks {
  checkBlockSize(blockSize);
  const codes = new Uint8Array(values.length);
  const scales = new Float32Array(Math.ceil(values.length / blockSize)).fill(SMALLEST_SCALE);
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) {
      throw new UserError(`NF4: expected finite numbers, found ${value} as number ${i}`);
    }
    const block = Math.floor(i / blockSize);
    scales[block] = Math.max(scales[block]!, Math.abs(value));
  });
  values.forEach((value, i) => {
    const reciprocal = Math.fround(1 / scales[Math.floor(i / blockSize)]!);
    const unit = Math.fround(value * reciprocal);
    const above = BOUNDARIES.findIndex((boundary) => unit <= boundary);
    codes[i] = above < 0 ? BOUNDARIES.length : above;
  });
  return { codes, scales };
}

/**
 * The numbers that codes and scales stand for.
 *
 * @throws UserError for codes above 15, for scales that are not one a block, and as `castToNf4`.
 */
export function decodeNf4(
  { codes, scales }: Readonly<{ codes: Uint8Array; scales: Float32Array }>,
  blockSize = NF4_BLOCK_SIZE,
): Float32Array<ArrayBuffer> {
  checkBlockSize(blockSize);
  const blocks = Math.ceil(codes.length / blockSize);
  if (scales.length !== blocks) {
    throw new UserError(
      `NF4: expected ${blocks} scales for ${codes.length} codes in blocks of ${blockSize}, ` +
        `found ${scales.length}`,
    );
  }
  return Float32Array.from(codes, (code, i) => {
    const level = NF4_LEVELS[code];
    if (level === undefined) throw new UserError(`NF4: expected codes 0 … 15, found ${code}`);
    return level * scales[Math.floor(i / blockSize)]!;
  });
}

function checkBlockSize(blockSize: number): void {
  if (!Number.isSafeInteger(blockSize) || blockSize < 1) {
    throw new UserError(`NF4 block size: expected a whole number above 0, found ${blockSize}`);
  }
}
