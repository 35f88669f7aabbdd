/** `deno task train`: one run from the terminal. */
import { clusterFromEnvironment, initEngine, joinWorkers, WorkersError } from "../engine/mod.ts";
import { StoppedError } from "../errors.ts";
import {
  type DataSpec,
  describeSources,
  PROJECT_FOLDERS,
  projectData,
  runAll,
  type RunResult,
  type RunSpec,
  showProgress,
  sourceData,
  type StoredRun,
  type Teacher,
  weightsPath,
} from "../experiments/mod.ts";
import { liveProgress } from "../figures/mod.ts";
import { bitsPerByte } from "../measure/mod.ts";
import { type BackboneConfig, backboneConfig, type ModelConfig } from "../models/mod.ts";
import { readSource } from "../text/mod.ts";
import { ADAMW_DEFAULTS } from "../train/mod.ts";
import { parseCommand, runCommand } from "./_args.ts";
import { stoppable } from "./_stoppable.ts";
import { lossOf, teacherOf } from "./_train_loss.ts";
import { quantizationOf } from "./_train_quantization.ts";
import { checkOptions, isSource, trainCommand, type TrainOptions } from "./_train_options.ts";

async function main(argv: readonly string[]): Promise<number> {
  const { options, given } = parseCommand(trainCommand, argv);
  checkOptions(options, given);
  const cluster = clusterFromEnvironment();
  const leads = cluster === null || cluster.index === 0;
  const log = leads ? console.error : () => {};
  const data = await dataSpec(options);
  const stores = { folders: PROJECT_FOLDERS, ...projectData() };
  const teacher = await teacherOf(options, data, { ...stores, log });
  const spec = runSpec(options, given, data, teacher);
  const { backend, matmulPrecision } = options;
  const engine = { backend, matmulPrecision };
  const workers = cluster === null ? undefined : await joinWorkers(cluster, { ...engine, log });
  if (workers === undefined) await initEngine(engine);
  else log(`workers: ${workers.addresses.join(", ")}`);
  const progress = liveProgress();
  let results: RunResult[] = [];
  const code = await stoppable(async (signal) => {
    results = await runAll([spec], {
      ...stores,
      fresh: options.fresh,
      keepNeeded: true,
      needWeights: true,
      signal,
      log,
      cluster: workers,
      ...(leads && { onProgress: showProgress(progress) }),
    }).catch((error) => {
      // Workers that are stopped while they wait for each other miss those that have ended first.
      const isMissing = error instanceof WorkersError && error.reason === "lost";
      throw signal.aborted && isMissing ? new StoppedError(`stopped; ${error.message}`) : error;
    }).finally(() => progress.finish());
  }, log);
  if (code !== 0 || !leads) return code;
  const { config, records } = results[0]!;
  if (options.json) {
    for (const record of records) console.log(JSON.stringify(record));
    return 0;
  }
  console.error(describeSources(results));
  for (const line of summaryLines(results[0]!)) console.log(line);
  console.log(`run: ${config.id}`);
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
      const { step, lossNats, trainLossNats } = record;
      const train = trainLossNats === undefined
        ? ""
        : `  train loss ${trainLossNats.toFixed(4)}  gap ${(lossNats - trainLossNats).toFixed(4)}`;
      return [`step ${step}  held-out loss ${nats(lossNats)}${bits}${unpaid}${train}`];
    }
    if (record.type !== "measurement") return [];
    if (record.what === "token values") {
      return [`mean of the estimates that it was trained with  ${record.meanValue.toFixed(4)}`];
    }
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

/**
 * The data that options describe.
 *
 * @throws UserError for a file that describes no source.
 */
export async function dataSpec(options: TrainOptions): Promise<DataSpec> {
  const { corpus, textField, limit, vocabulary: vocabSize, unit, trainWindows } = options;
  const sizes = {
    layout: options.layout,
    contextLength: options.context,
    heldOutWindows: options.heldOutWindows,
    ...(trainWindows && { trainWindows }),
  };
  if (isSource(options)) return sourceData(await readSource(corpus), sizes);
  return { corpus, textField, ...(limit && { limit }), vocabSize, unit, ...sizes };
}

/** The run that options describe; `given` are those on the command line. */
export function runSpec(
  options: TrainOptions,
  given: ReadonlySet<string>,
  data: DataSpec,
  teacher?: Teacher,
): RunSpec {
  const { model, objective, matmulPrecision } = options;
  const qat = quantizationOf(options);
  const evaluateTrain = given.has("evaluateTrain") ? options.evaluateTrain : "trainWindows" in data;
  return {
    arm: [
      model,
      ...(objective === "plain" ? [] : [objective]),
      ...(qat ? [qat.method] : []),
      ...(matmulPrecision === "float32" ? [] : [matmulPrecision]),
    ].join(", "),
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
      ...(evaluateTrain && { evaluateTrain }),
      ...(matmulPrecision !== "float32" && { matmulPrecision }),
      ...lossOf(options),
      ...(qat && { qat }),
    },
    ...(teacher && { teacher }),
  };
}

/** The model that options describe, for the vocabulary of the data. */
export function modelConfig(options: TrainOptions, vocabSize = options.vocabulary): ModelConfig {
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
