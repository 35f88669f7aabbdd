/** Independent symbols of one distribution. */

import { entropyNats, indexSampler, normalized } from "./distribution.ts";
import { distribution, EXTENT, type Extent, fixed, type ParametersOf } from "./parameters.ts";
import type { SourceProcess } from "./process.ts";

export type IidSource = Extent & Readonly<{ kind: "iid"; probabilities: readonly number[] }>;

export const IID_PARAMETERS: ParametersOf<IidSource> = {
  kind: fixed("iid"),
  probabilities: distribution(2),
  ...EXTENT,
};

export function iidProcess({ probabilities }: IidSource): SourceProcess {
  const shares = normalized(probabilities);
  const sample = indexSampler(shares);
  const nats = entropyNats(shares);
  return {
    symbolCount: shares.length,
    entropyRateNats: nats,
    meanEntropyNats: () => nats,
    draw: (length, random) => Int32Array.from({ length }, () => sample(random)),
    conditionals: ({ length }) => Array.from({ length }, () => shares),
    corrupted: null,
  };
}
