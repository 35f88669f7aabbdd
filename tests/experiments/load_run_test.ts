import assert from "node:assert/strict";
import { join } from "node:path";
import { disposeTree, memory } from "../../lib/engine/mod.ts";
import { findRun, findTrainedRun, loadRun, publishRun } from "../../lib/experiments/mod.ts";
import { refusalOf } from "../_refusal.ts";
import { onEveryBackend } from "../_backends.ts";
import { livelyModel } from "../models/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";
import { valuesOf } from "../train/_tiny_training.ts";
import { foldersIn, models, storeTextRun, tokenizer } from "./_text_runs.ts";

onEveryBackend(
  "loadRun() gives model, tokenizer and configuration by folder and by id",
  () =>
    withFiles({}, async (folder) => {
      const folders = foldersIn(folder);
      const model = models.eem();
      const place = await storeTextRun(folder, "eem-1", model, { layout: "padded", seed: 3 });
      const expected = livelyModel(model, 3);
      const before = memory().numTensors;
      const none = { runs: join(folder, "none"), published: join(folder, "none") };
      for (
        const [name, among] of [["eem-1", folders], [place, none], [`${place}/`, none]] as const
      ) {
        const run = await loadRun(name, among);
        assert.equal(run.config.id, "eem-1");
        assert.deepEqual(run.model.config, model);
        assert.equal(run.model.padId, tokenizer.padId);
        assert.equal(run.tokenizer.hash, tokenizer.hash);
        assert.deepEqual(valuesOf(run.model.params), valuesOf(expected));
        disposeTree(run.model.params);
        assert.equal(memory().numTensors, before);
      }
      await storeTextRun(folder, "eem-2", model, { layout: "packed" });
      assert.equal((await findRun("eem-2", folders)).model.padId, null);
      // A folder may have been renamed since.
      await Deno.rename(place, join(folder, "runs", "mine"));
      const { config, model: { params } } = await loadRun("mine", folders);
      assert.equal(config.id, "eem-1");
      disposeTree(params);
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "findRun() says what is there when there is no such run",
  () =>
    withFiles({ "runs/note.txt": "no run", "runs/empty/x": "no run either" }, async (folder) => {
      const folders = foldersIn(folder);
      const start = "expected the folder or the id of a run, found none";
      const nothing = { runs: join(folder, "none"), published: join(folder, "none") };
      for (const name of ["mixer-9", "runs/mixer-9", "empty", "note.txt", ""]) {
        assert.equal(
          await refusalOf(findRun(name, nothing)),
          `${name}: ${start}; train one with deno task train`,
        );
      }
      for (const id of ["a-1", "b-1", "b-22", "c-1", "d-1", "e-1"]) {
        await storeTextRun(folder, id, models.clm());
      }
      // Those that begin alike come first; what has no weights is no run.
      assert.equal(
        await refusalOf(findRun("b-23", folders)),
        `b-23: ${start}; there are b-22, b-1, a-1, c-1, d-1 and 1 more in ${folders.runs}`,
      );
    }),
  { only: ["cpu"] },
);

onEveryBackend("findRun() refuses runs that cannot be used", () =>
  withFiles({}, async (folder) => {
    const folders = foldersIn(folder);
    const place = await storeTextRun(folder, "clm-1", models.clm());
    const without = async (name: string, act: () => Promise<void>) => {
      const path = join(place, name);
      const bytes = await Deno.readFile(path);
      await Deno.remove(path);
      await act();
      await Deno.writeFile(path, bytes);
    };
    const { config } = await findRun("clm-1", folders);
    const configured = (changes: object) =>
      Deno.writeTextFile(join(place, "config.json"), JSON.stringify({ ...config, ...changes }));

    await without("model.safetensors", async () => {
      assert.equal(
        await refusalOf(findRun("clm-1", folders)),
        `${place}: expected a run that has ended, found no weights in it; run the command that ` +
          "started it again, which goes on where it stopped",
      );
    });
    await without("tokenizer.json", async () => {
      assert.match(await refusalOf(findRun("clm-1", folders)), /expected tokenizer\.json beside/);
      const { corpus: _, ...data } = config.spec.data as unknown as Record<string, unknown>;
      await configured({ spec: { ...config.spec, data: { ...data, source: {} } } });
      assert.match(await refusalOf(findRun("clm-1", folders)), /found one on made sequences/);
      const { folder: found, config: { id } } = await findTrainedRun("clm-1", folders);
      assert.deepEqual([found, id], [place, "clm-1"], "it needs no tokenizer");
    });
    await configured({ spec: { ...config.spec, data: undefined } });
    assert.match(await refusalOf(findRun("clm-1", folders)), /config\.json: expected spec\.data/);
    await configured({ spec: { training: { model: { kind: "cubist" } } } });
    assert.match(
      await refusalOf(findRun("clm-1", folders)),
      /config\.json: spec\.training\.model: kind: expected/,
    );
    await configured({ spec: 3 });
    assert.match(await refusalOf(findRun("clm-1", folders)), /config\.json: spec\.training\.model/);
    await Deno.writeTextFile(join(place, "config.json"), "{");
    assert.match(await refusalOf(findRun("clm-1", folders)), /config\.json: expected JSON/);

    await publishRun(folders, { config: { ...config, id: "published-1" }, records: [] });
    assert.match(await refusalOf(findRun("published-1", folders)), /found a published one/);
  }), { only: ["cpu"] });

onEveryBackend("loadRun() refuses weights of another model", () =>
  withFiles({}, async (folder) => {
    const [one, two] = [
      await storeTextRun(folder, "one", models.clm()),
      await storeTextRun(folder, "two", models.eem()),
    ];
    await Deno.copyFile(join(two, "model.safetensors"), join(one, "model.safetensors"));
    assert.match(
      await refusalOf(loadRun("one", foldersIn(folder))),
      /model\.safetensors: expected embedding\.weight .* found no such tensor/,
    );
  }), { only: ["cpu"] });
