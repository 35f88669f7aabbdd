/** `deno task data`: sources of text, one file a subcommand. */
import { HelpRequest, nearest, runCommand, UsageError } from "./_args.ts";
import { fetchCommand, fetchData } from "./_data_fetch.ts";
import { listCommand, listData } from "./_data_list.ts";
import { showStats, statsCommand } from "./_data_stats.ts";
import { tokenizeCommand, tokenizeData } from "./_data_tokenize.ts";
import { makeTokenizer, tokenizerCommand } from "./_data_tokenizer.ts";

interface Subcommand {
  /** One sentence. */
  readonly summary: string;
  readonly run: (argv: readonly string[]) => Promise<number | void>;
}

const subcommands: Readonly<Record<string, Subcommand>> = {
  list: { summary: listCommand.summary, run: listData },
  fetch: { summary: fetchCommand.summary, run: fetchData },
  stats: { summary: statsCommand.summary, run: showStats },
  tokenizer: { summary: tokenizerCommand.summary, run: makeTokenizer },
  tokenize: { summary: tokenizeCommand.summary, run: tokenizeData },
};

function overview(): string {
  const names = Object.keys(subcommands);
  const width = Math.max(...names.map((name) => name.length));
  return [
    "Sources of text: what there is, getting it, what it is like.",
    "Usage: deno task data -- SUBCOMMAND [options]",
    names.map((name) => `  ${name.padEnd(width)}  ${subcommands[name]!.summary}`).join("\n"),
    "Each has --help.",
  ].join("\n\n");
}

/** Runs the subcommand that the first word names. */
async function main(argv: readonly string[]): Promise<number | void> {
  const [name, ...rest] = argv[0] === "--" ? argv.slice(1) : argv;
  if (name === undefined || name === "--help" || name === "-h") throw new HelpRequest(overview());
  if (Object.hasOwn(subcommands, name)) return await subcommands[name]!.run(rest);
  const names = Object.keys(subcommands);
  const closest = nearest(name, names);
  const hint = closest === undefined ? "" : `, did you mean ${closest}?`;
  throw new UsageError(`unknown subcommand "${name}"${hint} Known: ${names.join(", ")}`);
}

if (import.meta.main) await runCommand(main);
