import assert from "node:assert/strict";
import { decodeStream } from "../../lib/codec/decode_stream.ts";
import { encodeStream } from "../../lib/codec/encode_stream.ts";
import { layoutRounds } from "../../lib/codec/mod.ts";
import { createPredictor, type Predictor } from "../../lib/codec/predictor.ts";
import { embeddingSize, type ModelConfig, sampleLength } from "../../lib/models/mod.ts";
import { parseQuantization } from "../../lib/qat/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import {
  clm,
  codecModel,
  EASY,
  eem,
  LENGTH,
  lstmStack,
  mixerStack,
  randomBytes,
  TEXT,
  TOKENIZER,
  transformerStack,
  utf8,
} from "./_tiny.ts";

const LANES = 3;

/** The predictor, and all logits that it gives. */
function spied(predictor: Predictor): { predictor: Predictor; logits: Float32Array[] } {
  const logits: Float32Array[] = [];
  return {
    logits,
    predictor: {
      ...predictor,
      async next(ids) {
        const given = await predictor.next(ids);
        logits.push(given.slice());
        return given;
      },
    },
  };
}

/** A file's tokens coded and decoded by one predictor each, twice; all logits are looked at. */
async function assertSameLogits(config: ModelConfig, ids: Int32Array, overlap: number) {
  const { params } = codecModel(config);
  const rounds = layoutRounds({
    tokenCount: ids.length,
    laneCount: LANES,
    contextLength: sampleLength(config),
    overlap,
  });
  const embedding = embeddingSize(config) > 0 ? parseQuantization("int2/channel") : null;
  const using = async <T>(use: (predictor: Predictor) => Promise<T>) => {
    const created = createPredictor(config, params, LANES);
    const { predictor, logits } = spied(created);
    try {
      return { result: await use(predictor), logits };
    } finally {
      created.dispose();
    }
  };
  const encoded = await using(async (predictor) => {
    const options = { predictor, tokenizer: TOKENIZER, rounds, embedding };
    const first = await encodeStream(ids.slice(), options);
    assert.deepEqual((await encodeStream(ids.slice(), options)).payload, first.payload);
    return first;
  });
  const decoded = await using(async (predictor) => {
    for (const _time of [1, 2]) {
      const found = new Int32Array(ids.length);
      const options = { predictor, tokenizer: TOKENIZER, rounds, embedding };
      await decodeStream(encoded.result.payload, found, options);
      assert.deepEqual(found, ids);
    }
  });
  return { ...encoded, decodedLogits: decoded.logits };
}

/** Bit patterns, so that −0 is not 0. */
const bitsOf = (logits: readonly Float32Array[]) =>
  logits.map((values) => new Int32Array(values.buffer, values.byteOffset, values.length));

onEveryBackend(
  "decodeStream() works with the encoder's logits, bit for bit, again and again",
  async () => {
    const models = {
      "transformer CLM": { config: clm(transformerStack), overlap: 3 },
      "mixer EEM": { config: eem(lstmStack, mixerStack, "embedding"), overlap: 0 },
    };
    // Windows of three lanes, the last ones of the EEM full of new tokens.
    const ids = TOKENIZER.encodeBytes(EASY).slice(0, 9 * LENGTH);
    for (const [name, { config, overlap }] of Object.entries(models)) {
      const { logits, decodedLogits, result } = await assertSameLogits(config, ids, overlap);
      assert.equal(result.rawWindows, 0, name);
      assert.ok(logits.length > 20, name);
      assert.deepEqual(bitsOf(decodedLogits), bitsOf(logits), name);
      const half = logits.length / 2;
      assert.deepEqual(bitsOf(logits.slice(half)), bitsOf(logits.slice(0, half)), `${name}: again`);
    }
  },
  { oncePerBackend: true },
);

onEveryBackend(
  "decodeStream() needs no logits of windows without the model, nor their embeddings",
  async () => {
    // Lanes that are text beside lanes that are not: their embeddings are zeros to the decoder alone.
    const bytes = Uint8Array.of(...utf8(TEXT.slice(0, 80)), ...randomBytes(100, 5));
    const config = eem(transformerStack, transformerStack);
    const ids = TOKENIZER.encodeBytes(bytes);
    const { result, logits, decodedLogits } = await assertSameLogits(config, ids, 1);
    assert.ok(result.rawWindows > 3 && result.rawWindows < result.windows);
    assert.ok(decodedLogits.length <= logits.length);
  },
  { oncePerBackend: true },
);
