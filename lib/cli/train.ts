/** `deno task train`: one run from the terminal. */
import { BACKENDS, initEngine } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  type DataSpec,
  describeSources,
  PROJECT_FOLDERS,
  runAll,
  type RunSpec,
  showProgress,
  sourceData,
  type StoredRun,
  weightsPath,
  withInterrupt,
} from "../experiments/mod.ts";
import { liveProgress } from "../figures/mod.ts";
import { bitsPerByte } from "../measure/mod.ts";
import {
  type BackboneConfig,
  backboneConfig,
  EXPANSIONS,
  JOINS,
  type ModelConfig,
} from "../models/mod.ts";
import { readSource, TEXT_UNITS } from "../text/mod.ts";
import { ADAMW_DEFAULTS } from "../train/mod.ts";
import {
  type CommandSpec,
  type OptionValues,
  parseCommand,
  runCommand,
  UsageError,
} from "./_args.ts";

/** The command line of the task. */
export const trainCommand = {
  name: "deno task train",
  summary: "Trains one model, or goes on with a run that was interrupted.",
  options: {
    corpus: {
      type: "string",
      default: "sotu",
      placeholder: "NAME|PATH",
      description:
        "built-in corpus; a file or folder of .txt, .md, .jsonl (.gz); or a .json file " +
        "that describes a source of known entropy",
    },
    textField: {
      type: "string",
      default: "text",
      description: "the field of a .jsonl line that holds the text",
    },
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
    backend: { type: "choice", choices: BACKENDS, description: "force a backend" },
    fresh: { type: "boolean", description: "train anew, whatever is stored" },
    json: { type: "boolean", description: "print the records as JSON lines" },
  },
  examples: [
    { command: "deno task train --model eem --steps 2000", does: "an EEM on the built-in corpus" },
    { command: "deno task train --corpus my_texts/ --context 64", does: "a CLM on your own text" },
    {
      command: "deno task train --corpus markov.json --context 32",
      does: "a CLM on a source, and how far it is from the truth",
    },
  ],
  notes: [
    "A run is stored in runs/<id>/: config.json, records.jsonl, tokenizer.json, model.safetensors.",
    "Ctrl-C stops at a step boundary with a checkpoint; the same command goes on from there.",
  ],
} as const satisfies CommandSpec;

/** Exit code after Ctrl-C, as shells have it. */
const INTERRUPTED = 130;

type Options = OptionValues<typeof trainCommand.options>;

async function main(argv: readonly string[]): Promise<number> {
  const { options, given } = parseCommand(trainCommand, argv);
  checkApplicable(options, given);
  const data = await dataSpec(options);
  await initEngine({ backend: options.backend });
  const progress = liveProgress();
  let stopped = "";
  const results = await withInterrupt((signal) =>
    runAll([runSpec(options, data)], {
      folders: PROJECT_FOLDERS,
      cacheFolder: PROJECT_FOLDERS.cache,
      fresh: options.fresh,
      needWeights: true,
      signal,
      log: console.error,
      onProgress: showProgress(progress),
    }).catch((error) => {
      if (!signal.aborted || !(error instanceof UserError)) throw error;
      stopped = error.message;
      return [];
    })
  ).finally(() => progress.finish());
  if (stopped !== "") {
    console.error(stopped);
    return INTERRUPTED;
  }
  const { config, records } = results[0]!;
  if (options.json) {
    for (const record of records) console.log(JSON.stringify(record));
    return 0;
  }
  console.error(describeSources(results));
  for (const line of summaryLines(results[0]!)) console.log(line);
  console.log(`weights: ${weightsPath(PROJECT_FOLDERS, config.id)}`);
  return 0;
}

/** What a finished run says of itself: evaluations, then measurements. */
export function summaryLines({ config: { spec, facts }, records }: StoredRun): string[] {
  const nats = (value: number) => `${value.toFixed(4)} nats/token`;
  const isText = "corpus" in spec.data;
  const unpaid = facts.embeddingSize > 0 ? " (embedding not paid for)" : "";
  const finalNats = records.findLast((record) => record.type === "evaluation")?.lossNats ?? NaN;
  return records.flatMap((record) => {
    if (record.type === "evaluation") {
      const bpb = bitsPerByte(record.lossNats, facts.bytesPerToken);
      const bits = isText ? `  ${bpb.toFixed(4)} bits/byte` : "";
      return [`step ${record.step}  held-out loss ${nats(record.lossNats)}${bits}${unpaid}`];
    }
    if (record.type !== "measurement") return [];
    if (record.what === "source entropy") {
      const { entropyNats, surprisalNats, rateNats } = record;
      // An autoencoder's loss is a mean over other tokens, which it has been told.
      const excess = spec.training.model.kind === "autoencoder"
        ? []
        : [`excess of the held-out loss over it  ${nats(finalNats - surprisalNats)}${unpaid}`];
      const rate = rateNats === null ? "" : ` (entropy rate of the source ${rateNats.toFixed(4)})`;
      return [
        `exact mean conditional entropy  ${nats(entropyNats)}${rate}`,
        `surprisal of the held-out tokens under the source  ${nats(surprisalNats)}`,
        ...excess,
      ];
    }
    if (!("lossNats" in record)) return [];
    const { what } = record;
    const name = what === "quantized embedding" ? `${what}, ${record.bits} bits` : what;
    return [`${name}  ${nats(record.lossNats)}`];
  });
}

/** Whether `--corpus` is the description of a source. */
function isSource({ corpus }: Pick<Options, "corpus">): boolean {
  return /\.json$/i.test(corpus);
}

/**
 * The data that options describe.
 *
 * @throws UserError for a file that describes no source.
 */
export async function dataSpec(options: Options): Promise<DataSpec> {
  const { corpus, textField, vocabulary: vocabSize, unit } = options;
  const sizes = {
    layout: options.layout,
    contextLength: options.context,
    heldOutWindows: options.heldOutWindows,
  };
  if (isSource(options)) return sourceData(await readSource(corpus), sizes);
  return { corpus, textField, vocabSize, unit, ...sizes };
}

function runSpec(options: Options, data: DataSpec): RunSpec {
  return {
    arm: options.model,
    family: options.family,
    data,
    quantizedBits: options.model === "eem" ? options.bits : [],
    training: {
      model: modelConfig(options, data.vocabSize),
      optimizer: ADAMW_DEFAULTS,
      schedule: {
        peakRate: options.learningRate,
        warmupSteps: options.warmup ?? Math.min(50, Math.floor(options.steps / 10)),
        steps: options.steps,
      },
      batchSize: options.batch,
      seed: options.seed,
      logEvery: 10,
      evaluateEvery: options.evaluateEvery,
    },
  };
}

/** Where an option means something: elsewhere it is an error, not a silence. */
const APPLICABLE: Readonly<Partial<Record<keyof Options, (options: Options) => boolean>>> = {
  textField: (options) => !isSource(options),
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
};

/** @throws UsageError naming an option that was given and would do nothing. */
export function checkApplicable(options: Options, given: ReadonlySet<string>): void {
  for (const [name, applies] of Object.entries(APPLICABLE)) {
    if (!given.has(name) || applies(options)) continue;
    const option = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const source = isSource(options) ? ` --corpus ${options.corpus}` : "";
    throw new UsageError(
      `--${option} does nothing with --model ${options.model} --family ${options.family}${source}; ` +
        "leave it out (see deno task train --help)",
    );
  }
}

/** The model that options describe, for the vocabulary of the data. */
export function modelConfig(options: Options, vocabSize = options.vocabulary): ModelConfig {
  const { family, context, layers, heads, kernel, embeddingSize, join } = options;
  const shared = { vocabSize, layerCount: layers, headCount: heads ?? 4 };
  const backbone = (width: number, contextLength: number): BackboneConfig => {
    const plain = backboneConfig(family, { ...shared, width, contextLength });
    if (plain.architecture !== "mixer") return plain;
    return {
      ...plain,
      ...(kernel > 1 ? { kernelSize: kernel } : {}),
      ...(heads === undefined ? {} : { headCount: heads }),
    };
  };
  const encoder = backbone(options.encoderWidth, context);
  if (options.model === "clm") {
    return { kind: "causal", backbone: backbone(options.width, context) };
  }
  if (options.model === "autoencoder") {
    const { expansion, width } = options;
    const decoder = backbone(width, context);
    return { kind: "autoencoder", encoder, decoder, expansion, embeddingSize };
  }
  const augmented = {
    kind: "augmented",
    decoder: backbone(options.width, join === "token" ? context + 1 : context),
    ...(join === "token" ? {} : { join }),
    outerInitialization: options.initialization,
  } as const;
  if (options.model === "eem") return { ...augmented, memory: "embedding", encoder, embeddingSize };
  return { ...augmented, memory: "zeros", ...(join === "embedding" ? { embeddingSize } : {}) };
}

if (import.meta.main) await runCommand(main);
