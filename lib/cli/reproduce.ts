/** `deno task reproduce`: every notebook, the report and the one table. */
import { join } from "node:path";
import { readClaims } from "../experiments/claims.ts";
import { writeFileAtomically } from "../files.ts";
import { type CommandSpec, parseCommand, runCommand } from "./_args.ts";
import { formatClaims } from "../figures/claims_table.ts";
import { exists, hashParts, listFolder, readTextIfPresent, removeIfPresent } from "./_files.ts";
import { selectNotebooks } from "./_notebook_check.ts";
import { parseNotebook } from "./_notebook_file.ts";
import { hashCode, notebookKey } from "./_notebook_key.ts";
import { PRESETS } from "../experiments/presets.ts";
import { convertToHtml, executeNotebook, type RunSettings } from "./_notebook_run.ts";
import { makeOffline, remoteResources } from "./_offline_html.ts";
import { lastLines } from "./_process.ts";
import { formatElapsed } from "./_progress.ts";
import type { Project } from "./_project.ts";
import { checkCorpus, printPlan } from "./_reproduce_plan.ts";
import { renderReport, type ReportedNotebook } from "./_report_page.ts";
import { ensureSetup, type Environment } from "./environment.ts";

const spec = {
  name: "deno task reproduce",
  summary: "Sets up, runs every notebook and writes out/report/index.html and out/results.json.",
  options: {
    preset: {
      type: "choice",
      choices: PRESETS,
      default: "quick",
      description:
        "how much is trained: quick is minutes, small half an hour a notebook, paper needs a GPU",
    },
    notebook: {
      type: "strings",
      placeholder: "NAME,…",
      description: "only these, e.g. 01 or 00_tour (default all)",
    },
    fresh: { type: "boolean", description: "ignore stored runs and finished notebooks" },
    corpus: {
      type: "string",
      placeholder: "NAME|PATH",
      description:
        "train on this text, as deno task train --corpus reads it, in place of the preset's",
    },
    limit: { type: "integer", min: 1, description: "with --corpus: only the first N documents" },
    dryRun: {
      type: "boolean",
      description: "say what would be downloaded, stored and trained, and how long it takes",
    },
  },
  examples: [
    { command: "deno task reproduce", does: "everything, quick" },
    { command: "deno task reproduce --notebook 01 --fresh", does: "one notebook, from nothing" },
    { command: "deno task reproduce --preset small", does: "what the committed outputs show" },
    {
      command: "deno task reproduce --preset paper --notebook 01",
      does: "the paper's experiment on the paper's text; wants a GPU and the Hub",
    },
    {
      command: "deno task reproduce --notebook 01 --corpus my_texts/",
      does: "the same questions, asked of your own text",
    },
  ],
  notes: [
    "Interrupted with Ctrl-C, the same command goes on: finished notebooks are not run again as",
    "long as notebook, library, preset and backend stay the same. Exit code 1 if a notebook fails.",
  ],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<number> {
  const { options: given } = parseCommand(spec, argv);
  const options = { ...given, corpus: await checkCorpus(given) };
  const start = performance.now();
  const environment = await ensureSetup();
  const { project } = environment;
  const names = selectNotebooks(project, options.notebook ?? []);
  if (options.dryRun) {
    await printPlan(project, names, options);
    return 0;
  }
  removeOrphans(project);
  const code = hashCode(project);
  const reported: ReportedNotebook[] = [];
  for (const name of names) {
    reported.push(await reproduceNotebook(environment, name, code, options));
  }
  const claims = await readClaims(join(project.out, "results"), options.preset);
  await writeFileAtomically(
    join(project.out, "results.json"),
    `${JSON.stringify(claims, null, 2)}\n`,
  );
  const index = join(project.out, "report", "index.html");
  const all = addEarlierPages(project, reported);
  await writeFileAtomically(
    index,
    renderReport({ notebooks: all, claims, preset: options.preset }),
  );

  const failed = reported.filter((notebook) => notebook.page === null);
  if (options.preset === "quick") {
    console.log("\npreset quick: one seed and few steps, a first look that decides nothing;");
    console.log("the committed notebooks show preset small, with three seeds and intervals");
  }
  if (claims.length > 0) {
    const columns = Deno.stdout.isTerminal() ? Deno.consoleSize().columns : 120;
    console.log(`\n${formatClaims(claims, columns)}\n`);
  }
  console.log(`report: ${index}`);
  console.log(`results: ${join(project.out, "results.json")} (${claims.length} claims)`);
  const elapsed = formatElapsed(performance.now() - start);
  if (failed.length === 0) {
    console.log(`${names.length} notebooks done in ${elapsed}`);
    return 0;
  }
  console.error(`error: ${failed.map(({ name }) => name).join(", ")} failed (after ${elapsed})`);
  return 1;
}

/** What is left behind by an executed notebook. */
interface NotebookStamp {
  readonly key: string;
  readonly elapsedMilliseconds: number;
  /** Hash of the claims it wrote, null for none: a notebook run by hand since may have replaced them. */
  readonly claims: string | null;
}

interface NotebookFiles {
  readonly source: string;
  readonly executed: string;
  readonly stamp: string;
  readonly claims: string;
  readonly page: string;
}

function filesOf(project: Project, name: string): NotebookFiles {
  return {
    source: join(project.notebooks, `${name}.ipynb`),
    executed: join(project.out, "notebooks", `${name}.ipynb`),
    stamp: join(project.out, "notebooks", `${name}.stamp.json`),
    claims: join(project.out, "results", `${name}.json`),
    page: join(project.out, "report", `${name}.html`),
  };
}

async function reproduceNotebook(
  environment: Environment,
  name: string,
  code: string,
  settings: RunSettings,
): Promise<ReportedNotebook> {
  const files = filesOf(environment.project, name);
  const notebook = parseNotebook(Deno.readTextFileSync(files.source), files.source);
  const key = notebookKey(notebook, {
    code,
    preset: settings.preset,
    corpus: settings.corpus,
    limit: settings.limit,
    tensorflow: environment.tensorflow.requirement,
  });
  const finished = settings.fresh ? undefined : readFinished(files, key);
  if (finished !== undefined) {
    const { elapsedMilliseconds } = finished;
    console.log(
      `${name} (${settings.preset})  done before with the same code, ` +
        `${formatElapsed(elapsedMilliseconds)} then; --fresh runs it again`,
    );
    return await withPage(environment, name, files, elapsedMilliseconds, exists(files.page));
  }
  // Until the notebook has ended well, what an earlier execution left stays.
  removeIfPresent(files.stamp);
  Deno.mkdirSync(join(environment.project.out, "notebooks"), { recursive: true });
  const { ok, failure, elapsedMilliseconds } = await executeNotebook(
    environment,
    files.source,
    files.executed,
    settings,
  );
  if (!ok) {
    console.error(failure);
    for (const path of [files.executed, files.claims, files.page]) removeIfPresent(path);
    return { name, page: null, failure, elapsedMilliseconds };
  }
  const stamp: NotebookStamp = { key, elapsedMilliseconds, claims: claimsHash(files) };
  await writeFileAtomically(files.stamp, `${JSON.stringify(stamp)}\n`);
  return await withPage(environment, name, files, elapsedMilliseconds, false);
}

/** The stamp of an execution that can stand for a new one, if there is one and its files exist. */
function readFinished(files: NotebookFiles, key: string): NotebookStamp | undefined {
  const text = readTextIfPresent(files.stamp);
  if (text === undefined || !exists(files.executed)) return undefined;
  const stamp = JSON.parse(text) as NotebookStamp;
  return stamp.key === key && stamp.claims === claimsHash(files) ? stamp : undefined;
}

function claimsHash(files: NotebookFiles): string | null {
  const text = readTextIfPresent(files.claims);
  return text === undefined ? null : hashParts([text]);
}

async function withPage(
  environment: Environment,
  name: string,
  files: NotebookFiles,
  elapsedMilliseconds: number,
  made: boolean,
): Promise<ReportedNotebook> {
  if (!made) {
    const { ok, said } = await convertToHtml(environment, files.executed, files.page);
    if (!ok) {
      const failure = `  nbconvert could not make a page of it:\n${lastLines(said, 3)}`;
      console.error(failure);
      return { name, page: null, failure, elapsedMilliseconds };
    }
    const html = makeOffline(Deno.readTextFileSync(files.page));
    const remote = remoteResources(html).filter((address) => !/mathjax/i.test(address));
    if (remote.length > 0) {
      console.log(`  warning: the page of ${name} fetches ${remote.join(", ")} when opened`);
    }
    await writeFileAtomically(files.page, html);
  }
  return { name, page: `${name}.html`, failure: "", elapsedMilliseconds };
}

/** Pages of notebooks that were not asked for this time stay in the report. */
function addEarlierPages(
  project: Project,
  reported: readonly ReportedNotebook[],
): readonly ReportedNotebook[] {
  return selectNotebooks(project, []).flatMap((name) => {
    const now = reported.find((notebook) => notebook.name === name);
    if (now !== undefined) return [now];
    const files = filesOf(project, name);
    const stamp = readTextIfPresent(files.stamp);
    if (stamp === undefined || !exists(files.page)) return [];
    const { elapsedMilliseconds } = JSON.parse(stamp) as NotebookStamp;
    return [{ name, page: `${name}.html`, failure: "", elapsedMilliseconds }];
  });
}

/** Removes the claims of notebooks that no longer exist. */
function removeOrphans(project: Project): void {
  const names = selectNotebooks(project, []);
  for (const file of listFolder(join(project.out, "results"))) {
    const isOurs = names.some((name) => file === `${name}.json`);
    if (file.endsWith(".json") && !isOurs) removeIfPresent(join(project.out, "results", file));
  }
}

if (import.meta.main) await runCommand(main);
