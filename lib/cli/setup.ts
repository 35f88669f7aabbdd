/** `deno task setup`: makes what a fresh machine lacks. */
import { type CommandSpec, parseCommand, runCommand } from "./_args.ts";
import { ensureSetup } from "./environment.ts";

const spec = {
  name: "deno task setup",
  summary: "Sets up node packages, .venv with JupyterLab and a TensorFlow library, and the kernel.",
  options: {
    tensorflow: {
      type: "boolean",
      default: true,
      description: "install the TensorFlow library; --no-tensorflow leaves it out or removes it",
    },
  },
  examples: [
    { command: "deno task setup", does: "everything; again: checks, and does what is missing" },
    { command: "deno task setup --no-tensorflow", does: "small and slow: the wasm backend" },
    { command: "rm -r .venv && deno task setup", does: "from the start" },
  ],
  notes: ["pip's output goes to .venv/setup.log. Interrupted, the same command goes on."],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<void> {
  const { options } = parseCommand(spec, argv);
  const { tensorflow, project } = await ensureSetup({ tensorflow: options.tensorflow });
  const library = tensorflow.requirement ?? `none (${tensorflow.reason})`;
  console.log(`setup: complete. Python ${project.venv}, TensorFlow ${library}`);
}

if (import.meta.main) await runCommand(main);
