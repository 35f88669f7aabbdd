/** `deno task data -- tokenizer`: a tokenizer trained on a source. */
import { byteProgress } from "../figures/byte_progress.ts";
import { writeFileAtomically } from "../files.ts";
import { openSource, parseSource, trainSourceTokenizer } from "../text/mod.ts";
import { formatTokenizer } from "../tokenizer/mod.ts";
import { type CommandSpec, parseCommand, UsageError } from "./_args.ts";
import { SOURCE_OPTIONS, SOURCE_POSITIONAL } from "./_data_common.ts";
import { stoppable } from "./_stoppable.ts";
import { HUB_NOTES, hubOptions } from "./_hub.ts";
import { projectAt } from "./_project.ts";

export const tokenizerCommand = {
  name: "deno task data -- tokenizer",
  summary: "Trains a byte-level BPE tokenizer on the training text of a source.",
  positionals: [
    { name: "train", required: true, description: "the word train: it is all there is" },
    SOURCE_POSITIONAL,
  ],
  options: {
    vocabulary: {
      type: "integer",
      min: 258,
      default: 8000,
      description: "entries, special tokens and bytes included",
    },
    output: {
      type: "string",
      short: "o",
      default: "tokenizer.json",
      placeholder: "FILE",
      description: "where it is written, in Hugging Face's format",
    },
    ...SOURCE_OPTIONS,
    bytes: {
      type: "integer",
      min: 1,
      default: 100_000_000,
      description: "bytes of text that are read, from the first training document on",
    },
  },
  examples: [
    {
      command: "deno task data -- tokenizer train my_texts/ -o mine.json",
      does: "8,000 entries, from the first 100 MB",
    },
    {
      command: "deno task data -- tokenizer train fineweb-edu --limit 100000",
      does: "as the paper's, from a sample",
    },
  ],
  notes: ["Documents that are held out are left out.", ...HUB_NOTES],
} as const satisfies CommandSpec;

export async function makeTokenizer(argv: readonly string[]): Promise<number> {
  const { options, positionals: [verb, name] } = parseCommand(tokenizerCommand, argv);
  if (verb !== "train") {
    throw new UsageError(
      `expected the word train, found "${verb}" (see ${tokenizerCommand.name} --help)`,
    );
  }
  const { limit, textField, vocabulary: vocabSize, bytes: sampleBytes, output } = options;
  const descriptor = parseSource(name!, { textField, ...(limit !== undefined && { limit }) });
  return await stoppable(async (signal) => {
    const open = { ...hubOptions(projectAt().cache), signal, log: console.error };
    const source = await openSource(descriptor, open);
    const stored = source.parts.reduce((sum, { bytes }) => sum + bytes, 0);
    const progress = byteProgress("reading");
    let read = 0;
    const tokenizer = await trainSourceTokenizer(source, {
      vocabSize,
      sampleBytes,
      signal,
      onProgress: ({ bytes }) => {
        read = bytes;
        return progress.update(bytes, Math.max(bytes, Math.min(sampleBytes, stored)), source.name);
      },
    }).finally(() => progress.finish());
    await writeFileAtomically(output, formatTokenizer(tokenizer));
    console.log(
      `${output}: ${tokenizer.vocabSize} entries from ${(read / 1e6).toFixed(1)} MB of ` +
        `${source.name}`,
    );
    if (tokenizer.vocabSize < vocabSize) {
      console.error(`the text has no more pairs: it gives fewer than ${vocabSize} entries`);
    }
  });
}
