/** `deno task bench`: the programs of tests/bench, one after the other. */
import { join } from "node:path";
import { UserError } from "../errors.ts";
import { type CommandSpec, parseCommand, runCommand } from "./_args.ts";
import { listFolder } from "./_files.ts";
import { runForeground } from "./_process.ts";
import { testPermissions } from "./test.ts";
import { ensureSetup } from "./environment.ts";

const spec = {
  name: "deno task bench",
  summary: "Runs the benchmarks of tests/bench and prints what they measure.",
  positionals: [
    {
      name: "WHAT",
      description: "only those whose file name contains one of the words",
      many: true,
    },
  ],
  options: {},
  passThrough: "the benchmark",
  examples: [{ command: "deno task bench tokenizer", does: "one of them" }],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<number> {
  const { positionals, rest } = parseCommand(spec, argv);
  const { project } = await ensureSetup();
  const folder = join(project.root, "tests", "bench");
  const all = listFolder(folder).filter((name) => name.endsWith(".ts") && !name.startsWith("_"));
  const selected = positionals.length === 0
    ? all
    : all.filter((name) => positionals.some((word) => name.includes(word)));
  if (selected.length === 0) {
    throw new UserError(`no benchmark fits; there are: ${all.join(", ") || "none in tests/bench"}`);
  }
  let code = 0;
  for (const name of selected) {
    console.log(`== ${name}`);
    const args = ["run", ...testPermissions, join(folder, name), ...rest];
    code = Math.max(code, await runForeground(Deno.execPath(), args, { cwd: project.root }));
  }
  return code;
}

if (import.meta.main) await runCommand(main);
