/** What notebooks call: their parameters, and a set of runs with a live display. */

import { fileURLToPath } from "node:url";
import { engineStatus } from "../engine/mod.ts";
import { liveProgress } from "../figures/mod.ts";
import { hubAccess } from "../text/mod.ts";
import { type ClaimRow, writeClaims } from "./claims.ts";
import type { CorpusData, PrepareDataOptions, TextPlace } from "./data.ts";
import { withInterrupt } from "./interrupt.ts";
import { checkPreset, type PresetName } from "./presets.ts";
import { runAll, type RunProgress, type RunResult } from "./run.ts";
import { type RunSpec, withText } from "./run_spec.ts";
import { publishRun, type StoreFolders } from "./run_store.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The project's folders: trained and published runs, caches, results. */
export const PROJECT_FOLDERS:
  & StoreFolders
  & Readonly<{
    cache: string;
    results: string;
    /** Records of benchmarks. */
    bench: string;
  }> = {
    runs: `${root}runs`,
    published: `${root}data/runs`,
    cache: `${root}.cache`,
    results: `${root}out/results`,
    bench: `${root}data/bench`,
  };

/**
 * Where data is kept and got from: the project's cache, and the Hub that HF_ENDPOINT and HF_TOKEN
 * in the environment lead to.
 *
 * @throws UserError for an HF_ENDPOINT that is no address.
 */
export function projectData(): Pick<PrepareDataOptions, "cacheFolder" | "hub"> {
  const hub = hubAccess((name) => Deno.env.get(name));
  return { cacheFolder: PROJECT_FOLDERS.cache, hub };
}

export type NotebookParameters = Readonly<{
  preset: PresetName;
  /** Train anew, whatever is stored. */
  fresh: boolean;
  /** Read in the place of the presets' text. */
  text?: TextPlace;
}>;

/** The text that KYL_CORPUS, and of it KYL_LIMIT documents, puts in the place of the presets'. */
function projectText(): TextPlace | undefined {
  const corpus = Deno.env.get("KYL_CORPUS");
  const limit = Number(Deno.env.get("KYL_LIMIT") || NaN);
  return corpus ? { corpus, ...(limit >= 1 && { limit }) } : undefined;
}

/** Data of a preset, of the text that is read in its place. */
export function onProjectText(data: CorpusData): CorpusData {
  return { ...data, ...projectText() };
}

/**
 * The parameters of this execution: those of `deno task reproduce` and `deno task notebooks run`,
 * which set KYL_PRESET, KYL_FRESH, KYL_CORPUS and KYL_LIMIT, else the values given here.
 */
export function notebookParameters(
  { preset = "quick", fresh = false }: { preset?: PresetName; fresh?: boolean } = {},
): NotebookParameters {
  const freshVariable = Deno.env.get("KYL_FRESH");
  const text = projectText();
  return {
    preset: checkPreset(Deno.env.get("KYL_PRESET") || preset),
    fresh: freshVariable ? freshVariable !== "0" && freshVariable !== "false" : fresh,
    ...(text && { text }),
  };
}

/**
 * Trains the runs or takes stored ones, with one live display of progress and time left. The stop
 * button ends it at a step boundary; running the cell again goes on from there. The records of
 * preset `small` go to `data/runs`, to be committed, unless weights are what is needed or the text
 * is another than the preset's.
 */
export async function runExperiment(
  specs: readonly RunSpec[],
  { preset, fresh, text }: NotebookParameters,
  { needWeights = false, log = console.log }: {
    /** Published runs, which have none, do not serve. */
    needWeights?: boolean;
    log?: (line: string) => void;
  } = {},
): Promise<RunResult[]> {
  if (text !== undefined) {
    const { corpus, limit } = text;
    log(`on ${corpus}${limit ? `, ${limit} documents` : ""}, in the place of the preset's text`);
  }
  const asked = text === undefined ? specs : specs.map((spec) => withText(spec, text));
  const progress = liveProgress({ label: `${specs.length} runs` });
  const onProgress = showProgress(progress);
  const results = await withInterrupt((signal) =>
    runAll(asked, {
      folders: PROJECT_FOLDERS,
      ...projectData(),
      fresh,
      needWeights,
      signal,
      log,
      onProgress,
    })
  ).finally(() => progress.finish());
  log(describeSources(results));
  if (preset === "small" && !needWeights && text === undefined) {
    for (const run of results) {
      if (run.source !== "published") await publishRun(PROJECT_FOLDERS, run);
    }
  }
  return results;
}

/** Turns run records into states of a progress display. */
export function showProgress(
  progress: ReturnType<typeof liveProgress>,
): (update: RunProgress) => Promise<void> {
  const start = performance.now();
  let stepsAtStart: number | null = null;
  const curve: { x: number; y: number }[] = [];
  return async ({ spec, record, stepsDone, steps }) => {
    if (record.type !== "train") return;
    stepsAtStart ??= stepsDone;
    curve.push({ x: stepsDone, y: record.lossNats });
    const seconds = (performance.now() - start) / 1000;
    const rate = (stepsDone - stepsAtStart) / seconds;
    await progress.update({
      detail: `${spec.family} ${spec.arm}, seed ${spec.training.seed}`,
      step: stepsDone,
      steps,
      lossNats: record.lossNats,
      tokensPerSecond: record.tokensPerSecond,
      etaSeconds: rate > 0 ? (steps - stepsDone) / rate : Infinity,
      curve,
    });
  };
}

/**
 * The share of a preset's steps that fits its time on this backend: all of them with TensorFlow or
 * a GPU, a twentieth on wasm and plain JavaScript, whose steps take that much longer.
 */
export function stepShare({ preset }: NotebookParameters, log = console.log): number {
  const backend = engineStatus()?.backend;
  if (backend === undefined) throw new Error("initEngine() must be called before stepShare()");
  if (preset !== "quick" || backend === "tensorflow" || backend === "webgpu") return 1;
  log(`${backend} is slow: preset quick trains a twentieth of its steps here`);
  return 1 / 20;
}

/** One line: how many runs were trained now and how many were taken from where. */
export function describeSources(results: readonly RunResult[]): string {
  const count = (source: RunResult["source"]) =>
    results.filter((run) => run.source === source).length;
  return `${results.length} runs: ${count("trained")} trained now, ${count("stored")} from runs/, ${
    count("published")
  } from data/runs/`;
}

/** Where and by what code the runs behind claims were trained. */
export function claimContext({ preset }: NotebookParameters, runs: readonly RunResult[]) {
  const common = (values: readonly string[]) =>
    new Set(values).size === 1 ? values[0]! : [...new Set(values)].sort().join(", ");
  return {
    preset,
    backend: common(runs.map((run) => run.config.backend)),
    git: common(runs.map((run) => run.config.git)),
  };
}

/** Writes the rows of a notebook to `out/results`, where `deno task reproduce` collects them. */
export async function recordClaims(notebook: string, rows: readonly ClaimRow[]): Promise<void> {
  await writeClaims(PROJECT_FOLDERS.results, notebook, rows);
}
