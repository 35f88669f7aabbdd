import assert from "node:assert/strict";
import {
  type CodecModel,
  compress,
  decompress,
  type FileOptions,
  HEADER_BYTES,
} from "../../lib/codec/mod.ts";
import { memory } from "../../lib/engine/mod.ts";
import { JOINS, type ModelConfig } from "../../lib/models/mod.ts";
import { parseQuantization } from "../../lib/qat/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import {
  clm,
  codecModel,
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

/** Every architecture alone, and with an encoder in every join. */
const MODELS: Readonly<Record<string, ModelConfig>> = {
  "mixer CLM": clm(mixerStack),
  "transformer CLM": clm(transformerStack),
  "LSTM CLM": clm(lstmStack),
  "zero-memory mixer": { kind: "augmented", memory: "zeros", decoder: mixerStack(LENGTH + 1) },
  ...Object.fromEntries(JOINS.flatMap((join) => [
    [`mixer EEM, ${join} join`, eem(mixerStack, mixerStack, join)],
    [`transformer EEM, ${join} join`, eem(transformerStack, transformerStack, join)],
    [`LSTM EEM of a mixer, ${join} join`, eem(mixerStack, lstmStack, join)],
  ])),
};

const CLM = clm(mixerStack);
const EEM = eem(mixerStack, mixerStack);

/** Compresses and decompresses; nothing may be lost or grow by more than the header. */
async function roundTrip(
  model: CodecModel,
  bytes: Uint8Array,
  options: FileOptions = {},
  what = "",
) {
  const { file, report } = await compress(model, bytes, options);
  const back = await decompress(model, file);
  assert.equal(back.toHex(), bytes.toHex(), what);
  assert.ok(file.length <= bytes.length + HEADER_BYTES, `${what}: ${file.length} bytes`);
  assert.equal(report.fileBytes, file.length, what);
  assert.equal(report.originalBytes, bytes.length, what);
  assert.equal(report.tokens, TOKENIZER.encodeBytes(bytes).length, what);
  const bits = Object.values(report.bits).reduce((a, b) => a + b, 0);
  assert.ok(Math.abs(bits - 8 * file.length) < 1e-6, `${what}: ${bits} bits of the parts`);
  assert.ok(Object.values(report.bits).every((bits) => bits >= -8), what);
  return { file, report };
}

/** As many tokens as asked for, each a byte. */
const digits = (count: number) => utf8("0369258147".repeat(count).slice(0, count));

const INPUTS: Readonly<Record<string, Uint8Array>> = {
  nothing: new Uint8Array(),
  "one byte": utf8("a"),
  "a byte of 0": Uint8Array.of(0),
  "a byte of 255": Uint8Array.of(255),
  "one token of many bytes": TOKENIZER.tokenBytes(TOKENIZER.vocabSize - 1),
  "all bytes": Uint8Array.from({ length: 256 }, (_, byte) => byte),
  text: utf8(TEXT),
  "repeated text": utf8("the reader the reader ".repeat(20)),
  "random bytes": randomBytes(120),
  "no UTF-8": Uint8Array.of(0xc3, 0x28, 0xff, 0xfe, 0xed, 0xa0, 0x80, 0xf5, 0x80, 0xe2, 0x82),
  "a byte order mark": Uint8Array.of(0xef, 0xbb, 0xbf, ...utf8("text")),
  "Windows lines": utf8("one\r\ntwo\r\n\r\n\tthree  \n"),
  "special tokens spelled out": utf8("<|begin_of_text|>text<|end_of_text|><|end_of_text|>"),
  zeros: new Uint8Array(100),
  "a window less one": digits(LENGTH - 1),
  "a window": digits(LENGTH),
  "a window and one": digits(LENGTH + 1),
  "four windows": digits(4 * LENGTH),
};

onEveryBackend("decompress() gives text back that compress() made shorter", async () => {
  for (const name of ["mixer CLM", "transformer EEM, token join"]) {
    const model = codecModel(MODELS[name]!);
    const before = memory().numTensors;
    const { report } = await roundTrip(model, utf8(TEXT), { lanes: 16 }, name);
    assert.equal(memory().numTensors, before, `${name}: no tensors are left`);
    assert.ok(report.fileBytes - HEADER_BYTES < 0.8 * report.originalBytes, name);
    assert.equal(report.isStored, false);
    assert.equal(report.embedding, name.includes("EEM") ? "int4/channel" : null);
  }
}, { oncePerBackend: true });

onEveryBackend("decompress() gives text back from every kind of model", async () => {
  for (const [name, config] of Object.entries(MODELS)) {
    const { report } = await roundTrip(codecModel(config), utf8(TEXT), { lanes: 24 }, name);
    assert.ok(!report.isStored, `${name}: ${report.fileBytes} of ${report.originalBytes} bytes`);
  }
}, { only: ["cpu"] });

onEveryBackend("decompress() gives all kinds of bytes back", async () => {
  const models = { CLM: codecModel(CLM), EEM: codecModel(EEM) };
  for (const [kind, model] of Object.entries(models)) {
    for (const [name, bytes] of Object.entries(INPUTS)) {
      await roundTrip(model, bytes, {}, `${kind}, ${name}`);
      if (bytes.length > 0) {
        await roundTrip(model, bytes, { lanes: 5 }, `${kind}, ${name}, 5 lanes`);
      }
    }
  }
}, { only: ["wasm", "cpu"] });

onEveryBackend("decompress() gives bytes back whatever lanes and overlap are", async () => {
  const bytes = utf8(TEXT.slice(0, 180));
  const tokens = TOKENIZER.encodeBytes(bytes).length;
  const models = { CLM: codecModel(CLM), EEM: codecModel(EEM) };
  for (const [kind, model] of Object.entries(models)) {
    for (let overlap = 0; overlap < LENGTH; overlap++) {
      const { report } = await roundTrip(
        model,
        bytes,
        { overlap, lanes: 20 },
        `${kind}, ${overlap}`,
      );
      assert.equal(report.overlap, overlap);
      assert.equal(report.lanes, 20);
    }
    for (const lanes of [1, 2, 3, tokens - 1, tokens, 1000]) {
      const { report } = await roundTrip(model, bytes, { lanes }, `${kind}, ${lanes} lanes`);
      assert.equal(report.lanes, Math.min(lanes, tokens));
    }
  }
}, { only: ["cpu"] });

onEveryBackend("decompress() gives text back with embeddings of every format", async () => {
  const formats = ["int4/channel", "int8/channel", "fp16", "e4m3fn", "int8/row", "nf4/row"];
  const model = codecModel(EEM);
  const tokenBits = new Set();
  for (const name of [...formats, "int3/tensor"]) {
    const embedding = parseQuantization(name);
    const options = { embedding, lanes: 20, overlap: 0 };
    const { report } = await roundTrip(model, utf8(TEXT.slice(0, 300)), options, name);
    assert.equal(report.embedding, name);
    assert.ok(report.rawWindows < report.windows, name);
    // The tokens' bits depend on the embedding, which is why it is in the file.
    tokenBits.add(report.bits.tokens);
  }
  assert.equal(tokenBits.size, formats.length + 1);
}, { only: ["cpu"] });

onEveryBackend("decompress() gives bytes back from windows of two tokens", async () => {
  for (const stack of [transformerStack, lstmStack]) {
    for (const config of [clm(stack, 2), eem(stack, stack, "linear", 2)]) {
      await roundTrip(codecModel(config), utf8(TEXT.slice(0, 60)), { lanes: 4 }, config.kind);
    }
  }
}, { only: ["cpu"] });

onEveryBackend("compress() stores what the model would not make shorter", async () => {
  for (const config of [CLM, EEM]) {
    const model = codecModel(config);
    for (const bytes of [new Uint8Array(), randomBytes(1), randomBytes(120, 2)]) {
      const { file, report } = await roundTrip(model, bytes);
      assert.equal(report.isStored, true);
      assert.deepEqual(file.slice(HEADER_BYTES), bytes);
      assert.equal(file.length, HEADER_BYTES + bytes.length);
      // Nobody needs the model for it.
      assert.deepEqual(await decompress(null, file), bytes);
      const { raw, header, ...others } = report.bits;
      assert.deepEqual([raw, header], [8 * bytes.length, 512]);
      assert.ok(Object.values(others).every((bits) => bits === 0));
      // Of what the model tried nothing is in the file.
      const { windows, rawWindows, modelTokens, modelBits, embedding } = report;
      assert.deepEqual([windows, rawWindows, modelTokens, modelBits, embedding], [
        0,
        0,
        0,
        0,
        null,
      ]);
      const none = new Array<number>(LENGTH).fill(0);
      assert.deepEqual([report.bitsByPosition, report.countByPosition], [none, none]);
    }
  }
}, { only: ["cpu"] });

onEveryBackend("compress() codes what is no text without the model, amid text", async () => {
  const english = TEXT.slice(0, 160);
  const noise = randomBytes(240, 3);
  for (const config of [CLM, EEM]) {
    const model = codecModel(config);
    const mixed = Uint8Array.of(...utf8(english), ...noise, ...utf8(english));
    const options = { lanes: 1, overlap: 0 };
    const { report } = await roundTrip(model, mixed, options);
    const text = (await compress(model, utf8(english + english), options)).report;
    // Of the noise's windows nearly all, of the text's no more than without it.
    const added = report.rawWindows - text.rawWindows;
    assert.ok(Math.abs(added - noise.length / LENGTH) <= 5, `${added} windows`);
    assert.equal(report.isStored, false);
    assert.ok(report.fileBytes < text.fileBytes + 1.03 * noise.length + 20);
    assert.ok(report.bits.raw < text.bits.raw + 1.03 * 8 * noise.length);
    const isEem = config.kind === "augmented";
    assert.equal(report.bits.embeddings > 0, isEem);
    if (isEem) {
      const modelled = report.windows - report.rawWindows;
      assert.ok(Math.abs(report.bits.embeddings - 16 * modelled) < 0.1, "raw windows have none");
    }
  }
}, { only: ["cpu"] });
