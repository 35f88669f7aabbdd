import assert from "node:assert/strict";
import { symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseCommand, UsageError } from "../../lib/cli/_args.ts";
import { checkOptions, trainCommand } from "../../lib/cli/_train_options.ts";
import { dataSpec, modelConfig, runSpec, summaryLines } from "../../lib/cli/train.ts";
import { UserError } from "../../lib/errors.ts";
import type { DataSpec, RunRecord, StoredRun } from "../../lib/experiments/mod.ts";
import { checkModelSizes, type ModelConfig, sampleLength, stacksOf } from "../../lib/models/mod.ts";
import { tinyCorpus } from "../experiments/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";

/** The model of a command line, with its sizes checked. */
function modelOf(...argv: string[]): ModelConfig {
  const model = modelConfig(parseCommand(trainCommand, argv).options);
  checkModelSizes(model);
  return model;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The task on a tiny corpus, with runs of its own. */
async function trainingIn(folder: string): Promise<(...argv: string[]) => Deno.Command> {
  // The command keeps its runs beside its own lib: this one's is the temporary folder's.
  await symlink(join(root, "lib"), join(folder, "lib"));
  const train = join(folder, "lib", "cli", "train.ts");
  const permissions = ["read", "write", "env", "ffi", "sys", "run"].map((name) =>
    `--allow-${name}`
  );
  const sizes = { vocabulary: 270, context: 8, batch: 8, width: 8, layers: 1 };
  const options = Object.entries(sizes).flatMap(([name, size]) => [`--${name}`, `${size}`]);
  return (...argv) =>
    new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-check", ...permissions, `--config=${join(root, "deno.json")}`, train],
        ...["--corpus", join(folder, "corpus.jsonl"), "--backend", "wasm", ...options, ...argv],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    });
}

Deno.test({
  name: "deno task train that gets Ctrl-C ends with 130 and says in one line how to go on",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFiles(tinyCorpus(), async (folder) => {
      const process = (await trainingIn(folder))("--steps", "100000").spawn();
      const output = new Response(process.stdout).text();
      let said = "";
      let sent = false;
      for await (const chunk of process.stderr.pipeThrough(new TextDecoderStream())) {
        said += chunk;
        if (sent || !said.includes("step 10/")) continue;
        sent = true;
        process.kill("SIGINT");
      }
      const { code, signal } = await process.status;
      assert.equal(signal, null, "it ended by itself");
      assert.equal(await output, "");
      assert.equal(code, 130, said);
      const last = said.trimEnd().split("\n").at(-1)!;
      const [, checkpoint] = last.match(
        /^stopped mixer clm, seed 1 after step \d+; run the same again to go on from (.*)$/,
      ) ?? assert.fail(said);
      assert.doesNotMatch(said, /error|\n\s+at /);
      assert.ok(checkpoint!.startsWith(join(folder, "runs")), last);
      assert.ok((await Deno.stat(checkpoint!)).size > 0);
    }),
});

Deno.test({
  name: "deno task train goes from a teacher on all samples to a student on few",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFiles(tinyCorpus(), async (folder) => {
      const training = await trainingIn(folder);
      const run = async (...argv: string[]) => {
        const { code, stdout, stderr } = await training("--steps", "12", ...argv).output();
        const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
        assert.equal(code, 0, decode(stderr));
        return decode(stdout).trimEnd().split("\n");
      };
      const pathIn = (lines: readonly string[]) => lines.at(-1)!.replace(/^weights: /, "");
      const teacherLines = await run();
      const teacher = pathIn(teacherLines);
      const teacherId = basename(dirname(teacher));
      assert.equal(teacherLines.at(-2), `run: ${teacherId}`);
      const { mtime } = await Deno.stat(teacher);
      const taught = [
        ...["--train-windows", "16", "--objective", "absolute"],
        ...["--entropies", teacherId, "--evaluate-every", "6"],
      ];
      const lines = await run(...taught);
      const evaluation =
        /held-out loss \d\.\d{4} nats\/token .* train loss \d\.\d{4} {2}gap -?\d\.\d+$/;
      assert.match(lines[0]!, new RegExp(`^step 6 .*${evaluation.source}`));
      assert.match(lines[1]!, new RegExp(`^step 12 .*${evaluation.source}`));
      assert.match(lines[2]!, /^mean of the estimates that it was trained with {2}\d\.\d{4}$/);
      assert.notEqual(pathIn(lines), teacher);
      const config = await Deno.readTextFile(join(dirname(pathIn(lines)), "config.json"));
      const { spec, facts } = JSON.parse(config);
      assert.equal(facts.trainWindows, 16);
      assert.deepEqual(spec.training.objective, { form: "absolute", scale: 2.5 });
      assert.equal(spec.teacher.run.data.trainWindows, undefined);
      assert.deepEqual(await run(...taught, "--fresh"), lines);
      assert.deepEqual((await Deno.stat(teacher)).mtime, mtime, "the teacher stays");
    }),
});

for (const family of ["mixer", "transformer", "lstm"]) {
  for (const model of ["clm", "eem", "zeros", "autoencoder"]) {
    Deno.test(`deno task train --model ${model} --family ${family} makes such a model`, () => {
      const config = modelOf("--model", model, "--family", family, "--context", "24");
      const kinds = { clm: "causal", eem: "augmented", zeros: "augmented", autoencoder: model };
      assert.equal(config.kind, kinds[model as keyof typeof kinds]);
      assert.equal(sampleLength(config), 24);
      assert.ok(stacksOf(config).every(({ architecture }) => architecture === family));
    });
  }
}

Deno.test("deno task train hands joins, expansions and kernels on", () => {
  for (const join of ["embedding", "linear"]) {
    for (const model of ["eem", "zeros"]) {
      const config = modelOf("--model", model, "--join", join, "--kernel", "4");
      assert.ok(config.kind === "augmented" && config.join === join);
      assert.equal(sampleLength(config), 128);
      const [stack] = stacksOf(config);
      assert.ok(stack!.architecture === "mixer" && stack!.kernelSize === 4);
    }
  }
  const config = modelOf("--model", "autoencoder", "--expansion", "unroll");
  assert.ok(config.kind === "autoencoder" && config.expansion === "unroll");
});

Deno.test("deno task train takes --heads for attention and for mixing", () => {
  const headsOf = (...argv: string[]) => {
    const [stack] = stacksOf(modelOf(...argv));
    return stack!.architecture === "lstm" ? undefined : stack!.headCount;
  };
  assert.equal(headsOf("--family", "transformer"), 4);
  assert.equal(headsOf("--family", "transformer", "--heads", "8"), 8);
  assert.equal(headsOf("--family", "mixer"), undefined);
  assert.equal(headsOf("--family", "mixer", "--heads", "8"), 8);
});

Deno.test("deno task train refuses options that would do nothing", () => {
  const refused = [
    ["--join", "linear"],
    ["--model", "eem", "--expansion", "unroll"],
    ["--model", "zeros", "--embedding-size", "4"],
    ["--family", "transformer", "--kernel", "4"],
    ["--family", "lstm", "--heads", "2"],
    ["--model", "autoencoder", "--bits", "4"],
    ["--encoder-width", "16"],
    ["--model", "autoencoder", "--initialization", "pytorch"],
    ["--corpus", "markov.json", "--vocabulary", "300"],
    ["--corpus", "markov.JSON", "--unit", "sentence"],
    ["--corpus", "a/markov.json", "--text-field", "body"],
    ["--attention-dropout", "0.1"],
    ["--family", "transformer", "--model", "zeros", "--attention-dropout", "0.1"],
    ["--model", "eem", "--objective", "absolute"],
    ["--scale", "2"],
  ];
  for (const argv of refused) {
    const { options, given } = parseCommand(trainCommand, argv);
    const option = argv.at(-2)!;
    assert.throws(
      () => checkOptions(options, given),
      (error: Error) => error instanceof UsageError && error.message.startsWith(`${option} does`),
    );
  }
  for (
    const argv of [
      [],
      ["--corpus", "texts.jsonl", "--vocabulary", "300", "--text-field", "body"],
      ["--corpus", "markov.json", "--layout", "padded"],
      ["--model", "zeros", "--join", "embedding", "--embedding-size", "4"],
      ["--family", "transformer", "--attention-dropout", "0.1", "--l1", "0.1"],
      ["--model", "eem", "--objective", "plain", "--l2", "0.1", "--evaluate-train"],
    ]
  ) {
    const { options, given } = parseCommand(trainCommand, argv);
    checkOptions(options, given);
  }
});

Deno.test("deno task train evaluates the training samples where there are few, or as asked", async () => {
  const specOf = async (...argv: string[]) => {
    const { options, given } = parseCommand(trainCommand, argv);
    return runSpec(options, given, await dataSpec(options));
  };
  const plain = await specOf();
  assert.ok(!("trainWindows" in plain.data) && !("teacher" in plain));
  assert.deepEqual(Object.keys(plain.training), [
    ...["model", "optimizer", "schedule", "batchSize", "seed", "logEvery", "evaluateEvery"],
  ], "runs without these options keep their ids");
  const few = await specOf("--train-windows", "9");
  assert.deepEqual(few.data, { ...plain.data, trainWindows: 9 });
  for (
    const [argv, expected] of [
      [[], undefined],
      [["--train-windows", "9"], true],
      [["--evaluate-train"], true],
      [["--train-windows", "9", "--no-evaluate-train"], undefined],
    ] as const
  ) {
    assert.equal((await specOf(...argv)).training.evaluateTrain, expected, argv.join(" "));
  }
  const { arm, training } = await specOf("--objective", "one-sided", "--l1", "0.5");
  assert.equal(arm, "clm, one-sided");
  assert.deepEqual([training.objective, training.penalties], [{ form: "one-sided" }, { l1: 0.5 }]);
  const precise = await specOf("--matmul-precision", "bfloat16");
  assert.equal(precise.arm, "clm, bfloat16");
  assert.deepEqual(precise.training, { ...plain.training, matmulPrecision: "bfloat16" });
  const { options, given } = parseCommand(trainCommand, []);
  const teacher = { exact: "entropy" } as const;
  assert.deepEqual(runSpec(options, given, plain.data, teacher).teacher, teacher);
});

const BIT = { kind: "iid", probabilities: [0.5, 0.25, 0.25], length: 400, seed: 2 };

Deno.test("deno task train --corpus takes a .json file as the source that it describes", () =>
  withFiles({ "bit.json": JSON.stringify(BIT), "wrong.json": "[]" }, async (folder) => {
    const dataOf = (...argv: string[]) => dataSpec(parseCommand(trainCommand, argv).options);
    const sizes = ["--context", "20", "--layout", "padded", "--held-out-windows", "7"];
    const data = await dataOf("--corpus", join(folder, "bit.json"), ...sizes);
    assert.deepEqual(data, {
      known: BIT,
      vocabSize: 4,
      layout: "padded",
      contextLength: 20,
      heldOutWindows: 7,
    });
    const { options } = parseCommand(trainCommand, ["--model", "eem"]);
    for (const { vocabSize } of stacksOf(modelConfig(options, data.vocabSize))) {
      assert.equal(vocabSize, 4);
    }
    await assert.rejects(
      dataOf("--corpus", join(folder, "wrong.json")),
      (error) =>
        error instanceof UserError &&
        error.message.endsWith("wrong.json: a source: expected an object, found []"),
    );
    const text = await dataOf("--corpus", folder);
    assert.ok("corpus" in text && text.corpus === folder && text.vocabSize === 4096);
  }));

const ENDED = { step: 20, tokens: 320 };
const SOURCE_RECORD = {
  type: "measurement",
  what: "source entropy",
  entropyNats: 1.25,
  surprisalNats: 1.24,
} as const;

/** What is printed of a run with two evaluations and the measurements given. */
function summaryOf(
  data: DataSpec,
  measured: readonly RunRecord[],
  { model = modelOf(), embeddingSize = 0 }: { model?: ModelConfig; embeddingSize?: number } = {},
): string[] {
  const run = {
    config: { spec: { data, training: { model } }, facts: { bytesPerToken: 2, embeddingSize } },
    records: [
      { type: "evaluation", step: 10, tokens: 160, lossNats: 1.4, scoredTokens: 9 },
      { type: "evaluation", ...ENDED, lossNats: 1.3, scoredTokens: 9 },
      ...measured,
      { type: "end", ...ENDED, reason: "finished" },
    ],
  };
  return summaryLines(run as unknown as StoredRun);
}

Deno.test("deno task train says how far a model is from its source, and no bits per byte", () =>
  withFiles({ "bit.json": JSON.stringify(BIT) }, async (folder) => {
    const argv = ["--corpus", join(folder, "bit.json")];
    const data = await dataSpec(parseCommand(trainCommand, argv).options);
    const exact = [
      "exact mean conditional entropy  1.2500 nats/token",
      "surprisal of the held-out tokens under the source  1.2400 nats/token",
    ];
    const unknownRate = { ...SOURCE_RECORD, rateNats: null };
    assert.deepEqual(summaryOf(data, [unknownRate]), [
      "step 10  held-out loss 1.4000 nats/token",
      "step 20  held-out loss 1.3000 nats/token",
      ...exact,
      "excess of the held-out loss over it  0.0600 nats/token",
    ]);
    assert.equal(
      summaryOf(data, [{ ...SOURCE_RECORD, rateNats: 1.23 }])[2],
      `${exact[0]} (entropy rate of the source 1.2300)`,
    );
    const told = summaryOf(data, [unknownRate], { embeddingSize: 8 });
    assert.equal(
      told.at(-1),
      "excess of the held-out loss over it  0.0600 nats/token (embedding not paid for)",
    );
    const model = modelOf("--model", "autoencoder");
    assert.deepEqual(summaryOf(data, [unknownRate], { model }).slice(2), exact);
  }));

Deno.test("deno task train says of text what a byte costs, and what was measured", async () => {
  const data = await dataSpec(parseCommand(trainCommand, []).options);
  const bits = (nats: number) => (nats / Math.LN2 / 2).toFixed(4);
  assert.deepEqual(
    summaryOf(data, [
      { type: "measurement", what: "full windows", lossNats: 1.35, windows: 3 },
      { type: "measurement", what: "quantized embedding", bits: 4, lossNats: 1.5 },
    ], { embeddingSize: 8 }),
    [
      `step 10  held-out loss 1.4000 nats/token  ${bits(1.4)} bits/byte (embedding not paid for)`,
      `step 20  held-out loss 1.3000 nats/token  ${bits(1.3)} bits/byte (embedding not paid for)`,
      "full windows  1.3500 nats/token",
      "quantized embedding, 4 bits  1.5000 nats/token",
    ],
  );
});

Deno.test("deno task train says what the training samples cost, and the estimates' mean", async () => {
  const data = await dataSpec(parseCommand(trainCommand, []).options);
  const bits = (1.25 / Math.LN2 / 2).toFixed(4);
  const evaluated = {
    type: "evaluation",
    ...ENDED,
    lossNats: 1.25,
    scoredTokens: 9,
    trainLossNats: 1.375,
  } as const;
  const measured = { type: "measurement", what: "token values", meanValue: 2.5 } as const;
  assert.deepEqual(summaryOf(data, [evaluated, measured]).slice(2), [
    `step 20  held-out loss 1.2500 nats/token  ${bits} bits/byte  train loss 1.3750  gap -0.1250`,
    "mean of the estimates that it was trained with  2.5000",
  ]);
});
