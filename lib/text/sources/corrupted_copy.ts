/**
 * A copy with errors (paper §5.1, form 5). The first half of a sequence of N, rounded up, is uniform
 * and independent; the second half says it again, but every position is with probability c drawn
 * anew, uniformly from all V symbols, so that it may happen to be right. A reader cannot know where:
 * at every position of the second half, the symbol copied has probability 1 − c + c/V and every
 * other c/V.
 */

import { entropyNats } from "./distribution.ts";
import { EXTENT, type Extent, fixed, type ParametersOf, SHARE, SYMBOLS } from "./parameters.ts";
import type { SourceProcess } from "./process.ts";

export type CorruptedCopySource =
  & Extent
  & Readonly<{
    kind: "corrupted-copy";
    symbols: number;
    /** c, the share of the second half that is drawn anew. */
    corruption: number;
  }>;

export const CORRUPTED_COPY_PARAMETERS: ParametersOf<CorruptedCopySource> = {
  kind: fixed("corrupted-copy"),
  symbols: SYMBOLS,
  corruption: SHARE,
  ...EXTENT,
};

export function corruptedCopyProcess(
  { symbols: symbolCount, corruption }: CorruptedCopySource,
): SourceProcess {
  const uniform = new Float64Array(symbolCount).fill(1 / symbolCount);
  const copyOf = (symbol: number) =>
    uniform.map((probability, other) =>
      corruption * probability + (other === symbol ? 1 - corruption : 0)
    );
  const firstHalf = (length: number) => Math.ceil(length / 2);
  return {
    symbolCount,
    entropyRateNats: null,
    meanEntropyNats: (length) => {
      const first = firstHalf(length);
      const nats = (first - 1) * entropyNats(uniform) + (length - first) * entropyNats(copyOf(0));
      return nats / (length - 1);
    },
    draw: (length, random) => {
      const first = firstHalf(length);
      const drawn = new Int32Array(length);
      for (let t = 0; t < length; t++) {
        const isAnew = t < first || random.uniform() < corruption;
        drawn[t] = isAnew ? Math.floor(random.uniform() * symbolCount) : drawn[t - first]!;
      }
      return drawn;
    },
    *conditionals(symbols, contextLength) {
      const first = firstHalf(contextLength);
      for (let t = 0; t < symbols.length; t++) {
        yield t < first ? uniform : copyOf(symbols[t - first]!);
      }
    },
    corrupted: (symbols, contextLength) => {
      const first = firstHalf(contextLength);
      return Uint8Array.from(
        symbols,
        (symbol, t) => t >= first && symbol !== symbols[t - first] ? 1 : 0,
      );
    },
  };
}
