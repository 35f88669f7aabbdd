import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  checkModelSizes,
  embeddingSize,
  type ModelConfig,
  PAPER_MODELS,
  parameterCount,
  sampleLength,
  stacksOf,
} from "../../lib/models/mod.ts";

const models = Object.entries(PAPER_MODELS);

function readGolden(file: string): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(`../golden/models/${file}`, import.meta.url), "utf8"));
}

function configOf(name: string): ModelConfig {
  const model = PAPER_MODELS[name];
  assert.ok(model !== undefined, `no model ${name}`);
  return model.config;
}

Deno.test("PAPER_MODELS are those of paper_models.json", () => {
  // Otherwise: tests/reference/paper_models.ts, then tests/reference/models_golden.py.
  const configs = Object.fromEntries(models.map(([name, { config }]) => [name, config]));
  assert.deepEqual(readGolden("paper_models.json"), configs);
});

Deno.test("parameterCount() of every PAPER_MODELS entry is PyTorch's", () => {
  const counts = models.map(([name, { config }]) => [name, parameterCount(config)]);
  assert.deepEqual(Object.fromEntries(counts), readGolden("parameter_counts.json"));
});

Deno.test("parameterCount() of the main models is what the paper says", () => {
  const millions = (name: string) => Math.round(parameterCount(configOf(name)) / 1e6);
  assert.equal(millions("clm-transformer-512"), 75);
  assert.equal(millions("clm-mixer-1024"), 168);
  assert.equal(millions("eem-t"), 94); // "active": encoder, channel and decoder together
});

Deno.test("PAPER_MODELS fit together", () => {
  for (const [name, { config }] of models) {
    assert.doesNotThrow(() => checkModelSizes(config), name);
  }
});

Deno.test("PAPER_MODELS differ from each other", () => {
  assert.equal(new Set(models.map(([, { config }]) => JSON.stringify(config))).size, models.length);
});

Deno.test("PAPER_MODELS say what and where from in one line each", () => {
  for (const [name, { what, source, uncertain = "nothing" }] of models) {
    for (const text of [what, source, uncertain]) {
      assert.ok(text !== "" && text.trim() === text && !text.includes("\n"), `${name}: ${text}`);
    }
    assert.match(source, /^paper (§|E\d)/, name);
  }
});

Deno.test("PAPER_MODELS hand 64 numbers to an EEM's decoder, or all 1024", () => {
  for (const [name, { config }] of models) {
    if (config.kind !== "augmented") continue;
    const isWhole = /^(large-embedding|near-lossless)/.test(name);
    assert.equal(embeddingSize(config), isWhole ? 1024 : 64, name);
  }
});

Deno.test("PAPER_MODELS are what their names say", () => {
  for (const [name, { config }] of models) {
    const stacks = stacksOf(config);
    const [first, last] = [stacks[0]!, stacks.at(-1)!];
    const numberAfter = (pattern: RegExp) => Number(name.match(pattern)?.[1] ?? NaN);
    const says = (part: string) => `-${name}-`.includes(`-${part}-`);
    const kernels = stacks.map((stack) => "kernelSize" in stack ? stack.kernelSize! : 1);
    const kernelSize = numberAfter(/-k(\d+)/) || 1;
    // Paper §2.6: EEMs' decoders are flat and of kernel 1.
    const inEncoder = name.startsWith("eem-");
    const expectedKernels = stacks.map((_, index) => inEncoder && index > 0 ? 1 : kernelSize);
    assert.deepEqual(kernels, expectedKernels, `${name}: kernels`);
    const mixingHeads = last.architecture === "mixer" ? last.headCount ?? 0 : 0;
    if (inEncoder) assert.equal(mixingHeads, 0, `${name}: the decoder's heads`);
    const headCount = numberAfter(/-(\d+)-heads/) || (first.architecture === "mixer" ? 0 : 4);
    assert.equal("headCount" in first ? first.headCount : 0, headCount, `${name}: heads`);
    if (says("context-512") || says("short")) assert.equal(sampleLength(config), 512, name);
    for (const { vocabSize, layerCount } of stacks) {
      assert.equal(vocabSize, 8000, name);
      assert.equal(layerCount, first.layerCount, `${name}: depth`);
    }
    if (config.kind === "augmented") {
      const join = (["embedding", "linear"] as const).find(says);
      const expected = join ??
        (name === "eem-mt" || name === "eem-m-small" ? "embedding" : "token");
      if (!name.startsWith("large-")) assert.equal(config.join, expected, `${name}: join`);
      continue;
    }
    if (config.kind === "second-order") {
      assert.equal(config.shift, says("shift"), `${name}: shift`);
      continue;
    }
    assert.equal(last.width, numberAfter(/^[a-z-]+-(\d+)/), `${name}: width`);
    if (config.kind === "causal") continue;
    assert.equal(config.expansion, says("unroll") ? "unroll" : "repeat", `${name}: expansion`);
    const compression = numberAfter(/-c(\d+)/);
    const compressed = Number.isNaN(compression) ? undefined : last.width / compression;
    assert.equal(config.embeddingSize, compressed, `${name}: compression`);
  }
});

Deno.test("PAPER_MODELS have the sizes of paper §2.6", () => {
  // Encoder and decoder (T transformer, M mixer) with widths, layers, N, join.
  const table: Record<string, string> = {
    "eem-t": "T256 T512 16 1024 token",
    "eem-m-embedding": "M256 M1024 16 1024 embedding",
    "eem-m-token": "M256 M1024 16 1024 token",
    "eem-mt": "M256 T512 16 1024 embedding",
    "eem-t-small": "T128 T256 16 1024 token",
    "eem-m-small": "M256 M512 16 1024 embedding",
    "eem-t-large": "T512 T1024 24 1024 token",
    "large-embedding-4": "T1024 T1024 4 512 token",
    "large-embedding-8": "T1024 T1024 8 512 token",
    "near-lossless-k4": "M1024 M1024 8 512 token",
    "near-lossless-k8": "M1024 M1024 8 512 token",
  };
  for (const [name, row] of Object.entries(table)) {
    const config = configOf(name);
    assert.ok(config.kind === "augmented");
    const stacks = stacksOf(config).map(({ architecture, width }) =>
      `${architecture === "mixer" ? "M" : "T"}${width}`
    );
    const { layerCount } = config.decoder;
    assert.equal([...stacks, layerCount, sampleLength(config), config.join].join(" "), row, name);
  }
});

Deno.test("PAPER_MODELS have the 2EEMs of paper §4.6", () => {
  const sizes = { vocabSize: 8000, contextLength: 1024, width: 512, layerCount: 16, headCount: 4 };
  const backbone = { architecture: "transformer", ...sizes };
  for (const [name, shift] of [["2eem-t", false], ["2eem-t-shift", true]] as const) {
    assert.deepEqual(configOf(name), { kind: "second-order", backbone, shift });
  }
});

Deno.test("PAPER_MODELS have whole Llamas in hybrid and prebuilt autoencoders alone", () => {
  for (const [name, { config }] of models) {
    if (config.kind !== "autoencoder") continue;
    const isWhole = name.endsWith("-prebuilt") || /mixer-transformer|transformer-mixer/.test(name);
    for (const stack of stacksOf(config)) {
      if (stack.architecture !== "transformer") continue;
      assert.equal(stack.finalNorm ?? true, isWhole, `${name}: final norm`);
    }
    const isInner = isWhole && config.encoder.architecture === "transformer";
    assert.equal(config.embedding ?? "outer", isInner ? "inner" : "outer", `${name}: embedding`);
  }
});
