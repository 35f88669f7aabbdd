/** `deno task lab`: JupyterLab with the Deno kernel. */
import { type CommandSpec, parseCommand, runCommand } from "./_args.ts";
import { runForeground } from "./_process.ts";
import { ensureSetup } from "./environment.ts";

const spec = {
  name: "deno task lab",
  summary: "Opens the notebooks in JupyterLab.",
  options: {},
  passThrough: "JupyterLab",
  examples: [
    { command: "deno task lab", does: "opens a browser" },
    { command: "deno task lab -- --no-browser --port 8890", does: "with JupyterLab's options" },
  ],
  notes: [
    "A notebook's code may read, write and start everything you may: the kernel cannot be limited.",
  ],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<number> {
  const { rest } = parseCommand(spec, argv);
  const { project, variables } = await ensureSetup();
  return await runForeground(
    project.python,
    [
      ...["-m", "jupyterlab", `--notebook-dir=${project.notebooks}`],
      "--MultiKernelManager.default_kernel_name=deno",
      ...rest,
    ],
    { cwd: project.root, env: variables },
  );
}

if (import.meta.main) await runCommand(main);
