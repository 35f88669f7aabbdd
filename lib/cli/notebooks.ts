/** `deno task notebooks`: checks, runs and strips the notebooks. */
import { join } from "node:path";
import { UserError } from "../errors.ts";
import { type CommandSpec, parseCommand, runCommand, UsageError } from "./_args.ts";
import { checkNotebooks, type CheckResult, selectNotebooks } from "./_notebook_check.ts";
import { PRESETS } from "../experiments/presets.ts";
import { executeNotebook } from "./_notebook_run.ts";
import { lastLines, runChild } from "./_process.ts";
import { projectAt } from "./_project.ts";
import { formatTally } from "./_tally.ts";
import { ensureSetup } from "./environment.ts";

const spec = {
  name: "deno task notebooks",
  summary: "Checks, runs or strips notebooks.",
  positionals: [
    {
      name: "ACTION",
      description: "check: format, types, lint, structure, outputs; run: headless; strip: outputs",
      required: true,
    },
    { name: "NOTEBOOK", description: "e.g. 00 or 00_tour; all of them without", many: true },
  ],
  options: {
    preset: { type: "choice", choices: PRESETS, default: "quick", description: "run: how much" },
    fresh: { type: "boolean", description: "run: ignore stored runs" },
    inPlace: {
      type: "boolean",
      description: "run: put the outputs into notebooks/ (otherwise: out/notebooks/)",
    },
    codeOnly: { type: "boolean", description: "check: leave outputs unchecked" },
  },
  examples: [
    { command: "deno task notebooks check", does: "what CI checks" },
    { command: "deno task notebooks run 01 --preset small --in-place", does: "to commit outputs" },
    { command: "deno task notebooks strip 00_tour", does: "remove outputs" },
  ],
} as const satisfies CommandSpec;

const actions = ["check", "run", "strip"] as const;

async function main(argv: readonly string[]): Promise<number> {
  const { options, positionals: [action, ...words] } = parseCommand(spec, argv);
  const project = projectAt();
  switch (action) {
    case "check": {
      const results = await checkNotebooks(
        project,
        selectNotebooks(project, words),
        options,
        printResult,
      );
      const failed = results.filter((result) => result.problems.length > 0).length;
      console.log(formatTally({ passed: results.length - failed, failed, skipped: 0 }));
      return failed === 0 ? 0 : 1;
    }
    case "run":
      return await run(selectNotebooks(project, words), options);
    case "strip":
      return await strip(selectNotebooks(project, words));
    default:
      throw new UsageError(`unknown action "${action}"; known: ${actions.join(", ")}`);
  }
}

function printResult({ notebook, check, problems }: CheckResult): void {
  console.log(`${problems.length === 0 ? "ok    " : "FAILED"} ${notebook}: ${check}`);
  for (const problem of problems) console.log(`         ${problem}`);
}

async function run(
  names: readonly string[],
  options: { preset: typeof PRESETS[number]; fresh: boolean; inPlace: boolean },
): Promise<number> {
  const environment = await ensureSetup();
  const { project } = environment;
  let failed = 0;
  for (const name of names) {
    const source = join(project.notebooks, `${name}.ipynb`);
    const output = options.inPlace ? source : join(project.out, "notebooks", `${name}.ipynb`);
    const result = await executeNotebook(environment, source, output, options);
    if (!result.ok) {
      failed++;
      console.error(result.failure);
    } else if (options.inPlace) {
      await inProject(Deno.execPath(), ["fmt", "--quiet", source]);
    }
  }
  console.log(formatTally({ passed: names.length - failed, failed, skipped: 0 }));
  return failed === 0 ? 0 : 1;
}

async function strip(names: readonly string[]): Promise<number> {
  const { project, variables } = await ensureSetup();
  for (const name of names) {
    const path = join(project.notebooks, `${name}.ipynb`);
    const args = ["-m", "nbconvert", "--clear-output", "--inplace", path];
    await inProject(project.python, args, variables);
    await inProject(Deno.execPath(), ["fmt", "--quiet", path]);
    console.log(`${name}: outputs removed`);
  }
  return 0;
}

async function inProject(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { code, output } = await runChild(command, args, { cwd: projectAt().root, env });
  if (code !== 0) throw new UserError(`${command} failed. It said:\n${lastLines(output, 5)}`);
}

if (import.meta.main) await runCommand(main);
