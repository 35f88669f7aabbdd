/**
 * A number format and how its scales are shared, as one value with one name, e.g. "int8/row": what
 * configurations, records and figures say.
 */

import type { Tensor } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { castToFloatFormat } from "./float_cast.ts";
import { FLOAT_FORMATS, type FloatFormatName } from "./float_formats.ts";
import {
  castToIntegers,
  checkOutlierThreshold,
  LLM_INT8_THRESHOLD,
  type Scaling,
  SCALINGS,
} from "./integers.ts";
import { castToNf4, NF4_BLOCK_SIZE } from "./nf4.ts";

export type Quantization = Readonly<{
  /** A float format, "nf4", or "int2" … "int16". */
  format: FloatFormatName | "nf4" | `int${number}`;
  /**
   * What shares a scale; "row" by default. Integers: see {@linkcode Scaling}. NF4, whose scales
   * belong to blocks: "row" if blocks begin anew with each vector, "tensor" if they run on in memory
   * order. Floats have none.
   */
  scaling?: Scaling;
  /** Integers with row scaling: features from this magnitude on stay fp16 (LLM.int8: 6). */
  outlierThreshold?: number;
}>;

/** The name of LLM.int8: "int8/row" with its outlier threshold. */
const LLM_INT8 = "llm.int8";

const FLOAT_NAMES = Object.keys(FLOAT_FORMATS) as FloatFormatName[];

const FORMATS = `${FLOAT_NAMES.join(", ")}, nf4 or int2 … int16`;

/** A quantization by what has to be done, with its defaults filled in. */
export type QuantizationKind =
  | Readonly<{ kind: "float"; format: FloatFormatName }>
  | Readonly<{ kind: "nf4"; scaling: "tensor" | "row" }>
  | Readonly<{
    kind: "integer";
    bits: number;
    scaling: Scaling;
    outlierThreshold: number | undefined;
  }>;

/**
 * What a quantization comes to.
 *
 * @throws UserError for an unknown format, and for a scaling or a threshold that does not apply.
 */
export function quantizationKind(quantization: Quantization): QuantizationKind {
  const { format, scaling, outlierThreshold } = quantization;
  const isFloat = (name: string): name is FloatFormatName =>
    (FLOAT_NAMES as string[]).includes(name);
  const bits = /^int([1-9]\d?)$/.exec(format)?.[1];
  if (bits === undefined && outlierThreshold !== undefined) {
    throw new UserError(`quantization ${format}: expected no outlier threshold; integers have one`);
  }
  if (isFloat(format)) {
    if (scaling === undefined) return { kind: "float", format };
    throw new UserError(`quantization ${format}: expected no scaling, found ${scaling}`);
  }
  const shared = scaling ?? "row";
  if (format === "nf4") {
    if (shared === "tensor" || shared === "row") return { kind: "nf4", scaling: shared };
    throw new UserError(`quantization nf4: expected scaling tensor or row, found ${shared}`);
  }
  if (bits === undefined || Number(bits) < 2 || Number(bits) > 16) {
    throw new UserError(`quantization: expected ${FORMATS}, found ${JSON.stringify(format)}`);
  }
  if (!SCALINGS.includes(shared)) {
    throw new UserError(
      `quantization ${format}: expected scaling ${SCALINGS.join(", ")}, found ${shared}`,
    );
  }
  if (outlierThreshold !== undefined) checkOutlierThreshold(outlierThreshold, shared);
  return { kind: "integer", bits: Number(bits), scaling: shared, outlierThreshold };
}

/** @throws UserError for an unknown format, and for a scaling or a threshold that does not apply. */
export function checkQuantization(quantization: Quantization): void {
  quantizationKind(quantization);
}

/**
 * Reads a name: a format ("fp16", "nf4", "int8"), then the scaling if it has one ("int8/channel",
 * "row" by default), then outliers ("int4/row/outliers=6"); or "llm.int8", which is
 * "int8/row/outliers=6".
 *
 * @returns With scaling filled in for integers and NF4.
 * @throws UserError for a name that is none.
 */
export function parseQuantization(name: string): Quantization {
  if (name === LLM_INT8) return parseQuantization(`int8/row/outliers=${LLM_INT8_THRESHOLD}`);
  const [format, scaling, outliers, ...rest] = name.split("/");
  const threshold = /^outliers=(.+)$/.exec(outliers ?? "")?.[1];
  if (rest.length > 0 || (outliers !== undefined && threshold === undefined)) {
    throw new UserError(
      `quantization: expected a name such as ${LLM_INT8}, int8/row, int4/row/outliers=6 or fp16, ` +
        `found ${JSON.stringify(name)}`,
    );
  }
  const quantization = {
    format,
    ...(scaling !== undefined && { scaling }),
    ...(threshold !== undefined && { outlierThreshold: Number(threshold) }),
  } as Quantization; // quantizationKind() refuses it if it is none
  const kind = quantizationKind(quantization);
  return kind.kind === "float" ? quantization : { ...quantization, scaling: kind.scaling };
}

/**
 * The name that {@linkcode parseQuantization} reads; the same for values that mean the same.
 *
 * @throws UserError as `checkQuantization`.
 */
export function formatQuantization(quantization: Quantization): string {
  const { format } = quantization;
  const kind = quantizationKind(quantization);
  if (kind.kind === "float") return format;
  const name = `${format}/${kind.scaling}`;
  if (kind.kind === "nf4" || kind.outlierThreshold === undefined) return name;
  const isLlmInt8 = kind.bits === 8 && kind.outlierThreshold === LLM_INT8_THRESHOLD;
  return isLlmInt8 ? LLM_INT8 : `${name}/outliers=${kind.outlierThreshold}`;
}

export type FakeQuantizeOptions = Readonly<{
  /** Fixed scales of integers, see `castToIntegers`; those of the numbers themselves by default. */
  scale?: Tensor;
}>;

/**
 * The function that rounds float32 numbers to those of a format, with a straight-through gradient.
 *
 * @throws UserError as `checkQuantization`, and for a scale that the format has no use for.
 */
export function fakeQuantize(
  quantization: Quantization,
  { scale }: FakeQuantizeOptions = {},
): (x: Tensor) => Tensor {
  const kind = quantizationKind(quantization);
  if (kind.kind === "integer") {
    const { bits, scaling, outlierThreshold } = kind;
    return (x) =>
      castToIntegers(x, {
        bits,
        scaling,
        ...(scale !== undefined && { scale }),
        ...(outlierThreshold !== undefined && { outlierThreshold }),
      });
  }
  if (scale !== undefined) {
    throw new UserError(
      `quantization ${
        formatQuantization(quantization)
      }: expected no fixed scale; integers have one`,
    );
  }
  if (kind.kind === "nf4") return (x) => castToNf4(x, NF4_BLOCK_SIZE, kind.scaling);
  return (x) => castToFloatFormat(x, kind.format);
}
