import assert from "node:assert/strict";
import { UserError } from "../../lib/errors.ts";
import type { DataSpec } from "../../lib/experiments/data.ts";
import {
  KNOWN_ENTROPY_PRESETS,
  TOKEN_ENTROPY_PRESETS,
} from "../../lib/experiments/entropy_presets.ts";
import { ENTROPY_TRAINING_PRESETS } from "../../lib/experiments/entropy_training_presets.ts";
import { QUANTIZATION_PRESETS } from "../../lib/experiments/quantization_presets.ts";
import {
  AUTOENCODER_PRESETS,
  BASELINE_PRESETS,
  checkPreset,
  HANDOVER_PRESETS,
  PRESETS,
} from "../../lib/experiments/presets.ts";

Deno.test("checkPreset() lets the presets through and refuses any other name", () => {
  for (const name of PRESETS) assert.equal(checkPreset(name), name);
  for (const name of ["", "large", "toString"]) {
    assert.throws(
      () => checkPreset(name),
      (error) =>
        error instanceof UserError &&
        error.message === `unknown preset "${name}"; expected one of quick, small, paper`,
    );
  }
});

/** Paper §7: vocabulary, samples a step by their length, schedule, learning rates. */
Deno.test("the paper's presets train as the paper does", () => {
  const { paper } = BASELINE_PRESETS;
  const { joins, frozen, scan } = HANDOVER_PRESETS.paper;
  const sizes = [
    { ...paper, data: paper.packed, rates: [paper.families.mixer, paper.families.transformer] },
    ...[AUTOENCODER_PRESETS.paper, joins, frozen, scan].map((one) => ({
      ...one,
      rates: [one.peakRates.mixer, one.peakRates.transformer].map((peakRate) => ({ peakRate })),
    })),
  ];
  for (const { data, batchSize, steps, warmupSteps, evaluateEvery, seeds, rates } of sizes) {
    assert.equal(data.vocabSize, 8000);
    assert.equal(data.contextLength * batchSize, 65_536);
    assert.deepEqual([steps, warmupSteps, evaluateEvery], [200_000, 500, 4000]);
    assert.equal(seeds[0], 42);
    assert.deepEqual(rates.map(({ peakRate }) => peakRate), [5e-4, 2e-4]);
  }
});

/** Paper §9 E2, E5, E6, E9, E11. */
Deno.test("the paper's preset of autoencoders has its sizes", () => {
  const { data, widths, layerCount, headCount, attentionHeads, mixingHeads, ...others } =
    AUTOENCODER_PRESETS.paper;
  assert.equal(data.contextLength, 512);
  assert.deepEqual(widths, [256, 512, 1024]);
  assert.deepEqual([layerCount, headCount], [8, 4]);
  assert.deepEqual(attentionHeads, [2, 4, 8, 16]);
  assert.deepEqual(mixingHeads, [1, 2, 4, 8, 16]);
  assert.deepEqual(others.kernelSizes, [4, 8, 16]);
  assert.equal(others.embeddingSize, 128);
});

/** Paper §7; what tokens are worth to a teacher is held in memory, for 2^26 tokens at most. */
Deno.test("the paper's presets train on the paper's text, and no others do", () => {
  for (const name of PRESETS) {
    const { joins, frozen, scan } = HANDOVER_PRESETS[name];
    const { packed, padded } = BASELINE_PRESETS[name];
    const texts: DataSpec[] = [packed, padded ?? packed, joins.data, frozen.data, scan.data];
    texts.push(AUTOENCODER_PRESETS[name].data, TOKEN_ENTROPY_PRESETS[name].data);
    texts.push(ENTROPY_TRAINING_PRESETS[name].text.data, QUANTIZATION_PRESETS[name].text.data);
    for (const data of texts) {
      assert.equal("corpus" in data && data.corpus, name === "paper" ? "fineweb-edu" : "sotu");
    }
  }
  const { ratedWindows, data } = TOKEN_ENTROPY_PRESETS.paper;
  assert.ok(ratedWindows! * data.contextLength <= 2 ** 26);
  const { full, text } = ENTROPY_TRAINING_PRESETS.paper;
  for (const trainWindows of [full.trainWindows!, text.small.trainWindows]) {
    assert.ok(trainWindows * text.data.contextLength <= 2 ** 26);
  }
});

/** Paper §2.6 and §9 E12, E16. */
Deno.test("the paper's preset of joins has its sizes", () => {
  const { data, layerCount, encoderWidth, embeddingSize, headCount, mixingHeads, kernelSizes } =
    HANDOVER_PRESETS.paper.joins;
  assert.equal(data.contextLength, 1024);
  assert.deepEqual([layerCount, encoderWidth, embeddingSize, headCount], [16, 256, 64, 4]);
  assert.equal(mixingHeads, 4);
  assert.deepEqual(kernelSizes, [4, 8]);
});

/** Paper §4.3, §4.5, §4.7 and §7. */
Deno.test("the paper's preset of token entropies has its sizes", () => {
  const { data, windows, batchSize, peakRate, large, ...sizes } = TOKEN_ENTROPY_PRESETS.paper;
  assert.deepEqual([data.vocabSize, data.contextLength, data.layout], [8000, 1024, "padded"]);
  assert.equal(data.contextLength * batchSize, 65_536);
  const { steps, warmupSteps, width, layerCount, headCount } = sizes;
  assert.deepEqual([steps, warmupSteps, peakRate], [200_000, 500, 2e-4]);
  assert.deepEqual([width, layerCount, headCount], [512, 16, 4]);
  assert.equal(windows, 64);
  assert.equal(sizes.embeddingSizes[0], 64);
  assert.ok(large.vocabSize > data.vocabSize);
});

/** Paper §3.2: a quarter of a bit a token. */
Deno.test("presets of known entropy pay for their embeddings as the paper does", () => {
  for (const { embeddingSize, contextLength } of Object.values(KNOWN_ENTROPY_PRESETS)) {
    assert.equal(4 * embeddingSize / contextLength, 0.25);
  }
});

Deno.test("presets share their seeds, and the small ones have several", () => {
  for (const name of PRESETS) {
    const { seeds } = BASELINE_PRESETS[name];
    assert.equal(new Set(seeds).size, seeds.length);
    assert.equal(seeds.length, name === "quick" ? 1 : 3);
    const handover = Object.values(HANDOVER_PRESETS[name]);
    const entropy = [TOKEN_ENTROPY_PRESETS[name], KNOWN_ENTROPY_PRESETS[name]];
    for (const sizes of [AUTOENCODER_PRESETS[name], ...handover, ...entropy]) {
      assert.deepEqual(sizes.seeds, seeds);
    }
  }
});
