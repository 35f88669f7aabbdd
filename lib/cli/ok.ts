/** `deno task ok`: everything that must hold before a commit. */
import { type CommandSpec, parseCommand, runCommand } from "./_args.ts";
import { checkNotebooks, listNotebooks } from "./_notebook_check.ts";
import { runChild } from "./_process.ts";
import { formatElapsed } from "./_progress.ts";
import { addTallies, emptyTally, formatTally, type Tally } from "./_tally.ts";
import { ensureSetup } from "./environment.ts";
import { runTests, testSelection } from "./test.ts";

const spec = {
  name: "deno task ok",
  summary: "Format, lint, types, notebooks and tests: everything that must hold before a commit.",
  options: {
    tests: { type: "boolean", default: true, description: "run the tests too" },
  },
  examples: [{ command: "deno task ok --no-tests", does: "the quick part" }],
} as const satisfies CommandSpec;

const tools: readonly (readonly [name: string, args: readonly string[], remedy: string])[] = [
  // Notebooks have their own check; --ignore replaces what deno.json excludes from formatting.
  ["format", ["fmt", "--check", "--ignore=notebooks,tests/golden,data/runs"], "run deno fmt"],
  ["lint", ["lint"], ""],
  ["types", ["check", "lib", "tests"], ""],
];

async function main(argv: readonly string[]): Promise<number> {
  const { options } = parseCommand(spec, argv);
  const { project } = await ensureSetup();
  let tally: Tally = emptyTally;
  const count = (name: string, problems: string, start: number) => {
    const passed = problems === "";
    const elapsed = formatElapsed(performance.now() - start);
    console.log(`${passed ? "ok    " : "FAILED"} ${name} (${elapsed})`);
    if (!passed) console.log(problems);
    tally = addTallies(tally, { passed: Number(passed), failed: Number(!passed), skipped: 0 });
  };
  for (const [name, args, remedy] of tools) {
    const start = performance.now();
    const { code, output } = await runChild(Deno.execPath(), args, {
      cwd: project.root,
      env: { NO_COLOR: "1" },
    });
    const said = output.split("\nStack backtrace:")[0] ?? "";
    count(name, code === 0 ? "" : [said, remedy].filter((line) => line !== "").join("\n"), start);
  }
  let start = performance.now();
  await checkNotebooks(project, listNotebooks(project), { codeOnly: false }, (result) => {
    count(`${result.notebook}: ${result.check}`, result.problems.join("\n"), start);
    start = performance.now();
  });
  if (options.tests) {
    const tests = await runTests(project, testSelection(project, [], false));
    tally = addTallies(tally, tests.tally);
    if (tests.code !== 0 && tests.tally.failed === 0) {
      tally = addTallies(tally, { ...emptyTally, failed: 1 });
    }
  }
  console.log(formatTally(tally));
  return tally.failed === 0 ? 0 : 1;
}

if (import.meta.main) await runCommand(main);
