import assert from "node:assert/strict";
import { decodeStream } from "../../lib/codec/decode_stream.ts";
import { encodeStream } from "../../lib/codec/encode_stream.ts";
import { layoutRounds } from "../../lib/codec/layout.ts";
import type { Predictor } from "../../lib/codec/predictor.ts";
import type { CodecProgress } from "../../lib/codec/stream.ts";
import { parseQuantization } from "../../lib/qat/mod.ts";
import { listedPredictor } from "./_predictor.ts";
import { LENGTH, TOKENIZER } from "./_tiny.ts";

const { vocabSize } = TOKENIZER;
const LANES = 2;

const [SINGLE, DOUBLE] = [1, 2].map((length) => {
  const ids = Array.from({ length: vocabSize }, (_, id) => id);
  return ids.find((id) => TOKENIZER.tokenBytes(id).length === length)!;
}) as [number, number];

/** What a byte costs without the model beyond its 8 bits: the longer tokens' share. */
const LONGER = Math.log2(
  Array.from({ length: vocabSize }, (_, id) => TOKENIZER.tokenBytes(id).length)
    .reduce((sum, length) => sum + (length > 0 ? 256 ** -length : 0), 0),
);

/** A model that knows nothing, with embeddings of P numbers. */
function ignorant(P: number): Predictor {
  const sizes = { laneCount: LANES, contextLength: LENGTH, vocabSize, embeddingSize: P };
  return {
    ...listedPredictor(sizes).predictor,
    next: () => Promise.resolve(new Float32Array(LANES * vocabSize)),
  };
}

/** Window k of a lane has so many tokens of two bytes, the others are single bytes. */
function streamOf(doubles: readonly number[]) {
  const lane = doubles.flatMap((count) =>
    Array.from({ length: LENGTH }, (_, i) => i < count ? DOUBLE : SINGLE)
  );
  return Int32Array.from([...lane, ...lane]);
}

async function encoded(ids: Int32Array, P: number, format: string | null) {
  const sizes = { laneCount: LANES, contextLength: LENGTH, overlap: 0 };
  const rounds = layoutRounds({ ...sizes, tokenCount: ids.length });
  const embedding = format === null ? null : parseQuantization(format);
  const steps: CodecProgress[] = [];
  const options = {
    predictor: ignorant(P),
    tokenizer: TOKENIZER,
    rounds,
    embedding,
    onProgress: (step: CodecProgress) => void steps.push(step),
  };
  const stream = await encodeStream(ids, options);
  const expectedSteps = rounds.map((_, i) => ({
    done: (i + 1) * LANES * LENGTH,
    total: ids.length,
  }));
  assert.deepEqual(steps, expectedSteps);
  const found = new Int32Array(ids.length);
  await decodeStream(stream.payload, found, options);
  assert.deepEqual(found, ids);
  assert.deepEqual(steps.slice(rounds.length), expectedSteps);
  return stream;
}

const near = (actual: number, expected: number, what: string) =>
  assert.ok(
    Math.abs(actual - expected) < 0.02 + 2e-4 * expected,
    `${what}: ${actual} bits, expected ${expected}`,
  );

const DOUBLES = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/** From how many tokens of two bytes on a window is cheaper by the model, its embedding paid for. */
function leastDoubles(recordBits: number): number {
  const byModel = recordBits + LENGTH * Math.log2(vocabSize);
  return DOUBLES.findIndex((count) => LENGTH * (8 + LONGER) + 8 * count >= byModel);
}

Deno.test("encodeStream() codes a window by the model where it gains more than the embedding costs", async () => {
  const cases: readonly [P: number, format: string | null, recordBits: number][] = [
    [0, null, 0],
    [2, "int4/channel", 8],
    [3, "int4/channel", 16],
    [3, "int8/row", 56],
    [3, "fp16", 48],
  ];
  assert.deepEqual(cases.map(([, , bits]) => leastDoubles(bits)), [1, 2, 3, 8, 7]);
  for (const [P, format, recordBits] of cases) {
    const { rawWindows, windows, bits } = await encoded(streamOf(DOUBLES), P, format);
    assert.equal(windows, 2 * DOUBLES.length);
    assert.equal(rawWindows, 2 * leastDoubles(recordBits), `${format}`);
    near(bits.embeddings, recordBits * (windows - rawWindows), `${format}, embeddings`);
  }
});

Deno.test("encodeStream() accounts for every bit by what it is for", async () => {
  const ids = streamOf(DOUBLES);
  const stream = await encoded(ids, 3, "int4/channel");
  const { bits, payload, modelTokens, modelBits, bitsByPosition, countByPosition } = stream;
  const modelled = 2 * (DOUBLES.length - 3); // from three tokens of two bytes on
  const raw = 2 * (0 + 1 + 2 + 3 * LENGTH) * 8 + 2 * 3 * LENGTH * LONGER;
  near(bits.raw, raw, "raw");
  near(bits.scales, 96, "scales");
  near(bits.embeddings, 16 * modelled, "embeddings");
  near(bits.firstTokens, modelled * Math.log2(vocabSize), "first tokens");
  near(bits.tokens, modelled * (LENGTH - 1) * Math.log2(vocabSize), "tokens");
  near(modelBits, modelled * (LENGTH - 1) * Math.log2(vocabSize), "the model's own");
  assert.equal(modelTokens, modelled * (LENGTH - 1));
  assert.deepEqual(countByPosition, [0, ...Array(LENGTH - 1).fill(modelled)]);
  bitsByPosition.forEach((bits, position) =>
    near(bits, position === 0 ? 0 : modelled * Math.log2(vocabSize), `position ${position}`)
  );
  // Six times no, then twelve times yes.
  let flags = 0;
  for (let i = 1; i <= 18; i++) flags += Math.log2(i + 1) - Math.log2(i <= 6 ? i : i - 6);
  near(bits.flags, flags, "flags");
  const sum = Object.values(bits).reduce((a, b) => a + b);
  assert.ok(Math.abs(sum - 8 * payload.length) < 1e-9);
  assert.ok(Math.abs(bits.ending) <= 8);
});

Deno.test("encodeStream() begins with the shared scales, float32 with the lowest byte first", async () => {
  const ids = streamOf([8, 8]);
  const { payload } = await encoded(ids, 2, "int4/channel");
  // The fake embedding: the sum of a window's ids, and its first one.
  const view = new DataView(payload.buffer);
  assert.equal(view.getFloat32(0, true), LENGTH * DOUBLE);
  assert.equal(view.getFloat32(4, true), DOUBLE);
});

Deno.test("encodeStream() of no tokens holds nothing but the scales", async () => {
  const options = { predictor: ignorant(3), tokenizer: TOKENIZER, rounds: [] };
  const none = await encodeStream(new Int32Array(), { ...options, embedding: null });
  assert.equal(none.payload.length, 0);
  assert.equal(none.windows, 0);
  const embedding = parseQuantization("int4/channel");
  const scaled = await encodeStream(new Int32Array(), { ...options, embedding });
  assert.ok(scaled.payload.length <= 12);
});
