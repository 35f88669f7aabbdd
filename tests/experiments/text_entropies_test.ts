import assert from "node:assert/strict";
import { memory } from "../../lib/engine/mod.ts";
import { estimateText, type EstimatorName } from "../../lib/entropy/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  defaultEstimator,
  entropyTable,
  estimateTable,
  loadRun,
  planText,
  textEntropies,
  type TextEntropyOptions,
} from "../../lib/experiments/mod.ts";
import { trainTokenizer } from "../../lib/tokenizer/mod.ts";
import { refusalOf } from "../_refusal.ts";
import { onEveryBackend } from "../_backends.ts";
import { withFiles } from "../text/_temporary.ts";
import {
  CONTEXT,
  foldersIn,
  HARD_TEXT,
  models,
  OWN_TEXT,
  storeTextRun,
  tokenizer,
  VOCABULARY,
} from "./_text_runs.ts";

Deno.test("defaultEstimator() gives nats, or says why there are none", () => {
  const { padId } = tokenizer;
  const expected: readonly (readonly [keyof typeof models, number | null, EstimatorName])[] = [
    ["clm", null, "loss"],
    ["clm", padId, "loss"],
    ["zeros", null, "loss"],
    ["eem", padId, "pad-shift"],
    ["2eem", null, "second-order"],
  ];
  for (const [name, padId, estimator] of expected) {
    assert.equal(defaultEstimator({ config: models[name](), padId }), estimator);
  }
  assert.throws(
    () => defaultEstimator({ config: models.eem(), padId: null }),
    (error) =>
      error instanceof UserError && /found one trained on packed ones;/.test(error.message),
  );
  assert.throws(
    () => defaultEstimator({ config: models.autoencoder(), padId: null }),
    (error) => error instanceof UserError && /found an autoencoder;/.test(error.message),
  );
});

onEveryBackend(
  "textEntropies() gives what estimateText() gives of the loaded models",
  () =>
    withFiles({}, async (folder) => {
      const folders = foldersIn(folder);
      await storeTextRun(folder, "clm-1", models.clm(), { seed: 1 });
      await storeTextRun(folder, "clm-2", models.clm(), { seed: 2 });
      await storeTextRun(folder, "short-1", models.clm(CONTEXT - 1), { seed: 3 });
      await storeTextRun(folder, "eem-1", models.eem(), { layout: "padded" });
      const [one, two, shorter, eem] = [
        (await loadRun("clm-1", folders)).model,
        (await loadRun("clm-2", folders)).model,
        (await loadRun("short-1", folders)).model,
        (await loadRun("eem-1", folders)).model,
      ];
      const before = memory().numTensors;
      const cases: [Omit<TextEntropyOptions, "folders">, EstimatorName, "nats" | null, unknown][] =
        [
          [{ run: "clm-1" }, "loss", "nats", await estimateText("loss", one, tokenizer, OWN_TEXT)],
          [
            { run: ["clm-1", "clm-2"], estimator: "predictive-entropy" },
            "predictive-entropy",
            "nats",
            await estimateText("predictive-entropy", [one, two], tokenizer, OWN_TEXT),
          ],
          [
            { run: "clm-1", shorter: "short-1" },
            "two-window",
            "nats",
            await estimateText("two-window", one, tokenizer, OWN_TEXT, { shorter }),
          ],
          [
            { run: "eem-1", batchSize: 3 },
            "pad-shift",
            "nats",
            await estimateText("pad-shift", eem, tokenizer, OWN_TEXT, { batchSize: 3 }),
          ],
          [
            { run: "eem-1", estimator: "occlusion-cosine" },
            "occlusion-cosine",
            null,
            await estimateText("occlusion-cosine", eem, tokenizer, OWN_TEXT),
          ],
        ];
      for (const [options, estimator, unit, records] of cases) {
        const found = await textEntropies(OWN_TEXT, { ...options, folders });
        assert.equal(found.estimator, estimator);
        assert.equal(found.unit, unit);
        assert.deepEqual(found.runs.map(({ id }) => id), [options.run].flat());
        assert.deepEqual(found.records, records);
      }
      assert.equal(memory().numTensors, before);
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "textEntropies() has the unit of what a second-order model learned",
  () =>
    withFiles({}, async (folder) => {
      const folders = foldersIn(folder);
      await storeTextRun(folder, "nats", models["2eem"](), { teacher: "pad-shift" });
      await storeTextRun(folder, "none", models["2eem"](), { teacher: "occlusion-l1" });
      for (const [run, unit] of [["nats", "nats"], ["none", null]] as const) {
        const found = await textEntropies(OWN_TEXT, { run, folders });
        assert.equal(found.estimator, "second-order");
        assert.equal(found.unit, unit);
      }
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "entropyTable() has a row a token, in nats and bits",
  () =>
    withFiles({}, async (folder) => {
      const folders = foldersIn(folder);
      await storeTextRun(folder, "clm-1", models.clm(), { seed: 1 });
      await storeTextRun(folder, "clm-2", models.clm(), { seed: 2 });
      const options = { run: ["clm-1", "clm-2"], folders };
      const table = await entropyTable(OWN_TEXT, options);
      assert.deepEqual(table.columnNames(), [
        "position",
        "text",
        "id",
        "nats",
        "bits",
        "standardErrorBits",
      ]);
      const { records } = await textEntropies(OWN_TEXT, options);
      const inBits = (nats: number | null) => nats === null ? null : nats / Math.log(2);
      assert.deepEqual(
        table.objects(),
        records.map(({ position, id, estimate, standardError }) => ({
          position,
          text: table.get("text", position),
          id,
          nats: estimate,
          bits: inBits(estimate),
          standardErrorBits: inBits(standardError),
        })),
      );
      assert.ok(records.at(-1)!.standardError! > 0);
      assert.equal(table.array("text").join(""), OWN_TEXT);
      const hard = `\ufeff${HARD_TEXT}\ufeff`;
      assert.equal((await entropyTable(hard, options)).array("text").join(""), hard);
    }),
  { only: ["cpu"] },
);

Deno.test("estimateTable() gives a cut character to the token that completes it", () => {
  const encoder = new TextEncoder();
  const [smile, accent] = [encoder.encode("🙂"), encoder.encode("é")];
  const tokens = [
    encoder.encode("\ufeffa\n"),
    smile.subarray(0, 1),
    smile.subarray(1, 3),
    Uint8Array.of(smile[3]!, 0x62, accent[0]!),
    accent.subarray(1),
    encoder.encode("\r\n\t"),
  ];
  const records = tokens.map((bytes, position) => {
    return { id: 5, text: "shown", position, estimate: 1, standardError: null, bytes };
  });
  const table = estimateTable({ records, unit: "nats" });
  assert.deepEqual(table.array("text"), ["\ufeffa\n", "", "", "🙂b", "é", "\r\n\t"]);
});

Deno.test("estimateTable() of attributions has no bits", () => {
  const record = { id: 5, text: "a", position: 0, estimate: 2, standardError: 0.5 };
  assert.deepEqual(estimateTable({ records: [record], unit: null }).objects(), [
    { position: 0, text: "a", id: 5, estimate: 2, standardError: 0.5 },
  ]);
});

onEveryBackend(
  "planText() refuses what does not fit together",
  () =>
    withFiles({}, async (folder) => {
      const folders = foldersIn(folder);
      const other = trainTokenizer(["other texts, other merges: ".repeat(9)], {
        vocabSize: VOCABULARY,
      });
      await storeTextRun(folder, "clm-1", models.clm());
      await storeTextRun(folder, "other-1", models.clm(), { tokenizer: other });
      await storeTextRun(folder, "eem-1", models.eem());
      await storeTextRun(folder, "padded-1", models.eem(), { layout: "padded" });
      await storeTextRun(folder, "short-1", models.clm(CONTEXT - 1));
      const refusal = (options: Omit<TextEntropyOptions, "folders">, text = OWN_TEXT) =>
        refusalOf(planText(text, { ...options, folders }));
      assert.match(await refusal({ run: [] }), /^expected a run or several, found none$/);
      assert.match(
        await refusal({ run: ["clm-1", "other-1"] }),
        /^other-1: expected the tokenizer of clm-1, found another; /,
      );
      assert.match(
        await refusal({ run: "eem-1" }),
        /^eem-1: expected an augmented model trained on/,
      );
      assert.match(
        await refusal({ run: ["clm-1", "padded-1"] }),
        /^expected runs .* found clm-1 by loss and padded-1 by pad-shift; /,
      );
      assert.match(await refusal({ run: "clm-1", estimator: "pad-shift" }), /^pad-shift: expected/);
      assert.match(await refusal({ run: "clm-1" }, "t"), /^expected a text of two tokens or more/);
      assert.match(
        await refusal({ run: "eem-1", estimator: "loss" }, "the st"),
        /^expected a text of 8 tokens or more/,
      );
      assert.match(
        await refusal({ run: ["clm-1", "clm-1"], shorter: "short-1" }),
        /^two-window: expected a shorter model for each of 2, found 1$/,
      );
      assert.match(
        await refusal({ run: "clm-1", shorter: "short-1", estimator: "loss" }),
        /^loss: expected no shorter model, found 1; /,
      );
      assert.match(
        await refusal({ run: "clm-1", shorter: "clm-1" }),
        /^two-window: expected a second model of windows of 7 tokens/,
      );
    }),
  { only: ["cpu"] },
);

onEveryBackend(
  "textEntropies() refuses weights that give no finite numbers",
  () =>
    withFiles({}, async (folder) => {
      const place = await storeTextRun(folder, "clm-1", models.clm());
      const path = `${place}/model.safetensors`;
      const bytes = await Deno.readFile(path);
      bytes.fill(0xff, bytes.length / 2); // NaN as float32
      await Deno.writeFile(path, bytes);
      assert.match(
        await refusalOf(textEntropies(OWN_TEXT, { run: "clm-1", folders: foldersIn(folder) })),
        /^expected finite estimates, found NaN for token 1; are the weights damaged\?$/,
      );
    }),
  { only: ["cpu"] },
);
