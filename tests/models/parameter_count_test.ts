import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { countElements } from "../../lib/engine/mod.ts";
import { initModel, parameterCount } from "../../lib/models/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { onEveryBackend } from "../_backends.ts";
import { configOf, GOLDEN_NAMES, loadGolden, type ReferenceConfig } from "./_golden.ts";
import { TINY_MODELS, transformer } from "./_tiny.ts";

const paper: Record<string, { config: ReferenceConfig; total: number }> = JSON.parse(
  readFileSync(new URL("../golden/models/parameter_counts.json", import.meta.url), "utf8"),
);

for (const [name, { config, total }] of Object.entries(paper)) {
  Deno.test(`parameterCount() of the paper's ${name} is PyTorch's`, () => {
    assert.equal(parameterCount(configOf(config)), total);
  });
}

onEveryBackend("parameterCount() counts the tree that initModel() makes", () => {
  const configs = [
    ...Object.values(TINY_MODELS),
    ...GOLDEN_NAMES.map((name) => loadGolden(name).config),
    { kind: "augmented", memory: "zeros", decoder: transformer(6) } as const,
  ];
  for (const config of configs) {
    assert.equal(
      parameterCount(config),
      countElements(initModel(config, createRandom(1))),
      JSON.stringify(config),
    );
  }
}, { only: ["cpu"] });
