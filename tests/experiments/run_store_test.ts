import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../../lib/errors.ts";
import { publishRun, readFinishedRun, readPublishedRun } from "../../lib/experiments/mod.ts";
import { OpenRun, type RunConfig, type RunRecord } from "../../lib/experiments/run_store.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinySpec } from "./_tiny.ts";

const CONFIG: RunConfig = {
  id: "mixer-eem-seed-3",
  spec: tinySpec("folder", "eem"),
  facts: {
    parameterCount: 1,
    embeddingSize: 2,
    bytesPerToken: 3,
    meanRealTokens: 4,
    trainWindows: 5,
    heldOutWindows: 6,
  },
  backend: "cpu",
  git: "abc",
};

const EVALUATION: RunRecord = {
  type: "evaluation",
  step: 4,
  tokens: 8,
  lossNats: 2.5,
  scoredTokens: 7,
};
const END: RunRecord = { type: "end", step: 12, tokens: 24, reason: "finished" };

function foldersIn(folder: string) {
  return { runs: join(folder, "runs"), published: join(folder, "published") };
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
}

Deno.test("OpenRun keeps an interrupted run's records, and nothing of unfinished writes", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    const first = await OpenRun.open(folders, CONFIG, { fresh: false });
    await first.append(EVALUATION);
    await first.writeCheckpoint(Uint8Array.of(1, 2, 3));
    const runFolder = join(folders.runs, CONFIG.id);
    const names = namesIn(runFolder);
    await Deno.writeTextFile(join(runFolder, "checkpoint.safetensors.0-1-2.tmp"), "half a che");
    await Deno.writeTextFile(join(runFolder, "records.jsonl"), `{"type":"tr`, { append: true });

    const again = await OpenRun.open(folders, { ...CONFIG, git: "newer" }, { fresh: false });
    assert.deepEqual(again.records, [EVALUATION]);
    assert.equal(again.config.git, "abc", "the commit that began it");
    assert.deepEqual(await again.readCheckpoint(), Uint8Array.of(1, 2, 3));
    assert.deepEqual(namesIn(runFolder), names);
    assert.equal(await readFinishedRun(folders, CONFIG.id), null);
  }));

Deno.test("OpenRun begins anew when it is told to, and on another backend", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    for (
      const [config, fresh] of [[CONFIG, true], [{ ...CONFIG, backend: "wasm" }, false]] as const
    ) {
      const old = await OpenRun.open(folders, CONFIG, { fresh: true });
      await old.append(EVALUATION);
      await old.writeCheckpoint(Uint8Array.of(1));
      const anew = await OpenRun.open(folders, config, { fresh });
      assert.deepEqual(anew.records, []);
      assert.equal(await anew.readCheckpoint(), null);
    }
  }));

Deno.test("readFinishedRun() wants the end, and reads what was written", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    assert.equal(await readFinishedRun(folders, CONFIG.id), null);
    const run = await OpenRun.open(folders, CONFIG, { fresh: false });
    await run.append(EVALUATION);
    await run.writeCheckpoint(Uint8Array.of(1));
    await run.append({ ...END, reason: "stopped" });
    assert.equal(await readFinishedRun(folders, CONFIG.id), null, "stopped is not finished");
    const finished = await run.finish(Uint8Array.of(9), [END]);
    assert.deepEqual(await readFinishedRun(folders, CONFIG.id), finished);
    assert.deepEqual(namesIn(join(folders.runs, CONFIG.id)), [
      "config.json",
      "model.safetensors",
      "records.jsonl",
    ]);
  }));

Deno.test("publishRun() writes what readPublishedRun() reads, a record a line", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    assert.equal(await readPublishedRun(folders, CONFIG.id), null);
    const run = { config: CONFIG, records: [EVALUATION, END] };
    await publishRun(folders, run);
    assert.deepEqual(await readPublishedRun(folders, CONFIG.id), run);
    const text = await Deno.readTextFile(join(folders.published, `${CONFIG.id}.json`));
    assert.ok(text.split("\n").some((line) => line.trim() === JSON.stringify(END)));
  }));

Deno.test("damaged files of a run are named", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    const run = await OpenRun.open(folders, CONFIG, { fresh: false });
    await run.append(EVALUATION);
    const path = join(folders.runs, CONFIG.id, "records.jsonl");
    await Deno.writeTextFile(path, `not json\n{"type":"end"}\n`, { append: true });
    await assert.rejects(
      readFinishedRun(folders, CONFIG.id),
      (error) => error instanceof UserError && error.message.startsWith(`${path}:2: expected`),
    );
    await Deno.writeTextFile(join(folders.runs, CONFIG.id, "config.json"), "{");
    await assert.rejects(
      readFinishedRun(folders, CONFIG.id),
      (error) => error instanceof UserError && /config\.json: expected JSON/.test(error.message),
    );
  }));
