/** `deno task data -- fetch`: a dataset of the Hub onto this disk. */
import {
  type FetchItem,
  formatBytes,
  HUB_NAMES,
  type HubSource,
  openHubSource,
  parseSource,
} from "../text/mod.ts";
import { type CommandSpec, parseCommand, UsageError } from "./_args.ts";
import { byteProgress } from "../figures/byte_progress.ts";
import { stoppable } from "./_stoppable.ts";
import { HUB_NOTES, hubOptions } from "./_hub.ts";
import { projectAt } from "./_project.ts";

export const fetchCommand = {
  name: "deno task data -- fetch",
  summary: "Gets a dataset of the Hugging Face Hub, or its first documents, into .cache/hub.",
  positionals: [
    {
      name: "NAME",
      required: true,
      description: `${
        Object.keys(HUB_NAMES).join(", ")
      }, or hf:OWNER/NAME[/CONFIGURATION][@REVISION]`,
    },
  ],
  options: {
    limit: { type: "integer", min: 1, description: "only the first N documents" },
    textField: { type: "string", default: "text", description: "the column that holds the text" },
    check: {
      type: "boolean",
      description: "look for damage in what is on disk, and get that anew",
    },
    refresh: { type: "boolean", description: "ask the Hub for the newest version first" },
    dryRun: { type: "boolean", description: "say what would be got, and stop" },
  },
  examples: [
    {
      command: "deno task data -- fetch fineweb-edu --limit 50000",
      does: "a sample: only the text of the first documents is got",
    },
    { command: "deno task data -- fetch finemath", does: "all of it (18 GB)" },
    {
      command: "deno task data -- fetch hf:roneneldan/TinyStories",
      does: "any other dataset that is Parquet",
    },
  ],
  notes: [
    "Ctrl-C stops; the same command goes on where it stopped. What has its name is whole: shards are",
    "checked by the Hub's SHA-256, single row groups by decoding them.",
    ...HUB_NOTES,
  ],
} as const satisfies CommandSpec;

export async function fetchData(argv: readonly string[]): Promise<number> {
  const { options, positionals: [name] } = parseCommand(fetchCommand, argv);
  const { textField, limit, refresh } = options;
  const descriptor = parseSource(name!, { textField, ...(limit !== undefined && { limit }) });
  if (descriptor.kind !== "hub") {
    throw new UsageError(
      `${name}: expected a dataset of the Hub, found what is on this disk already ` +
        `(see ${fetchCommand.name} --help)`,
    );
  }
  return await stoppable(async (signal) => {
    const hub = hubOptions(projectAt().cache);
    const source = await openHubSource(descriptor, { ...hub, signal, refresh, log: console.error });
    if (options.check) {
      for (const damaged of await source.dropDamaged()) console.error(`${damaged}: was damaged`);
    }
    await fetchItems(source, name!, options.dryRun);
  });
}

function sum(items: readonly FetchItem[]): number {
  return items.reduce((bytes, item) => bytes + item.bytes, 0);
}

async function fetchItems(source: HubSource, name: string, dryRun: boolean): Promise<void> {
  const items = await source.items();
  const missing = items.filter(({ isThere }) => !isThere);
  const documents = source.parts.reduce((count, part) => count + (part.documents ?? 0), 0);
  const what = `${documents.toLocaleString("en-US")} documents, ${formatBytes(sum(items))}`;
  if (dryRun) {
    console.log(`${name}: ${what}; ${formatBytes(sum(missing))} of it would be got`);
    return;
  }
  const progress = byteProgress("fetching");
  const total = sum(items);
  let done = total - sum(missing);
  try {
    for (const item of missing) {
      await progress.update(done, total, item.name);
      let last = Promise.resolve();
      await item.fetch((bytes) => {
        last = progress.update(done + bytes, total, item.name);
      });
      await last;
      done += item.bytes;
    }
  } finally {
    await progress.finish();
  }
  const heldOut = (source.heldOutDocuments ?? 0).toLocaleString("en-US");
  const licence = source.licence === undefined ? "" : `, licence ${source.licence}`;
  console.log(`${name}: ${what}, the first ${heldOut} held out${licence}`);
}
