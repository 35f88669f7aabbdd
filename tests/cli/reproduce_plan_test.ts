import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { projectAt } from "../../lib/cli/_project.ts";
import { checkCorpus, type Probe, textLines, timeLines } from "../../lib/cli/_reproduce_plan.ts";
import { withText } from "../../lib/experiments/run_spec.ts";
import { tinyLatentSpec, tinySpec } from "../experiments/_tiny.ts";
import { withHub } from "../text/_hub_server.ts";
import { parquetFile } from "../text/_parquet.ts";
import { refusalOf } from "../_refusal.ts";
import { withFiles } from "../text/_temporary.ts";

const PROBE: Probe = {
  backend: "tensorflow",
  device: "CPU",
  speeds: [{
    architecture: "mixer",
    preset: "quick",
    arm: "CLM",
    tokensPerSecond: 12_345.6,
    multiplyAddsPerSecond: 1e6,
  }],
};

Deno.test("timeLines() says what was measured, and how long runs take by their multiply-adds", () => {
  const spec = tinySpec("", "clm");
  const seconds = 2 * 12 * 8 * (9 * 8 ** 3 + 8 * 8 * 270) / 1e6;
  assert.equal(Math.round(seconds), 4);
  const plans = [{ name: "01_some", specs: [spec, spec] }];
  assert.deepEqual(timeLines(plans, PROBE), [
    "measured: 12,346 tokens/s of the mixer CLM of preset quick (tensorflow, CPU); other models " +
    "by their multiply-adds",
    "01_some: 2 runs, 0.0 million tokens, about 4 s of training if none is stored, without " +
    "evaluations",
  ]);
  const slow = (multiplyAddsPerSecond: number) =>
    timeLines(plans, {
      ...PROBE,
      speeds: [{ ...PROBE.speeds[0]!, multiplyAddsPerSecond }],
    })[1]!;
  assert.match(slow(10), / about 4\.9 days of training /);
  assert.match(slow(0.05), / about 2\.7 years of training /);
});

/** Runs `use` with the Hub at an address. */
async function withEndpoint(endpoint: string, use: () => Promise<void>): Promise<void> {
  const before = Deno.env.get("HF_ENDPOINT");
  Deno.env.set("HF_ENDPOINT", endpoint);
  try {
    await use();
  } finally {
    if (before === undefined) Deno.env.delete("HF_ENDPOINT");
    else Deno.env.set("HF_ENDPOINT", before);
  }
}

Deno.test("textLines() says what of the Hub's text is missing, and how much it takes stored", () =>
  withFiles({}, async (cache) => {
    const texts = Array.from({ length: 400 }, (_, i) => `document ${i} `.repeat(20));
    const files = {
      "data/a.parquet": parquetFile(texts, { rowGroupSize: 100 }),
      "data/b.parquet": parquetFile(texts.slice(0, 150), { rowGroupSize: 100 }),
    };
    await withHub(files, (server) =>
      withEndpoint(server.endpoint, async () => {
        const project = { ...projectAt(), cache };
        const clm = tinySpec("", "clm");
        const sentences = { ...clm, data: { ...clm.data, unit: "sentence" } as const };
        const specs = [clm, sentences, clm].map((spec) =>
          withText(spec, { corpus: "hf:owner/name" })
        );
        const lines = await textLines(project, [...specs, tinyLatentSpec()]);
        assert.equal(lines.length, 3);
        assert.match(lines[0]!, /^text: hf:owner\/name, 550 documents, licence /);
        const size = (Object.values(files).reduce((sum, { length }) => sum + length, 0) / 1000)
          .toFixed(1);
        assert.equal(lines[1], `download: ${size} kB of ${size} kB to .cache/hub`);
        assert.match(lines[2]!, /^store: about .* of token ids to \.cache\/shards, 2 times: /);

        const [, few] = await textLines(project, [
          withText(clm, { corpus: "hf:owner/name", limit: 200 }),
        ]);
        assert.notEqual(few, lines[1]);
      }));
  }));

Deno.test("textLines() goes by data/manifest.json where the Hub cannot be reached", () =>
  withFiles({}, (cache) =>
    withEndpoint("http://127.0.0.1:9", async () => {
      const project = { ...projectAt(), cache };
      const place = { corpus: "fineweb-edu", limit: 967_210 };
      const lines = await textLines(project, [withText(tinySpec("", "clm"), place)]);
      assert.match(lines[0]!, /^text: fineweb-edu, 967,210 documents, licence odc-by \(by data/);
      assert.equal(lines[1], "download: 2.8 GB of 2.8 GB to .cache/hub");
      assert.equal(lines[2], "store: about 2.4 GB of token ids to .cache/shards");
      assert.deepEqual(await textLines(project, [tinySpec("some/folder", "clm")]), [
        "text: some/folder/corpus.jsonl, which is here",
      ]);
    })));

Deno.test("checkCorpus() makes paths absolute, leaves names, and refuses what leads nowhere", () =>
  withFiles({ "texts/a.txt": "some text" }, async (folder) => {
    assert.equal(await checkCorpus({}), undefined);
    for (const name of ["finemath", "hf:owner/name"]) {
      assert.equal(await checkCorpus({ corpus: name, limit: 3 }), name);
    }
    const path = join(folder, "texts");
    assert.equal(await checkCorpus({ corpus: path }), path);
    assert.equal(await checkCorpus({ corpus: relative(Deno.cwd(), path) }), path);
    assert.equal(await checkCorpus({ corpus: join(path, "*.txt") }), join(path, "*.txt"));
    assert.match(
      await refusalOf(checkCorpus({ corpus: join(folder, "nowhere") })),
      /nowhere: expected a file, a folder/,
    );
    assert.match(await refusalOf(checkCorpus({ limit: 3 })), /^--limit does nothing without/);
  }));
