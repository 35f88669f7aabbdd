import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../../lib/errors.ts";
import {
  OpenRun,
  publishRun,
  readFinishedRun,
  readPublishedRun,
  type RunConfig,
  type RunRecord,
  weightsPath,
} from "../../lib/experiments/run_store.ts";
import { withFiles } from "../text/_temporary.ts";
import { tinySpec } from "./_tiny.ts";

const CONFIG: RunConfig = {
  id: "mixer-eem-2-seed-3",
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
    first.close();

    const again = await OpenRun.open(folders, { ...CONFIG, git: "newer" }, { fresh: false });
    assert.deepEqual(again.records, [EVALUATION]);
    assert.equal(again.config.git, "abc", "the commit that began it");
    assert.deepEqual(await again.readCheckpoint(), Uint8Array.of(1, 2, 3));
    assert.deepEqual(namesIn(runFolder), names);
    assert.equal(await readFinishedRun(folders, CONFIG.id), null);
    again.close();
  }));

/** Leaves a run that was killed while it wrote its second checkpoint. */
async function interruptRun(folders: ReturnType<typeof foldersIn>): Promise<void> {
  const run = await OpenRun.open(folders, CONFIG, { fresh: true });
  await run.append(EVALUATION);
  await run.writeCheckpoint(Uint8Array.of(1));
  run.close();
  const unfinished = join(folders.runs, CONFIG.id, "checkpoint.safetensors.0-1-2.tmp");
  await Deno.writeTextFile(unfinished, "half a che");
}

Deno.test("OpenRun begins anew when it is told to, on another backend too", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    const runFolder = join(folders.runs, CONFIG.id);
    for (const config of [{ ...CONFIG, git: "newer" }, { ...CONFIG, backend: "wasm" }]) {
      await interruptRun(folders);
      const anew = await OpenRun.open(folders, config, { fresh: true });
      assert.deepEqual(anew.records, []);
      assert.deepEqual(anew.config, config);
      assert.equal(await anew.readCheckpoint(), null);
      assert.deepEqual(namesIn(runFolder), ["config.json", "lock"]);
      await anew.finish({ weights: Uint8Array.of(9), tokenizer: "{}" }, [END]);
      anew.close();

      const afterTheEnd = await OpenRun.open(folders, CONFIG, { fresh: true });
      assert.deepEqual(namesIn(runFolder), ["config.json", "lock"]);
      afterTheEnd.close();
    }
  }));

Deno.test("OpenRun refuses to go on with a run of another backend", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    await interruptRun(folders);
    await assert.rejects(
      OpenRun.open(folders, { ...CONFIG, backend: "wasm" }, { fresh: false }),
      (error) =>
        error instanceof UserError && error.message ===
          `${join(folders.runs, CONFIG.id)}: interrupted on backend cpu, cannot go on with wasm; ` +
            "use that backend (KYL_BACKEND=cpu) or train anew (--fresh)",
    );
    const run = await OpenRun.open(folders, CONFIG, { fresh: false });
    assert.deepEqual(run.records, [EVALUATION], "it stays as it was, and free");
    assert.deepEqual(await run.readCheckpoint(), Uint8Array.of(1));
    run.close();
  }));

Deno.test("OpenRun says when a run goes on with another device, or other numbers of threads or workers", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    const said: string[] = [];
    const open = async (engine: RunConfig["engine"], fresh = false) => {
      const config = engine === undefined ? CONFIG : { ...CONFIG, engine };
      const run = await OpenRun.open(folders, config, { fresh, log: (line) => said.push(line) });
      run.close();
      return run.config.engine;
    };
    const begun = { device: "CPU", threads: 4, workers: 1 };
    assert.deepEqual(await open(begun), begun);
    assert.deepEqual(await open(begun), begun);
    assert.deepEqual(said, []);
    for (
      const [change, words] of [
        [{ device: "GPU" }, "GPU, threads 4, workers 1"],
        [{ threads: 1 }, "CPU, threads 1, workers 1"],
        [{ workers: 2 }, "CPU, threads 4, workers 2"],
      ] as const
    ) {
      assert.deepEqual(await open({ ...begun, ...change }), begun, "the engine that began it");
      assert.deepEqual(said.splice(0), [
        `${join(folders.runs, CONFIG.id)}: begun on CPU, threads 4, workers 1; goes on with ` +
        `${words}: the last bits of its numbers may differ`,
      ]);
    }
    const other = { ...begun, threads: 2 };
    assert.deepEqual(await open(other, true), other, "begun anew");
    await open(undefined, true);
    assert.equal(await open(other), undefined, "a run from before engines were kept");
    assert.deepEqual(said, []);
  }));

Deno.test("OpenRun lets one process have a run at a time", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    const first = await OpenRun.open(folders, CONFIG, { fresh: false });
    await first.append(EVALUATION);
    for (const fresh of [false, true]) {
      await assert.rejects(
        OpenRun.open(folders, CONFIG, { fresh }),
        (error) =>
          error instanceof UserError && error.message ===
            `${
              join(folders.runs, CONFIG.id)
            }: another process is training this run; wait for its end`,
      );
    }
    const other = await OpenRun.open(folders, { ...CONFIG, id: "another" }, { fresh: false });
    other.close();
    first.close();
    const next = await OpenRun.open(folders, CONFIG, { fresh: false });
    assert.deepEqual(next.records, [EVALUATION]);
    next.close();
  }));

Deno.test("OpenRun writes a checkpoint when the records before it are on the disk", () =>
  withFiles({}, async (folder) => {
    const run = await OpenRun.open(foldersIn(folder), CONFIG, { fresh: false });
    await assert.rejects(run.writeCheckpoint(Uint8Array.of(1)), Deno.errors.NotFound);
    assert.equal(await run.readCheckpoint(), null, "no checkpoint without records");

    await run.append(EVALUATION);
    const { syncData } = Deno.FsFile.prototype;
    const atSync: (Uint8Array | null)[] = [];
    Deno.FsFile.prototype.syncData = async function () {
      await syncData.call(this);
      atSync.push(await run.readCheckpoint());
    };
    try {
      await run.writeCheckpoint(Uint8Array.of(1));
      await run.writeCheckpoint(Uint8Array.of(2));
    } finally {
      Deno.FsFile.prototype.syncData = syncData;
    }
    assert.deepEqual(atSync, [null, Uint8Array.of(1)], "the checkpoint when records are synced");
    assert.deepEqual(await run.readCheckpoint(), Uint8Array.of(2));
    run.close();
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
    const finished = await run.finish({ weights: Uint8Array.of(9), tokenizer: `{"a":1}` }, [END]);
    run.close();
    assert.deepEqual(await readFinishedRun(folders, CONFIG.id), finished);
    const runFolder = join(folders.runs, CONFIG.id);
    assert.deepEqual(namesIn(runFolder), [
      "config.json",
      "lock",
      "model.safetensors",
      "records.jsonl",
      "tokenizer.json",
    ]);
    assert.deepEqual(await Deno.readFile(weightsPath(folders, CONFIG.id)), Uint8Array.of(9));
    assert.equal(await Deno.readTextFile(join(runFolder, "tokenizer.json")), `{"a":1}`);
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
    run.close();
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
