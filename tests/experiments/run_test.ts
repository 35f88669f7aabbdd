import assert from "node:assert/strict";
import { join } from "node:path";
import { disposeTree, initEngine, leavesOf, memory } from "../../lib/engine/mod.ts";
import {
  loadEncoder,
  loadWeights,
  prepareData,
  publishRun,
  readFinishedRun,
  runAll,
  type RunProgress,
  type RunRecord,
  type RunResult,
  type RunSpec,
  weightsPath,
} from "../../lib/experiments/mod.ts";
import { inMemory } from "../../lib/experiments/window_subsets.ts";
import { tokenCrossEntropies } from "../../lib/entropy/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { mean } from "../../lib/measure/mod.ts";
import { parameterCount } from "../../lib/models/mod.ts";
import { parseTokenizer } from "../../lib/tokenizer/mod.ts";
import type { LossOptions } from "../../lib/train/mod.ts";
import { withFiles } from "../text/_temporary.ts";
import { valuesOf } from "../train/_tiny_training.ts";
import { tinyCorpus, tinyLatentSpec, tinySpec } from "./_tiny.ts";
import { optionsIn, refuses, twelveSteps, watchProgress } from "./_tiny_runs.ts";

// Every call compiles anew, which takes XLA seconds and wasm nothing. Resuming on the default
// engine is tested by interrupt_test.ts.
await initEngine({ backend: "wasm", log: () => {} });

/** Records without what a clock decides. */
function timeless(records: readonly RunRecord[]): unknown[] {
  return records.map((record) => ({ ...record, tokensPerSecond: undefined }));
}

async function weightsOf(folder: string, run: RunResult): Promise<Uint8Array> {
  return await Deno.readFile(weightsPath(optionsIn(folder).folders, run.config.id));
}

Deno.test("runAll() trains once, then takes the stored run, then the published one", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const [trained] = await runAll([tinySpec(folder, "eem")], options);
    assert.equal(trained!.source, "trained");
    const [stored] = await runAll([tinySpec(folder, "eem")], options);
    assert.equal(stored!.source, "stored");
    assert.deepEqual(stored!.records, trained!.records);

    await publishRun(options.folders, trained!);
    await Deno.remove(options.folders.runs, { recursive: true });
    const [published] = await runAll([tinySpec(folder, "eem")], options);
    assert.equal(published!.source, "published");
    assert.deepEqual(published!.records, trained!.records);
    await assert.rejects(
      loadWeights(options.folders, published!.config),
      (error) => error instanceof UserError && /expected the weights.*--fresh/.test(error.message),
    );

    const [fresh] = await runAll([tinySpec(folder, "eem")], { ...options, fresh: true });
    assert.equal(fresh!.source, "trained");
    assert.deepEqual(timeless(fresh!.records), timeless(trained!.records));
  }));

Deno.test("runAll() gives stored and published runs the caller's labels", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const spec = tinySpec(folder, "zeros");
    const [trained] = await runAll([spec], options);
    assert.deepEqual(trained!.config.spec, spec);
    // The corpus counts by its content: the same text from elsewhere is the same run.
    const copy = join(folder, "elsewhere", "corpus.jsonl");
    await Deno.mkdir(join(folder, "elsewhere"));
    await Deno.copyFile(spec.data.corpus, copy);
    const renamed = {
      ...spec,
      arm: "control",
      family: "other",
      data: { ...spec.data, corpus: copy },
    };
    const [stored] = await runAll([renamed], options);
    await publishRun(options.folders, trained!);
    await Deno.remove(options.folders.runs, { recursive: true });
    const [published] = await runAll([renamed], options);
    for (const [run, source] of [[stored, "stored"], [published, "published"]] as const) {
      assert.equal(run!.source, source);
      assert.deepEqual(run!.config, { ...trained!.config, spec: renamed });
      assert.deepEqual(run!.records, trained!.records);
    }
  }));

Deno.test("runAll() told to train anew goes on with what it has begun so", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const spec = tinySpec(folder, "clm");
    const options = optionsIn(folder);
    const [whole] = await runAll([spec], options);
    const wholeWeights = await weightsOf(folder, whole!);

    /** Steps of the records of a run that is stopped at a train record. */
    const stopped = async (stopAt: number, fresh: boolean) => {
      const controller = new AbortController();
      const steps: number[] = [];
      const onProgress = ({ stepsDone }: RunProgress) => {
        steps.push(stepsDone);
        if (stepsDone === stopAt) controller.abort();
      };
      await assert.rejects(
        runAll([spec], { ...options, fresh, signal: controller.signal, onProgress }),
        (error) => error instanceof UserError && error.message.includes(`after step ${stopAt};`),
      );
      return steps;
    };
    // It takes neither a published run nor an interrupted one that it has not begun.
    await Deno.remove(options.folders.runs, { recursive: true });
    assert.deepEqual(await stopped(6, false), [2, 4, 4, 6]);
    await publishRun(options.folders, whole!);
    assert.deepEqual(await stopped(2, true), [2], "anew");
    assert.deepEqual(await stopped(8, true), [4, 4, 6, 8, 8], "from its checkpoint");

    const seen: number[] = [];
    const onProgress = ({ stepsDone }: RunProgress) => void seen.push(stepsDone);
    const [resumed] = await runAll([spec], { ...options, fresh: true, onProgress });
    assert.deepEqual(seen, [10, 12, 12]);
    assert.equal(resumed!.source, "trained");
    assert.deepEqual(timeless(resumed!.records), timeless(whole!.records));
    assert.deepEqual(await weightsOf(folder, resumed!), wholeWeights);

    const [again] = await runAll([spec], { ...options, fresh: true });
    assert.equal(again!.source, "stored");
    assert.deepEqual(again!.records, resumed!.records);
  }));

Deno.test("runAll() refuses what cannot be trained before it trains anything", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const good = tinySpec(folder, "eem");
    const { model } = good.training;
    assert.ok(model.kind === "augmented" && model.decoder.architecture === "mixer");
    const training = (changes: Partial<RunSpec["training"]>) => ({
      ...good,
      training: { ...good.training, ...changes },
    });
    await refuses(folder, [
      [
        training({ batchSize: 1e6 }),
        /^a batch of 1000000 does not fit the \d+ training windows of 8 tokens; lower /,
      ],
      [training({ batchSize: 0 }), /^a batch of 0 does not fit/],
      [training({ batchSize: 1.5 }), /^a batch of 1\.5 does not fit/],
      [
        training({ schedule: { ...good.training.schedule, warmupSteps: 12 } }),
        /^warmupSteps: .* found 12$/,
      ],
      [{ ...good, quantizedBits: [4, 1] }, /found 1$/],
      [training({ attentionDropout: 0.1 }), /^attention dropout: expected a causal model/],
      [training({ objective: { form: "signed" } }), /^objective signed: expected a causal model/],
      [
        training({ qat: { method: "noise", at: "weights", width: 1, modules: ["upper"] } }),
        /^module upper: expected one of encoder\.embedding, .* found none of that name$/,
      ],
      [training({ penalties: { l1: 0 } }), /^penalties\.l1: expected a positive number, found 0$/],
      [
        { ...good, data: { ...good.data, trainWindows: 1e6 } },
        /^trainWindows: expected at most \d+ of the \d+ training windows of 8 tokens that there are, found/,
      ],
      [
        training({ model: { ...model, decoder: { ...model.decoder, causal: false } } }),
        /^decoder\.causal: expected true/,
      ],
      [
        { ...training({ matmulPrecision: "bfloat16" }), rounding: {} },
        /^products in bfloat16 are for training .*: expected no rounding in the same run, found one/,
      ],
      [
        training({ matmulPrecision: "bfloat16" }),
        /^matrix products: expected an engine that has them in bfloat16, found float32; start it/,
      ],
    ]);
  }));

Deno.test("runAll() records training, evaluations at their steps, measurements and the end", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const [run] = await runAll([tinySpec(folder, "eem")], optionsIn(folder));
    const steps = (type: "train" | "evaluation") =>
      run!.records.flatMap((record) =>
        "step" in record && record.type === type ? [record.step] : []
      );
    assert.deepEqual(steps("train"), [2, 4, 6, 8, 10, 12]);
    assert.deepEqual(steps("evaluation"), [4, 8, 12]);
    const measured = run!.records.filter((record) => record.type === "measurement")
      .filter((record) => "lossNats" in record);
    assert.deepEqual(
      measured.map((record) => "bits" in record ? [record.what, record.bits] : [record.what]),
      [["quantized embedding", 4], ["quantized embedding", 8], ["foreign embedding"]],
    );
    const last = run!.records.findLast((record) => record.type === "evaluation")!;
    assert.equal(last.scoredTokens, 16 * 7);
    assert.equal(last.tokens, 12 * 8 * 8);
    const eightBits = measured[1]!.lossNats;
    assert.ok(Math.abs(eightBits - last.lossNats) < 0.01, "8 bits change little");
    assert.notEqual(measured[0]!.lossNats, last.lossNats);
    assert.deepEqual(run!.records.at(-1), {
      type: "end",
      step: 12,
      tokens: 768,
      reason: "finished",
    });
  }));

Deno.test("runAll() stopped at any record and run again equals an uninterrupted run bit by bit", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const spec = tinySpec(folder, "eem");
    const options = optionsIn(folder);
    const [whole] = await runAll([spec], { ...options, fresh: true });
    const wholeWeights = await weightsOf(folder, whole!);
    for (let stopAt = 1; stopAt <= 7; stopAt++) {
      await Deno.remove(options.folders.runs, { recursive: true });
      const controller = new AbortController();
      let seen = 0;
      const onProgress = () => {
        if (++seen === stopAt) controller.abort();
      };
      await assert.rejects(
        runAll([spec], { ...options, signal: controller.signal, onProgress }),
        (error) =>
          error instanceof UserError && /stopped mixer eem, seed 3 after step/.test(error.message),
      );
      assert.equal(await readFinishedRun(options.folders, whole!.config.id), null);
      const [resumed] = await runAll([spec], options);
      assert.equal(resumed!.source, "trained");
      assert.deepEqual(timeless(resumed!.records), timeless(whole!.records));
      assert.deepEqual(await weightsOf(folder, resumed!), wholeWeights);
    }
  }));

Deno.test("runAll() goes on from the last checkpoint after a crash, without doubled records", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const spec = tinySpec(folder, "clm");
    const options = optionsIn(folder);
    const [whole] = await runAll([spec], options);
    const runFolder = join(options.folders.runs, whole!.config.id);
    for (let crashAt = 1; crashAt <= 8; crashAt++) {
      await Deno.remove(options.folders.runs, { recursive: true });
      let seen = 0;
      const onProgress = () => {
        if (++seen === crashAt) throw new Error("crash");
      };
      // Every second record is followed by a checkpoint, so that some are newer than it.
      const crashed = runAll([spec], { ...options, onProgress, checkpointSeconds: crashAt % 2 });
      await assert.rejects(crashed, /crash/);
      await Deno.writeTextFile(join(runFolder, "records.jsonl"), `{"type":"tra`, { append: true });
      const [resumed] = await runAll([spec], options);
      assert.deepEqual(timeless(resumed!.records), timeless(whole!.records));
    }
  }));

Deno.test("runAll() does not train again what has failed after its last step", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const spec = tinySpec(folder, "eem");
    const options = optionsIn(folder);
    const [whole] = await runAll([spec], options);
    await Deno.remove(options.folders.runs, { recursive: true });
    // A folder where the weights shall be written.
    const obstacle = weightsPath(options.folders, whole!.config.id);
    const onProgress = () => Deno.mkdir(obstacle, { recursive: true });
    await assert.rejects(runAll([spec], { ...options, onProgress }));
    assert.equal(await readFinishedRun(options.folders, whole!.config.id), null);

    await Deno.remove(obstacle);
    const seen: RunRecord[] = [];
    const [resumed] = await runAll([spec], {
      ...options,
      onProgress: ({ record }) => void seen.push(record),
    });
    assert.deepEqual(seen, []);
    assert.deepEqual(timeless(resumed!.records), timeless(whole!.records));
  }));

Deno.test("runAll() stores the tokenizer with the run", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const spec = tinySpec(folder, "clm");
    const [run] = await runAll([spec], options);
    const path = join(options.folders.runs, run!.config.id, "tokenizer.json");
    const { tokenizer } = await prepareData(spec.data, options);
    assert.equal(parseTokenizer(await Deno.readTextFile(path)).hash, tokenizer.hash);
  }));

Deno.test("runAll() frees its tensors", () =>
  withFiles(tinyCorpus(), async (folder) => {
    await runAll([tinySpec(folder, "eem")], optionsIn(folder));
    const before = memory().numTensors;
    await runAll([tinySpec(folder, "eem", { seed: 4 })], optionsIn(folder));
    assert.equal(memory().numTensors, before);
  }));

Deno.test("runAll() ends a diverging run with a message and keeps the last good state", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const schedule = { peakRate: 1e6, warmupSteps: 0, steps: 12 };
    const spec = tinySpec(folder, "clm", { schedule });
    const options = optionsIn(folder);
    await assert.rejects(
      runAll([spec], options),
      (error) =>
        error instanceof UserError &&
        /diverged at step \d+; the last good state is in .*; lower the learning rate/
          .test(error.message),
    );
    const [folderName] = [...Deno.readDirSync(options.folders.runs)].map((entry) => entry.name);
    assert.ok(
      (await Deno.stat(join(options.folders.runs, folderName!, "checkpoint.safetensors"))).size > 0,
    );
  }));

Deno.test("runAll() names a checkpoint that is damaged", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const controller = new AbortController();
    const stopped = runAll([tinySpec(folder, "clm")], {
      ...options,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await assert.rejects(stopped, UserError);
    const [run] = [...Deno.readDirSync(options.folders.runs)];
    const path = join(options.folders.runs, run!.name, "checkpoint.safetensors");
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 10));
    await assert.rejects(
      runAll([tinySpec(folder, "clm")], options),
      (error) =>
        error instanceof UserError && error.message.includes(path) &&
        /expected a complete safetensors file/.test(error.message),
    );
  }));

Deno.test("loadWeights() gives the trained parameters", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const [run] = await runAll([tinySpec(folder, "zeros")], options);
    const params = await loadWeights(options.folders, run!.config);
    const stored = await weightsOf(folder, run!);
    assert.ok(leavesOf(params).every((leaf) => leaf.dataSync().every(Number.isFinite)));
    assert.ok(stored.length > 4 * run!.config.facts.parameterCount);
  }));

/** An EEM that takes over the encoder of an autoencoder, and the latter's run. */
function frozenSpec(folder: string): RunSpec & { frozenEncoder: RunSpec } {
  return { ...tinySpec(folder, "eem"), arm: "frozen", frozenEncoder: tinySpec(folder, "ae") };
}

Deno.test("runAll() trains the run whose encoder another takes over, unless it is there", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const spec = frozenSpec(folder);
    const { model } = spec.training;
    assert.ok(model.kind === "augmented" && model.memory === "embedding");

    const first = watchProgress();
    const results = await runAll([spec], { ...options, onProgress: first.onProgress });
    assert.equal(results.length, 1, "the source is not asked for");
    const [frozen] = results;
    assert.deepEqual(first.seen, [...twelveSteps("ae", 0, 24), ...twelveSteps("frozen", 12, 24)]);
    assert.equal(frozen!.config.facts.parameterCount, parameterCount(model));
    const [source] = await runAll([spec.frozenEncoder], options);
    assert.equal(source!.source, "stored");

    const encoderOf = async ({ config }: RunResult) => {
      const encoder = await loadEncoder(options.folders, config, model.encoder);
      const values = valuesOf(encoder);
      disposeTree(encoder);
      return values;
    };
    assert.deepEqual(await encoderOf(frozen!), await encoderOf(source!));
    const [unfrozen] = await runAll([tinySpec(folder, "eem")], options);
    assert.notEqual(unfrozen!.config.id, frozen!.config.id);
    assert.notDeepEqual(await encoderOf(unfrozen!), await encoderOf(source!));
    assert.notDeepEqual(timeless(unfrozen!.records), timeless(frozen!.records));

    // With a source that is stored: the same run. It is trained once if it is asked for as well.
    const weights = await weightsOf(folder, frozen!);
    await Deno.remove(join(options.folders.runs, frozen!.config.id), { recursive: true });
    const second = watchProgress();
    const [again] = await runAll([spec], { ...options, onProgress: second.onProgress });
    assert.deepEqual(second.seen, twelveSteps("frozen", 0, 12));
    assert.deepEqual(timeless(again!.records), timeless(frozen!.records));
    assert.deepEqual(await weightsOf(folder, again!), weights);
    await Deno.remove(options.folders.runs, { recursive: true });
    const third = watchProgress();
    const renamed = { ...spec.frozenEncoder, arm: "renamed" };
    const both = await runAll([spec, renamed], { ...options, onProgress: third.onProgress });
    assert.deepEqual(third.seen, first.seen);
    assert.deepEqual(both.map((run) => run.source), ["trained", "trained"]);
    assert.deepEqual(timeless(both[1]!.records), timeless(source!.records));
    assert.equal(both[1]!.config.spec.arm, "renamed");
  }));

Deno.test("runAll() takes a published run without its source, which it needs only to train", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const spec = frozenSpec(folder);
    const [trained] = await runAll([spec], options);
    const [source] = await runAll([spec.frozenEncoder], options);
    await publishRun(options.folders, trained!);
    await publishRun(options.folders, source!);
    await Deno.remove(options.folders.runs, { recursive: true });
    const [published] = await runAll([spec], options);
    assert.equal(published!.source, "published");
    await assert.rejects(Deno.stat(options.folders.runs), Deno.errors.NotFound);

    // A published source has no encoder to give.
    await Deno.remove(join(options.folders.published, `${trained!.config.id}.json`));
    const watch = watchProgress();
    const both = await runAll([spec.frozenEncoder, spec], {
      ...options,
      onProgress: watch.onProgress,
    });
    assert.deepEqual(both.map((run) => run.source), ["trained", "trained"]);
    assert.deepEqual(watch.seen, [...twelveSteps("ae", 0, 24), ...twelveSteps("frozen", 12, 24)]);
    assert.deepEqual(timeless(both[1]!.records), timeless(trained!.records));
  }));

Deno.test("runAll() told to train anew trains sources anew too, once", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const spec = frozenSpec(folder);
    const options = optionsIn(folder);
    await runAll([spec], options);
    const watch = watchProgress();
    const others = { ...spec, training: { ...spec.training, seed: 4 } };
    const fresh = { ...options, fresh: true, onProgress: watch.onProgress };
    await runAll([spec, others], fresh);
    await runAll([spec, others], fresh);
    assert.deepEqual(watch.seen, [
      ...twelveSteps("ae", 0, 36),
      ...twelveSteps("frozen", 12, 36),
      ...twelveSteps("frozen", 24, 36),
    ]);
  }));

Deno.test("runAll() told to train anew but to keep what runs need trains that alone", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const spec = frozenSpec(folder);
    const [before] = await runAll([spec], optionsIn(folder));
    const { seen, onProgress } = watchProgress();
    const options = { ...optionsIn(folder), fresh: true, keepNeeded: true, onProgress };
    const [after] = await runAll([spec], options);
    assert.deepEqual(seen, twelveSteps("frozen", 0, 12));
    assert.deepEqual(timeless(after!.records), timeless(before!.records));
  }));

Deno.test("runAll() stopped in a source or after it goes on bit by bit", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const spec = frozenSpec(folder);
    const options = optionsIn(folder);
    const [whole] = await runAll([spec], options);
    const wholeWeights = await weightsOf(folder, whole!);
    for (const [stopAt, label] of [[4, "ae"], [16, "frozen"]] as const) {
      await Deno.remove(options.folders.runs, { recursive: true });
      const controller = new AbortController();
      const onProgress = ({ stepsDone }: RunProgress) => {
        if (stepsDone === stopAt) controller.abort();
      };
      await assert.rejects(
        runAll([spec], { ...options, signal: controller.signal, onProgress }),
        (error) =>
          error instanceof UserError &&
          error.message.startsWith(`stopped mixer ${label}, seed 3 after step 4;`),
      );
      const [resumed] = await runAll([spec], options);
      assert.deepEqual(timeless(resumed!.records), timeless(whole!.records));
      assert.deepEqual(await weightsOf(folder, resumed!), wholeWeights);
    }
  }));

Deno.test("runAll() refuses an encoder that does not fit before it trains anything", () => {
  const corpus = tinyCorpus()["corpus.jsonl"]!;
  const files = { "corpus.jsonl": corpus, "other.jsonl": corpus.replace("union", "onion") };
  return withFiles(files, (folder) => {
    const spec = frozenSpec(folder);
    const source = spec.frozenEncoder;
    return refuses(folder, [
      [
        { ...spec, frozenEncoder: tinySpec(folder, "clm") },
        /^frozenEncoder \(mixer clm\): expected an encoder of \{.*"width":4.*\}, found \{.*"width":8/,
      ],
      [
        { ...spec, frozenEncoder: tinySpec(folder, "zeros") },
        /^frozenEncoder \(mixer zeros\): expected an encoder of .*, found a model without one$/,
      ],
      [
        { ...tinySpec(folder, "zeros"), frozenEncoder: source },
        /^frozenEncoder: expected a model with an encoder, found none$/,
      ],
      [
        { ...tinySpec(folder, "clm"), frozenEncoder: source },
        /^frozenEncoder: expected a model with an encoder, found none$/,
      ],
      [
        {
          ...spec,
          frozenEncoder: {
            ...source,
            data: { ...tinySpec(folder, "ae").data, corpus: join(folder, "other.jsonl") },
          },
        },
        /^frozenEncoder \(mixer ae\): expected a run on the same corpus, .*, found another$/,
      ],
      [
        { ...spec, frozenEncoder: { ...source, quantizedBits: [1] } },
        /found 1$/,
      ],
    ]);
  });
});

Deno.test("runAll() frees the tensors of a frozen encoder, of a run that fails too", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const spec = frozenSpec(folder);
    const before = memory().numTensors;
    await runAll([spec], options);
    assert.equal(memory().numTensors, before);
    await Deno.remove(options.folders.runs, { recursive: true });
    const onProgress = ({ stepsDone }: RunProgress) => {
      if (stepsDone > 12) throw new Error("fails");
    };
    await assert.rejects(runAll([spec], { ...options, onProgress }), /fails/);
    assert.equal(memory().numTensors, before);

    // A model too large to be made, with the encoder that is there by now.
    const { model } = spec.training;
    assert.ok(model.kind === "augmented");
    const tooLarge = { ...model, decoder: { ...model.decoder, width: 2 ** 40 } };
    const training = { ...spec.training, model: tooLarge };
    await assert.rejects(runAll([{ ...spec, training }], options), RangeError);
    assert.equal(memory().numTensors, before);
  }));

/** Causal transformers that differ in what they are trained on alone. */
function treatedSpecs(folder: string): RunSpec[] {
  const { training, data, ...clm } = tinySpec(folder, "clm", { evaluateTrain: true });
  const { model } = training;
  assert.ok(model.kind === "causal" && model.backbone.architecture === "mixer");
  const { vocabSize, contextLength, width, layerCount } = model.backbone;
  const sizes = { vocabSize, contextLength, width, layerCount, headCount: 2 };
  const backbone = { architecture: "transformer", ...sizes } as const;
  const teacher = { run: tinySpec(folder, "clm"), estimator: "loss" } as const;
  const treated = (arm: string, loss: LossOptions, needed: Pick<RunSpec, "teacher"> = {}) => ({
    ...clm,
    arm,
    data: { ...data, trainWindows: 24, heldOutWindows: 8 },
    ...needed,
    training: { ...training, model: { kind: "causal", backbone } as const, ...loss },
  });
  return [
    treated("plain", {}),
    treated("dropout", { attentionDropout: 0.3 }),
    treated("more dropout", { attentionDropout: 0.6 }),
    treated("smoothing", { objective: { form: "label-smoothing", share: 0.2 } }),
    treated("L1", { penalties: { l1: 0.01 } }),
    treated("L2", { penalties: { l2: 0.01 } }),
    treated("noise", { qat: { method: "noise", at: "outputs", width: 0.5 } }),
    treated("less noise", { qat: { method: "noise", at: "outputs", width: 0.25 } }),
    treated("rounding", {
      qat: { method: "fake-quantization", at: "weights", quantization: { format: "int4" } },
    }),
    treated("one-sided", { objective: { form: "one-sided" } }, { teacher }),
    treated("absolute", { objective: { form: "absolute", scale: 1 } }, { teacher }),
    treated("absolute, shuffled", { objective: { form: "absolute", scale: 1 } }, {
      teacher: { ...teacher, transforms: ["shuffled"] },
    }),
  ];
}

Deno.test("runAll() trains every run on its own loss, whichever were trained before it", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const specs = treatedSpecs(folder);
    const together = await runAll(specs, optionsIn(folder));
    const apart = { ...optionsIn(folder), folders: optionsIn(join(folder, "apart")).folders };
    const trained = new Set<string>();
    for (const [index, spec] of specs.entries()) {
      const [alone] = await runAll([spec], apart);
      assert.equal(alone!.source, "trained");
      assert.deepEqual(timeless(together[index]!.records), timeless(alone!.records), spec.arm);
      trained.add(JSON.stringify(timeless(alone!.records)));
    }
    assert.equal(trained.size, specs.length, "each has other losses");
  }));

Deno.test("runAll() records both sides of each evaluation, and what a loss form compares with", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const specs = treatedSpecs(folder);
    const runs = await runAll(specs, options);
    const valuesOf = ({ records }: RunResult) =>
      records.flatMap((record) =>
        record.type === "measurement" && record.what === "token values" ? [record.meanValue] : []
      );
    const named = (arm: string) => runs.find(({ config }) => config.spec.arm === arm)!;
    for (const run of runs) {
      const { spec } = run.config;
      const evaluations = run.records.filter((record) => record.type === "evaluation");
      assert.equal(evaluations.length, 3);
      for (const { trainLossNats, lossNats } of evaluations) {
        // Plain losses, of a model that is hardly better than a guess, whatever it is trained on.
        for (const loss of [trainLossNats!, lossNats]) {
          assert.ok(loss > 2 && loss < 1.05 * Math.log(270), `${spec.arm}: ${loss}`);
        }
        assert.notEqual(trainLossNats, lossNats);
      }
      assert.equal(valuesOf(run).length, spec.teacher === undefined ? 0 : 1, spec.arm);
    }

    // The mean over the training windows of what the teacher says.
    const [teacher] = await runAll([tinySpec(folder, "clm")], options);
    const { training: { train } } = await prepareData(specs[0]!.data, options);
    const model = {
      config: teacher!.config.spec.training.model,
      params: await loadWeights(options.folders, teacher!.config),
      padId: null,
    };
    assert.equal(train.count, 24);
    const losses = await tokenCrossEntropies(model, inMemory(train));
    disposeTree(model.params);
    const expected = mean(losses.flat().filter((loss) => loss !== null));
    for (const arm of ["one-sided", "absolute", "absolute, shuffled"]) {
      const [found] = valuesOf(named(arm));
      assert.ok(Math.abs(found! - expected) < 1e-6, `${arm}: ${found}, not ${expected}`);
    }

    // A model that learns the numbers is evaluated on them: nothing more is said of them.
    const run = tinySpec(folder, "clm");
    const taught: RunSpec = { ...tinySpec(folder, "2eem"), teacher: { run, estimator: "loss" } };
    assert.deepEqual(valuesOf((await runAll([taught], options))[0]!), []);
  }));

Deno.test("runAll() stopped with a loss form, dropout or noise goes on bit by bit", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const specs = treatedSpecs(folder).filter(({ arm }) =>
      ["dropout", "noise", "absolute, shuffled"].includes(arm)
    );
    const whole = await runAll(specs, options);
    for (const [index, spec] of specs.entries()) {
      const weights = await weightsOf(folder, whole[index]!);
      const { id } = whole[index]!.config;
      await Deno.remove(join(options.folders.runs, id), { recursive: true });
      const controller = new AbortController();
      const onProgress = ({ stepsDone }: RunProgress) => {
        if (stepsDone === 6) controller.abort();
      };
      await assert.rejects(
        runAll([spec], { ...options, signal: controller.signal, onProgress }),
        (error) => error instanceof UserError && error.message.includes("after step 6;"),
      );
      const [resumed] = await runAll([spec], options);
      assert.deepEqual(timeless(resumed!.records), timeless(whole[index]!.records), spec.arm);
      assert.deepEqual(await weightsOf(folder, resumed!), weights, spec.arm);
    }
  }));

Deno.test("runAll() trains an autoencoder, whose every token is scored", () =>
  withFiles(tinyCorpus(), async (folder) => {
    const options = optionsIn(folder);
    const spec = tinySpec(folder, "ae");
    const [run] = await runAll([spec], options);
    assert.match(run!.config.id, /^mixer-ae-4-seed-3-/);
    assert.equal(run!.config.facts.embeddingSize, 4);
    assert.equal(run!.config.facts.parameterCount, parameterCount(spec.training.model));
    const evaluations = run!.records.filter((record) => record.type === "evaluation");
    assert.deepEqual(evaluations.map(({ scoredTokens }) => scoredTokens), Array(3).fill(16 * 8));
    assert.ok(evaluations.at(-1)!.lossNats < evaluations[0]!.lossNats);
    assert.equal(run!.records.at(-1)!.type, "end");
    const params = await loadWeights(options.folders, run!.config);
    assert.ok(leavesOf(params).every((leaf) => leaf.dataSync().every(Number.isFinite)));
    disposeTree(params);
  }));

Deno.test("runAll() trains on made sequences, which leave no tokenizer", () =>
  withFiles({}, async (folder) => {
    const options = optionsIn(folder);
    const spec = tinyLatentSpec();
    const [run] = await runAll([spec], options);
    const names = [...Deno.readDirSync(join(options.folders.runs, run!.config.id))]
      .map((entry) => entry.name).sort();
    assert.deepEqual(names, ["config.json", "lock", "model.safetensors", "records.jsonl"]);
    const { parameterCount: _, ...facts } = run!.config.facts;
    assert.deepEqual(facts, {
      embeddingSize: 0,
      bytesPerToken: 1,
      meanRealTokens: 7,
      trainWindows: 40,
      heldOutWindows: 9,
    });
    const last = run!.records.findLast((record) => record.type === "evaluation")!;
    assert.equal(last.scoredTokens, 9 * 6);
    const [stored] = await runAll([spec], options);
    assert.equal(stored!.source, "stored");
    await publishRun(options.folders, run!);
    await Deno.remove(options.folders.runs, { recursive: true });
    const [published] = await runAll([spec], options);
    assert.equal(published!.source, "published");
    assert.deepEqual(published!.records, run!.records);
  }));
