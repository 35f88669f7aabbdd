/** `deno task data -- list`: the sources that are known by name. */
import { join } from "node:path";
import { UserError } from "../errors.ts";
import { formatTextTable } from "../figures/text_table.ts";
import { formatBytes } from "../text/mod.ts";
import { type CommandSpec, parseCommand } from "./_args.ts";
import { type Project, projectAt } from "./_project.ts";

export const listCommand = {
  name: "deno task data -- list",
  summary: "Lists the sources of text that are known by name, with sizes, licences and commands.",
  options: { json: { type: "boolean", description: "print JSON in place of a table" } },
} as const satisfies CommandSpec;

/** An entry of data/manifest.json. */
export type KnownSource = Readonly<{
  title: string;
  /** A package, or `hf:…`. */
  source: string;
  licence: string;
  documents: number;
  /** Of the text, or of what is downloaded. */
  bytes: number;
}>;

/** The sources of data/manifest.json by name. */
export async function knownSources({ root }: Pick<Project, "root">) {
  const path = join(root, "data", "manifest.json");
  try {
    const { corpora } = JSON.parse(await Deno.readTextFile(path));
    return corpora as Readonly<Record<string, KnownSource>>;
  } catch (error) {
    throw new UserError(`${path}: expected the list of sources, found ${(error as Error).message}`);
  }
}

function commandOf(name: string, { source }: KnownSource): string {
  return source.startsWith("hf:") ? `deno task data -- fetch ${name}` : "(comes with setup)";
}

export async function listData(argv: readonly string[]): Promise<void> {
  const { options } = parseCommand(listCommand, argv);
  const sources = await knownSources(projectAt());
  if (options.json) return console.log(JSON.stringify(sources, null, 2));
  console.log(formatTextTable(
    [
      { title: "name" },
      { title: "documents", align: "right" },
      { title: "size", align: "right" },
      { title: "licence" },
      { title: "what" },
      { title: "command" },
    ],
    Object.entries(sources).map(([name, known]) => [
      name,
      known.documents.toLocaleString("en-US"),
      formatBytes(known.bytes),
      known.licence,
      known.title,
      commandOf(name, known),
    ]),
  ));
  console.log(
    "\nAlso hf:OWNER/NAME[/CONFIGURATION][@REVISION] for any other Parquet dataset of the Hub, and\n" +
      "the path of a file or folder, or a pattern such as 'texts/*.jsonl'.",
  );
}
