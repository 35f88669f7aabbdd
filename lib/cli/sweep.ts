/** `deno task sweep`: many independent runs, side by side here or as a Slurm array. */
import { initEngine } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import {
  checkPreset,
  finalLosses,
  PRESETS,
  PROJECT_FOLDERS,
  projectData,
  runAll,
  type RunResult,
  summarizeArms,
  withHalfWidth,
  withInterrupt,
} from "../experiments/mod.ts";
import { formatTextTable } from "../figures/mod.ts";
import { type CommandSpec, parseCommand, runCommand, UsageError } from "./_args.ts";
import { INTERRUPTED } from "./_process.ts";
import { projectAt } from "./_project.ts";
import { stoppable } from "./_stoppable.ts";
import {
  configuredSpecs,
  experimentSpecs,
  finishedRun,
  nameOf,
  planSweep,
  type SweepRun,
} from "./_sweep_plan.ts";
import { submitArrays } from "./_sweep_slurm.ts";
import { endTogether, startTask, taskCommand } from "./_task_processes.ts";

const spec = {
  name: "deno task sweep",
  summary: "Trains many independent runs: what is finished is not repeated, what failed is listed.",
  options: {
    experiment: {
      type: "string",
      placeholder: "NN",
      description: "the runs of a notebook, by its number: 01 to 08",
    },
    preset: {
      type: "choice",
      choices: PRESETS,
      default: "small",
      description: "of the experiment",
    },
    configs: {
      type: "string",
      placeholder: "FILE",
      description: "a text file with the options of deno task train, a configuration a line",
    },
    seeds: { type: "integers", default: [1], description: "of each configuration" },
    jobs: { type: "integer", min: 1, default: 1, description: "runs side by side on this machine" },
    slurm: { type: "boolean", description: "submit what is missing as a Slurm array" },
    sbatch: {
      type: "string",
      placeholder: "'WORDS'",
      description: "more options of sbatch, e.g. '--partition=gpu --gpus=1'",
    },
    report: { type: "boolean", description: "only list what there is" },
    run: { type: "integer", min: 0, description: "only the run of this number, as a Slurm task" },
  },
  passThrough: "deno task train",
  examples: [
    {
      command: "deno task sweep --seeds 1,2,3 --jobs 2 -- --model eem --steps 500",
      does: "one configuration, three seeds, two at a time",
    },
    { command: "deno task sweep --experiment 01 --slurm", does: "notebook 01 on a cluster" },
  ],
  notes: [
    "All runs are stored in runs/, where notebooks find them. The same command goes on with what is",
    "missing; on a cluster runs/ and .cache/ must lie on a disk that all nodes share.",
  ],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<number> {
  const { options, rest, given } = parseCommand(spec, argv);
  const { experiment, configs, jobs } = options;
  const ways = [experiment !== undefined, configs !== undefined, rest.length > 0];
  if (ways.filter(Boolean).length !== 1) {
    throw new UsageError(
      `expected one of --experiment, --configs and options of deno task train behind --, found ${
        ways.filter(Boolean).length
      } of them (see ${spec.name} --help)`,
    );
  }
  const stores = { folders: PROJECT_FOLDERS, ...projectData(), log: console.error };
  if (experiment !== undefined && given.has("seeds")) {
    throw new UsageError("--seeds: expected none with --experiment, whose preset has its own");
  }
  const lines = configs === undefined ? [rest] : readConfigs(configs);
  const specs = experiment === undefined
    ? await configuredSpecs(lines, options.seeds, stores)
    : experimentSpecs(experiment, checkPreset(options.preset));
  const runs = await planSweep(specs, stores);
  if (options.run !== undefined) return await trainOne(runs, options.run, stores);

  const missing = await missingRuns(runs);
  console.log(`${runs.length} runs, ${runs.length - missing.length} of them finished before`);
  const own = argv.slice(0, argv.length - rest.length).filter((word) => word !== "--");
  const wordsFor = (run: string) => [
    ...own.filter((word) => word !== "--slurm"),
    `--run=${run}`,
    ...(rest.length > 0 ? ["--", ...rest] : []),
  ];
  if (options.report) return await report(runs, new Map());
  if (options.slurm) {
    const ids = await submitArrays(runs, missing, {
      sbatch: options.sbatch?.split(/\s+/).filter(Boolean) ?? [],
      command: (run) => [Deno.execPath(), ...taskCommand("sweep"), ...wordsFor(run)],
      folder: projectAt().root,
    });
    if (ids.length > 0) console.log(`submitted: Slurm jobs ${ids.join(", ")}`);
    console.log("the same command with --report in the place of --slurm lists what there is");
    return 0;
  }
  return await withInterrupt(async (signal) => {
    const failures = await trainMissing(runs, missing, wordsFor, jobs, signal);
    const code = await report(runs, failures);
    return signal.aborted ? INTERRUPTED : code;
  });
}

function readConfigs(path: string): string[][] {
  let text;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UserError(`--configs: expected a file, found no ${path}`);
  }
  const lines = text.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.length === 0) {
    throw new UserError(`${path}: expected a configuration a line, found none`);
  }
  return lines.map((line) => line.split(/\s+/));
}

async function missingRuns(runs: readonly SweepRun[]): Promise<number[]> {
  const missing: number[] = [];
  for (const [number, run] of runs.entries()) {
    if (await finishedRun(run, PROJECT_FOLDERS) === null) missing.push(number);
  }
  return missing;
}

async function trainOne(
  runs: readonly SweepRun[],
  number: number,
  stores: Parameters<typeof planSweep>[1],
): Promise<number> {
  const run = runs[number];
  if (run === undefined) {
    throw new UsageError(`--run: expected a number from 0 to ${runs.length - 1}, found ${number}`);
  }
  for (const needed of runs.filter(({ id }) => run.needs.includes(id))) {
    if (await finishedRun(needed, stores.folders) !== null) continue;
    throw new UserError(`needs ${nameOf(needed)}, which is not finished; train that first`);
  }
  const { matmulPrecision } = run.spec.training;
  await initEngine({ matmulPrecision, log: () => {} });
  return await stoppable(async (signal) => {
    await runAll([run.spec], { ...stores, needWeights: run.isNeeded, signal });
  });
}

/**
 * Trains the missing runs, `jobs` at a time, until Ctrl-C aborts `signal`; gives what those that
 * were not finished said, or why they were not started.
 */
async function trainMissing(
  runs: readonly SweepRun[],
  missing: readonly number[],
  wordsFor: (run: string) => readonly string[],
  jobs: number,
  signal: AbortSignal,
): Promise<Map<number, string>> {
  const failures = new Map<number, string>();
  // By the name in the store of a run that failed, or needs one that did: the latter.
  const failed = new Map<string, SweepRun>();
  const threads = Deno.env.get("TF_NUM_INTRAOP_THREADS") ??
    `${Math.max(1, Math.floor(navigator.hardwareConcurrency / jobs))}`;
  const trainRun = async (number: number) => {
    const run = runs[number]!;
    const cause = run.needs.map((id) => failed.get(id)).find((needed) => needed !== undefined);
    if (cause !== undefined) {
      failed.set(run.id, cause);
      failures.set(number, `needs ${nameOf(cause)}, which failed`);
      return;
    }
    const start = performance.now();
    const lines: string[] = [];
    const process = startTask("sweep", wordsFor(`${number}`), {
      env: { TF_NUM_INTRAOP_THREADS: threads },
      show: (line) => lines.push(line),
    });
    const code = await endTogether([process], 0);
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    const outcome = code === 0 ? "done" : code === INTERRUPTED ? "stopped" : "failed";
    if (outcome !== "done") {
      failures.set(number, lastWords(lines, outcome) ?? `ended with code ${code}`);
    }
    if (outcome === "failed") failed.set(run.id, run);
    console.log(`${nameOf(run)}: ${outcome} in ${seconds} s`);
  };
  for (const level of new Set(missing.map((number) => runs[number]!.level))) {
    const waiting = missing.filter((number) => runs[number]!.level === level);
    await Promise.all(Array.from({ length: jobs }, async () => {
      while (waiting.length > 0 && !signal.aborted) await trainRun(waiting.shift()!);
    }));
  }
  return failures;
}

/** What a process said of its end. */
function lastWords(lines: readonly string[], outcome: "stopped" | "failed"): string | undefined {
  return lines.findLast((line) => line.startsWith(outcome === "failed" ? "error: " : "stopped"));
}

/** A table of what the store has now, and what it has not. */
async function report(
  runs: readonly SweepRun[],
  failures: ReadonlyMap<number, string>,
): Promise<number> {
  const results: RunResult[] = [];
  const unfinished: string[] = [];
  for (const [number, run] of runs.entries()) {
    const stored = await finishedRun(run, PROJECT_FOLDERS);
    if (stored === null) {
      unfinished.push(`${nameOf(run)}: ${failures.get(number) ?? "not finished"}`);
    } else {
      const config = { ...stored.config, spec: run.spec };
      results.push({ ...stored, config, source: "stored" });
    }
  }
  if (results.length > 0) {
    const rows = summarizeArms(results).map((arm) => {
      const losses = finalLosses(arm);
      return [arm.family, arm.arm, `${losses.length}`, withHalfWidth(losses, 4)];
    });
    const right = { align: "right" } as const;
    console.log(formatTextTable(
      [{ title: "family" }, { title: "arm" }, { title: "seeds", ...right }, {
        title: "held-out loss, nats",
        ...right,
      }],
      rows,
    ));
  }
  console.log(`${results.length} of ${runs.length} runs are finished`);
  for (const line of unfinished) console.error(`not finished: ${line}`);
  return unfinished.length === 0 ? 0 : 1;
}

if (import.meta.main) await runCommand(main);
