import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { decompress } from "../../lib/codec/mod.ts";
import { countElements, disposeTree, type Tree } from "../../lib/engine/mod.ts";
import {
  fileBitsPerByte,
  findRun,
  loadCodecModel,
  makeModelFile,
} from "../../lib/experiments/mod.ts";
import { onEveryBackend } from "../_backends.ts";
import { refusalOf } from "../_refusal.ts";
import { withFiles } from "../text/_temporary.ts";
import { foldersIn, models, OWN_TEXT, storeTextRun } from "./_text_runs.ts";

const onCpu = { only: ["cpu"] } as const;

/** The hash of a run's model, which is freed. */
async function hashOf(folder: string, id: string): Promise<string> {
  const model = await loadCodecModel(id, foldersIn(folder));
  disposeTree(model.params);
  return model.hash;
}

onEveryBackend(
  "loadCodecModel() says which model it is and how large",
  () =>
    withFiles({}, async (folder) => {
      const place = await storeTextRun(folder, "clm-1", models.clm());
      const files = ["model.safetensors", "tokenizer.json"].map((name) =>
        Deno.readFileSync(join(place, name))
      );
      const { spec } = JSON.parse(Deno.readTextFileSync(join(place, "config.json")));
      const weights = createHash("sha256").update(files[0]!).digest("hex");
      const expected = createHash("sha256")
        .update(weights + JSON.stringify(spec.training.model)).digest("hex");
      const found = await findRun("clm-1", foldersIn(folder));
      for (const run of ["clm-1", place, found]) {
        const model = await loadCodecModel(run, foldersIn(folder));
        assert.equal(model.hash, expected);
        assert.equal(model.id, "clm-1");
        assert.equal(model.modelBytes, 4 * countElements(model.params) + files[1]!.length);
        assert.deepEqual(model.config, spec.training.model);
        disposeTree(model.params);
      }
    }),
  onCpu,
);

onEveryBackend(
  "loadCodecModel() counts no weights that a reader of its files does not need",
  () =>
    withFiles({}, async (folder) => {
      const place = await storeTextRun(folder, "eem-1", models.eem());
      const { params, modelBytes } = await loadCodecModel("eem-1", foldersIn(folder));
      const { encoder: _, down: __, ...needed } = params as Readonly<Record<string, Tree>>;
      const { size } = await Deno.stat(join(place, "tokenizer.json"));
      assert.equal(modelBytes, 4 * countElements(needed) + size);
      assert.ok(modelBytes < 4 * countElements(params) + size);
      disposeTree(params);
    }),
  onCpu,
);

onEveryBackend(
  "loadCodecModel() knows a model by its weights and configuration, not its id",
  () =>
    withFiles({}, async (folder) => {
      await storeTextRun(folder, "clm-1", models.clm());
      await storeTextRun(folder, "copy-1", models.clm());
      await storeTextRun(folder, "clm-2", models.clm(), { seed: 2 });
      // Another context has the same weights.
      await storeTextRun(folder, "long-1", models.clm(16));
      const [own, copied, other, longer] = [
        await hashOf(folder, "clm-1"),
        await hashOf(folder, "copy-1"),
        await hashOf(folder, "clm-2"),
        await hashOf(folder, "long-1"),
      ];
      assert.equal(copied, own);
      assert.equal(new Set([own, other, longer]).size, 3);
    }),
  onCpu,
);

onEveryBackend(
  "loadCodecModel() says what is missing as findRun() does",
  () =>
    withFiles({}, async (folder) => {
      const place = await storeTextRun(folder, "clm-1", models.clm());
      assert.equal(
        await refusalOf(loadCodecModel("clm-9", foldersIn(folder))),
        "clm-9: expected the folder or the id of a run, found none; there are clm-1 in " +
          foldersIn(folder).runs,
      );
      await Deno.remove(join(place, "tokenizer.json"));
      assert.equal(
        await refusalOf(loadCodecModel("clm-1", foldersIn(folder))),
        `${place}: expected tokenizer.json beside the weights, found none; copy it from where the ` +
          "run was trained",
      );
    }),
  onCpu,
);

onEveryBackend(
  "makeModelFile() makes a file that decodes, and says how long both took",
  () =>
    withFiles({}, async (folder) => {
      for (const name of ["clm", "eem"] as const) {
        await storeTextRun(folder, name, models[name]());
        const model = await loadCodecModel(name, foldersIn(folder));
        const original = new TextEncoder().encode(OWN_TEXT);
        const seen: string[] = [];
        const made = await makeModelFile(model, original, {
          overlap: 3,
          lanes: 2,
          onProgress: ({ phase, done, total }) => {
            seen.push(`${phase} ${done === total ? "done" : "on"}`);
          },
        });
        assert.deepEqual([made.name, made.modelBytes], [name, model.modelBytes]);
        assert.equal(made.bytes, made.file.length);
        assert.deepEqual([made.report.overlap, made.report.lanes], [3, 2]);
        assert.ok(made.encodeSeconds > 0 && made.decodeSeconds! > 0);
        assert.ok(seen.includes("compressing done"));
        assert.equal(seen.includes("decompressing done"), !made.report.isStored);
        assert.deepEqual(await decompress(model, made.file), original);
        const unproven = await makeModelFile(model, original, {
          overlap: 3,
          lanes: 2,
          verify: false,
        });
        assert.equal(unproven.decodeSeconds, null);
        assert.deepEqual(unproven.file, made.file);
        disposeTree(model.params);
      }
    }),
  onCpu,
);

onEveryBackend(
  "makeModelFile() ends when it is aborted, in the middle of a window",
  () =>
    withFiles({}, async (folder) => {
      await storeTextRun(folder, "clm", models.clm(64));
      const model = await loadCodecModel("clm", foldersIn(folder));
      const original = new TextEncoder().encode(OWN_TEXT.repeat(50));
      const reason = new Error("enough");
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 0);
      let rounds = 0;
      const { signal } = controller;
      const work = makeModelFile(model, original, { signal, onProgress: () => void rounds++ });
      await assert.rejects(work, reason);
      assert.equal(rounds, 0);
      disposeTree(model.params);
    }),
  onCpu,
);

Deno.test("fileBitsPerByte() has no answer for nothing", () => {
  assert.equal(fileBitsPerByte(30, 120), 2);
  assert.equal(fileBitsPerByte(64, 0), null);
});
