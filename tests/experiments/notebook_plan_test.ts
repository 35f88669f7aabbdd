import assert from "node:assert/strict";
import {
  architectureOf,
  notebookSpecs,
  trainedMultiplyAdds,
  trainedTokens,
} from "../../lib/experiments/notebook_plan.ts";
import { PRESETS } from "../../lib/experiments/presets.ts";
import { tinySpec } from "./_tiny.ts";

const NOTEBOOKS = [...Deno.readDirSync(new URL("../../notebooks", import.meta.url))]
  .map(({ name }) => name.replace(/\.ipynb$/, "")).filter((name) => /^\d\d_/.test(name)).sort();

/** The tour, and the measurement of speed. */
const trainsNothing = (name: string) => /^0[09]_/.test(name);

Deno.test("notebookSpecs() knows the runs of every notebook that compares models", () => {
  assert.ok(NOTEBOOKS.length >= 8);
  for (const preset of PRESETS) {
    for (const name of NOTEBOOKS) {
      const specs = notebookSpecs(name, preset);
      assert.equal(specs.length > 0, !trainsNothing(name), name);
    }
  }
  const architectures = new Set(notebookSpecs("03_handing_over", "paper").map(architectureOf));
  assert.deepEqual([...architectures].sort(), ["lstm", "mixer", "transformer"]);
});

Deno.test("a notebook's code asks for the specifications that notebookSpecs() gives", () => {
  const asked: Readonly<Record<string, string>> = {
    "01": "baselineSpecs",
    "02": "autoencoderSpecs",
    "03": "handoverSpecs",
    "04": "tokenEntropySpecs",
    "05": "knownEntropySpecs",
    "06": "entropyTrainingSpecs",
    "07": "quantizationSpecs",
    "08": "compressionSpecs",
  };
  for (const name of NOTEBOOKS.filter((name) => !trainsNothing(name))) {
    const url = new URL(`../../notebooks/${name}.ipynb`, import.meta.url);
    const text = Deno.readTextFileSync(url);
    assert.ok(text.includes(`experiments.${asked[name.slice(0, 2)]}(sizes)`), name);
  }
});

Deno.test("trainedTokens() and trainedMultiplyAdds() of a run follow from its steps", () => {
  const spec = tinySpec("", "clm"); // 12 steps of 8 samples of 8 tokens
  assert.equal(trainedTokens(spec), 12 * 8 * 8);
  // A block of a mixer of width 8, and a head of 270 entries.
  assert.equal(trainedMultiplyAdds(spec), 12 * 8 * (8 ** 3 + 8 * 8 ** 3 + 8 * 8 * 270));
});
