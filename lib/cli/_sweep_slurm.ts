/** A sweep as Slurm arrays: one a level, a task a run. */
import { UserError } from "../errors.ts";
import type { SweepRun } from "./_sweep_plan.ts";

export type SlurmOptions = Readonly<{
  /** More words for sbatch, e.g. a partition and a time limit. */
  sbatch: readonly string[];
  /** The words that train the run of a number. */
  command: (run: string) => readonly string[];
  folder: string;
}>;

/** Stands for the number of a task until the shell has it. */
const TASK = "%TASK%";

/** The words of `sbatch` for the runs of these numbers, which are of one level. */
export function sbatchWords(
  numbers: readonly number[],
  { sbatch, command, folder }: SlurmOptions,
  after?: string,
): string[] {
  const threads = "TF_NUM_INTRAOP_THREADS=${SLURM_CPUS_PER_TASK:-1}";
  const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
  const words = command(TASK).map(quoted).join(" ").replaceAll(TASK, `'"$SLURM_ARRAY_TASK_ID"'`);
  return [
    "sbatch",
    "--parsable",
    "--ntasks=1",
    `--array=${numbers.join(",")}`,
    `--chdir=${folder}`,
    "--output=slurm-%A_%a.out",
    // Where a needed run has failed, those that need it say so.
    ...(after === undefined ? [] : [`--dependency=afterany:${after}`]),
    ...sbatch,
    `--wrap=${threads} ${words}`,
  ];
}

/**
 * Submits the runs that are missing, level after level.
 *
 * @param missing The runs' numbers in the sweep.
 * @returns The jobs' numbers.
 * @throws UserError when sbatch does not take them.
 */
export async function submitArrays(
  runs: readonly SweepRun[],
  missing: readonly number[],
  options: SlurmOptions,
): Promise<string[]> {
  const jobs: string[] = [];
  for (const level of new Set(missing.map((number) => runs[number]!.level))) {
    const numbers = missing.filter((number) => runs[number]!.level === level);
    const [program, ...args] = sbatchWords(numbers, options, jobs.at(-1));
    try {
      const { success, stdout, stderr } = await new Deno.Command(program!, { args }).output();
      const said = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
      if (!success) throw new UserError(`sbatch: ${said(stderr).replaceAll("\n", "; ")}`);
      jobs.push(said(stdout).split(";")[0]!);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new UserError(
        "--slurm: expected sbatch, found no such program; run it on a login node",
      );
    }
  }
  return jobs;
}
