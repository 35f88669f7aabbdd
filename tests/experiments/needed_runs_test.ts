import assert from "node:assert/strict";
import { join } from "node:path";
import { disposeTree, initEngine, leavesOf, memory } from "../../lib/engine/mod.ts";
import {
  type EstimatorName,
  secondOrderEntropies,
  tokenCrossEntropies,
} from "../../lib/entropy/mod.ts";
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
  sourceData,
  weightsPath,
} from "../../lib/experiments/mod.ts";
import { inMemory } from "../../lib/experiments/window_subsets.ts";
import { mean } from "../../lib/measure/mod.ts";
import type { Model } from "../../lib/models/mod.ts";
import type { Windows } from "../../lib/text/mod.ts";
import type { Objective } from "../../lib/train/mod.ts";
import { refusal } from "../models/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";
import { DATA, valuesOf } from "../train/_tiny_training.ts";
import { tinyCorpus, tinyLatentSpec, tinySpec } from "./_tiny.ts";
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
      "teacher: expected the run whose estimates a second-order model is trained on, found none",
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

/** The run, trained with a loss form. */
function comparing(spec: TinySpec, objective: Objective): TinySpec {
  return { ...spec, training: { ...spec.training, objective } };
}

Deno.test("checkTeacher() wants a teacher for loss forms that compare, and for no others", () => {
  const clm = tinySpec("", "clm");
  const teacher = { run: clm, estimator: "loss" } as const;
  const [oneSided, smoothing] = [
    comparing(clm, { form: "one-sided" }),
    comparing(clm, { form: "label-smoothing", share: 0.1 }),
  ];
  checkTeacher({ ...oneSided, teacher }, DATA);
  checkTeacher(smoothing, DATA);
  assert.equal(
    refusal(() => checkTeacher(oneSided, DATA)),
    "teacher: expected the run whose estimates a causal model with objective one-sided is " +
      "trained on, found none",
  );
  assert.equal(
    refusal(() => checkTeacher({ ...smoothing, teacher }, DATA)),
    "teacher: expected none for a causal model with objective label-smoothing, found one",
  );
});

Deno.test("checkTeacher() wants halves that are parts of the run's own training windows", () => {
  const half = (trainHalf: "even" | "odd", trainWindows?: number): RunSpec =>
    withData(tinySpec("", "clm"), { trainHalf, ...(trainWindows && { trainWindows }) });
  const check = (even: RunSpec, odd: RunSpec, trainWindows?: number) => {
    const { data, ...spec } = comparing(tinySpec("", "clm"), { form: "signed" });
    const own = trainWindows === undefined ? data : { ...data, trainWindows };
    checkTeacher(
      { ...spec, data: own, teacher: { halves: { even, odd }, estimator: "loss" } },
      DATA,
    );
  };
  const [even, odd] = [half("even"), half("odd")];
  check(even, odd);
  check(half("even", 9), half("odd", 9), 9);
  for (
    const [attempt, message] of [
      [
        () => check(odd, even),
        "even: expected a run on the even ones of all training windows, found one on the odd ones " +
        "of all training windows",
      ],
      [
        () => check(even, tinySpec("", "clm")),
        "odd: expected a run on the odd ones of all training windows, found one on the even and " +
        "odd ones of all training windows",
      ],
      [
        () => check(half("even", 9), half("odd", 8), 9),
        "odd: expected a run on the odd ones of 9 training windows, found one on the odd ones of 8 " +
        "training windows",
      ],
      [
        () => check(even, odd, 9),
        "even: expected a run on the even ones of 9 training windows, found one on the even ones " +
        "of all training windows",
      ],
    ] as const
  ) {
    assert.equal(refusal(attempt), `teacher.halves.${message}`);
  }
  const eem = withData(tinySpec("", "eem"), { trainHalf: "odd" });
  const byHalves = (estimator: EstimatorName) => () =>
    checkTeacher({
      ...comparing(tinySpec("", "clm"), { form: "signed" }),
      teacher: { halves: { even, odd: eem }, estimator },
    }, DATA);
  byHalves("loss")();
  assert.match(refusal(byHalves("predictive-entropy")), /^predictive-entropy: .* augmented; /);
});

Deno.test("checkTeacher() wants a teacher without training windows to be without the run's own", () => {
  const clm = tinySpec("", "clm");
  const check = (trainWithout?: number, trainWindows?: number) => () =>
    checkTeacher({
      ...withData(comparing(clm, { form: "signed" }), trainWindows ? { trainWindows } : {}),
      teacher: {
        run: withData(clm, trainWithout ? { trainWithout } : {}),
        estimator: "loss",
      },
    }, DATA);
  for (const [trainWithout, trainWindows] of [[], [undefined, 9], [9, 9]]) {
    check(trainWithout, trainWindows)();
  }
  for (
    const [trainWithout, trainWindows, own] of [[9, 8, "8"], [8, 9, "9"], [
      9,
      undefined,
      "all",
    ]] as const
  ) {
    assert.equal(
      refusal(check(trainWithout, trainWindows)),
      `teacher (mixer clm): expected a run without this one's ${own} training windows, found one ` +
        `without ${trainWithout} others`,
    );
  }
});

Deno.test("checkTeacher() knows which sources have which exact numbers", () => {
  const sizes = { layout: "packed", contextLength: 8, heldOutWindows: 4 } as const;
  const extent = { length: 400, seed: 1 };
  const coin = sourceData({ kind: "iid", probabilities: [0.5, 0.5], ...extent }, sizes);
  const copied = { kind: "corrupted-copy", symbols: 4, corruption: 0.5, ...extent } as const;
  const copy = sourceData(copied, sizes);
  const clm = comparing(tinySpec("", "clm"), { form: "signed" });
  const check = (exact: "entropy" | "surprisal" | "corruption", data: RunSpec["data"]) => () =>
    checkTeacher({ ...clm, data, teacher: { exact } }, DATA);
  for (const name of ["entropy", "surprisal"] as const) {
    check(name, coin)();
    check(name, copy)();
    for (const data of [clm.data, tinyLatentSpec().data]) {
      assert.equal(
        refusal(check(name, data)),
        `teacher: expected a source of known entropy for its exact ${name}, found no source of ` +
          "known entropy",
      );
    }
  }
  check("corruption", copy)();
  for (const [data, found] of [[coin, "iid"], [clm.data, "no source of known entropy"]] as const) {
    assert.equal(
      refusal(check("corruption", data)),
      `teacher: expected a corrupted copy for its exact corruption, found ${found}`,
    );
  }
});

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
    const halving = (odd: RunSpec): [RunSpec, RunSpec] => [
      { ...taught, teacher: { halves: { even: clm, odd }, estimator: "loss" } },
      odd,
    ];
    (await check(taught, taught.teacher.run))();
    (await check(...halving({ ...clm })))();
    (await check(...pairing(clmOf(clm, 7))))();

    for (
      const [[spec, source], message] of [
        [
          teaching(clmOf(clm, 7)),
          "teacher (mixer clm): expected a model of 8 tokens a sample, found 7",
        ],
        [
          halving(clmOf(clm, 7)),
          "teacher (mixer clm): expected a model of 8 tokens a sample, found 7",
        ],
        [
          halving(withData(clm, other)),
          "teacher (mixer clm): expected a run on the same corpus, vocabulary and unit of text, " +
          "found another",
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
    assert.equal(nothing.meanValue, null);
    nothing.dispose();

    const estimates = { windows: 1, of: ["two-window"], shorter, onto: clm.data } as const;
    const spec: RunSpec = { ...taughtSpec(folder), estimates };
    const sources = await loadNeeded(options.folders, spec, prepared, options);
    assertSameValues(sources.shorter!.params, short);
    assert.equal(sources.shorter!.config, shorter.training.model);
    assert.equal(sources.shorter!.padId, null);
    assert.deepEqual(sources.onto!.training, prepared.training);

    const model = { config: clm.training.model, params: teacher, padId };
    const losses = async (windows: Windows) =>
      Float32Array.from((await tokenCrossEntropies(model, windows)).flat(), (loss) => loss ?? 0);
    // Twelve steps of eight windows are fewer than there are.
    const rated = inMemory(sources.data.train);
    assert.ok(rated.count === 96 && train.count > 96, `${rated.count} of ${train.count}`);
    assert.deepEqual(rated.values, await losses(rated));
    const scored = rated.values!.filter((_, at) => at % 8 !== 0);
    assert.ok(Math.abs(sources.meanValue! - mean([...scored])) < 1e-9);
    assert.deepEqual(sources.data.heldOut, { ...heldOut, values: await losses(heldOut) });
    assert.equal(memory().numTensors, before + leavesOf(short).length);
    sources.dispose();
    assert.equal(memory().numTensors, before);
    disposeTree([teacher, short]);
  }));

Deno.test("loadNeeded() estimates anew what a teacher of other weights under the same id says", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const spec = taughtSpec(folder);
    const [run, other] = await runAll(
      [spec.teacher.run, tinySpec(folder, "clm", { seed: 4 })],
      options,
    );
    const prepared = await prepareData(spec.data, options);
    const load = async () => {
      const { data, dispose } = await loadNeeded(options.folders, spec, prepared, options);
      dispose();
      return inMemory(data.train).values!;
    };
    const stored = () => [...Deno.readDirSync(options.cacheFolder)].map(({ name }) => name).sort();
    const [first, files] = [await load(), stored()];
    assert.deepEqual(await load(), first);
    assert.deepEqual(stored(), files);
    const path = (run: RunResult) => weightsPath(options.folders, run.config.id);
    await Deno.copyFile(path(other!), path(run!));
    const second = await load();
    const changed = second.filter((value, at) => value !== first[at]).length;
    assert.ok(changed > 0.8 * first.length, `${changed} of ${first.length}`);
    assert.equal(stored().length, files.length + 2, "of training and of held-out windows");
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
