import assert from "node:assert/strict";
import { join } from "node:path";
import {
  BASELINE_PRESETS,
  baselineSpecs,
  prepareData,
  PROJECT_FOLDERS,
  readPublishedRun,
  runId,
} from "../../lib/experiments/mod.ts";
import { withFiles } from "../text/_temporary.ts";

Deno.test("data/runs holds the runs of preset small, all of them and no others", () =>
  withFiles({}, async (folder) => {
    const keys = new Map<string, string>();
    const expected: string[] = [];
    for (const spec of baselineSpecs(BASELINE_PRESETS.small)) {
      const data = JSON.stringify(spec.data);
      if (!keys.has(data)) {
        const prepared = await prepareData(spec.data, { cacheFolder: join(folder, "cache") });
        keys.set(data, prepared.corpusKey);
      }
      expected.push(runId(spec, keys.get(data)!));
    }
    const found = [...Deno.readDirSync(PROJECT_FOLDERS.published)].map((entry) => entry.name);
    assert.deepEqual(found.sort(), expected.map((id) => `${id}.json`).sort());
    for (const id of expected) {
      const run = await readPublishedRun(PROJECT_FOLDERS, id);
      assert.equal(run!.config.id, id);
      assert.equal(run!.records.at(-1)!.type, "end");
    }
  }));
