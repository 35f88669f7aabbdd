import assert from "node:assert/strict";
import { type CodecModel, compress, type FileOptions, layoutRounds } from "../../lib/codec/mod.ts";
import { type Tensor, tensor, transpose } from "../../lib/engine/mod.ts";
import { embeddingSize, modelLogits, sampleLength } from "../../lib/models/mod.ts";
import {
  parseQuantization,
  readEmbeddings,
  sharedBits,
  storedBits,
  storeEmbeddings,
} from "../../lib/qat/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { read } from "../_numbers.ts";
import {
  clm,
  codecModel,
  EASY,
  eem,
  lstmStack,
  mixerStack,
  randomBytes,
  TOKENIZER,
  transformerStack,
} from "./_tiny.ts";

const V = TOKENIZER.vocabSize;

/** Rounds embeddings as a file of just these windows does, with their largest magnitudes. */
function stored(name: string): (zBP: Tensor) => Tensor {
  const quantization = parseQuantization(name);
  return (zBP) => {
    const [rows, P] = zBP.shape as [number, number];
    const values = zBP.dataSync() as Float32Array;
    const scales = Float32Array.from(
      { length: P },
      (_, i) =>
        Math.max(...Array.from({ length: rows }, (_, row) => Math.abs(values[row * P + i]!))),
    );
    const shared = name.endsWith("/channel") ? scales : undefined;
    const bytes = storeEmbeddings(values, P, quantization, shared);
    return tensor(readEmbeddings(bytes, P, quantization, shared), [rows, P]);
  };
}

/**
 * What a file should take, without a header: tokens by the logits of full passes over whole windows,
 * in float64; embeddings, first tokens and flags by their definitions.
 */
async function expectedBits(
  { config, params }: CodecModel,
  ids: Int32Array,
  options: { overlap: number; lanes: number; embedding?: string },
) {
  const N = sampleLength(config);
  const { overlap, lanes, embedding } = options;
  const sizes = { tokenCount: ids.length, laneCount: lanes, contextLength: N, overlap };
  const windows = layoutRounds(sizes).flat();
  const rows = windows.map(({ start, end }) => ids.subarray(start, end));
  assert.ok(rows.every(({ length }) => length === N));
  const idsBN = tensor(Int32Array.from(rows.flatMap((row) => [...row])), [rows.length, N], "int32");
  const hook = embedding === undefined ? undefined : stored(embedding);
  const logits = await read(
    modelLogits(config, params, transpose(idsBN), { padId: null, hook }),
  );
  const bitsByPosition = new Array<number>(N).fill(0);
  const countByPosition = new Array<number>(N).fill(0);
  let firstTokens = 0;
  for (const [row, { start, known, end }] of windows.entries()) {
    for (let index = known; index < end; index++) {
      const position = index - start;
      if (position === 0) {
        firstTokens += Math.log2(V);
        continue;
      }
      const at = ((position - 1) * windows.length + row) * V;
      const values = Array.from(logits.subarray(at, at + V));
      const sum = values.reduce((sum, value) => sum + Math.exp(value), 0);
      bitsByPosition[position]! += (Math.log(sum) - values[ids[index]!]!) / Math.LN2;
      countByPosition[position]!++;
    }
  }
  const P = embeddingSize(config);
  const quantization = parseQuantization(embedding ?? "fp16");
  return {
    firstTokens,
    bitsByPosition,
    countByPosition,
    tokens: bitsByPosition.reduce((a, b) => a + b),
    embeddings: P === 0 ? 0 : storedBits(P, quantization) * windows.length,
    scales: P === 0 ? 0 : sharedBits(P, quantization),
    flags: Math.log2(windows.length + 1), // all alike
    windows: windows.length,
  };
}

const near = (actual: number, expected: number, relative: number, what: string) =>
  assert.ok(
    Math.abs(actual - expected) <= relative * expected + 1e-9,
    `${what}: ${actual} bits, expected ${expected}`,
  );

/** The file is at most 0.1 % and a header longer than the model's own cross-entropy. */
async function assertCost(
  model: CodecModel,
  { embedding, ...options }: { overlap: number; lanes: number; embedding?: string },
  what: string,
) {
  const expected = await expectedBits(model, TOKENIZER.encodeBytes(EASY), {
    ...options,
    ...(embedding !== undefined && { embedding }),
  });
  const chosen: FileOptions = embedding === undefined
    ? options
    : { ...options, embedding: parseQuantization(embedding) };
  const { file, report } = await compress(model, EASY, chosen);
  assert.equal(report.rawWindows, 0, what);
  assert.equal(report.windows, expected.windows, what);
  const { tokens, embeddings, scales, flags, firstTokens } = expected;
  const payload = tokens + embeddings + scales + flags + firstTokens;
  const found = 8 * file.length - 512;
  assert.ok(found <= 1.001 * payload + 8, `${what}: ${found} bits, expected ${payload}`);
  assert.ok(found >= 0.9999 * payload - 8, `${what}: ${found} bits, expected ${payload}`);
  const { bits } = report;
  near(bits.tokens, tokens, 1e-4, `${what}, tokens`);
  near(report.modelBits, tokens, 1e-4, `${what}, the model's own`);
  near(bits.firstTokens, firstTokens, 1e-4, `${what}, first tokens`);
  near(bits.embeddings, embeddings, 1e-4, `${what}, embeddings`);
  near(bits.scales, scales, 1e-4, `${what}, scales`);
  near(bits.flags, flags, 1e-3, `${what}, flags`);
  assert.ok(Math.abs(bits.ending) <= 8, what);
  assert.deepEqual(report.countByPosition, expected.countByPosition, what);
  assert.equal(report.modelTokens, expected.countByPosition.reduce((a, b) => a + b), what);
  for (const [position, expectedBits] of expected.bitsByPosition.entries()) {
    const found = report.bitsByPosition[position]!;
    near(found, expectedBits, 1e-3, `${what}, position ${position}`);
  }
}

onEveryBackend("compress() costs what full passes over its windows say, to 0.1 %", async () => {
  await assertCost(codecModel(clm(transformerStack)), { overlap: 4, lanes: 5 }, "CLM");
  const model = codecModel(eem(mixerStack, lstmStack, "linear"));
  await assertCost(model, { overlap: 1, lanes: 5, embedding: "int4/channel" }, "EEM");
}, { oncePerBackend: true });

onEveryBackend("compress() costs so with any model, format and layout", async () => {
  const causal = { "mixer CLM": clm(mixerStack, 12), "LSTM CLM": clm(lstmStack, 5) };
  for (const [name, config] of Object.entries(causal)) {
    for (const overlap of [0, 4]) {
      for (const lanes of [2, 8]) {
        await assertCost(codecModel(config), { overlap, lanes }, `${name}, ${overlap}, ${lanes}`);
      }
    }
  }
  const augmented = {
    "mixer EEM": eem(mixerStack, mixerStack, "token", 14),
    "transformer EEM": eem(transformerStack, transformerStack, "embedding", 14),
  };
  for (const [name, config] of Object.entries(augmented)) {
    for (const embedding of ["int4/channel", "fp16", "e4m3fn", "int8/row", "nf4/row"]) {
      const options = { overlap: 0, lanes: 6, embedding };
      await assertCost(codecModel(config), options, `${name}, ${embedding}`);
    }
  }
}, { only: ["cpu"] });

onEveryBackend("compress() reports the parts of files with and without the model", async () => {
  const noise = randomBytes(200, 9);
  const mixed = Uint8Array.of(...EASY, ...noise);
  for (const config of [clm(mixerStack), eem(mixerStack, mixerStack)]) {
    const { report } = await compress(codecModel(config), mixed, { lanes: 4 });
    const parts = Object.values(report.bits).reduce((a, b) => a + b);
    assert.ok(Math.abs(parts - 8 * report.fileBytes) < 1e-6);
    assert.ok(report.rawWindows > 10 && report.rawWindows < report.windows);
    // Noise is coded as bytes: each 8 bits and what the few longer tokens take.
    near(report.bits.raw, 8 * noise.length, 0.1, "raw");
    const tokens = report.bitsByPosition.reduce((a, b) => a + b);
    near(tokens, report.modelBits, 1e-9, "positions");
    near(report.bits.tokens, report.modelBits, 1e-3, "tokens");
    assert.equal(report.countByPosition.reduce((a, b) => a + b), report.modelTokens);
    assert.equal(report.countByPosition[0], 0);
    assert.ok(report.modelTokens < report.tokens);
  }
}, { only: ["cpu"] });
