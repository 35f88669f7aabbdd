import assert from "node:assert/strict";
import { join } from "node:path";
import { disposeTree, initEngine, leavesOf, memory } from "../../lib/engine/mod.ts";
import { secondOrderEntropies, tokenCrossEntropies } from "../../lib/entropy/mod.ts";
import {
  checkNeededRun,
  checkTeacher,
  type CorpusData,
  loadNeeded,
  loadWeights,
  prepareData,
  publishRun,
  runAll,
  type RunResult,
  type RunSpec,
} from "../../lib/experiments/mod.ts";
import { mean } from "../../lib/measure/mod.ts";
import type { Model } from "../../lib/models/mod.ts";
import { refusal } from "../models/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";
import { valuesOf } from "../train/_tiny_training.ts";
import { tinyCorpus, tinySpec } from "./_tiny.ts";
import { optionsIn, refuses, twelveSteps, watchProgress } from "./_tiny_runs.ts";

await initEngine({ backend: "wasm", log: () => {} });

type TinySpec = ReturnType<typeof tinySpec>;

/** A second-order model of what a causal model says of every token. */
function taughtSpec(folder: string): TinySpec & { readonly teacher: { readonly run: RunSpec } } {
  const teacher = { run: tinySpec(folder, "clm"), estimator: "loss" } as const;
  return { ...tinySpec(folder, "2eem"), teacher };
}

function withData(spec: RunSpec, changes: Partial<CorpusData>): RunSpec {
  return { ...spec, data: { ...spec.data as CorpusData, ...changes } };
}

/** The causal model of another context length, or of other numbers beside. */
function clmOf(spec: RunSpec, contextLength: number): RunSpec {
  const { model } = spec.training;
  assert.ok(model.kind === "causal");
  const backbone = { ...model.backbone, contextLength };
  return withData(
    { ...spec, training: { ...spec.training, model: { ...model, backbone } } },
    { contextLength },
  );
}

Deno.test("checkTeacher() wants a teacher for models that learn numbers, and for no others", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const taught = taughtSpec(folder);
    const { teacher, ...untaught } = taught;
    const clm = tinySpec(folder, "clm");
    const { training: data } = await prepareData(clm.data, optionsIn(folder));
    checkTeacher(taught, data);
    checkTeacher(clm, data);
    assert.equal(
      refusal(() => checkTeacher(untaught, data)),
      "teacher: expected the run whose estimates the model is trained on, found none",
    );
    assert.equal(
      refusal(() => checkTeacher({ ...clm, teacher }, data)),
      "teacher: expected none for a causal model, found one",
    );
    const asks = (estimator: "pad-shift" | "predictive-entropy", run: RunSpec) => () =>
      checkTeacher({ ...taught, teacher: { run, estimator } }, data);
    const eem = tinySpec(folder, "eem");
    assert.match(refusal(asks("predictive-entropy", eem)), /^predictive-entropy: .* augmented; /);
    assert.match(refusal(asks("pad-shift", eem)), /^pad-shift: .* trained on left-padded samples/);
    checkTeacher({ ...taught, teacher: { run: eem, estimator: "pad-shift" } }, {
      ...data,
      padId: 1,
    });
  }));

Deno.test("checkNeededRun() names the run that does not fit, and what it is for", () => {
  const corpus = tinyCorpus()["corpus.jsonl"]!;
  const files = { "corpus.jsonl": corpus, "other.jsonl": corpus.replace("union", "onion") };
  return withFiles(files, async (folder) => {
    const taught = taughtSpec(folder);
    const clm = tinySpec(folder, "clm");
    const paired = (shorter: RunSpec): RunSpec => ({
      ...clm,
      estimates: { windows: 1, of: ["two-window"], shorter },
    });
    const prepare = ({ data }: RunSpec) => prepareData(data, optionsIn(folder));
    const prepared = await prepare(clm);
    const check = async (spec: RunSpec, source: RunSpec) => {
      const sourceData = await prepare(source);
      return () => checkNeededRun(spec, prepared, source, sourceData);
    };
    const teaching = (run: RunSpec): [RunSpec, RunSpec] => [
      { ...taught, teacher: { run, estimator: "loss" } },
      run,
    ];
    const pairing = (run: RunSpec): [RunSpec, RunSpec] => [paired(run), run];
    const other = { corpus: join(folder, "other.jsonl") };
    (await check(taught, taught.teacher.run))();
    (await check(...pairing(clmOf(clm, 7))))();

    for (
      const [[spec, source], message] of [
        [
          teaching(clmOf(clm, 7)),
          "teacher (mixer clm): expected a model of 8 tokens a sample, found 7",
        ],
        [
          pairing(clm),
          "two-window: expected a second model of windows of 7 tokens, one fewer than the first " +
          "one's, found 8",
        ],
        [
          teaching(withData(clm, { layout: "padded" })),
          "teacher (mixer clm): expected a run on packed samples, as this one's, found padded",
        ],
        [
          pairing(withData(clmOf(clm, 7), { layout: "padded" })),
          "shorter (mixer clm): expected a run on packed samples, as this one's, found padded",
        ],
        [
          teaching(withData(clm, other)),
          "teacher (mixer clm): expected a run on the same corpus, vocabulary and unit of text, " +
          "found another",
        ],
        [
          pairing(withData(clmOf(clm, 7), other)),
          "shorter (mixer clm): expected a run on the same corpus, vocabulary and unit of text, " +
          "found another",
        ],
      ] as const
    ) {
      assert.equal(refusal(await check(spec, source)), message);
    }
  });
});

Deno.test("runAll() refuses a teacher or shorter run that does not fit before it trains", () =>
  withFiles(tinyCorpus(), (folder) => {
    const taught = taughtSpec(folder);
    const { teacher: _, ...untaught } = taught;
    const clm = tinySpec(folder, "clm");
    return refuses(folder, [
      [untaught, /^teacher: expected the run whose estimates/],
      [
        { ...taught, teacher: { run: clmOf(clm, 7), estimator: "loss" } },
        /^teacher \(mixer clm\): expected a model of 8 tokens a sample, found 7$/,
      ],
      [
        { ...taught, teacher: { run: { ...clm, quantizedBits: [1] }, estimator: "loss" } },
        /found 1$/,
      ],
      [
        { ...clm, estimates: { windows: 1, of: ["two-window"], shorter: clm } },
        /^two-window: expected a second model of windows of 7 tokens/,
      ],
    ]);
  }));

function assertSameValues(found: Model, expected: Model): void {
  assert.deepEqual(valuesOf(found), valuesOf(expected));
}

Deno.test("loadNeeded() gives the teacher's estimates, the shorter model, the other data", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const clm = tinySpec(folder, "clm");
    const shorter = clmOf(clm, 7);
    const runs = await runAll([clm, shorter], options);
    const [teacher, short] = [
      await loadWeights(options.folders, runs[0]!.config),
      await loadWeights(options.folders, runs[1]!.config),
    ];
    const prepared = await prepareData(clm.data, options);
    const { training: { train, heldOut, padId } } = prepared;
    const before = memory().numTensors;

    const nothing = await loadNeeded(options.folders, clm, prepared, options);
    assert.deepEqual(
      [nothing.frozenEncoder, nothing.shorter, nothing.onto],
      [undefined, undefined, undefined],
    );
    assert.equal(nothing.data, prepared.training);
    nothing.dispose();

    const estimates = { windows: 1, of: ["two-window"], shorter, onto: clm.data } as const;
    const spec: RunSpec = { ...taughtSpec(folder), estimates };
    const sources = await loadNeeded(options.folders, spec, prepared, options);
    assertSameValues(sources.shorter!.params, short);
    assert.equal(sources.shorter!.config, shorter.training.model);
    assert.equal(sources.shorter!.padId, null);
    assert.deepEqual(sources.onto!.training, prepared.training);

    const model = { config: clm.training.model, params: teacher, padId };
    const losses = async (windows: typeof train) =>
      Float32Array.from((await tokenCrossEntropies(model, windows)).flat(), (loss) => loss ?? 0);
    // Twelve steps of eight windows are fewer than there are.
    const rated = sources.data.train;
    assert.ok(rated.count === 96 && train.count > 96, `${rated.count} of ${train.count}`);
    assert.deepEqual(rated.values, await losses(rated));
    assert.deepEqual(sources.data.heldOut, { ...heldOut, values: await losses(heldOut) });
    assert.equal(memory().numTensors, before + leavesOf(short).length);
    sources.dispose();
    assert.equal(memory().numTensors, before);
    disposeTree([teacher, short]);
  }));

Deno.test("runAll() trains the teacher first, and the model to say what it says", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const spec = taughtSpec(folder);
    const { seen, onProgress } = watchProgress();
    const before = memory().numTensors;
    const [run] = await runAll([spec], { ...options, onProgress });
    assert.equal(memory().numTensors, before);
    assert.deepEqual(seen, [...twelveSteps("clm", 0, 24), ...twelveSteps("2eem", 12, 24)]);
    const [teacher] = await runAll([spec.teacher.run], options);
    assert.equal(teacher!.source, "stored");

    // The mean squared error of the last evaluation is that of the trained weights.
    const { training: { heldOut } } = await prepareData(spec.data, options);
    const modelOf = async ({ config }: RunResult) => ({
      config: config.spec.training.model,
      params: await loadWeights(options.folders, config),
      padId: null,
    });
    const [second, first] = [await modelOf(run!), await modelOf(teacher!)];
    const estimates = (await secondOrderEntropies(second, heldOut)).flat();
    const losses = (await tokenCrossEntropies(first, heldOut)).flat();
    const squares = estimates.flatMap((estimate, at) =>
      estimate === null ? [] : [(estimate - losses[at]!) ** 2]
    );
    const evaluations = run!.records.filter((record) => record.type === "evaluation");
    const { lossNats, scoredTokens } = evaluations.at(-1)!;
    assert.equal(scoredTokens, squares.length);
    assert.ok(Math.abs(lossNats - mean(squares)) < 1e-5 * lossNats);
    assert.ok(lossNats < evaluations[0]!.lossNats);
    disposeTree([first.params, second.params]);

    // Of published runs only the taught one serves: the teacher's has no weights.
    for (const one of [run!, teacher!]) await publishRun(options.folders, one);
    await Deno.remove(options.folders.runs, { recursive: true });
    const [published] = await runAll([spec], options);
    assert.equal(published!.source, "published");
    await Deno.remove(join(options.folders.published, `${run!.config.id}.json`));
    const again = watchProgress();
    const [trained] = await runAll([spec], { ...options, onProgress: again.onProgress });
    assert.deepEqual(again.seen, seen);
    const lossesOf = ({ records }: RunResult) =>
      records.flatMap((record) => "lossNats" in record ? [record.lossNats] : []);
    assert.deepEqual(lossesOf(trained!), lossesOf(run!));
  }));
