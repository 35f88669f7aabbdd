/** Which runs a sweep has, in which order, and which of them there are already. */
import { BACKEND_VARIABLE } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  neededRuns,
  notebookSpecs,
  prepareData,
  type PrepareDataOptions,
  type PresetName,
  readFinishedRun,
  readPublishedRun,
  runId,
  type RunSpec,
  type StoredRun,
  type StoreFolders,
} from "../experiments/mod.ts";
import { parseCommand, UsageError } from "./_args.ts";
import { checkOptions, trainCommand } from "./_train_options.ts";
import { dataSpec, runSpec } from "./train.ts";
import { teacherOf } from "./_train_loss.ts";

type Stores = PrepareDataOptions & Readonly<{ folders: StoreFolders }>;

export type SweepRun = Readonly<{
  spec: RunSpec;
  /** Runs of a level need only runs of earlier ones. */
  level: number;
  /** The name in the store. */
  id: string;
  /** Whether other runs need its weights. */
  isNeeded: boolean;
  /** The names in the store of the runs whose weights it needs. */
  needs: readonly string[];
}>;

/**
 * The runs of a notebook's experiment.
 *
 * @throws UsageError for a notebook that compares nothing.
 */
export function experimentSpecs(notebook: string, preset: PresetName): RunSpec[] {
  const specs = notebookSpecs(notebook, preset);
  if (specs.length > 0) return specs;
  throw new UsageError(
    `--experiment: expected the number of a notebook, 01 to 08, found ${notebook}`,
  );
}

/**
 * The runs of lines of options of deno task train, each with every seed.
 *
 * @throws UsageError naming the line that deno task train would refuse.
 */
export async function configuredSpecs(
  lines: readonly (readonly string[])[],
  seeds: readonly number[],
  stores: Stores,
): Promise<RunSpec[]> {
  const specs: RunSpec[] = [];
  for (const words of lines) {
    try {
      const { options, given } = parseCommand(trainCommand, words);
      refuseOptions(given);
      checkOptions(options, given);
      const data = await dataSpec(options);
      const teacher = await teacherOf(options, data, stores);
      // Several configurations are told apart in tables by what was typed.
      const label = lines.length > 1 ? { arm: words.join(" ") } : {};
      for (const seed of seeds) {
        specs.push({ ...runSpec({ ...options, seed }, given, data, teacher), ...label });
      }
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      throw new UsageError(`${words.join(" ") || "no options"}: ${error.message}`);
    }
  }
  return specs;
}

/** Options of deno task train that say how it works, not what a run is, or that a sweep has itself. */
const REFUSED = {
  seed: "--seeds of the sweep instead",
  backend: `the environment variable ${BACKEND_VARIABLE} instead`,
  fresh: "none in a sweep, which repeats no finished run",
  json: "none in a sweep, whose report is a table",
} as const;

function refuseOptions(given: ReadonlySet<string>): void {
  for (const [name, expected] of Object.entries(REFUSED)) {
    if (given.has(name)) throw new UsageError(`--${name}: expected ${expected}`);
  }
}

/** All runs of a sweep once, those that others need before them; makes their data. */
export async function planSweep(specs: readonly RunSpec[], stores: Stores): Promise<SweepRun[]> {
  const keys = new Map<string, string>();
  const idOf = async (spec: RunSpec): Promise<string> => {
    const key = JSON.stringify(spec.data);
    const corpusKey = keys.get(key) ?? (await prepareData(spec.data, stores)).corpusKey;
    keys.set(key, corpusKey);
    return runId(spec, corpusKey);
  };
  const runs = new Map<string, SweepRun>();
  const add = async (spec: RunSpec, isNeeded: boolean): Promise<SweepRun> => {
    const id = await idOf(spec);
    let level = 0;
    const needs: string[] = [];
    for (const source of neededRuns(spec)) {
      const needed = await add(source, true);
      level = Math.max(level, needed.level + 1);
      needs.push(needed.id);
    }
    const isNeededAtAll = isNeeded || (runs.get(id)?.isNeeded ?? false);
    const run = { spec, id, level, isNeeded: isNeededAtAll, needs };
    runs.set(id, run);
    return run;
  };
  for (const spec of specs) await add(spec, false);
  return [...runs.values()].sort((a, b) => a.level - b.level);
}

/** A run as it is stored or published, once it has ended, or null. */
export async function finishedRun(
  { id, isNeeded }: SweepRun,
  folders: StoreFolders,
): Promise<StoredRun | null> {
  return await readFinishedRun(folders, id) ??
    (isNeeded ? null : await readPublishedRun(folders, id));
}

/** What a run is called in lists. */
export function nameOf({ spec: { family, arm, training } }: SweepRun): string {
  return `${family} ${arm}, seed ${training.seed}`;
}
