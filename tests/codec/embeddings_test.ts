import assert from "node:assert/strict";
import {
  embedWindows,
  laneEmbeddings,
  recordBytes,
  scaleBytes,
} from "../../lib/codec/embeddings.ts";
import { layoutRounds } from "../../lib/codec/layout.ts";
import { scalesAsBytes, scalesFromBytes } from "../../lib/codec/stream.ts";
import { parseQuantization, readEmbeddings, storeEmbeddings } from "../../lib/qat/mod.ts";
import { refusalOf } from "../_refusal.ts";
import { embeddingOf, listedPredictor } from "./_predictor.ts";

const P = 3;
const PAD = 19;
const FORMATS = ["int4/channel", "int8/tensor", "int8/row", "fp16", "e4m3fn", "nf4/row"];
const SIZES = { tokenCount: 29, laneCount: 3, contextLength: 4, overlap: 1 };

const ids = Int32Array.from({ length: SIZES.tokenCount }, (_, i) => (7 * i + 2) % 17);

async function embedded(name: string, sizes = SIZES) {
  const { laneCount, contextLength } = sizes;
  const listed = listedPredictor({ laneCount, contextLength, vocabSize: 20, embeddingSize: P });
  const rounds = layoutRounds(sizes);
  const quantization = parseQuantization(name);
  const { predictor, calls } = listed;
  const found = await embedWindows(predictor, ids, rounds, { padId: PAD, quantization });
  return { ...found, calls, quantization, rounds };
}

/** The embedding of a window by the fake predictor, pads behind a window that is not full. */
function valuesOf({ start, end }: { start: number; end: number }): number[] {
  const row = Array.from({ length: 4 }, (_, i) => start + i < end ? ids[start + i]! : PAD);
  return embeddingOf(row, P);
}

Deno.test("embedWindows() gives every window the record of its own tokens", async () => {
  for (const name of FORMATS) {
    const { recordOf, code, quantization, rounds, calls } = await embedded(name);
    assert.equal(calls.length, rounds.length);
    const windows = rounds.flat();
    const values = windows.map(valuesOf);
    const largest = (numbers: number[]) => Math.max(...numbers.map(Math.abs));
    const scales = Float32Array.from(
      name.endsWith("channel")
        ? Array.from({ length: P }, (_, i) => largest(values.map((row) => row[i]!)))
        : name.endsWith("tensor")
        ? [largest(values.flat())]
        : [],
    );
    assert.deepEqual(code.scales, scales, name);
    assert.equal(scaleBytes(P, quantization), 4 * scales.length);
    const shared = scales.length === 0 ? undefined : scales;
    for (const [i, window] of windows.entries()) {
      const expected = storeEmbeddings(Float32Array.from(values[i]!), P, quantization, shared);
      assert.deepEqual(new Uint8Array(recordOf(window)), expected, `${name}, window ${i}`);
      assert.equal(recordBytes(P, quantization), expected.length);
    }
  }
});

Deno.test("scalesAsBytes() writes float32 with its lowest byte first", () => {
  const scales = Float32Array.of(1, 0.1, 3e-12);
  const bytes = scalesAsBytes(scales);
  assert.deepEqual([...bytes.subarray(0, 8)], [0, 0, 0x80, 0x3f, 0xcd, 0xcc, 0xcc, 0x3d]);
  assert.deepEqual(scalesFromBytes(bytes), scales);
  assert.deepEqual(scalesFromBytes(Uint8Array.of(9, ...bytes).subarray(1)), scales);
});

Deno.test("embedWindows() fills windows of a short file with pads", async () => {
  const sizes = { ...SIZES, tokenCount: 7 };
  const { recordOf, quantization, rounds, code, calls } = await embedded("fp16", sizes);
  const padded = [[0, 2], [2, 4], [4, 7]].flatMap(([start, end]) =>
    Array.from({ length: 4 }, (_, i) => start! + i < end! ? ids[start! + i]! : PAD)
  );
  assert.deepEqual(calls, [{ name: "embed", ids: padded }]);
  for (const window of rounds.flat()) {
    const values = readEmbeddings(recordOf(window), P, quantization);
    assert.deepEqual([...values], valuesOf(window));
  }
  assert.equal(code.scales.length, 0);
});

Deno.test("embedWindows() embeds nothing of an empty file", async () => {
  const sizes = { ...SIZES, tokenCount: 0, laneCount: 1 };
  const { calls, code } = await embedded("int4/channel", sizes);
  assert.deepEqual(calls, []);
  assert.ok(code.scales.every((scale) => scale > 0), "scales that can be read back");
});

Deno.test("laneEmbeddings() puts the rounded numbers into their lanes, zeros into others", async () => {
  for (const name of FORMATS) {
    const { recordOf, code, quantization, rounds } = await embedded(name);
    const [first, , third] = rounds[1]!;
    const records = new Map([[2, recordOf(third!)], [0, recordOf(first!)]]);
    const shared = code.scales.length === 0 ? undefined : code.scales;
    const read = (record: Uint8Array) => [...readEmbeddings(record, P, quantization, shared)];
    assert.deepEqual(
      [...laneEmbeddings(4, code, records)],
      [...read(recordOf(first!)), 0, 0, 0, ...read(recordOf(third!)), 0, 0, 0],
      name,
    );
  }
});

Deno.test("embedWindows() refuses embeddings that are not finite", async () => {
  const sizes = { laneCount: 3, contextLength: 4, vocabSize: 20, embeddingSize: P };
  for (const name of FORMATS) {
    for (const value of [NaN, Infinity, -Infinity]) {
      const { predictor } = listedPredictor(sizes);
      const diverged = {
        ...predictor,
        embed: () => Promise.resolve(new Float32Array(3 * P).fill(value, 4, 5)),
      };
      const quantization = parseQuantization(name);
      assert.equal(
        await refusalOf(
          embedWindows(diverged, ids, layoutRounds(SIZES), { padId: PAD, quantization }),
        ),
        "the model: expected embeddings that are finite, found some that are not; its weights " +
          "are damaged or its training diverged, choose another run",
      );
    }
  }
});

Deno.test("embedWindows() ends with the reason of its signal", async () => {
  const { predictor } = listedPredictor({
    laneCount: 3,
    contextLength: 4,
    vocabSize: 20,
    embeddingSize: P,
  });
  const options = { padId: PAD, quantization: parseQuantization("fp16") };
  const signal = AbortSignal.abort(new Error("enough"));
  await assert.rejects(
    embedWindows(predictor, ids, layoutRounds(SIZES), { ...options, signal }),
    new Error("enough"),
  );
});
