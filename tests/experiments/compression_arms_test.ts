import assert from "node:assert/strict";
import {
  COMPRESSION_PARTS,
  compressionFamilies,
  compressionFamily,
  compressionSpecs,
  RANDOM_BYTES,
} from "../../lib/experiments/compression_arms.ts";
import {
  COMPRESSION_PRESETS,
  scaleCompression,
} from "../../lib/experiments/compression_presets.ts";
import { planFile } from "../../lib/codec/mod.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import { runId } from "../../lib/experiments/run_spec.ts";
import { embeddingSize } from "../../lib/models/mod.ts";
import { parseQuantization, storedBits } from "../../lib/qat/mod.ts";
import {
  assertSameModelForAllSeeds,
  assertTrainable,
  assertTrainedAlike,
} from "./_planned_runs.ts";

for (const name of PRESETS) {
  const preset = COMPRESSION_PRESETS[name];
  const specs = compressionSpecs(preset);

  Deno.test(`compressionSpecs() of preset ${name} can be trained, and make files`, () => {
    for (const part of COMPRESSION_PARTS) {
      for (const family of compressionFamilies(preset[part])) {
        const runs = specs.filter((spec) => spec.family === compressionFamily(part, family));
        assertTrainedAlike(runs, preset[part]);
        assertSameModelForAllSeeds(runs);
        assert.equal(new Set(runs.map(({ arm }) => arm)).size, 2);
      }
    }
    for (const spec of specs) {
      assertTrainable(spec);
      for (const { overlap, embedding } of spec.compression!.files) {
        planFile(spec.training.model, 1, {
          overlap,
          ...(embedding !== undefined && { embedding: parseQuantization(embedding) }),
        });
        assert.ok(overlap < spec.data.contextLength);
      }
    }
    assert.equal(new Set(specs.map((spec) => runId(spec, spec.data.layout))).size, specs.length);
  });

  Deno.test(`compressionSpecs() of preset ${name} compares like with like`, () => {
    for (const part of COMPRESSION_PARTS) {
      for (const family of compressionFamilies(preset[part])) {
        const [clm, eem] = [0, 1].map((arm) =>
          specs.filter((spec) => spec.family === compressionFamily(part, family))[
            arm * preset[part].seeds.length
          ]!
        );
        assert.deepEqual(clm!.data, eem!.data);
        assert.deepEqual(clm!.training.schedule, eem!.training.schedule);
        assert.equal(embeddingSize(clm!.training.model), 0);
        assert.equal(embeddingSize(eem!.training.model), preset[part].embeddingSize);
        const overlaps = (spec: typeof clm, embedding?: string) =>
          spec!.compression!.files.filter((file) =>
            file.text.name !== RANDOM_BYTES && file.embedding === embedding
          ).map(({ overlap }) => overlap);
        const { contextLength } = preset[part].data;
        const all = [0, 1, contextLength / 8, contextLength / 2];
        assert.deepEqual(overlaps(clm), all);
        assert.deepEqual(overlaps(eem, preset.embeddings[0]), all);
        for (const embedding of preset.embeddings.slice(1)) {
          assert.deepEqual(overlaps(eem, embedding), [0]);
        }
      }
    }
  });
}

Deno.test("COMPRESSION_PRESETS keep the paper's bits per token at 4 bits a number", () => {
  for (const name of PRESETS) {
    const { embeddings, ...parts } = COMPRESSION_PRESETS[name];
    const bits = embeddings.map((embedding) => storedBits(64, parseQuantization(embedding)) / 64);
    assert.deepEqual(bits, [4, 8, 16]);
    for (const part of COMPRESSION_PARTS) {
      const { embeddingSize, data } = parts[part];
      assert.equal(4 * embeddingSize / data.contextLength, 0.25, `${name}, ${part}`);
    }
  }
});

Deno.test("COMPRESSION_PRESETS quick takes one seed and short texts", () => {
  const { quick, small } = COMPRESSION_PRESETS;
  for (const part of COMPRESSION_PARTS) {
    assert.equal(quick[part].seeds.length, 1);
    assert.ok(small[part].seeds.length >= 3);
    assert.ok(quick[part].heldOutDocuments < small[part].heldOutDocuments);
  }
});

Deno.test("scaleCompression() shortens both parts", () => {
  const { prose, code } = scaleCompression(COMPRESSION_PRESETS.quick, 1 / 2);
  assert.deepEqual([prose.steps, code.steps], [40, 40]);
});
