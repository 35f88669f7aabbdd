/** `deno task launch`: several workers on this machine that train one run together. */
import { formatTfConfig, lostWithinSeconds } from "../engine/mod.ts";
import { UserError } from "../errors.ts";
import { checkParts } from "../text/mod.ts";
import { type CommandSpec, parseCommand, runCommand } from "./_args.ts";
import { freeAddresses } from "./_local_workers.ts";
import { INTERRUPTED } from "./_process.ts";
import { endTogether, startTask } from "./_task_processes.ts";
import { checkOptions, trainCommand } from "./_train_options.ts";

const spec = {
  name: "deno task launch",
  summary: "Trains one run with several workers on this machine, to try what a cluster would do.",
  options: {
    workers: { type: "integer", min: 2, default: 2, description: "processes" },
    ...trainCommand.options,
  },
  examples: [
    { command: "deno task launch -- --workers 2 --model eem", does: "an EEM, by two processes" },
  ],
  notes: [
    "All options but --workers are those of deno task train, which each worker runs; worker 0 shows",
    "progress and stores the run. The processors are shared out among the workers, unless",
    "TF_NUM_INTRAOP_THREADS says how many threads each has.",
  ],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<number> {
  const { options, given } = parseCommand(spec, argv);
  const { workers: count, ...trained } = options;
  checkOptions(trained, given);
  checkParts(options.batch, count);
  const addresses = freeAddresses(count);
  const threads = Deno.env.get("TF_NUM_INTRAOP_THREADS") ??
    `${Math.max(1, Math.floor(navigator.hardwareConcurrency / count))}`;
  const words = withoutWorkers(argv);
  const processes = addresses.map((_, index) =>
    startTask("train", words, {
      env: {
        TF_CONFIG: formatTfConfig({ addresses, index }),
        TF_NUM_INTRAOP_THREADS: threads,
      },
      // The others print nothing but what went wrong with them.
      show: index === 0 ? undefined : (line) => console.error(`worker ${index}: ${line}`),
      onSignal: (signal) => console.error(`worker ${index}: ended by ${signal}`),
    })
  );
  // Workers notice by themselves that another is lost; one that never joined them is not noticed.
  const code = await endTogether(processes, 1000 * (lostWithinSeconds() + 10));
  return code > 128 && code !== INTERRUPTED ? 1 : code; // a worker that a signal has ended
}

/** The words of a command line without `--workers`, which parseCommand has checked. */
function withoutWorkers(argv: readonly string[]): string[] {
  const at = argv.findIndex((word) => /^--workers(=|$)/.test(word));
  const words = [...argv];
  if (at >= 0) words.splice(at, argv[at]!.includes("=") ? 1 : 2);
  if (words.some((word) => /^--workers(=|$)/.test(word))) {
    throw new UserError("--workers: expected it once, found it twice");
  }
  return words;
}

if (import.meta.main) await runCommand(main);
