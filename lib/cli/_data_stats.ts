/** `deno task data -- stats`: what a source of documents is like. */
import { formatTextTable } from "../figures/text_table.ts";
import {
  type DocumentSource,
  formatBytes,
  measureSource,
  openSource,
  parseSource,
  type SourceStats,
  type TextDocument,
} from "../text/mod.ts";
import { trainTokenizer } from "../tokenizer/mod.ts";
import { type CommandSpec, parseCommand } from "./_args.ts";
import { type ByteProgress, byteProgress } from "../figures/byte_progress.ts";
import { readTokenizer, SOURCE_OPTIONS, SOURCE_POSITIONAL } from "./_data_common.ts";
import { stoppable } from "./_stoppable.ts";
import { HUB_NOTES, hubOptions } from "./_hub.ts";
import { projectAt } from "./_project.ts";

/** How much text a fresh tokenizer is trained on. */
const TRAINING_BYTES = 10_000_000;

export const statsCommand = {
  name: "deno task data -- stats",
  summary: "Measures a source: documents, bytes, tokens, lengths, repetition, compression.",
  positionals: [SOURCE_POSITIONAL],
  options: {
    ...SOURCE_OPTIONS,
    tokenizer: {
      type: "string",
      placeholder: "FILE",
      description: "a tokenizer.json (default: one is trained on the first 10 MB)",
    },
    vocabulary: {
      type: "integer",
      default: 512,
      min: 259,
      description: "entries of the tokenizer that is trained",
    },
    json: { type: "boolean", description: "print JSON in place of a table" },
  },
  examples: [
    { command: "deno task data -- stats my_texts/", does: "a folder" },
    { command: "deno task data -- stats fineweb-edu --limit 10000", does: "a sample of the Hub's" },
  ],
  notes: HUB_NOTES,
} as const satisfies CommandSpec;

export async function showStats(argv: readonly string[]): Promise<number> {
  const { options, positionals: [name] } = parseCommand(statsCommand, argv);
  const { textField, limit } = options;
  const descriptor = parseSource(name!, { textField, ...(limit !== undefined && { limit }) });
  const given = options.tokenizer === undefined
    ? undefined
    : await readTokenizer(options.tokenizer);
  return await stoppable(async (signal) => {
    const open = { ...hubOptions(projectAt().cache), signal, log: console.error };
    const source = await openSource(descriptor, open);
    const tokenizer = given ?? await trainOn(source, options.vocabulary, signal);
    const progress = byteProgress("measuring");
    const stats = await measureSource(withProgress(source, progress, signal), { tokenizer })
      .finally(() => progress.finish());
    const { licence } = source;
    const facts = { source: name!, ...(licence && { licence }), vocabulary: tokenizer.vocabSize };
    console.log(options.json ? JSON.stringify({ ...facts, ...stats }) : formatStats(facts, stats));
  });
}

async function trainOn(source: DocumentSource, vocabSize: number, signal: AbortSignal) {
  const texts: string[] = [];
  let characters = 0;
  for (const part of source.parts) {
    for await (const { text } of source.read(part, { signal })) {
      texts.push(text);
      characters += text.length;
      if (characters >= TRAINING_BYTES) break;
    }
    if (characters >= TRAINING_BYTES) break;
  }
  return trainTokenizer(texts, { vocabSize });
}

/** All documents; progress counts the stored bytes of parts, within one by its documents. */
async function* withProgress(
  { parts, read }: DocumentSource,
  progress: ByteProgress,
  signal: AbortSignal,
): AsyncGenerator<TextDocument> {
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for (const part of parts) {
    let documents = 0, characters = 0;
    for await (const document of read(part, { signal })) {
      yield document;
      documents++;
      characters += document.text.length;
      // Of JSON lines it is not known how many there are: by their texts, which are a bit shorter.
      const share = part.documents === undefined
        ? characters / part.bytes
        : documents / part.documents;
      await progress.update(done + Math.min(1, share) * part.bytes, total, part.name);
    }
    done += part.bytes;
    await progress.update(done, total, part.name);
  }
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

/** The numbers and a histogram, for a terminal. */
export function formatStats(
  { source, licence, vocabulary }: { source: string; licence?: string; vocabulary: number },
  stats: SourceStats,
): string {
  const { documents, emptyDocuments, bytes, tokens, comparedDocuments } = stats;
  const rows: [string, string][] = [
    ["source", source],
    ...(licence === undefined ? [] : [["licence", licence] as [string, string]]),
    ["documents", count(documents)],
    ...(emptyDocuments > 0 ? [["of them empty", count(emptyDocuments)] as [string, string]] : []),
    ["bytes (UTF-8)", `${count(bytes)} (${formatBytes(bytes)})`],
    ["tokens", `${count(tokens)}, with ${count(vocabulary)} entries`],
    ["bytes per token", tokens === 0 ? "–" : (bytes / tokens).toFixed(3)],
    [
      "duplicates",
      percent(stats.duplicateShare) +
      (comparedDocuments < documents ? `, of ${count(comparedDocuments)} compared` : ""),
    ],
    ["gzip", `${stats.gzipRatio.toFixed(2)} : 1`],
    ["zstd", `${stats.zstdRatio.toFixed(2)} : 1`],
  ];
  const most = Math.max(1, ...stats.lengths.map((bin) => bin.documents));
  const histogram = stats.lengths.map(({ from, documents: inBin }) => [
    from === 0 ? "0" : from === 1 ? "1" : `${count(from)}–${count(2 * from - 1)}`,
    count(inBin),
    percent(inBin / documents),
    "█".repeat(Math.ceil(30 * inBin / most)),
  ]);
  const table = formatTextTable(
    [
      { title: "tokens", align: "right" },
      { title: "documents", align: "right" },
      { title: "share", align: "right" },
      { title: "" },
    ],
    histogram,
  );
  const width = Math.max(...rows.map(([title]) => title.length));
  const facts = rows.map(([title, value]) => `${title.padEnd(width)}  ${value}`).join("\n");
  return `${facts}\n\n${table}`;
}
