/** Golden values of integer formats and NF4, see tests/reference/integer_formats.py. */

import { readFileSync } from "node:fs";
import type { Scaling } from "../../lib/qat/mod.ts";

/** Float32 numbers, codes or float64 numbers, `[R][C]`. */
type Rows = readonly (readonly number[])[];

type Golden = Readonly<{
  absmax: Readonly<{
    x: Rows;
    cases: readonly Readonly<{ bits: number; scaling: Scaling; codes: Rows; values: Rows }>[];
    rowInt8: Readonly<{ codes: Rows; scales: readonly number[]; values: Rows }>;
  }>;
  ties: Readonly<{ bits: number; x: readonly number[]; codes: readonly number[] }>;
  outliers: Readonly<{
    threshold: number;
    x: Rows;
    columns: readonly number[];
    codes: Rows;
    scales: readonly number[];
    weight: Rows;
    product: Rows;
    bitsandbytes: Rows;
    higher: Readonly<{ x: Rows; row: number; paperScale: number; bitsandbytesScale: number }>;
  }>;
  nf4: Readonly<{
    blockSize: number;
    levels: readonly number[];
    x: readonly number[];
    codes: readonly number[];
    scales: readonly number[];
    values: readonly number[];
  }>;
}>;

export const golden: Golden = JSON.parse(
  readFileSync(new URL("../golden/qat/integer_formats.json", import.meta.url), "utf8"),
);
