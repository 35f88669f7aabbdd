import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import {
  bitsPerByte,
  bpbOfEem,
  codeLengthNats,
  embeddingBits,
  embeddingBitsPerByte,
  embeddingBitsPerToken,
  embeddingLossNats,
  type EmbeddingPrice,
  firstTokenLossNats,
  normalizedLossNats,
  overContext,
  overRealTokens,
} from "../../lib/measure/accounting.ts";

const FINEWEB_BYTES_PER_TOKEN = 3.92;
const FINEMATH_BYTES_PER_TOKEN = 2.82;

function closeTo(actual: number, expected: number, tolerance: number): void {
  assert.ok(
    Math.abs(actual - expected) <= tolerance,
    `expected ${expected} within ${tolerance}, found ${actual}`,
  );
}

function paperPrice(bitsPerParameter: number, amortization = overContext(1024)): EmbeddingPrice {
  return { parameterCount: 64, bitsPerParameter, amortization };
}

Deno.test("bitsPerByte() is 0.92009 for 2.5 nats on FineWeb (§13)", () => {
  closeTo(bitsPerByte(2.5, FINEWEB_BYTES_PER_TOKEN), 0.92009, 5e-6);
});

Deno.test("bitsPerByte() is 0.716 for 1.4 nats on FineMath (§3.2)", () => {
  closeTo(bitsPerByte(1.4, FINEMATH_BYTES_PER_TOKEN), 0.716, 5e-4);
});

Deno.test("embedding…() give the table of worked numbers (§3.2)", () => {
  const table = [
    [4, 0.25, 0.1733, 0.0638],
    [8, 0.5, 0.3466, 0.1276],
    [16, 1, 0.6931, 0.2551],
  ] as const;
  for (const [bits, perToken, lossNats, perByte] of table) {
    const price = paperPrice(bits);
    assert.equal(embeddingBits(price), 64 * bits);
    assert.equal(embeddingBitsPerToken(price), perToken);
    closeTo(embeddingLossNats(price), lossNats, 5e-5);
    closeTo(embeddingBitsPerByte(price, FINEWEB_BYTES_PER_TOKEN), perByte, 5e-5);
  }
});

Deno.test("embeddingLossNats() is 0.173287 for 64 numbers at 4 bits over 1024 tokens (§13)", () => {
  closeTo(embeddingLossNats(paperPrice(4)), 0.173287, 5e-7);
});

Deno.test("embeddingBitsPerByte() bounds the autoencoders of §3.2 from below", () => {
  const fineMath = { parameterCount: 512, bitsPerParameter: 4, amortization: overContext(512) };
  const fineWeb = { parameterCount: 128, bitsPerParameter: 4, amortization: overContext(512) };
  closeTo(embeddingBitsPerByte(fineMath, FINEMATH_BYTES_PER_TOKEN), 1.42, 5e-3);
  closeTo(embeddingBitsPerByte(fineWeb, FINEWEB_BYTES_PER_TOKEN), 0.255, 5e-4);
  assert.equal(
    bpbOfEem(0, FINEWEB_BYTES_PER_TOKEN, fineWeb),
    embeddingBitsPerByte(fineWeb, FINEWEB_BYTES_PER_TOKEN),
  );
});

Deno.test("normalizedLossNats() gives the margins over the CLM of §3.3", () => {
  // subset, EEM nats, CLM nats, margin at 4 bits, margin at 8 bits; as rounded in the paper
  const table = [
    ["all samples, 200k", 2.379, 2.5801, 0.028, -0.146],
    ["all samples, 500k", 2.1566, 2.515, 0.185, 0.012],
    ["full context, 200k", 2.502, 2.6121, -0.063, -0.237],
    ["full context, 500k", 2.2968, 2.5492, 0.079, -0.094],
    ["packed, 200k", 2.535, 2.642, -0.066, -0.24],
  ] as const;
  for (const [, eem, clm, atFourBits, atEightBits] of table) {
    closeTo(clm - normalizedLossNats(eem, paperPrice(4)), atFourBits, 1e-3);
    closeTo(clm - normalizedLossNats(eem, paperPrice(8)), atEightBits, 1e-3);
  }
});

Deno.test("overRealTokens() turns the 8-bit win into a loss on padded samples (§3.3)", () => {
  const real = overRealTokens([1024, 352]);
  assert.deepEqual(real, { over: "real tokens", tokensPerEmbedding: 688 });
  closeTo(2.515 - normalizedLossNats(2.1566, paperPrice(4, real)), 0.101, 1e-3);
  closeTo(2.515 - normalizedLossNats(2.1566, paperPrice(8, real)), -0.157, 1e-3);
});

Deno.test("overRealTokens() makes total bits over total tokens come out", () => {
  const realTokens = Int32Array.of(10, 7, 64, 3);
  const price = paperPrice(4, overRealTokens(realTokens));
  closeTo(embeddingBitsPerToken(price), (4 * 64 * 4) / (10 + 7 + 64 + 3), 1e-12);
});

Deno.test("bpbOfEem() is the sum of the embedding's and the cross-entropy's BPB (§13)", () => {
  const price = paperPrice(8);
  closeTo(
    bpbOfEem(2.1566, FINEWEB_BYTES_PER_TOKEN, price),
    embeddingBitsPerByte(price, FINEWEB_BYTES_PER_TOKEN) +
      bitsPerByte(2.1566, FINEWEB_BYTES_PER_TOKEN),
    1e-12,
  );
});

Deno.test("bpbOfEem() adds the first token's bits when asked (§3.2)", () => {
  const price = paperPrice(4);
  closeTo(firstTokenLossNats(8000, price.amortization), 0.0088, 5e-5);
  const added = bpbOfEem(2.5, FINEWEB_BYTES_PER_TOKEN, price, { firstTokenVocabSize: 8000 }) -
    bpbOfEem(2.5, FINEWEB_BYTES_PER_TOKEN, price);
  closeTo(added * FINEWEB_BYTES_PER_TOKEN * 1024, Math.log2(8000), 1e-9);
});

Deno.test("codeLengthNats() pays the embedding once, in nats (§3.1)", () => {
  closeTo(codeLengthNats(0, 1), Math.LN2, 1e-15);
  const tokens = 1024;
  const price = paperPrice(4);
  closeTo(
    codeLengthNats(2.3 * tokens, embeddingBits(price)) / tokens,
    normalizedLossNats(2.3, price),
    1e-12,
  );
  assert.equal(codeLengthNats(7, 0), 7);
});

Deno.test("embeddingLossNats() of a memory slot that carries nothing is 0", () => {
  assert.equal(embeddingLossNats(paperPrice(0)), 0);
});

Deno.test("accounting refuses nonsense with one clear line", () => {
  const refused: [string, () => unknown, RegExp][] = [
    ["NaN loss", () => bitsPerByte(NaN, 4), /loss.*NaN/],
    ["no bytes", () => bitsPerByte(2, 0), /bytes per token.*0/],
    ["negative bytes", () => bitsPerByte(2, -3.9), /bytes per token.*-3\.9/],
    ["infinite bytes", () => bitsPerByte(2, Infinity), /bytes per token.*Infinity/],
    ["empty context", () => overContext(0), /context length.*0/],
    ["fractional context", () => overContext(1.5), /context length.*1\.5/],
    ["no samples", () => overRealTokens([]), /at least 1 values, found 0/],
    ["pads only", () => overRealTokens([0, 0]), /real tokens.*0/],
    ["fractional n_p", () => embeddingBits({ ...paperPrice(4), parameterCount: 1.5 }), /1\.5/],
    ["no n_p", () => embeddingBits({ ...paperPrice(4), parameterCount: 0 }), /found 0/],
    ["negative bits", () => embeddingBits(paperPrice(-1)), /must not be negative, found -1/],
    ["NaN bits", () => embeddingLossNats(paperPrice(NaN)), /bits per embedding.*NaN/],
    ["NaN EEM loss", () => normalizedLossNats(NaN, paperPrice(4)), /loss.*NaN/],
    ["no vocabulary", () => firstTokenLossNats(0, overContext(8)), /vocabulary size/],
    ["negative |e|", () => codeLengthNats(1, -1), /must not be negative, found -1/],
    ["NaN sum", () => codeLengthNats(NaN, 1), /summed loss.*NaN/],
    [
      "a hand-made amortization of 0",
      () => embeddingLossNats(paperPrice(4, { over: "context", tokensPerEmbedding: 0 })),
      /tokens per embedding.*0/,
    ],
  ];
  for (const [what, call, message] of refused) {
    assert.throws(call, (error: Error) => {
      assert.ok(error instanceof UserError, what);
      assert.match(error.message, message, what);
      assert.ok(!error.message.includes("\n"), what);
      return true;
    }, what);
  }
});
