/** Notebook 05 on two sources whose exact values can be said in a line each. */

import { prepareData } from "../../lib/experiments/data.ts";
import {
  KNOWN_ENTROPY_PRESETS,
  type KnownEntropyPreset,
} from "../../lib/experiments/entropy_presets.ts";
import { knownEntropySpecs } from "../../lib/experiments/known_entropy_arms.ts";
import type { DataSpec } from "../../lib/experiments/data.ts";

const COIN = [0.5, 0.25, 0.25];
const CHAIN = [[0.9, 0.1], [0.4, 0.6]];

export const PRESET: KnownEntropyPreset = {
  ...KNOWN_ENTROPY_PRESETS.small,
  sources: {
    coin: { kind: "iid", probabilities: COIN, length: 3000, seed: 1 },
    chain: { kind: "markov", order: 1, transitions: CHAIN, length: 3000, seed: 2 },
  },
  contextLength: 6,
  heldOutWindows: 20,
  windows: 4,
  pairWindows: 7,
  embeddingSize: 2,
  trainingSteps: [10, 20],
  shortfall: { source: "chain", embeddingSizes: [1, 2] },
};
export const SPECS = knownEntropySpecs(PRESET);

/** Exact values of every full held-out window's tokens, nats; the first tokens have none here. */
export type Exact = Readonly<{ entropy: number[][]; surprisal: number[][] }>;

const entropyOf = (probabilities: readonly number[]) =>
  probabilities.reduce((sum, p) => sum - p * Math.log(p), 0);

async function exactOf(data: DataSpec): Promise<Exact> {
  const { training: { heldOut } } = await prepareData(data, { cacheFolder: "" });
  const { ids, contextLength, count } = heldOut;
  const rows = Array.from(
    { length: count },
    (_, row) => [...ids.subarray(row * contextLength, (row + 1) * contextLength)],
  ).filter((row) => !row.includes(0)); // the pad
  const isCoin = JSON.stringify(data).includes("iid");
  const values = rows.map((row) =>
    row.map((id, t) => {
      if (t === 0) return { entropy: NaN, surprisal: NaN };
      const probabilities = isCoin ? COIN : CHAIN[row[t - 1]! - 1]!; // symbols from id 1 on
      return { entropy: entropyOf(probabilities), surprisal: -Math.log(probabilities[id - 1]!) };
    })
  );
  return {
    entropy: values.map((row) => row.map(({ entropy }) => entropy)),
    surprisal: values.map((row) => row.map(({ surprisal }) => surprisal)),
  };
}

/** By the data's JSON. */
const EXACT = new Map<string, Exact>();
for (const { data } of SPECS) {
  const key = JSON.stringify(data);
  if (!EXACT.has(key)) EXACT.set(key, await exactOf(data));
}

export function exactValues(data: DataSpec): Exact {
  return EXACT.get(JSON.stringify(data))!;
}
