/** The command line of `deno task train`: its options, and where they mean something. */
import { BACKENDS, MATMUL_PRECISIONS } from "../engine/mod.ts";
import { EXPANSIONS, JOINS } from "../models/mod.ts";
import { TEXT_UNITS } from "../text/mod.ts";
import { type CommandSpec, type OptionValues, refuseIdleOptions } from "./_args.ts";
import { checkLossOptions, COMMAND, LOSS_NOTES, LOSS_OPTIONS } from "./_train_loss.ts";
import { HUB_NOTES } from "./_hub.ts";
import { checkQuantizationOptions, QUANTIZATION_OPTIONS } from "./_train_quantization.ts";

/** The command line of the task. */
export const trainCommand = {
  name: COMMAND,
  summary: "Trains one model, or goes on with a run that was interrupted.",
  options: {
    corpus: {
      type: "string",
      default: "sotu",
      placeholder: "NAME|PATH",
      description:
        "sotu or tfjs, built in; a dataset of the Hub (fineweb-edu, finemath, hf:OWNER/NAME); a file, " +
        "folder or pattern of .txt, .md, .jsonl, .parquet (.gz, .zst); or a .json file that " +
        "describes a source of known entropy",
    },
    textField: {
      type: "string",
      default: "text",
      description: "the field or column that holds the text",
    },
    limit: { type: "integer", min: 1, description: "only the first N documents" },
    model: {
      type: "choice",
      choices: ["clm", "eem", "zeros", "autoencoder"],
      default: "clm",
      description: "causal, encoder-augmented, the EEM's decoder fed with zeros, or autoencoder",
    },
    family: {
      type: "choice",
      choices: ["mixer", "transformer", "lstm"],
      default: "mixer",
      description: "architecture of every stack",
    },
    width: { type: "integer", min: 2, default: 128, description: "of the (causal) decoder" },
    encoderWidth: {
      type: "integer",
      min: 2,
      default: 64,
      description: "of the encoder of an EEM or autoencoder",
    },
    embeddingSize: { type: "integer", min: 1, default: 8, description: "numbers in the embedding" },
    join: {
      type: "choice",
      choices: JOINS,
      default: "token",
      description: "how an EEM's embedding meets the tokens",
    },
    expansion: {
      type: "choice",
      choices: EXPANSIONS,
      default: "repeat",
      description: "how an autoencoder's embedding becomes a sequence",
    },
    layers: { type: "integer", min: 1, default: 4, description: "blocks of each stack" },
    heads: {
      type: "integer",
      min: 1,
      description: "of attention (transformer; default 4) or mixing (mixer; default flat)",
    },
    kernel: { type: "integer", min: 1, default: 1, description: "channels mixed at once (mixer)" },
    context: { type: "integer", min: 2, default: 128, description: "tokens a sample, N" },
    vocabulary: { type: "integer", min: 258, default: 4096, description: "tokenizer entries" },
    unit: {
      type: "choice",
      choices: TEXT_UNITS,
      default: "document",
      description: "what a document is: as loaded, or a part of it",
    },
    layout: {
      type: "choice",
      choices: ["packed", "padded"],
      default: "packed",
      description: "documents in a row, or one a sample, left-padded",
    },
    batch: { type: "integer", min: 1, default: 32, description: "samples a step" },
    steps: { type: "integer", min: 1, default: 1000, description: "updates" },
    warmup: {
      type: "integer",
      min: 0,
      description: "steps of rising learning rate (default a tenth of the steps, at most 50)",
    },
    learningRate: { type: "number", default: 0.001, description: "peak; decays linearly to 0" },
    seed: { type: "integer", default: 1, description: "of initialization and data order" },
    evaluateEvery: { type: "integer", min: 1, default: 250, description: "steps" },
    heldOutWindows: { type: "integer", min: 1, default: 512, description: "evaluated samples" },
    trainWindows: {
      type: "integer",
      min: 1,
      description: "train on so many samples, spread over the text (default: on all)",
    },
    evaluateTrain: {
      type: "boolean",
      description: "evaluate the training samples, too (by default with --train-windows)",
    },
    initialization: {
      type: "choice",
      choices: ["causal", "pytorch"],
      default: "causal",
      description: "how the EEM's decoder starts: like a CLM, or as in the original code",
    },
    bits: {
      type: "integers",
      default: [4, 8],
      description: "bits a number at which the embedding is evaluated at the end",
    },
    ...LOSS_OPTIONS,
    ...QUANTIZATION_OPTIONS,
    backend: { type: "choice", choices: BACKENDS, description: "force a backend" },
    matmulPrecision: {
      type: "choice",
      choices: MATMUL_PRECISIONS,
      default: "float32",
      description: "of matrix products' operands; bfloat16 needs a processor with AMX",
    },
    fresh: { type: "boolean", description: "train anew, whatever is stored" },
    json: { type: "boolean", description: "print the records as JSON lines" },
  },
  examples: [
    { command: "deno task train --model eem --steps 2000", does: "an EEM on the built-in corpus" },
    { command: "deno task train --corpus my_texts/ --context 64", does: "a CLM on your own text" },
    {
      command: "deno task train --corpus fineweb-edu --limit 100000 --vocabulary 8000",
      does: "a CLM on a sample of the paper's text",
    },
    {
      command: "deno task train --corpus markov.json --context 32",
      does: "a CLM on a source, and how far it is from the truth",
    },
    {
      command: "deno task train --train-windows 500 --objective absolute --entropies ID",
      does: "a CLM on few samples, towards the losses of a run on all",
    },
    {
      command: "deno task train --model eem --noise 0.125",
      does: "an EEM with noise on its embedding, as rounding would be",
    },
  ],
  notes: [
    ...LOSS_NOTES,
    ...HUB_NOTES,
    "A run is stored in runs/<id>/: config.json, records.jsonl, tokenizer.json, model.safetensors.",
    "Ctrl-C stops at a step boundary with a checkpoint; the same command goes on from there.",
  ],
} as const satisfies CommandSpec;

export type TrainOptions = OptionValues<typeof trainCommand.options>;

/** Whether `--corpus` is the description of a source. */
export function isSource({ corpus }: Pick<TrainOptions, "corpus">): boolean {
  return /\.json$/i.test(corpus);
}

/** Where an option means something, given the model: elsewhere it is an error, not a silence. */
const APPLICABLE: Readonly<
  Partial<Record<keyof TrainOptions, (options: TrainOptions) => boolean>>
> = {
  textField: (options) => !isSource(options),
  limit: (options) => !isSource(options),
  vocabulary: (options) => !isSource(options),
  unit: (options) => !isSource(options),
  encoderWidth: ({ model }) => model === "eem" || model === "autoencoder",
  embeddingSize: ({ model, join }) =>
    model === "eem" || model === "autoencoder" || (model === "zeros" && join === "embedding"),
  join: ({ model }) => model === "eem" || model === "zeros",
  expansion: ({ model }) => model === "autoencoder",
  heads: ({ family }) => family !== "lstm",
  kernel: ({ family }) => family === "mixer",
  initialization: ({ model }) => model === "eem" || model === "zeros",
  bits: ({ model }) => model === "eem",
  objective: ({ model, objective }) => model === "clm" || objective === "plain",
  attentionDropout: ({ model, family }) => model === "clm" && family === "transformer",
};

/** @throws UsageError naming an option that was given and would do nothing, or one that is missing. */
export function checkOptions(options: TrainOptions, given: ReadonlySet<string>): void {
  const { model, family, corpus } = options;
  const source = isSource(options) ? ` --corpus ${corpus}` : "";
  const setting = `--model ${model} --family ${family}${source}`;
  refuseIdleOptions(trainCommand, { options, given }, APPLICABLE, setting);
  checkLossOptions(options, given);
  checkQuantizationOptions(options, given, trainCommand);
}
