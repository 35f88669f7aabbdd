/** `deno task decompress`: the original of a file that `deno task compress` wrote, bit for bit. */
import { decompress, type FileHeader, readHeader } from "../codec/mod.ts";
import { disposeTree, initEngine } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { findRun, type FoundRun, loadCodecModel, PROJECT_FOLDERS } from "../experiments/mod.ts";
import { type Timed, timed } from "../experiments/timed.ts";
import { type CommandSpec, parseCommand, runCommand, UsageError } from "./_args.ts";
import { ENDING, formatBytes, formatSpeed } from "./_codec_tables.ts";
import { naming, phaseProgress, untilInterrupted } from "./_codec_work.ts";
import { openOutput, readInput, STANDARD, STANDARD_INPUT } from "./_streams.ts";

const spec = {
  name: "deno task decompress",
  summary: "Gives back the file that deno task compress was given, or an error, never another one.",
  positionals: [
    {
      name: "FILE",
      required: true,
      description: "what deno task compress wrote; - for standard input, with -o",
    },
  ],
  options: {
    model: {
      type: "string",
      placeholder: "RUN",
      description: "the run that compressed it: its folder or its id in runs/",
    },
    output: {
      type: "string",
      short: "o",
      placeholder: "OUT",
      description: `the original (default FILE without ${ENDING}); - for standard output`,
    },
    force: { type: "boolean", description: "overwrite OUT" },
  },
  examples: [
    { command: `deno task decompress my.txt${ENDING} --model RUN`, does: "writes my.txt" },
    {
      command: `deno task decompress my.txt${ENDING} --model RUN -o - | diff - my.txt`,
      does: "proves that it is the same",
    },
  ],
  notes: [
    "It needs the run that compressed the file, the same release of this library and a machine of the",
    "same kind; it takes backend and threads from the file.",
    "A file that was stored as it is needs no model.",
  ],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<void> {
  const { options, positionals: [input] } = parseCommand(spec, argv);
  const place = options.output ?? placeOf(input!);
  const name = input === STANDARD ? STANDARD_INPUT : input!;
  const file = await readInput(input!);
  const header = await naming(name, () => readHeader(file));
  const output = openOutput(place, { input: input!, force: options.force });
  const run = header.kind === "stored" ? null : await findRunOf(name, options.model);
  const { value: original, seconds } = await naming(name, () => originalOf(file, header, run));
  await output.write(original);
  output.say(
    `${name}: ${formatBytes(file.length)}\n` +
      `${output.name}: ${formatBytes(original.length)}, the checksum is the original's\n` +
      `decompressed: ${seconds.toFixed(1)} s, ${formatSpeed(original.length, seconds)} KB/s`,
  );
}

function placeOf(input: string): string {
  if (input.endsWith(ENDING) && input.length > ENDING.length) return input.slice(0, -ENDING.length);
  throw new UsageError(
    `-o is missing: ${input} has no ${ENDING} at its end that could be left out ` +
      `(see ${spec.name} --help)`,
  );
}

async function findRunOf(name: string, run: string | undefined): Promise<FoundRun> {
  if (run !== undefined) return await findRun(run, PROJECT_FOLDERS);
  throw new UserError(
    `${name}: expected --model with the run that compressed the file, found none; name it`,
  );
}

/** With the backend and threads that the header asks for; without a run, of a stored file. */
async function originalOf(
  file: Uint8Array,
  { backend, threads }: FileHeader,
  run: FoundRun | null,
): Promise<Timed<Uint8Array>> {
  if (run === null) return await timed(() => decompress(null, file));
  await initEngine({ backend, threads });
  const model = await loadCodecModel(run);
  const progress = phaseProgress();
  try {
    return await untilInterrupted((signal) =>
      timed(() =>
        decompress(model, file, {
          signal,
          onProgress: (done) => progress.update({ ...done, phase: "decompressing" }),
        })
      )
    );
  } finally {
    disposeTree(model.params);
    await progress.finish();
  }
}

if (import.meta.main) await runCommand(main);
