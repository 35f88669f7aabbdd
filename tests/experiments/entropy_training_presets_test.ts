import assert from "node:assert/strict";
import { KNOWN_ENTROPY_PRESETS } from "../../lib/experiments/entropy_presets.ts";
import { ENTROPY_TRAINING_PRESETS } from "../../lib/experiments/entropy_training_presets.ts";
import { BASELINE_PRESETS, PRESETS } from "../../lib/experiments/presets.ts";

/** Paper §5.2: documents, model, schedule, and a teacher of 500,000 steps (§5.1). */
Deno.test("the paper's preset of training towards entropies has its sizes", () => {
  const { text, dropout, full } = ENTROPY_TRAINING_PRESETS.paper;
  const { data, small, large } = text;
  assert.deepEqual([data.unit, data.layout], ["document", "padded"]);
  assert.deepEqual([data.vocabSize, data.contextLength, data.heldOutWindows], [8000, 1024, 50_000]);
  assert.deepEqual([small.width, small.layerCount, small.headCount], [512, 16, 4]);
  const { trainWindows, batchSize, steps, warmupSteps, peakRate, evaluateEvery } = small;
  assert.deepEqual([trainWindows, batchSize, peakRate], [50_000, 128, 2e-4]);
  assert.deepEqual([steps, warmupSteps, evaluateEvery], [200_000, 500, 500]);
  assert.equal(steps * batchSize / trainWindows, 512);
  assert.equal(large.steps, 500_000);
  assert.equal(dropout, 0.1);
  assert.deepEqual([full.embeddingSize, full.encoderWidth], [64, 256]);
});

Deno.test("presets of training towards entropies read the small part again and again", () => {
  for (const name of PRESETS) {
    const { text, known, copy } = ENTROPY_TRAINING_PRESETS[name];
    for (const { small, large } of [text, known, copy]) {
      const { steps, batchSize, trainWindows, evaluateEvery, warmupSteps } = small;
      assert.ok(steps * batchSize / trainWindows > 30, name);
      // Curves of some points, of which the least is not the first.
      assert.ok(steps / evaluateEvery >= 6 && warmupSteps < evaluateEvery * 2, name);
      // All data are far more than the small part.
      assert.ok(large.steps * large.batchSize > 10 * trainWindows, name);
    }
    // To learn the small part by heart takes longer than its teachers have.
    const { subsetSteps, earlySteps, halfSteps, small } = text;
    assert.ok(small.warmupSteps < halfSteps && halfSteps < subsetSteps, name);
    assert.ok(small.warmupSteps < subsetSteps && subsetSteps <= small.steps / 3, name);
    // So does the plain training whose learning rate comes down in time.
    assert.ok(subsetSteps < earlySteps && earlySteps <= small.steps / 2, name);
  }
});

Deno.test("presets of training towards entropies read less and more of the known source", () => {
  for (const name of PRESETS) {
    const { amounts: { trainWindows, evaluateEvery }, known } = ENTROPY_TRAINING_PRESETS[name];
    const { small } = known;
    assert.deepEqual([...new Set(trainWindows)].sort((a, b) => a - b), trainWindows, name);
    const [least, most] = [trainWindows[0]!, trainWindows.at(-1)!];
    assert.ok(least < small.trainWindows && small.trainWindows < most, name);
    // Every amount again and again, so that plain training has something to learn by heart.
    assert.ok(least >= small.batchSize && small.steps * small.batchSize / most > 15, name);
    // Few sequences are learned sooner: to find where to stop, look as often or more often.
    assert.ok(evaluateEvery <= small.evaluateEvery && small.steps % evaluateEvery === 0, name);
  }
});

Deno.test("presets of training towards entropies take their sources from notebook 05", () => {
  const { sources } = KNOWN_ENTROPY_PRESETS.small;
  for (const name of PRESETS) {
    const { known, copy } = ENTROPY_TRAINING_PRESETS[name];
    assert.equal(known.source, sources["Markov, order 2"]);
    assert.equal(copy.source, sources["corrupted copy"]);
  }
});

Deno.test("presets of training towards entropies have the other notebooks' seeds and two more", () => {
  for (const name of PRESETS) {
    const { seeds } = ENTROPY_TRAINING_PRESETS[name];
    const others = BASELINE_PRESETS[name].seeds;
    assert.deepEqual(seeds.slice(0, others.length), others);
    assert.equal(seeds.length, name === "quick" ? 1 : others.length + 2);
    assert.equal(new Set(seeds).size, seeds.length);
    // Penalties were chosen with seed 1.
    assert.ok(!seeds.includes(1));
  }
});
