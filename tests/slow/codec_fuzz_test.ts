/** Whatever goes into the codec comes out again, and whatever is done to its files is told in a line. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  type CodecModel,
  compress,
  decompress,
  type FileOptions,
  HEADER_BYTES,
} from "../../lib/codec/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { memory } from "../../lib/engine/mod.ts";
import { parseQuantization } from "../../lib/qat/mod.ts";
import { createRandom, type Random } from "../../lib/random.ts";
import { readSotu } from "../../lib/text/sotu.ts";
import { onEveryBackend } from "../_backends.ts";
import { type Field, FIELDS, sealed, withFields } from "../codec/_file.ts";
import { clm, codecModel, eem, randomBytes, TEXT, TOKENIZER, utf8 } from "../codec/_tiny.ts";
import { lstm, mixer, type StackOf, transformer } from "../models/_tiny.ts";

/** Any other whole number tries other files. */
const SEED = 1;
const INPUTS = 2000;
const MUTATIONS = 3000;
const LONGEST = 5000;
const LARGE_BYTES = 10_000_000;

/** Nothing that is done to a file of a few hundred bytes may take longer or more memory. */
const MOST_SECONDS = 20;
const MOST_MEMORY = 1e9;

const FORMATS = [
  "int4/channel",
  "int8/row",
  "fp16",
  "e4m3fn",
  "int2/tensor",
  "nf4/row",
  "int16/row",
];

const below = (random: Random, limit: number) => Math.floor(limit * random.uniform());

function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)]!;
}

/** So many bytes of one kind. */
function piece(random: Random, length: number): Uint8Array {
  const text = utf8(TEXT);
  switch (below(random, 9)) {
    case 0:
      return randomBytes(length, random.bits());
    case 1: // one byte again and again
      return new Uint8Array(length).fill(below(random, 256));
    case 2: { // a phrase again and again
      const at = below(random, text.length - 20);
      const phrase = text.subarray(at, at + 1 + below(random, 20));
      return Uint8Array.from({ length }, (_, i) => phrase[i % phrase.length]!);
    }
    case 3: // text with bytes that are no UTF-8
      return Uint8Array.from(
        { length },
        (_, i) => below(random, 10) === 0 ? 128 + below(random, 128) : text[i % text.length]!,
      );
    case 4: // continuation and start bytes alone
      return Uint8Array.from({ length }, () => 0x80 + below(random, 0x80));
    default: { // text
      const at = below(random, text.length);
      return Uint8Array.from({ length }, (_, i) => text[(at + i) % text.length]!);
    }
  }
}

/** Up to 5,000 bytes, short ones as often as long ones, of up to four kinds. */
function input(random: Random): Uint8Array {
  const length = Math.floor((LONGEST + 1) ** random.uniform()) - below(random, 2);
  const pieces: Uint8Array[] = [];
  for (let left = Math.max(0, length); left > 0;) {
    const next = pieces.length === 3 ? left : 1 + below(random, left);
    pieces.push(piece(random, next));
    left -= next;
  }
  return Uint8Array.from(pieces.flatMap((bytes) => [...bytes]));
}

function options(random: Random, model: CodecModel, length: number): FileOptions {
  const long = pick(random, [40, 64, 200, 1024]);
  return {
    overlap: pick(random, [undefined, 0, 1, 3, 7]),
    lanes: length > 60 ? long : pick(random, [undefined, 1, 2, 5, long]),
    ...(model.config.kind === "augmented" &&
      { embedding: parseQuantization(pick(random, FORMATS)) }),
  };
}

const ONE_LAYER = { vocabSize: TOKENIZER.vocabSize, layerCount: 1 };
const lstmStack: StackOf = (length) => lstm(length, ONE_LAYER);
const mixerStack: StackOf = (length) => mixer(length, ONE_LAYER);
const transformerStack: StackOf = (length) => transformer(length, ONE_LAYER);

const models = (): readonly CodecModel[] => [
  codecModel(clm(lstmStack)),
  codecModel(clm(mixerStack)),
  codecModel(eem(lstmStack, lstmStack, "linear")),
  codecModel(eem(mixerStack, transformerStack, "embedding")),
  codecModel(eem(lstmStack, mixerStack)),
];

onEveryBackend(`compress() and decompress() lose nothing of ${INPUTS} inputs`, async () => {
  const random = createRandom(SEED).stream("inputs");
  const all = models();
  const tensors = memory().numTensors;
  let stored = 0;
  let raw = 0;
  for (let i = 0; i < INPUTS; i++) {
    const model = all[i % all.length]!;
    const bytes = input(random);
    const chosen = options(random, model, bytes.length);
    const what = `seed ${SEED}, input ${i}, ${bytes.length} bytes, ${JSON.stringify(chosen)}`;
    const { file, report } = await compress(model, bytes, chosen);
    const back = await decompress(model, file);
    assert.equal(Buffer.compare(back, bytes), 0, what);
    assert.ok(file.length <= bytes.length + HEADER_BYTES, what);
    const bits = Object.values(report.bits).reduce((a, b) => a + b);
    assert.ok(Math.abs(bits - 8 * file.length) < 1e-6, what);
    if (report.isStored) stored++;
    else if (report.rawWindows > 0) raw++;
  }
  assert.equal(memory().numTensors, tensors);
  console.log(`seed ${SEED}: ${INPUTS} inputs, ${stored} stored, ${raw} with windows of bytes`);
  assert.ok(stored > INPUTS / 20 && raw > INPUTS / 20);
}, { only: ["wasm"] });

/** A file that was changed somewhere, with or without a CRC that fits. */
function mutated(random: Random, file: Uint8Array): Uint8Array {
  const copy = file.slice();
  const at = below(random, file.length);
  const behind = HEADER_BYTES + below(random, Math.max(1, file.length - HEADER_BYTES));
  const flip = (at: number) => {
    if (at < copy.length) copy[at]! ^= 1 << below(random, 8);
  };
  switch (below(random, 9)) {
    case 0:
      flip(at);
      return copy;
    case 1:
      return copy.subarray(0, at);
    case 2:
      return Uint8Array.of(
        ...copy.subarray(0, at),
        ...randomBytes(1 + below(random, 9), at + 1),
        ...copy.subarray(at),
      );
    case 3: // in the header, which knows it
      flip(5 + below(random, 55));
      return sealed(copy);
    case 4:
      for (let flips = 1 + below(random, 3); flips > 0; flips--) flip(behind);
      return sealed(copy);
    case 5:
      return sealed(copy.subarray(0, behind));
    case 6:
      return sealed(
        Uint8Array.of(
          ...copy.subarray(0, behind),
          ...randomBytes(3, at + 1),
          ...copy.subarray(behind),
        ),
      );
    case 7: // another payload
      return sealed(
        Uint8Array.of(
          ...copy.subarray(0, HEADER_BYTES),
          ...randomBytes(below(random, 300), at + 1),
        ),
      );
    default: {
      const names = Object.keys(FIELDS) as Field[];
      const value = pick(random, [0n, 1n, 2n, 255n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 64n - 1n]);
      const fields = { [pick(random, names)]: value, [pick(random, names)]: value };
      return withFields(copy, fields);
    }
  }
}

onEveryBackend(`decompress() answers ${MUTATIONS} changed files in a line`, async () => {
  const random = createRandom(SEED).stream("mutations");
  const all = models();
  const files: { model: CodecModel; bytes: Uint8Array; file: Uint8Array }[] = [];
  for (let i = 0; i < 40; i++) {
    const model = all[i % all.length]!;
    const bytes = piece(random, below(random, 600));
    const chosen = options(random, model, 1000);
    files.push({ model, bytes, file: (await compress(model, bytes, chosen)).file });
  }
  const tensors = memory().numTensors;
  const rss = Deno.memoryUsage().rss;
  const answers = new Map<string, number>();
  for (let i = 0; i < MUTATIONS; i++) {
    const { model, bytes, file } = files[i % files.length]!;
    const changed = mutated(random, file);
    const what = `seed ${SEED}, mutation ${i}: ${changed.toHex()}`;
    const start = performance.now();
    let answer = "the original";
    try {
      assert.deepEqual(await decompress(model, changed), bytes, what);
    } catch (error) {
      assert.ok(error instanceof UserError, `${what}: ${(error as Error).stack}`);
      assert.doesNotMatch(error.message, /\n/);
      answer = error.message.replace(/[0-9a-f]{16}|\d+/g, "…");
    }
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
    const seconds = (performance.now() - start) / 1000;
    assert.ok(seconds < MOST_SECONDS, `${what}: ${seconds} s`);
    assert.ok(Deno.memoryUsage().rss - rss < MOST_MEMORY, what);
  }
  assert.equal(memory().numTensors, tensors);
  const counts = [...answers].sort((a, b) => b[1] - a[1]);
  console.log([`seed ${SEED}:`, ...counts.map(([text, count]) => `${count} × ${text}`)].join("\n"));
  assert.ok(answers.size > 5);
}, { only: ["wasm"] });

onEveryBackend("compress() and decompress() lose nothing of 10 MB", async () => {
  const documents = await readSotu();
  const text = Buffer.from(documents.map((document) => document.text).join("\n"));
  const bytes = new Uint8Array(LARGE_BYTES);
  for (let at = 0; at < LARGE_BYTES; at += text.length) {
    bytes.set(text.subarray(0, LARGE_BYTES - at), at);
  }
  // Somewhere it is no text at all.
  bytes.set(randomBytes(100_000), 5_000_000);
  const model = codecModel(clm(lstmStack, 16));
  const { file, report } = await compress(model, bytes, { lanes: 1024, overlap: 1 });
  assert.ok(file.length < 0.8 * bytes.length);
  assert.ok(report.rawWindows > 0);
  const bits = Object.values(report.bits).reduce((a, b) => a + b);
  assert.ok(Math.abs(bits / (8 * file.length) - 1) < 1e-9);
  assert.equal(Buffer.compare(await decompress(model, file), bytes), 0);
}, { only: ["wasm"] });
