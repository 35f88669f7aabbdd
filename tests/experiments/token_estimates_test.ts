import assert from "node:assert/strict";
import { disposeTree, initEngine, memory } from "../../lib/engine/mod.ts";
import {
  type EstimatedModel,
  estimateWindows,
  type EstimatorName,
  tokenCrossEntropies,
  twoWindowEntropies,
  type WindowEstimates,
} from "../../lib/entropy/mod.ts";
import {
  checkEstimates,
  type CorpusData,
  fullWindows,
  loadWeights,
  measureTokens,
  prepareData,
  runAll,
  type RunResult,
  type RunSpec,
} from "../../lib/experiments/mod.ts";
import { mean } from "../../lib/measure/mod.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import type { Layout } from "../../lib/text/mod.ts";
import { livelyModel, refusal } from "../models/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";
import { CONFIG, DATA, LENGTH, windows } from "../train/_tiny_training.ts";
import { shortDocuments, tinyCorpus, tinyLatentSpec, tinySpec } from "./_tiny.ts";
import { optionsIn, refuses, twelveSteps, watchProgress } from "./_tiny_runs.ts";

await initEngine({ backend: "wasm", log: () => {} });

type Estimates = NonNullable<RunSpec["estimates"]>;
type TinySpec = ReturnType<typeof tinySpec>;

function estimating(spec: TinySpec, estimates: Estimates, layout: Layout = "packed"): TinySpec {
  return { ...spec, data: { ...spec.data, layout }, estimates };
}

/** The same run on windows that are a token shorter. */
function shortened(spec: TinySpec): TinySpec {
  const { model } = spec.training;
  assert.ok(model.kind === "augmented" && model.memory === "embedding");
  const shorter = <Stack extends { contextLength: number }>(stack: Stack): Stack => ({
    ...stack,
    contextLength: stack.contextLength - 1,
  });
  const encoder = shorter(model.encoder), decoder = shorter(model.decoder);
  return {
    ...spec,
    arm: "shorter",
    data: shorter(spec.data),
    training: { ...spec.training, model: { ...model, encoder, decoder } },
  };
}

/** The same run with a tokenizer of so many tokens. */
function withVocabulary(spec: TinySpec, vocabSize: number): TinySpec {
  const { model } = spec.training;
  assert.ok(model.kind === "causal");
  const changed: ModelConfig = { ...model, backbone: { ...model.backbone, vocabSize } };
  return {
    ...spec,
    data: { ...spec.data, vocabSize },
    training: { ...spec.training, model: changed },
  };
}

/** A finished run's model, to be disposed of. */
async function modelOf(folder: string, { config }: RunResult): Promise<EstimatedModel> {
  const { data, training } = config.spec;
  const { training: { padId } } = await prepareData(data, optionsIn(folder));
  const params = await loadWeights(optionsIn(folder).folders, config);
  return { config: training.model, params, padId };
}

function estimatesOf({ records }: RunResult): [EstimatorName, WindowEstimates][] {
  return records.flatMap((record) =>
    record.type === "measurement" && record.what === "token estimates"
      ? [[record.estimator, record.values] as [EstimatorName, WindowEstimates]]
      : []
  );
}

/** As records keep numbers: four digits after the point. */
function rounded(values: WindowEstimates): WindowEstimates {
  return values.map((row) =>
    row.map((value) => value === null ? null : Math.round(value * 1e4) / 1e4)
  );
}

Deno.test("fullWindows() are the first held-out windows without padding", () => {
  const heldOut = windows("held out", 12, true);
  // Every fifth is full, beginning with the first.
  const full = fullWindows(heldOut, 2);
  assert.deepEqual(
    full.ids,
    Int32Array.of(...heldOut.ids.slice(0, 6), ...heldOut.ids.slice(30, 36)),
  );
  assert.deepEqual([full.count, full.contextLength], [2, LENGTH]);
  assert.equal(fullWindows(heldOut, 3).count, 3);
  assert.equal(
    refusal(() => fullWindows(heldOut, 4)),
    "token estimates: expected 4 held-out windows without padding, found 3 of 12; hold out more " +
      "windows or shorten the context",
  );
});

Deno.test("runAll() records the estimates that a run asks for, of its last weights", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const of = ["loss", "occlusion-l1"] as const;
    const spec = estimating(tinySpec(folder, "eem"), { windows: 3, of });
    const [run] = await runAll([spec], optionsIn(folder));
    assert.equal(run!.records.at(-1)!.type, "end");
    const found = estimatesOf(run!);
    assert.deepEqual(found.map(([name]) => name), of);

    const { training: { heldOut } } = await prepareData(spec.data, optionsIn(folder));
    const model = await modelOf(folder, run!);
    for (const [name, values] of found) {
      const first = { ...heldOut, count: 3, ids: heldOut.ids.subarray(0, 3 * 8) };
      assert.deepEqual(values, rounded(await estimateWindows(name, model, first)), name);
      assert.deepEqual(values.map((row) => row.map((value) => value === null)), [
        ...new Array(3).fill([true, ...new Array(7).fill(false)]),
      ]);
    }
    disposeTree(model.params);

    // What is estimated changes nothing else.
    const [without] = await runAll([tinySpec(folder, "eem")], optionsIn(folder));
    const lossOf = ({ records }: RunResult) =>
      records.filter((record) => record.type === "evaluation").at(-1)!.lossNats;
    assert.notEqual(without!.config.id, run!.config.id);
    assert.equal(lossOf(without!), lossOf(run!));
    assert.deepEqual(estimatesOf(without!), []);
  }));

Deno.test("runAll() estimates tokens of padded text in full windows alone", () =>
  withFiles(shortDocuments(), async (folder) => {
    const spec = estimating(
      tinySpec(folder, "eem"),
      { windows: 4, of: ["pad-shift"] },
      "padded",
    );
    const { training: { heldOut, padId } } = await prepareData(spec.data, optionsIn(folder));
    const full = [...heldOut.realTokens.keys()].filter((row) => heldOut.realTokens[row] === 8);
    assert.ok(full.length < heldOut.count && full[3]! > 3, `${full} of ${heldOut.count}`);
    const [run] = await runAll([spec], optionsIn(folder));
    const [[name, values]] = estimatesOf(run!) as [[EstimatorName, WindowEstimates]];
    assert.equal(name, "pad-shift");

    const model = await modelOf(folder, run!);
    assert.equal(model.padId, padId);
    const ids = full.slice(0, 4).flatMap((row) => [...heldOut.ids.subarray(8 * row, 8 * row + 8)]);
    const chosen = { contextLength: 8, count: 4, ids: Int32Array.from(ids) };
    assert.deepEqual(values, rounded(await estimateWindows("pad-shift", model, chosen)));
    disposeTree(model.params);
  }));

Deno.test("runAll() trains the model of shorter windows first, for two-window", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const eem = tinySpec(folder, "eem");
    const spec = estimating(eem, { windows: 3, of: ["two-window"], shorter: shortened(eem) });
    const { seen, onProgress } = watchProgress();
    const before = memory().numTensors;
    const results = await runAll([spec], { ...optionsIn(folder), onProgress });
    assert.equal(memory().numTensors, before);
    assert.deepEqual(seen, [...twelveSteps("shorter", 0, 24), ...twelveSteps("eem", 12, 24)]);
    assert.equal(results.length, 1);
    const [shorterRun] = await runAll([shortened(eem)], optionsIn(folder));
    assert.equal(shorterRun!.source, "stored");

    const longer = await modelOf(folder, results[0]!);
    const shorter = await modelOf(folder, shorterRun!);
    const { training: { heldOut } } = await prepareData(spec.data, optionsIn(folder));
    const expected = await twoWindowEntropies(longer, shorter, fullWindows(heldOut, 3));
    assert.deepEqual(estimatesOf(results[0]!), [["two-window", rounded(expected)]]);
    disposeTree([longer.params, shorter.params]);
  }));

for (
  const [vocabSize, text] of [
    [300, "fewer tokens, behind pads"],
    [262, "more tokens, of which it reads the last"],
  ] as const
) {
  Deno.test(`runAll() hands estimates on to another tokenizer's tokens: from ${text}`, () =>
    withFiles(shortDocuments(), async (folder) => {
      const target = tinySpec(folder, "clm");
      const onto: CorpusData = { ...target.data, layout: "padded" };
      const spec = estimating(
        withVocabulary(target, vocabSize),
        { windows: 2, of: ["loss"], onto },
        "padded",
      );
      const [run] = await runAll([spec], optionsIn(folder));
      const [[, found]] = estimatesOf(run!) as [[EstimatorName, WindowEstimates]];

      const { tokenizer } = await prepareData(spec.data, optionsIn(folder));
      const theirs = await prepareData(onto, optionsIn(folder));
      const { ids } = fullWindows(theirs.training.heldOut, 2);
      const model = await modelOf(folder, run!);
      for (const row of [0, 1]) {
        const targets = [...ids.subarray(8 * row, 8 * row + 8)];
        const tokens = [...tokenizer.encodeBytes(theirs.tokenizer.decodeBytes(targets))];
        assert.equal(Math.sign(tokens.length - 8), Math.sign(target.data.vocabSize - vocabSize));
        const read = [...new Array(8).fill(tokenizer.padId), ...tokens].slice(-8);
        const [losses] = await tokenCrossEntropies(
          model,
          { contextLength: 8, count: 1, ids: Int32Array.from(read) },
        );
        const ofByte = tokens.flatMap((id, t) => {
          const loss = losses![8 - tokens.length + t] ?? null;
          return new Array<number | null>(tokenizer.tokenBytes(id).length).fill(loss);
        });
        let start = 0;
        const expected = targets.map((id) => {
          const end = start + theirs.tokenizer.tokenBytes(id).length;
          const known = ofByte.slice(start, end).filter((loss) => loss !== null);
          start = end;
          return known.length === 0 ? null : mean(known);
        });
        assert.equal(start, ofByte.length);
        assert.ok(expected.filter((value) => value !== null).length > 2);
        assert.deepEqual(found[row], rounded([expected])[0]);
      }
      disposeTree(model.params);
    }));
}

Deno.test("measureTokens() of a run without estimates are none", async () => {
  const { heldOut } = DATA;
  const model = { config: CONFIG.model, params: livelyModel(CONFIG.model), padId: null };
  const sources = { heldOut, tokenizer: null };
  assert.deepEqual(await measureTokens(tinySpec("", "clm"), model, sources), []);
});

Deno.test("checkEstimates() refuses what would fail once the run has been trained", () =>
  withFiles(shortDocuments(), async (folder) => {
    const eem = tinySpec(folder, "eem");
    const prepare = (data: RunSpec["data"]) => prepareData(data, optionsIn(folder));
    const packed = await prepare(eem.data);
    const padded = await prepare({ ...eem.data, layout: "padded" });
    const made = await prepare(tinyLatentSpec().data);
    const check = (estimates: Estimates, prepared = packed, onto?: typeof packed) => () =>
      checkEstimates({ ...eem, estimates }, prepared, onto);

    checkEstimates(eem, packed, undefined);
    check({ windows: 16, of: ["loss", "gradient-input"] })();
    check({ windows: 2, of: ["pad-shift"] }, padded)();
    check({ windows: 2, of: ["pad-shift"] }, padded, padded)();
    check({ windows: 1, of: ["two-window"], shorter: shortened(eem) })();
    assert.match(
      refusal(check({ windows: 1, of: ["loss", "pad-shift"] })),
      /^pad-shift: expected a model trained on left-padded samples/,
    );
    assert.match(
      refusal(check({ windows: 1, of: ["two-window"] })),
      /^two-window: expected a second model/,
    );
    assert.match(
      refusal(check({ windows: 1, of: ["two-window"], shorter: eem })),
      /^two-window: expected a second model of windows of 7 tokens/,
    );
    assert.match(
      refusal(check({ windows: 17, of: ["loss"] })),
      /^token estimates: expected 17 held-out windows without padding, found 16 of 16; /,
    );
    // The windows that count are those of the data that estimates are handed on to.
    const fullOf = ({ training: { heldOut } }: typeof packed) =>
      heldOut.realTokens.filter((count) => count === 8).length;
    const full = fullOf(padded);
    assert.ok(full < 16);
    check({ windows: 16, of: ["loss"] }, padded, packed)();
    assert.match(
      refusal(check({ windows: full + 1, of: ["loss"] }, padded, padded)),
      new RegExp(`^token estimates: expected ${full + 1} .* found ${full} of `),
    );
    const readsTexts = (found: string) =>
      "estimates.onto: expected a run on left-padded samples of a text, which may be shorter than " +
      `its context, found one on ${found}`;
    const of = { windows: 1, of: ["loss"] } as const;
    assert.equal(refusal(check(of, packed, padded)), readsTexts("packed samples"));
    const elsewhere = { ...eem.data, corpus: "elsewhere" };
    assert.equal(
      refusal(check({ ...of, onto: elsewhere }, padded, padded)),
      "estimates.onto: expected the run's own corpus, found elsewhere",
    );
    for (const padId of [null, 0]) {
      const sequences = { ...made, training: { ...made.training, padId } };
      assert.equal(refusal(check(of, sequences, padded)), readsTexts("made sequences"));
    }
  }));

Deno.test("runAll() refuses estimates that cannot be made before it trains anything", () =>
  withFiles(shortDocuments(), (folder) => {
    const eem = tinySpec(folder, "eem");
    const of = ["loss"] as const;
    return refuses(folder, [
      [estimating(eem, { windows: 1, of: ["pad-shift"] }), /^pad-shift: expected a model trained/],
      [
        estimating(eem, { windows: 1, of: ["second-order"] }),
        /^second-order: expected a model of kind second-order, found augmented/,
      ],
      [estimating(eem, { windows: 99, of }), /^token estimates: expected 99 held-out windows/],
      [
        estimating(eem, { windows: 99, of, onto: eem.data }, "padded"),
        /^token estimates: expected 99 held-out windows/,
      ],
      [
        estimating(eem, { windows: 1, of, onto: eem.data }),
        /^estimates\.onto: expected a run on left-padded samples/,
      ],
    ]);
  }));
