import assert from "node:assert/strict";
import { parseCommand, UsageError } from "../../lib/cli/_args.ts";
import { checkOptions, trainCommand } from "../../lib/cli/_train_options.ts";
import { quantizationOf } from "../../lib/cli/_train_quantization.ts";
import { dataSpec, modelConfig, runSpec } from "../../lib/cli/train.ts";
import { initEngine } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import type { QuantizationAwareTraining } from "../../lib/qat/mod.ts";
import { checkLossOptions } from "../../lib/train/mod.ts";

await initEngine({ backend: "cpu", log: () => {} });

const parse = (...argv: string[]) => parseCommand(trainCommand, argv);

const EEM = ["--model", "eem", "--context", "8", "--width", "8", "--encoder-width", "4"];

const NOISE = { method: "noise", width: 0.125, at: "embedding" } as const;

const ROUNDED = {
  method: "fake-quantization",
  quantization: { format: "e4m3fn" },
  at: "embedding",
} as const;

/** What command lines come to, for an EEM. */
const MEANINGS: readonly (readonly [argv: string, qat: QuantizationAwareTraining | undefined])[] = [
  ["", undefined],
  ["--noise 0.125", NOISE],
  ["--noise 0.125 --noise-at residual", { ...NOISE, at: "residual" }],
  ["--noise 0.125 --noise-one-sided", { ...NOISE, oneSided: true }],
  ["--noise 0.125 --noise-relative --noise-at outputs", {
    ...NOISE,
    relative: true,
    at: "outputs",
  }],
  ["--noise 0.125 --no-noise-one-sided --no-noise-relative", NOISE],
  ["--noise 0.125 --noise-at weights --qat-modules down,up", {
    ...NOISE,
    at: "weights",
    modules: ["down", "up"],
  }],
  ["--fake-quantization e4m3fn", ROUNDED],
  ["--fake-quantization llm.int8 --fake-quantization-at outputs --qat-modules up", {
    ...ROUNDED,
    quantization: { format: "int8", scaling: "row", outlierThreshold: 6 },
    at: "outputs",
    modules: ["up"],
  }],
  ["--fake-quantization int4/channel --fake-quantization-at weights", {
    ...ROUNDED,
    quantization: { format: "int4", scaling: "channel" },
    at: "weights",
  }],
];

Deno.test("quantizationOf() makes what the library trains with", () => {
  for (const [line, expected] of MEANINGS) {
    const { options, given } = parse(...EEM, ...line.split(" ").filter(Boolean));
    checkOptions(options, given);
    const qat = quantizationOf(options);
    assert.deepEqual(qat, expected, line);
    checkLossOptions(modelConfig(options, 300), { ...(qat && { qat }) });
  }
});

Deno.test("deno task train trains with noise or rounding, and is called so", async () => {
  const specOf = async (...argv: string[]) => {
    const { options, given } = parse(...argv);
    return runSpec(options, given, await dataSpec(options));
  };
  const plain = await specOf(...EEM);
  assert.ok(!("qat" in plain.training), "runs without these options keep their ids");
  const noised = await specOf(...EEM, "--noise", "0.125");
  assert.deepEqual(noised, {
    ...plain,
    arm: "eem, noise",
    training: { ...plain.training, qat: NOISE },
  });
  const clm = ["--objective", "label-smoothing", "--fake-quantization-at", "outputs"];
  const rounded = await specOf(...clm, "--fake-quantization", "e4m3fn");
  assert.equal(rounded.arm, "clm, label-smoothing, fake-quantization");
  assert.deepEqual(rounded.training.qat, { ...ROUNDED, at: "outputs" });
});

Deno.test("checkQuantizationOptions() names what does not apply and what would do nothing", () => {
  const refusals: readonly (readonly [argv: string, message: string])[] = [
    [
      "--model eem --noise 0.1 --fake-quantization fp16",
      "--noise and --fake-quantization: expected one of them, found both",
    ],
    ...["clm", "zeros", "autoencoder"].flatMap((model) => [
      [
        `--model ${model} --noise 0.1`,
        `--noise-at embedding: expected --model eem, found ${model}, which hands no embedding on`,
      ] as const,
      [
        `--model ${model} --noise 0.1 --noise-at residual`,
        `--noise-at residual: expected --model eem, found ${model}, which hands no embedding on`,
      ] as const,
      [
        `--model ${model} --fake-quantization fp16`,
        `--fake-quantization-at embedding: expected --model eem, found ${model}, which hands no ` +
        "embedding on",
      ] as const,
    ]),
    ...["--noise-at outputs", "--noise-one-sided", "--noise-relative", "--qat-modules up"].map(
      (line) =>
        [
          line,
          `${line.split(" ")[0]} does nothing with training without --noise and ` +
          "--fake-quantization; leave it out or change these",
        ] as const,
    ),
    [
      "--model eem --noise 0.1 --fake-quantization-at outputs",
      "--fake-quantization-at does nothing with --noise-at embedding; leave it out or change these",
    ],
    [
      "--model eem --fake-quantization fp16 --noise-one-sided",
      "--noise-one-sided does nothing with --fake-quantization-at embedding; leave it out or " +
      "change these",
    ],
    [
      "--model eem --noise 0.1 --noise-at residual --qat-modules up",
      "--qat-modules does nothing with --noise-at residual; leave it out or change these",
    ],
    [
      "--noise 0.1 --noise-at weights --qat-modules ,",
      "--qat-modules: expected one or more names, found none",
    ],
  ];
  for (const [line, message] of refusals) {
    const { options, given } = parse(...line.split(" "));
    assert.throws(
      () => checkOptions(options, given),
      new UsageError(`${message} (see deno task train --help)`),
      line,
    );
  }
  const { options, given } = parse("--model", "eem", "--fake-quantization", "e4m3");
  assert.throws(
    () => checkOptions(options, given),
    (error) =>
      error instanceof UserError &&
      /^--fake-quantization e4m3: quantization: expected fp16, [^\n]*found "e4m3"$/
        .test(error.message),
  );
});

Deno.test("deno task train --help says how to train for rounding", () => {
  assert.throws(
    () => parse("--help"),
    ({ message }: Error) =>
      [
        "--noise W ",
        "--noise-at embedding|outputs|weights|residual ",
        "--noise-one-sided ",
        "--noise-relative ",
        "--fake-quantization FORMAT ",
        "--fake-quantization-at embedding|outputs|weights ",
        "--qat-modules NAME,… ",
      ].every((option) => message.includes(option)),
  );
});
