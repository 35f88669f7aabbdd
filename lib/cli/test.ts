/** `deno task test`: the tests, with what they need set up; ends with `N passed, N failed`. */
import { join } from "node:path";
import { UserError } from "../errors.ts";
import { type CommandSpec, parseCommand, runCommand } from "./_args.ts";
import { exists } from "./_files.ts";
import { runChild } from "./_process.ts";
import { type Project, projectAt } from "./_project.ts";
import { formatTally, parseDenoSummary, type Tally } from "./_tally.ts";
import { ensureSetup } from "./environment.ts";

const spec = {
  name: "deno task test",
  summary: "Runs the tests, on every backend that is present.",
  positionals: [
    {
      name: "WHAT",
      description: "files or folders (tests/engine), or a word that test names contain",
      many: true,
    },
  ],
  options: {
    slow: { type: "boolean", description: "the tests of tests/slow instead (minutes)" },
    setup: { type: "boolean", default: true, description: "set up what is missing first" },
  },
  passThrough: "deno test",
  examples: [
    { command: "deno task test", does: "all but tests/slow" },
    { command: "deno task test tests/tokenizer", does: "one folder" },
    { command: "deno task test resume", does: "the tests whose name contains it" },
    { command: "deno task test -- --fail-fast", does: "with options of deno test" },
  ],
} as const satisfies CommandSpec;

/**
 * The permissions of tests and benchmarks: no network but this machine's own ports. They write to
 * temporary folders, and Deno makes symbolic links only for those who may write everywhere.
 */
export const testPermissions: readonly string[] = [
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-ffi",
  "--allow-sys",
  "--allow-run",
  "--allow-net=127.0.0.1,localhost",
];

/** The arguments of `deno test` for the words given: paths are run, other words filter names. */
export function testSelection(
  project: Project,
  words: readonly string[],
  slow: boolean,
): readonly string[] {
  const isPath = (word: string) => exists(join(project.root, word)) || exists(word);
  const paths = words.filter(isPath);
  const filter = words.filter((word) => !isPath(word)).join(" ");
  const folders = paths.length > 0 ? paths : [slow ? "tests/slow" : "tests"];
  return [
    ...(slow ? [] : ["--ignore=tests/slow,tests/bench"]),
    ...(filter === "" ? [] : [`--filter=${filter}`]),
    ...folders,
  ];
}

/** Runs `deno test`, shows its output as it comes, and returns its counts. */
export async function runTests(
  project: Project,
  selection: readonly string[],
): Promise<{ readonly code: number; readonly tally: Tally }> {
  const color = Deno.stdout.isTerminal() && !Deno.noColor;
  const { code, output } = await runChild(
    Deno.execPath(),
    ["test", ...testPermissions, ...selection],
    {
      cwd: project.root,
      env: color ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" },
      onLine: (line) => console.log(line),
    },
  );
  // Without a summary the tests did not run to their end, which is a failure of its own.
  const tally = parseDenoSummary(output) ?? { passed: 0, failed: 1, skipped: 0 };
  return { code, tally };
}

async function main(argv: readonly string[]): Promise<number> {
  const { options, positionals, rest } = parseCommand(spec, argv);
  const project = projectAt();
  if (options.setup) await ensureSetup();
  const selection = [...rest, ...testSelection(project, positionals, options.slow)];
  const { code, tally } = await runTests(project, selection);
  if (code !== 0 && tally.failed === 0) {
    console.error(`error: deno test ended with code ${code} although no test failed`);
  }
  if (code === 0 && tally.passed + tally.failed === 0) {
    throw new UserError(`no test fits "${positionals.join(" ")}": give a file, a folder or a word`);
  }
  console.log(formatTally(tally));
  return code;
}

if (import.meta.main) await runCommand(main);
