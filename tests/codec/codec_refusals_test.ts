import assert from "node:assert/strict";
import { type CodecModel, compress, decompress, readHeader } from "../../lib/codec/mod.ts";
import { mapTree, mul, runningBackend, runningThreads } from "../../lib/engine/mod.ts";
import { parseQuantization } from "../../lib/qat/mod.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { refusalOf } from "../_refusal.ts";
import { augmented, mixer } from "../models/_tiny.ts";
import { type Field, withFields } from "./_file.ts";
import {
  clm,
  codecModel,
  eem,
  LENGTH,
  mixerStack,
  randomBytes,
  TEXT,
  TOKENIZER,
  transformerStack,
  utf8,
} from "./_tiny.ts";

const CLM = clm(mixerStack);
const EEM = eem(mixerStack, transformerStack);
const ENGLISH = utf8(TEXT.slice(0, 160));
const LANES = { lanes: 4 };

const OTHER_LOGITS =
  "expected the original's checksum, found another: the logits here are not those of the machine " +
  "that wrote the file; decompress it on one like that, with the same release of this library";

async function written(model: CodecModel) {
  return (await compress(model, ENGLISH, LANES)).file;
}

onEveryBackend("decompress() refuses another model, tokenizer, backend and threads", async () => {
  const model = codecModel(CLM);
  const file = await written(model);
  const { modelHash } = readHeader(file);
  assert.equal(modelHash, model.hash.slice(0, 16));
  assert.equal(
    await refusalOf(decompress({ ...model, hash: "ab".repeat(32) }, file)),
    `expected the model that wrote the file, ${modelHash}…, found abababababababab…; ` +
      "name the run that compressed it (trained anew it has other weights)",
  );
  const tokenizer = trainTokenizer(["another text"], { vocabSize: 258 });
  assert.equal(
    await refusalOf(decompress({ ...model, tokenizer }, file)),
    `expected the tokenizer that wrote the file, ${TOKENIZER.hash.slice(0, 16)}…, found ` +
      `${tokenizer.hash.slice(0, 16)}…; put the run's tokenizer.json back`,
  );
  const running = runningBackend();
  const threads = runningThreads();
  assert.equal(readHeader(file).threads, threads);
  const [number, other] = running === "cpu" ? [2, "wasm"] : [3, "cpu"];
  assert.equal(
    await refusalOf(decompress(model, withFields(file, { backend: number }))),
    `expected the engine that wrote the file, ${other} (threads: ${threads}), found ${running} ` +
      `(threads: ${threads}), whose numbers are rounded otherwise; start it so`,
  );
  assert.equal(
    await refusalOf(decompress(model, withFields(file, { threads: threads + 1 }))),
    `expected the engine that wrote the file, ${running} (threads: ${threads + 1}), found ` +
      `${running} (threads: ${threads}), whose numbers are rounded otherwise; start it so`,
  );
  assert.equal(
    await refusalOf(decompress(null, file)),
    "expected the model that wrote the file, found none; name it",
  );
}, { oncePerBackend: true });

onEveryBackend("decompress() refuses headers that do not fit their model", async () => {
  const strange =
    "expected a header that fits the model it names, found another context or kind; " +
    "the file was not written by deno task compress";
  const lies = async (
    model: CodecModel,
    cases: readonly Partial<Record<Field, number | bigint>>[],
  ) => {
    const file = await written(model);
    for (const fields of cases) {
      const message = await refusalOf(decompress(model, withFields(file, fields)));
      assert.equal(message, strange, Object.entries(fields).join());
    }
  };
  await lies(codecModel(CLM), [
    { contextLength: LENGTH + 1 },
    { contextLength: 2 ** 32 - 1 },
    { kind: 2 },
    { kind: 2, embedding: 15 },
    { embedding: 15 },
  ]);
  await lies(codecModel(EEM), [
    { contextLength: LENGTH - 1 },
    { kind: 1 },
    { kind: 1, embedding: 0 },
    { embedding: 0 },
  ]);
}, { only: ["cpu"] });

onEveryBackend("decompress() refuses lies about the tokens, however many it promises", async () => {
  for (const config of [CLM, EEM]) {
    const model = codecModel(config);
    const file = await written(model);
    const { tokenCount } = readHeader(file);
    const most = 2n ** 29n - 24n;
    const lies: readonly Partial<Record<Field, number | bigint>>[] = [
      { tokenCount: tokenCount - 1 },
      { tokenCount: tokenCount + 1 },
      { originalBytes: ENGLISH.length + 1 },
      { tokenCount: ENGLISH.length },
      { tokenCount: most, originalBytes: most },
      { tokenCount: most, originalBytes: most, laneCount: 1 },
      { tokenCount: most, originalBytes: most, overlap: LENGTH - 1 },
      { laneCount: 11 },
      { overlap: 0 },
      { overlap: 2 },
      { checksum: 7n },
    ];
    for (const fields of lies) {
      const before = Deno.memoryUsage().rss;
      const message = await refusalOf(decompress(model, withFields(file, fields)));
      assert.equal(message, OTHER_LOGITS, Object.entries(fields).join());
      const grown = Deno.memoryUsage().rss - before;
      assert.ok(grown < 200e6, `${Object.entries(fields).join()}: ${grown} bytes more`);
    }
  }
  const model = codecModel(EEM);
  const file = await written(model);
  for (const embedding of [1, 3, 6, 7, 14, 16, 27, 52]) {
    const message = await refusalOf(decompress(model, withFields(file, { embedding })));
    assert.equal(message, OTHER_LOGITS, `format ${embedding}`);
  }
}, { only: ["cpu"] });

onEveryBackend("decompress() refuses what other logits make of a file", async () => {
  for (const config of [CLM, EEM]) {
    const model = codecModel(config);
    const file = await written(model);
    let different = 0;
    for (const factor of [1.5, 1.01, 1 + 1e-4]) {
      const params = mapTree(model.params, (leaf) => mul(leaf, factor));
      await decompress({ ...model, params }, file).then(
        (bytes) => assert.deepEqual(bytes, ENGLISH),
        (error) => {
          different++;
          assert.equal(error.message, OTHER_LOGITS);
        },
      );
    }
    assert.ok(different >= 2);
    const diverged = mapTree(model.params, (leaf) => mul(leaf, NaN));
    assert.equal(await refusalOf(decompress({ ...model, params: diverged }, file)), OTHER_LOGITS);
  }
}, { only: ["cpu"] });

onEveryBackend("decompress() refuses files that are damaged or cut short", async () => {
  const model = codecModel(EEM);
  const file = await written(model);
  const { file: stored, report } = await compress(model, randomBytes(50));
  assert.ok(report.isStored);
  assert.equal(
    await refusalOf(decompress(null, withFields(stored, { checksum: 7n }))),
    "expected the original's checksum, found another: the file is damaged; copy it anew",
  );
  for (let at = 0; at < file.length; at += 13) {
    const damaged = file.slice();
    damaged[at]! ^= 4;
    await refusalOf(decompress(model, damaged));
    await refusalOf(decompress(model, file.slice(0, at)));
  }
  assert.match(await refusalOf(decompress(model, new Uint8Array())), /^expected a file that deno/);
  assert.match(await refusalOf(decompress(null, randomBytes(100))), /^expected a file that deno/);
}, { only: ["cpu"] });

onEveryBackend("compress() refuses a diverged model", async () => {
  const { params, ...clm } = codecModel(CLM);
  const nan = mapTree(params, (leaf) => mul(leaf, NaN));
  const diverged = (what: string) =>
    `the model: expected ${what} that are finite, found some that are not; its weights are ` +
    "damaged or its training diverged, choose another run";
  assert.equal(
    await refusalOf(compress({ ...clm, params: nan }, ENGLISH)),
    diverged("logits"),
  );
  const eem = codecModel(EEM);
  const endless = mapTree(
    eem.params,
    (leaf, name) => /^encoder.*embedding/.test(name) ? mul(leaf, Infinity) : leaf,
  );
  for (const format of ["int4/channel", "int8/row", "fp16"]) {
    const embedding = parseQuantization(format);
    assert.equal(
      await refusalOf(compress({ ...eem, params: endless }, ENGLISH, { embedding })),
      diverged("embeddings"),
    );
  }
  // Nothing is asked of it for nothing.
  assert.equal((await compress({ ...clm, params: nan }, new Uint8Array())).report.fileBytes, 64);
}, { only: ["wasm", "cpu"] });

onEveryBackend("compress() refuses models and options that do not fit", async () => {
  const model = codecModel(CLM);
  assert.equal(
    await refusalOf(compress(model, ENGLISH, { overlap: LENGTH })),
    `overlap: expected 0 … ${LENGTH - 1} tokens, less than the model's context, found ${LENGTH}`,
  );
  assert.equal(
    await refusalOf(compress(model, ENGLISH, { lanes: 0 })),
    "lanes: expected 1 … 1024, found 0",
  );
  const embedding = parseQuantization("fp16");
  assert.match(await refusalOf(compress(model, ENGLISH, { embedding })), /leave it out$/);
  const tokenizer = trainTokenizer(["another text"], { vocabSize: 258 });
  assert.equal(
    await refusalOf(compress({ ...model, tokenizer }, ENGLISH)),
    "vocabulary: expected the model's 300 tokens, found a tokenizer of 258; " +
      "give the one that it was trained with",
  );
  const config = augmented(mixer, mixer);
  assert.match(
    await refusalOf(compress({ ...model, config }, ENGLISH)),
    /^vocabulary: .* 11 tokens/,
  );
  const many = { ...TOKENIZER, vocabSize: 2 ** 16 + 1 };
  assert.equal(
    await refusalOf(compress({ ...model, tokenizer: many }, ENGLISH)),
    "vocabulary: expected at most 65536 tokens, found 65537; choose a model with fewer",
  );
  // Blocks of 64 do not fit an embedding of 3.
  assert.match(
    await refusalOf(
      compress(codecModel(EEM), ENGLISH, { embedding: parseQuantization("nf4/tensor") }),
    ),
    /^nf4\/tensor: expected .* multiple of 64/,
  );
}, { only: ["cpu"] });
