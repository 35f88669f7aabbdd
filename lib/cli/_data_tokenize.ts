/** `deno task data -- tokenize`: a source as shards of token ids. */
import { prepareShown } from "../experiments/prepare_shown.ts";
import { formatBytes, openSource, parseSource, type ShardSet, TEXT_UNITS } from "../text/mod.ts";
import { type CommandSpec, parseCommand, UsageError } from "./_args.ts";
import { readTokenizer, SOURCE_OPTIONS, SOURCE_POSITIONAL } from "./_data_common.ts";
import { stoppable } from "./_stoppable.ts";
import { HUB_NOTES, hubOptions } from "./_hub.ts";
import { projectAt } from "./_project.ts";

export const tokenizeCommand = {
  name: "deno task data -- tokenize",
  summary: "Tokenizes a source to shards in .cache/shards, which training reads.",
  positionals: [SOURCE_POSITIONAL],
  options: {
    vocabulary: {
      type: "integer",
      min: 258,
      description: "entries of the tokenizer that is trained on the source (default 8000)",
    },
    tokenizer: {
      type: "string",
      placeholder: "FILE",
      description: "a tokenizer.json to use in its place",
    },
    unit: {
      type: "choice",
      choices: TEXT_UNITS,
      default: "document",
      description: "what a document is: as loaded, or a part of it",
    },
    ...SOURCE_OPTIONS,
    workers: {
      type: "integer",
      min: 1,
      description: "threads (default: as many as there are processors, at most 3, of 300 MB each)",
    },
  },
  examples: [
    { command: "deno task data -- tokenize fineweb-edu", does: "the paper's text, 8,000 entries" },
    {
      command: "deno task data -- tokenize 'texts/*.parquet' --tokenizer mine.json",
      does: "your own files with a tokenizer that you have",
    },
  ],
  notes: [
    "deno task train with the same source, vocabulary and unit finds these shards.",
    "Ctrl-C stops; the same command goes on where it stopped, with any number of threads.",
    ...HUB_NOTES,
  ],
} as const satisfies CommandSpec;

export async function tokenizeData(argv: readonly string[]): Promise<number> {
  const { options, positionals: [name] } = parseCommand(tokenizeCommand, argv);
  const { limit, textField, unit, workers } = options;
  if (options.vocabulary !== undefined && options.tokenizer !== undefined) {
    throw new UsageError(
      "--vocabulary does nothing with --tokenizer, which has entries of its own; leave one out",
    );
  }
  const tokenizer = options.tokenizer === undefined
    ? undefined
    : await readTokenizer(options.tokenizer);
  const descriptor = parseSource(name!, { textField, ...(limit !== undefined && { limit }) });
  return await stoppable(async (signal) => {
    const open = hubOptions(projectAt().cache);
    const log = console.error;
    const source = await openSource(descriptor, { ...open, signal, log });
    const { shards } = await prepareShown(source, {
      vocabSize: tokenizer?.vocabSize ?? options.vocabulary ?? 8000,
      tokenizer,
      unit,
      open,
      signal,
      log,
      ...(workers !== undefined && { workers }),
    });
    for (const line of describeShards(shards)) console.log(line);
  });
}

/** What a set of shards has, side by side, and where it is. */
export function describeShards({ folder, manifest }: ShardSet): string[] {
  const { tokenizer: { vocabSize }, shards, train, heldOut, source } = manifest;
  const number = (value: number) => value.toLocaleString("en-US");
  const side = (name: string, { documents, tokens, bytes }: typeof train) =>
    `${name}: ${number(documents)} documents, ${number(tokens)} tokens, ${formatBytes(bytes)}, ` +
    `${tokens === 0 ? "–" : (bytes / tokens).toFixed(2)} bytes a token`;
  return [
    side("training", train),
    side("held out", heldOut),
    `${source.name}, ${number(vocabSize)} entries: ${shards.length} shards in ${folder}`,
  ];
}
