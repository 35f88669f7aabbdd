import assert from "node:assert/strict";
import { backboneConfig, type ModelConfig, multiplyAdds } from "../../lib/models/mod.ts";

const SIZES = { vocabSize: 11, contextLength: 3, width: 4, layerCount: 2, headCount: 2 };
/** By hand, N = 3, D = 4: the head's 3 × 4 × 11. */
const HEAD = 132;
/** A block's: 3 × 4 × 4 for every square matrix of weights, 3 × 3 × 4 from position to position. */
const [SQUARE, BETWEEN] = [48, 36];

Deno.test("multiplyAdds() of causal models are those of blocks and head", () => {
  const of = (backbone: ReturnType<typeof backboneConfig>) =>
    multiplyAdds({ kind: "causal", backbone });
  assert.equal(of(backboneConfig("mixer", SIZES)), 2 * (BETWEEN + 8 * SQUARE) + HEAD);
  const heads = { ...backboneConfig("mixer", SIZES), headCount: 2, kernelSize: 5 };
  assert.equal(of(heads), 2 * (5 * BETWEEN + 10 * SQUARE) + HEAD);
  assert.equal(of(backboneConfig("transformer", SIZES)), 2 * (2 * BETWEEN + 16 * SQUARE) + HEAD);
  assert.equal(of(backboneConfig("lstm", SIZES)), 2 * 8 * SQUARE + HEAD);
});

Deno.test("multiplyAdds() of an EEM are those of its encoder and its decoder with its slot", () => {
  const encoder = backboneConfig("mixer", SIZES);
  const decoder = backboneConfig("mixer", { ...SIZES, contextLength: 4, layerCount: 1 });
  const shared = { kind: "augmented", decoder, outerInitialization: "causal" } as const;
  const decoding = 4 * 4 * 4 + 8 * 4 * 4 * 4 + 4 * 4 * 11;
  const eem: ModelConfig = { ...shared, memory: "embedding", encoder, embeddingSize: 2 };
  assert.equal(multiplyAdds(eem), 2 * (BETWEEN + 8 * SQUARE) + decoding);
  assert.equal(multiplyAdds({ ...shared, memory: "zeros" }), decoding);
});
