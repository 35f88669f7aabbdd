/** `deno task reproduce --dry-run`: what it would download, store and train, and for how long. */
import { join, resolve } from "node:path";
import {
  architectureOf,
  type MeasuredSpeed,
  notebookSpecs,
  trainedMultiplyAdds,
  trainedTokens,
} from "../experiments/notebook_plan.ts";
import type { PresetName } from "../experiments/presets.ts";
import { type RunSpec, withText } from "../experiments/run_spec.ts";
import type { CorpusData } from "../experiments/corpus_data.ts";
import { formatDuration } from "../figures/terminal_progress.ts";
import { formatBytes, listLocalFiles, openHubSource, parseSource } from "../text/mod.ts";
import { UserError } from "../errors.ts";
import { UsageError } from "./_args.ts";
import { knownSources } from "./_data_list.ts";
import { hubOptions } from "./_hub.ts";
import { lastLines, runChild } from "./_process.ts";
import type { Project } from "./_project.ts";

/** Of text in Parquet files of the Hub: bytes of text a stored byte, and bytes a token of 8,000. */
const [TEXT_PER_STORED, BYTES_PER_TOKEN, BYTES_PER_ID] = [1.7, 4, 2];

export type PlanOptions = Readonly<{
  preset: PresetName;
  corpus?: string | undefined;
  limit?: number | undefined;
}>;

/** What the probe process says. */
export type Probe = Readonly<{
  backend: string;
  device: string;
  speeds: readonly MeasuredSpeed[];
}>;

/**
 * The text asked for, by name or absolute path: a notebook's working folder is another one.
 *
 * @throws UserError for a name that leads nowhere.
 */
export async function checkCorpus(
  { corpus, limit }: Pick<PlanOptions, "corpus" | "limit">,
): Promise<string | undefined> {
  if (corpus === undefined) {
    if (limit === undefined) return undefined;
    throw new UsageError("--limit does nothing without --corpus; leave it out or name a text");
  }
  if (parseSource(corpus).kind !== "local") return corpus;
  await listLocalFiles(corpus);
  return resolve(corpus);
}

/** Prints the plan of notebooks; trains and downloads nothing but lists. */
export async function printPlan(
  project: Project,
  notebooks: readonly string[],
  options: PlanOptions,
): Promise<void> {
  const { preset, corpus, limit } = options;
  const text = corpus === undefined ? undefined : { corpus, ...(limit && { limit }) };
  const planned = notebooks.map((name) => ({
    name,
    specs: notebookSpecs(name, preset).map((spec) => text ? withText(spec, text) : spec),
  }));
  const all = planned.flatMap(({ specs }) => specs);
  for (const line of await textLines(project, all)) console.log(line);
  const training = planned.filter(({ specs }) => specs.length > 0);
  if (training.length === 0) return console.log("nothing is compared: minutes");
  console.log("measuring some training steps …");
  const probe = await measure(project, preset, training.map(({ name }) => name));
  for (const line of timeLines(training, probe)) console.log(line);
}

async function measure(
  project: Project,
  preset: PresetName,
  notebooks: readonly string[],
): Promise<Probe> {
  const script = join(project.root, "lib", "cli", "_plan_probe.ts");
  const permissions = ["read", "env", "ffi", "sys"].map((name) => `--allow-${name}`);
  const { code, stdout, output } = await runChild(
    Deno.execPath(),
    ["run", "--quiet", ...permissions, script, preset, ...notebooks],
    { cwd: project.root, env: { NO_COLOR: "1" } },
  );
  if (code === 0) return JSON.parse(stdout.trim().split("\n").at(-1)!);
  throw new UserError(
    `expected some training steps to be measured, found ${lastLines(output, 1).trim()}; ` +
      "run deno task doctor",
  );
}

/** What runs read: of each text what it is, what is to be got of it and what it takes stored. */
export async function textLines(project: Project, specs: readonly RunSpec[]): Promise<string[]> {
  const texts = specs.flatMap(({ data }) => "corpus" in data ? [data] : []);
  const lines: string[] = [];
  for (const [name, data] of Map.groupBy(texts, ({ corpus }) => corpus)) {
    const sets = new Set(data.map(({ unit, vocabSize }) => `${unit} ${vocabSize}`)).size;
    lines.push(...await textPlan(project, name, data[0]!, sets));
  }
  return lines;
}

async function textPlan(
  project: Project,
  name: string,
  { limit }: CorpusData,
  sets: number,
): Promise<string[]> {
  const descriptor = parseSource(name, { ...(limit !== undefined && { limit }) });
  if (descriptor.kind !== "hub") return [`text: ${name}, which is here`];
  const known = (await knownSources(project))[name];
  let found: { documents: number; bytes: number; missing: number; licence: string | undefined };
  let note = "";
  try {
    const open = { ...hubOptions(project.cache), retry: { attempts: 1 } };
    const source = await openHubSource(descriptor, open);
    const items = await source.items();
    const sum = (list: typeof items) => list.reduce((total, { bytes }) => total + bytes, 0);
    found = {
      documents: source.parts.reduce((total, part) => total + (part.documents ?? 0), 0),
      bytes: sum(items),
      missing: sum(items.filter(({ isThere }) => !isThere)),
      licence: source.licence,
    };
  } catch (error) {
    if (!(error instanceof UserError) || known === undefined) throw error;
    const share = limit === undefined ? 1 : Math.min(1, limit / known.documents);
    const bytes = known.bytes * share;
    const documents = Math.round(known.documents * share);
    found = { documents, bytes, missing: bytes, licence: known.licence };
    note = ` (by data/manifest.json: ${error.message})`;
  }
  const { documents, bytes, missing, licence } = found;
  const stored = bytes * TEXT_PER_STORED / BYTES_PER_TOKEN * BYTES_PER_ID;
  return [
    `text: ${name}, ${documents.toLocaleString("en-US")} documents, licence ${licence}${note}`,
    `download: ${formatBytes(missing)} of ${formatBytes(bytes)} to .cache/hub`,
    `store: about ${formatBytes(stored)} of token ids to .cache/shards` +
    (sets > 1 ? `, ${sets} times: units and vocabularies differ` : ""),
  ];
}

/** How long the runs of each notebook take if none is stored. */
export function timeLines(
  planned: readonly Readonly<{ name: string; specs: readonly RunSpec[] }>[],
  { backend, device, speeds }: Probe,
): string[] {
  const speedOf = (spec: RunSpec) =>
    speeds.find(({ architecture }) => architecture === architectureOf(spec));
  const secondsOf = (spec: RunSpec) =>
    trainedMultiplyAdds(spec) / (speedOf(spec)?.multiplyAddsPerSecond ?? NaN);
  return [
    ...speeds.map(({ architecture, preset, arm, tokensPerSecond }) =>
      `measured: ${Math.round(tokensPerSecond).toLocaleString("en-US")} tokens/s of the ` +
      `${architecture} ${arm} of preset ${preset} (${backend}, ${device}); other models by their ` +
      "multiply-adds"
    ),
    ...planned.map(({ name, specs }) => {
      const tokens = specs.reduce((sum, spec) => sum + trainedTokens(spec), 0);
      const seconds = specs.reduce((sum, spec) => sum + secondsOf(spec), 0);
      return `${name}: ${specs.length} runs, ${formatTokens(tokens)} tokens, about ` +
        `${formatLong(seconds)} of training if none is stored, without evaluations`;
    }),
  ];
}

function formatTokens(tokens: number): string {
  return tokens < 1e9
    ? `${(tokens / 1e6).toFixed(1)} million`
    : `${(tokens / 1e9).toFixed(1)} billion`;
}

/** Days where there are more than two, years where there are more than two of these. */
function formatLong(seconds: number): string {
  const days = seconds / 86_400;
  if (!(days > 2)) return formatDuration(seconds);
  return days > 730 ? `${(days / 365).toFixed(1)} years` : `${days.toFixed(1)} days`;
}
