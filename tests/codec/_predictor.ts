/** A predictor without a model that writes down what it is asked. */

import type { Predictor } from "../../lib/codec/predictor.ts";

export type Call =
  | Readonly<{ name: "begin"; embeddings: readonly number[] }>
  | Readonly<{ name: "next" | "advance"; ids: readonly number[] }>
  | Readonly<{ name: "embed"; ids: readonly number[] }>;

export type Sizes = Pick<
  Predictor,
  "laneCount" | "contextLength" | "vocabSize" | "embeddingSize"
>;

/**
 * Logits that depend on the lane and on the tokens read so far alone: token k of lane l is likelier,
 * the closer k is to `l + Σ ids`. An embedding is `[Σ ids, first id, …]` of its window.
 */
export function listedPredictor(sizes: Sizes): { predictor: Predictor; calls: Call[] } {
  const { laneCount, contextLength, vocabSize, embeddingSize } = sizes;
  const calls: Call[] = [];
  let sums = new Array<number>(laneCount).fill(0);
  const predictor: Predictor = {
    ...sizes,
    embed(idsLN) {
      calls.push({ name: "embed", ids: [...idsLN] });
      const rows = Array.from({ length: laneCount }, (_, lane) => {
        const row = idsLN.subarray(lane * contextLength, (lane + 1) * contextLength);
        return embeddingOf([...row], embeddingSize);
      });
      return Promise.resolve(Float32Array.from(rows.flat()));
    },
    begin(embeddings) {
      calls.push({ name: "begin", embeddings: [...embeddings] });
      sums = sums.map(() => 0);
    },
    next(ids) {
      calls.push({ name: "next", ids: [...ids] });
      sums = sums.map((sum, lane) => sum + ids[lane]!);
      return Promise.resolve(
        Float32Array.from(sums.flatMap((sum, lane) => logitsAt(lane, sum, vocabSize))),
      );
    },
    advance(ids) {
      calls.push({ name: "advance", ids: [...ids] });
      sums = sums.map((sum, lane) => sum + ids[lane]!);
    },
    dispose() {},
  };
  return { predictor, calls };
}

export function logitsAt(lane: number, sum: number, vocabSize: number): number[] {
  return Array.from({ length: vocabSize }, (_, id) => -Math.abs(id - (lane + sum) % vocabSize));
}

export function embeddingOf(ids: readonly number[], size: number): number[] {
  const sum = ids.reduce((a, b) => a + b, 0);
  return Array.from({ length: size }, (_, i) => i === 0 ? sum : ids[i - 1]!);
}
