import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AUTOENCODER_PRESETS,
  autoencoderSpecs,
  BASELINE_PRESETS,
  baselineSpecs,
  COMPRESSION_PRESETS,
  compressionSpecs,
  ENTROPY_TRAINING_PRESETS,
  entropyTrainingSpecs,
  HANDOVER_PRESETS,
  handoverSpecs,
  KNOWN_ENTROPY_PRESETS,
  knownEntropySpecs,
  prepareData,
  PROJECT_FOLDERS,
  QUANTIZATION_PRESETS,
  quantizationSpecs,
  readPublishedRun,
  runId,
  TOKEN_ENTROPY_PRESETS,
  tokenEntropySpecs,
} from "../../lib/experiments/mod.ts";
import { withFiles } from "../text/_temporary.ts";

Deno.test("data/runs holds the runs of preset small, all of them and no others", () =>
  withFiles({}, async (folder) => {
    const keys = new Map<string, string>();
    // Notebook 03 shows some of notebook 02's runs again; runs that others need are not published,
    // unless they are shown as well.
    const expected = new Set<string>();
    const specs = [
      ...baselineSpecs(BASELINE_PRESETS.small),
      ...autoencoderSpecs(AUTOENCODER_PRESETS.small),
      ...handoverSpecs(HANDOVER_PRESETS.small),
      ...tokenEntropySpecs(TOKEN_ENTROPY_PRESETS.small),
      ...knownEntropySpecs(KNOWN_ENTROPY_PRESETS.small),
      ...entropyTrainingSpecs(ENTROPY_TRAINING_PRESETS.small),
      ...quantizationSpecs(QUANTIZATION_PRESETS.small),
      ...compressionSpecs(COMPRESSION_PRESETS.small),
    ];
    for (const spec of specs) {
      const data = JSON.stringify(spec.data);
      if (!keys.has(data)) {
        const prepared = await prepareData(spec.data, { cacheFolder: join(folder, "cache") });
        keys.set(data, prepared.corpusKey);
      }
      expected.add(runId(spec, keys.get(data)!));
    }
    const found = [...Deno.readDirSync(PROJECT_FOLDERS.published)].map((entry) => entry.name);
    assert.deepEqual(found.sort(), [...expected].map((id) => `${id}.json`).sort());
    for (const id of expected) {
      const run = await readPublishedRun(PROJECT_FOLDERS, id);
      assert.equal(run!.config.id, id);
      assert.equal(run!.records.at(-1)!.type, "end");
    }
  }));
