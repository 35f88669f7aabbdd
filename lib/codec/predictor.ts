/**
 * A model as both sides of a file use it: one compiled function that reads a token of every lane and
 * gives the logits of the next ones. Encoder and decoder call it with the same tokens in the same
 * order and shapes, so that their logits are equal to the bit on one kind of machine and backend with
 * as many threads.
 *
 * Legend: L lanes, N tokens a window, V vocabulary, P embedding size.
 */

import { disposeTree, jit, type Tensor, tensor, transpose } from "../engine/mod.ts";
import {
  type AugmentedDecoder,
  type AugmentedDecoderConfig,
  embeddingSize,
  encodeSequence,
  type Model,
  type ModelConfig,
  type ReadingState,
  readTokens,
  sampleLength,
  stacksOf,
  startReading,
} from "../models/mod.ts";

/** All that a codec knows of a model. Calls must be awaited one after the other. */
export type Predictor = Readonly<{
  laneCount: number;
  contextLength: number;
  vocabSize: number;
  /** P; 0 for a causal model. */
  embeddingSize: number;
  /** The embeddings `[L, P]` of windows `[L, N]`. */
  embed(idsLN: Int32Array): Promise<Float32Array>;
  /** Begins a window in every lane, with embeddings `[L, P]`, none for a causal model. */
  begin(embeddingsLP: Float32Array): void;
  /** Reads the window's next token in every lane, `[L]`; gives the logits `[L, V]` after it. */
  next(idsL: Int32Array): Promise<Float32Array>;
  /** The same where nobody asks for the logits. */
  advance(idsL: Int32Array): void;
  dispose(): void;
}>;

/**
 * Compiles a model for a number of lanes. The engine must have been started. The parameters stay the
 * caller's.
 *
 * @throws UserError as `startReading` does, for a model that does not read token after token.
 */
export function createPredictor(config: ModelConfig, params: Model, laneCount: number): Predictor {
  const contextLength = sampleLength(config);
  const P = embeddingSize(config);
  const embedding = jit("embedding of a window", (params: Model, idsBN: Tensor) =>
    encodeSequence(
      config as AugmentedDecoderConfig,
      params as AugmentedDecoder,
      transpose(idsBN),
      null,
    ));
  // Of a causal model, no tensor goes in.
  const starting = jit("start of a window", (params: Model, embeddings: readonly Tensor[]) => {
    const [zBP] = embeddings;
    return startReading(config, params, zBP === undefined ? { batch: laneCount } : { zBP });
  });
  const reading = jit(
    "next token",
    (params: Model, state: ReadingState, idsB: Tensor, position: Tensor) =>
      readTokens(config, params, state, idsB, position),
  );
  let state: ReadingState | null = null;
  let position = 0;

  function forget() {
    if (state !== null) disposeTree(state);
    state = null;
  }

  /** Reads a token of every lane; the logits `[L, V]` are the caller's. */
  function read(idsL: Int32Array): Tensor {
    if (state === null) throw new Error("begin() must be called before next()");
    const inputs = [
      tensor(idsL, [laneCount], "int32"),
      tensor([position++], [1], "int32"),
    ] as const;
    const { logitsBV, state: read } = reading(params, state, ...inputs);
    disposeTree(inputs);
    forget();
    state = read;
    return logitsBV;
  }

  return {
    laneCount,
    contextLength,
    vocabSize: stacksOf(config).at(-1)!.vocabSize,
    embeddingSize: P,
    async embed(idsLN) {
      const idsBN = tensor(idsLN, [laneCount, contextLength], "int32");
      const zBP = embedding(params, idsBN);
      const values = await zBP.data();
      disposeTree([idsBN, zBP]);
      return values as Float32Array;
    },
    begin(embeddingsLP) {
      forget();
      position = 0;
      const embeddings = P === 0 ? [] : [tensor(embeddingsLP, [laneCount, P])];
      state = starting(params, embeddings);
      disposeTree(embeddings);
    },
    async next(idsL) {
      const logitsBV = read(idsL);
      const logits = await logitsBV.data();
      logitsBV.dispose();
      return logits as Float32Array;
    },
    advance: (idsL) => read(idsL).dispose(),
    dispose() {
      forget();
      for (const compiled of [embedding, starting, reading]) compiled.dispose();
    },
  };
}
