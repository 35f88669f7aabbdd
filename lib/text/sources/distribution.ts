/** Distributions over a few symbols: entropy, draws, and rows that are drawn themselves. */

import { createRandom, type Random } from "../../random.ts";

/** H(p) in nats; 0 · ln 0 is 0. */
export function entropyNats(probabilities: ArrayLike<number>): number {
  let nats = 0;
  for (let i = 0; i < probabilities.length; i++) {
    const probability = probabilities[i]!;
    if (probability > 0) nats -= probability * Math.log(probability);
  }
  return nats;
}

/** The same shares with a sum of 1: numbers in a file have few digits. */
export function normalized(shares: ArrayLike<number>): Float64Array {
  let sum = 0;
  for (let i = 0; i < shares.length; i++) sum += shares[i]!;
  return Float64Array.from(shares, (share) => share / sum);
}

/** The mixture of distributions by their shares. */
export function mixture(shares: Float64Array, rows: readonly Float64Array[]): Float64Array {
  const mixed = new Float64Array(rows[0]!.length);
  for (const [index, row] of rows.entries()) {
    const share = shares[index]!;
    for (let i = 0; i < mixed.length; i++) mixed[i]! += share * row[i]!;
  }
  return mixed;
}

/** Draws of an index from a distribution. */
export type IndexSampler = (random: Random) => number;

/** Draws by 32 random bits: what is less probable than 2^-32 may never be drawn. */
export function indexSampler(probabilities: ArrayLike<number>): IndexSampler {
  const cumulative = new Float64Array(probabilities.length);
  let sum = 0;
  for (let i = 0; i < cumulative.length; i++) cumulative[i] = sum += probabilities[i]!;
  return (random) => {
    const uniform = random.uniform();
    let low = 0, high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (uniform < cumulative[middle]!) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

/** How tables are drawn that a source does not spell out. */
export type DrawnTables = Readonly<{
  /** Every parameter of the symmetric Dirichlet distribution of a row; 1 is uniform. */
  concentration: number;
  /** Decides the tables alone: sources that differ by `seed` only have the same ones. */
  tableSeed: number;
}>;

/** A table of independent rows from a symmetric Dirichlet distribution. */
export function drawnTable(
  name: string,
  [rows, columns]: readonly [rows: number, columns: number],
  { concentration, tableSeed }: DrawnTables,
): Float64Array[] {
  const random = createRandom(tableSeed).stream(name);
  return Array.from({ length: rows }, () => dirichlet(columns, concentration, random));
}

/** Gamma variables over their sum; by logarithms, since those of small shapes underflow. */
function dirichlet(size: number, concentration: number, random: Random): Float64Array {
  const logs = Float64Array.from({ length: size }, () => logGamma(concentration, random));
  const largest = logs.reduce((a, b) => Math.max(a, b));
  return normalized(logs.map((log) => Math.exp(log - largest)));
}

/** The logarithm of a gamma variable of scale 1 (Marsaglia and Tsang 2000). */
function logGamma(shape: number, random: Random): number {
  const positiveUniform = () => 1 - random.uniform();
  if (shape < 1) return logGamma(shape + 1, random) + Math.log(positiveUniform()) / shape;
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  while (true) {
    const x = random.normals(1, 0, 1)[0]!;
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(positiveUniform()) < x * x / 2 + d - d * v + d * Math.log(v)) {
      return Math.log(d * v);
    }
  }
}
