/** Notebook 01's runs, made tiny, on a dataset of the Hub and on a folder: nothing else is changed. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { initEngine } from "../../lib/engine/mod.ts";
import {
  armTable,
  BASELINE_PRESETS,
  baselineClaims,
  baselineControls,
  type BaselinePreset,
  baselineSpecs,
  claimContext,
  embeddingTable,
  leadsAndPrices,
  lossCurves,
  paddedTable,
  readFinishedRun,
  runAll,
  type RunResult,
  summarizeArms,
  type TextPlace,
  withText,
} from "../../lib/experiments/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { optionsIn } from "./_tiny_runs.ts";
import { withHub } from "../text/_hub_server.ts";
import { parquetFile } from "../text/_parquet.ts";
import { withFiles } from "../text/_temporary.ts";

await initEngine({ backend: "wasm", log: () => {} });

const { paper } = BASELINE_PRESETS;
const SIZES = { vocabSize: 300, contextLength: 16, heldOutWindows: 8 };
const WIDTHS = { width: 8, encoderWidth: 4, layerCount: 1, headCount: 2 };

/** The paper's preset, as small as it can be trained. */
const TINY: BaselinePreset = {
  ...paper,
  packed: { ...paper.packed, ...SIZES },
  padded: { ...paper.padded!, ...SIZES },
  families: {
    mixer: { ...paper.families.mixer, ...WIDTHS },
    transformer: { ...paper.families.transformer, ...WIDTHS },
  },
  embeddingSizes: [2],
  batchSize: 8,
  steps: 6,
  warmupSteps: 1,
  logEvery: 2,
  evaluateEvery: 3,
  seeds: [42, 43],
};

const random = createRandom(1).stream("documents");
const WORDS = [
  "the",
  "sum",
  "of",
  "two",
  "primes",
  "is",
  "even",
  "∑",
  "when",
  "both",
  "are",
  "odd",
];
const TEXTS = Array.from({ length: 300 }, () =>
  Array.from(
    { length: 5 + Math.floor(40 * random.uniform()) },
    () => WORDS[Math.floor(WORDS.length * random.uniform())]!,
  ).join(" "));

/** All that the notebook makes of its runs. */
function assertTold(results: readonly RunResult[]): void {
  const arms = summarizeArms(results);
  assert.ok(arms.some(({ layout }) => layout === "padded"));
  for (const rows of [armTable(arms), embeddingTable(arms), paddedTable(arms)]) {
    assert.ok(rows.length > 0);
  }
  for (const rows of [lossCurves(arms), leadsAndPrices(arms), baselineControls(results)]) {
    assert.ok(rows.length > 0);
  }
  const parameters = { preset: "paper", fresh: false } as const;
  const claims = baselineClaims(results, claimContext(parameters, results));
  assert.ok(claims.length > 3);
}

async function assertRuns(folder: string, text: TextPlace, endpoint?: string): Promise<void> {
  const specs = baselineSpecs(TINY).map((spec) => withText(spec, text));
  const options = {
    ...optionsIn(folder),
    workers: 1,
    ...(endpoint !== undefined && { hub: { endpoint, retry: { attempts: 1 } } }),
  };
  const results = await runAll(specs, options);
  assert.equal(results.length, specs.length);
  assert.ok(specs.length >= 22, `${specs.length} runs`);
  for (const { config: { id, facts }, records } of results) {
    assert.notEqual(await readFinishedRun(options.folders, id), null);
    assert.ok(facts.bytesPerToken > 1);
    const losses = records.flatMap((record) => record.type === "evaluation" ? [record] : []);
    assert.deepEqual(losses.map(({ step }) => step), [3, 6]);
    assert.ok(losses.every(({ lossNats }) => lossNats > 1 && lossNats < Math.log(300) + 1));
  }
  assertTold(results);
  const again = await runAll(specs, options);
  assert.ok(again.every(({ source }) => source === "stored"));
}

Deno.test("notebook 01 runs on a dataset of the Hub, which is then needed no more", () =>
  withFiles({}, async (folder) => {
    const files = {
      "data/train-00000.parquet": parquetFile(TEXTS.slice(0, 160), { rowGroupSize: 50 }),
      "data/train-00001.parquet": parquetFile(TEXTS.slice(160), { codec: "SNAPPY" }),
    };
    await withHub(files, async (server) => {
      await assertRuns(folder, { corpus: "hf:owner/name" }, server.endpoint);
      const asked = server.requests.length;
      await assertRuns(folder, { corpus: "hf:owner/name" }, server.endpoint);
      assert.equal(server.requests.length, asked);
    });
  }));

Deno.test("notebook 01 runs on folders of text, held in memory or read from shards", () => {
  const lines = TEXTS.map((text) => JSON.stringify({ text })).join("\n");
  return withFiles(
    {
      "plain/corpus.jsonl": lines,
      "mixed/corpus.jsonl.zst": lines,
      "mixed/more.parquet": parquetFile(TEXTS.map((text) => `${text}.`)),
    },
    async (folder) => {
      for (const name of ["plain", "mixed"]) {
        await assertRuns(join(folder, `runs on ${name}`), { corpus: join(folder, name) });
      }
    },
  );
});
