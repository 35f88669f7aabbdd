import assert from "node:assert/strict";
import {
  baselineSpecs,
  CLM,
  eemArm,
  REFERENCE_START,
  WIDE_CLM,
  ZEROS,
} from "../../lib/experiments/baseline_arms.ts";
import { BASELINE_PRESETS, PRESETS } from "../../lib/experiments/presets.ts";
import { runId } from "../../lib/experiments/run_spec.ts";
import { embeddingSize, type ModelConfig, parameterCount } from "../../lib/models/mod.ts";
import { ADAMW_DEFAULTS } from "../../lib/train/mod.ts";

/** The width that an arm's decoder or causal stack has. */
function widthOf(model: ModelConfig): number {
  return "backbone" in model ? model.backbone.width : model.decoder.width;
}

for (const name of PRESETS) {
  const preset = BASELINE_PRESETS[name];
  const specs = baselineSpecs(preset);

  Deno.test(`baselineSpecs() of ${name}: every arm, every seed, no run twice`, () => {
    const sizes = preset.embeddingSizes;
    const arms = [CLM, WIDE_CLM, ZEROS, ...sizes.map(eemArm)];
    const found = (family: string, layout: string) =>
      specs.filter((spec) => spec.family === family && spec.data.layout === layout)
        .map((spec) => [spec.arm, spec.training.seed]);
    const expected = (names: readonly string[]) =>
      names.flatMap((arm) => preset.seeds.map((seed) => [arm, seed]));
    assert.deepEqual(found("mixer", "packed"), expected(arms));
    assert.deepEqual(found("transformer", "packed"), expected([...arms, REFERENCE_START]));
    const padded = preset.padded === null ? [] : [CLM, eemArm(sizes[0]!)];
    assert.deepEqual(found("transformer", "padded"), expected(padded));
    assert.deepEqual(found("mixer", "padded"), []);
    assert.equal(new Set(specs.map((spec) => runId(spec, "key"))).size, specs.length);
  });

  Deno.test(`baselineSpecs() of ${name}: arms differ by their model alone`, () => {
    for (const { family, data, quantizedBits, training } of specs) {
      const { model, seed, schedule: { peakRate, ...schedule }, ...rest } = training;
      assert.equal(data, data.layout === "packed" ? preset.packed : preset.padded);
      assert.ok(preset.seeds.includes(seed));
      assert.deepEqual(schedule, { warmupSteps: preset.warmupSteps, steps: preset.steps });
      assert.equal(peakRate, preset.families[family as "mixer" | "transformer"].peakRate);
      assert.deepEqual(rest, {
        optimizer: ADAMW_DEFAULTS,
        batchSize: preset.batchSize,
        logEvery: preset.logEvery,
        evaluateEvery: preset.evaluateEvery,
      });
      assert.deepEqual(quantizedBits, [2, 3, 4, 8]);
      assert.equal(("backbone" in model ? model.backbone : model.decoder).architecture, family);
    }
  });

  Deno.test(`baselineSpecs() of ${name}: the controls are what their names say`, () => {
    for (const family of ["mixer", "transformer"] as const) {
      const model = (arm: string) =>
        specs.find((spec) => spec.family === family && spec.arm === arm)!.training.model;
      const eem = model(eemArm(preset.embeddingSizes[0]!));
      const [clm, wide, zeros] = [model(CLM), model(WIDE_CLM), model(ZEROS)];
      assert.ok(eem.kind === "augmented" && zeros.kind === "augmented" && clm.kind === "causal");
      assert.deepEqual(zeros.decoder, eem.decoder);
      assert.equal(zeros.memory, "zeros");
      assert.equal(embeddingSize(zeros), 0);
      for (const size of preset.embeddingSizes) {
        assert.equal(embeddingSize(model(eemArm(size))), size);
      }
      // Arms start alike, but for the one that starts as the reference does.
      assert.equal(eem.outerInitialization, "causal");
      assert.equal(zeros.outerInitialization, "causal");
      if (family === "transformer") {
        assert.deepEqual(model(REFERENCE_START), { ...eem, outerInitialization: "pytorch" });
      }
      // The decoder is the causal model with one more slot.
      const contextLength = clm.backbone.contextLength + 1;
      assert.deepEqual(eem.decoder, { ...clm.backbone, contextLength });

      assert.ok(wide.kind === "causal");
      const { width, ...others } = wide.backbone;
      assert.deepEqual({ ...others, width: widthOf(clm) }, clm.backbone);
      const target = parameterCount(eem);
      const distance = (width: number) =>
        Math.abs(
          parameterCount({ ...wide, backbone: { ...wide.backbone, width } }) - target,
        );
      const unit = family === "mixer" ? 1 : 2 * preset.families[family].headCount;
      assert.equal(width % unit, 0, "every head keeps an even width");
      for (let other = unit; other < 2 * width; other += unit) {
        assert.ok(distance(width) <= distance(other), `${other} is nearer than ${width}`);
      }
    }
  });
}
