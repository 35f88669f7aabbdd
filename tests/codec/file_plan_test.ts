import assert from "node:assert/strict";
import { type FileOptions, planFile } from "../../lib/codec/mod.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import { formatQuantization, parseQuantization } from "../../lib/qat/mod.ts";
import { autoencoder, mixer, refusal } from "../models/_tiny.ts";
import { clm, eem, mixerStack, transformerStack } from "./_tiny.ts";

const CLM = clm(mixerStack, 10);
const EEM = eem(mixerStack, transformerStack, "token", 10);

Deno.test("planFile() fills in the defaults of either kind of model", () => {
  const int4 = parseQuantization("int4/channel");
  assert.deepEqual(planFile(CLM, 1600), { overlap: 5, lanes: 10, embedding: null });
  assert.deepEqual(planFile(EEM, 1600), { overlap: 1, lanes: 10, embedding: int4 });
  // A window of one token has room for no overlap.
  assert.equal(planFile(clm(mixerStack, 1), 9).overlap, 0);
  assert.equal(planFile(eem(mixerStack, mixerStack, "token", 1), 9).overlap, 0);
});

Deno.test("planFile() reads as many lanes as have sixteen windows each, up to 64", () => {
  const cases: readonly [tokens: number, lanes: number][] = [
    [0, 1],
    [1, 1],
    [159, 1],
    [160, 1],
    [319, 1],
    [320, 2],
    [10_239, 63],
    [10_240, 64],
    [2 ** 31, 64],
  ];
  for (const [tokens, lanes] of cases) assert.equal(planFile(CLM, tokens).lanes, lanes);
});

Deno.test("planFile() keeps what is chosen, but leaves no lane empty", () => {
  const embedding = parseQuantization("fp16");
  assert.deepEqual(
    planFile(EEM, 10_000, { overlap: 9, lanes: 1024, embedding }),
    { overlap: 9, lanes: 1024, embedding },
  );
  assert.equal(planFile(CLM, 3, { lanes: 1024 }).lanes, 3);
  assert.equal(planFile(CLM, 0, { lanes: 7 }).lanes, 1);
  assert.equal(planFile(CLM, 100_000, { lanes: 1 }).lanes, 1);
  assert.equal(planFile(CLM, 100, { overlap: 0 }).overlap, 0);
});

Deno.test("planFile() takes a decoder of zeros for a causal model", () => {
  const zeros: ModelConfig = { kind: "augmented", memory: "zeros", decoder: mixerStack(11) };
  assert.deepEqual(planFile(zeros, 0), { overlap: 5, lanes: 1, embedding: null });
});

Deno.test("planFile() refuses options that do not fit the model", () => {
  const refuses = (config: ModelConfig, options: FileOptions) =>
    refusal(() => planFile(config, 1000, options));
  const fp16 = parseQuantization("fp16");
  assert.equal(
    refuses(CLM, { embedding: fp16 }),
    "embedding format: expected none, since a causal model has no embedding, found fp16; " +
      "leave it out",
  );
  for (const lanes of [0, -1, 1025, 1.5, NaN, Infinity]) {
    assert.equal(refuses(CLM, { lanes }), `lanes: expected 1 … 1024, found ${lanes}`);
  }
  for (const name of ["llm.int8", "int4/row/outliers=6"]) {
    const embedding = parseQuantization(name);
    assert.equal(
      refuses(EEM, { embedding }),
      `embedding format: expected one of a known size, found ${formatQuantization(embedding)}; ` +
        "leave out the outlier threshold",
    );
  }
  for (const config of [CLM, EEM]) {
    for (const overlap of [-1, 10, 500, 1.5, NaN]) {
      assert.equal(
        refuses(config, { overlap }),
        `overlap: expected 0 … 9 tokens, less than the model's context, found ${overlap}`,
      );
    }
  }
  // Blocks of 64 do not fit an embedding of 3.
  assert.match(
    refuses(EEM, { embedding: parseQuantization("nf4/tensor") }),
    /^nf4\/tensor: expected .* multiple of 64/,
  );
  assert.match(refuses(EEM, { embedding: { format: "int17" } }), /^quantization: .*"int17"$/);
  assert.equal(
    refuses(autoencoder(mixer, mixer, "repeat"), {}),
    "reading token by token: expected a causal model or an encoder-augmented decoder, " +
      "found a model of kind autoencoder",
  );
});
