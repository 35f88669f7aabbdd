/** `deno task compress --compare`: real files of one text, by compressors and by models. */
import { type FileOptions, planFile } from "../codec/mod.ts";
import { type BackendName, disposeTree, initEngine } from "../engine/mod.ts";
import {
  classicalCompressors,
  type ClassicalResults,
  fileBitsPerByte,
  findRun,
  type FoundRun,
  loadCodecModel,
  makeModelFile,
  type ModelFile,
  PROJECT_FOLDERS,
} from "../experiments/mod.ts";
import { liveProgress } from "../figures/mod.ts";
import { embeddingSize } from "../models/mod.ts";
import { absentLines, comparisonTable, formatBytes } from "./_codec_tables.ts";
import { naming, phaseProgress, untilInterrupted } from "./_codec_work.ts";

type Text = Readonly<{ name: string; original: Uint8Array }>;

export type CompareOptions =
  & FileOptions
  & Readonly<{
    /** Of runs; none needs no engine. */
    names: readonly string[];
    backend: BackendName | undefined;
    json: boolean;
  }>;

/**
 * Prints the table, or one JSON object.
 *
 * @throws UserError for runs that cannot be used, before anything is run; Interrupted after Ctrl-C.
 */
export async function compare(
  { name, original }: Text,
  { names, backend, json, ...fileOptions }: CompareOptions,
): Promise<void> {
  const runs = await planRuns(names, original.length, fileOptions);
  if (runs.length > 0) await initEngine({ backend });
  const { classical, models } = await untilInterrupted(async (signal) => {
    const classical = await runClassical(original, signal);
    const models: ModelFile[] = [];
    for (const [index, { run, options }] of runs.entries()) {
      const progress = phaseProgress(`${index + 1} of ${runs.length}`);
      const model = await loadCodecModel(run);
      try {
        const work = { ...options, signal, onProgress: progress.update };
        models.push(await naming(model.id, () => makeModelFile(model, original, work)));
      } finally {
        disposeTree(model.params);
        await progress.finish();
      }
    }
    return { classical, models };
  });
  console.log(
    json
      ? jsonOf({ name, original }, classical, models)
      : summaryOf({ name, original }, classical, models),
  );
}

type PlannedRun = Readonly<{ run: FoundRun; options: FileOptions }>;

/** A format of embeddings is for the models that have them, if any has. */
async function planRuns(
  names: readonly string[],
  length: number,
  { embedding, ...others }: FileOptions,
): Promise<PlannedRun[]> {
  const runs: FoundRun[] = [];
  for (const name of names) runs.push(await findRun(name, PROJECT_FOLDERS));
  const isEmbedded = ({ model }: FoundRun) => embeddingSize(model.config) > 0;
  return await Promise.all(runs.map(async (run) => {
    const options = isEmbedded(run) || !runs.some(isEmbedded) ? { ...others, embedding } : others;
    await naming(run.config.id, () => planFile(run.model.config, length, options));
    return { run, options };
  }));
}

async function runClassical(
  original: Uint8Array,
  signal: AbortSignal,
): Promise<ClassicalResults> {
  const progress = liveProgress({ label: "comparing" });
  const start = performance.now();
  let steps = 1;
  const update = async (step: number, detail?: string) =>
    await progress.update({
      ...(detail !== undefined && { detail }),
      unit: "compressor",
      step,
      steps,
      etaSeconds: step === 0 ? NaN : (steps - step) * (performance.now() - start) / 1000 / step,
    });
  try {
    const results = await classicalCompressors(original, {
      signal,
      onProgress: ({ name, done, total }) => {
        steps = total;
        return update(done, name);
      },
    });
    await update(steps);
    return results;
  } finally {
    await progress.finish();
  }
}

function jsonOf(
  { name, original: { length } }: Text,
  { records, absent }: ClassicalResults,
  models: readonly ModelFile[],
): string {
  const bitsPerByte = (bytes: number) => fileBitsPerByte(bytes, length);
  return JSON.stringify({
    input: name,
    originalBytes: length,
    compressors: records.map((record) => ({
      ...record,
      bitsPerByte: bitsPerByte(record.bytes),
    })),
    models: models.map(({ file: _, ...model }) => ({
      ...model,
      bitsPerByte: bitsPerByte(model.bytes),
      bitsPerByteWithModel: bitsPerByte(model.bytes + model.modelBytes),
    })),
    absent,
  });
}

function summaryOf(
  { name, original: { length } }: Text,
  classical: ClassicalResults,
  models: readonly ModelFile[],
): string {
  const sizes = models.map(({ name, modelBytes }) => `  ${name}: ${formatBytes(modelBytes)}`);
  const has7Zip = classical.records.some(({ name }) => name.startsWith("7-Zip"));
  const isEmpty = classical.records.length + models.length === 0;
  return [
    `${name}: ${formatBytes(length)}`,
    ...(isEmpty ? [] : [
      "",
      comparisonTable(classical, models, length),
      "",
      "BPB: bits of the file per byte of the original. All were decoded and compared.",
    ]),
    ...(sizes.length === 0 ? [] : [
      "with model: and the weights that a reader needs (float32; an EEM's without its",
      "encoder) and tokenizer.json, which no file holds:",
      ...sizes,
      "Models have read texts in training, like this one or not; compressors have read",
      "nothing.",
    ]),
    ...(has7Zip
      ? ["7-Zip: the whole archive; PPMd of order 32 in 192 MB (-mx=9), of 10 in 256 MB."]
      : []),
    ...absentLines(classical),
  ].join("\n");
}
