/** `deno task compress`: a text as a file that decodes, and what other compressors make of it. */
import { HEADER_BYTES, planFile } from "../codec/mod.ts";
import { BACKENDS, disposeTree, initEngine } from "../engine/mod.ts";
import {
  fileBitsPerByte,
  findRun,
  loadCodecModel,
  makeModelFile,
  type ModelFile,
  PROJECT_FOLDERS,
} from "../experiments/mod.ts";
import { parseQuantization } from "../qat/mod.ts";
import {
  type CommandSpec,
  parseCommand,
  refuseIdleOptions,
  runCommand,
  UsageError,
} from "./_args.ts";
import {
  bitsTable,
  ENDING,
  formatBpb,
  formatBytes,
  formatCount,
  formatSpeed,
} from "./_codec_tables.ts";
import { naming, phaseProgress, untilInterrupted } from "./_codec_work.ts";
import { compare } from "./_compare.ts";
import { openOutput, readInput, STANDARD, STANDARD_INPUT } from "./_streams.ts";

const spec = {
  name: "deno task compress",
  summary: "Compresses any file with a model that was trained here, or compares compressors on it.",
  positionals: [
    { name: "FILE", required: true, description: "any file; - for standard input, with -o" },
  ],
  options: {
    model: {
      type: "strings",
      placeholder: "RUN",
      description: "a run's folder or its id in runs/; for --compare several",
    },
    output: {
      type: "string",
      short: "o",
      placeholder: "OUT",
      description: `the compressed file (default FILE${ENDING}); - for standard output`,
    },
    force: { type: "boolean", description: "overwrite OUT" },
    compare: {
      type: "boolean",
      description: "a table of gzip … PPMd and the models, no OUT",
    },
    verify: {
      type: "boolean",
      default: true,
      description: "decode and compare before OUT is written; skipping it halves the time",
    },
    overlap: {
      type: "integer",
      min: 0,
      placeholder: "TOKENS",
      description: "of windows (default: half of one; an EEM's: 1)",
    },
    lanes: {
      type: "integer",
      min: 1,
      description: "parts read at once (default: by length, up to 64)",
    },
    embedding: {
      type: "string",
      placeholder: "FORMAT",
      description: "of an EEM's embeddings (default int4/channel)",
    },
    backend: { type: "choice", choices: BACKENDS, description: "force a backend" },
    json: { type: "boolean", description: "print one JSON object" },
  },
  examples: [
    { command: "deno task compress my.txt --model RUN", does: `writes my.txt${ENDING}` },
    {
      command: "deno task compress my.txt --model RUN --compare",
      does: "its file beside others'",
    },
    { command: "deno task compress my.txt --compare", does: "the others alone" },
  ],
  notes: [
    "Formats of embeddings: int8/channel, fp16 and the others of deno task quantize --help.",
    "The file holds no model: decompressing needs the same run, the same release of this library and a",
    "machine of the same kind; it takes backend and threads from the file.",
    "More lanes are faster and cost bits where texts are short. More overlap is slower; it saves bits of",
    "causal models alone: an EEM pays an embedding for every window, and there are more of them.",
    `A file that the model makes no shorter is stored as it is, behind a header of ${HEADER_BYTES} bytes.`,
  ],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<void> {
  const { options, given, positionals: [input] } = parseCommand(spec, argv);
  const { model: names = [], compare: isComparison, backend, json, overlap, lanes } = options;
  const writes = () => !isComparison;
  const needsModel = () => !isComparison || names.length > 0;
  const idle = { output: writes, force: writes, verify: writes };
  refuseIdleOptions(spec, { options, given }, idle, "--compare");
  const ofModels = { overlap: needsModel, lanes: needsModel, embedding: needsModel };
  refuseIdleOptions(spec, { options, given }, ofModels, "--compare without --model");
  if (!isComparison && names.length !== 1) throw modelUsage(names);
  if (!isComparison && input === STANDARD && options.output === undefined) {
    throw new UsageError(`-o is missing: standard input has no name (see ${spec.name} --help)`);
  }
  const embedding = options.embedding === undefined
    ? undefined
    : await naming("--embedding", () => parseQuantization(options.embedding!));
  const name = input === STANDARD ? STANDARD_INPUT : input!;
  const original = await readInput(input!);
  const fileOptions = { overlap, lanes, embedding };
  if (isComparison) {
    return await compare({ name, original }, { names, backend, json, ...fileOptions });
  }

  const force = options.force;
  const output = openOutput(options.output ?? `${input}${ENDING}`, { input: input!, force });
  const run = await findRun(names[0]!, PROJECT_FOLDERS);
  await naming(run.config.id, () => planFile(run.model.config, original.length, fileOptions));
  await initEngine({ backend });
  const model = await loadCodecModel(run);
  const progress = phaseProgress();
  const { verify } = options;
  try {
    const made = await naming(
      name,
      () =>
        untilInterrupted((signal) =>
          makeModelFile(model, original, {
            ...fileOptions,
            verify,
            signal,
            onProgress: progress.update,
          })
        ),
    );
    await output.write(made.file);
    output.say(json ? jsonOf(name, output.name, made) : summaryOf(name, output.name, made));
  } finally {
    disposeTree(model.params);
    await progress.finish();
  }
}

function modelUsage(names: readonly string[]): UsageError {
  return new UsageError(
    names.length === 0
      ? `--model is missing: it names a run's folder or its id in runs/ (see ${spec.name} --help)`
      : `--model: expected one run, found ${names.length}; several need --compare ` +
        `(see ${spec.name} --help)`,
  );
}

function jsonOf(input: string, output: string, { file: _, name, ...made }: ModelFile): string {
  const { report: { originalBytes } } = made;
  const bitsPerByte = fileBitsPerByte(made.bytes, originalBytes);
  return JSON.stringify({ input, output, model: name, originalBytes, bitsPerByte, ...made });
}

/** What a user reads of a file that was made. */
function summaryOf(input: string, output: string, made: ModelFile): string {
  const { name, bytes, modelBytes, encodeSeconds, decodeSeconds, report } = made;
  const { originalBytes, windows, rawWindows, tokens, lanes, overlap } = report;
  const speed = (seconds: number) =>
    `${seconds.toFixed(1)} s, ${formatSpeed(originalBytes, seconds)} KB/s`;
  const counts = `${formatCount(tokens)} tokens in ${formatCount(windows)} windows, ` +
    `${formatCount(rawWindows)} of them without the model; lanes: ${lanes}, overlap: ${overlap}`;
  return [
    `${input}: ${formatBytes(originalBytes)}`,
    `${output}: ${formatBytes(bytes)}, ${formatBpb(bytes, originalBytes)} bits/byte`,
    "",
    bitsTable(report),
    "",
    ...(report.isStored
      ? ["stored as it is, since the model makes it no shorter; it decompresses without one"]
      : [
        counts,
        `model: ${name}, not in the file:`,
        `  ${formatBytes(modelBytes)} of weights that a reader needs (float32) and tokenizer.json`,
      ]),
    `compressed: ${speed(encodeSeconds)}`,
    ...(decodeSeconds === null
      ? []
      : [`decompressed: ${speed(decodeSeconds)}, the original came back`]),
  ].join("\n");
}

if (import.meta.main) await runCommand(main);
