/** Runs of `_run_tiny.ts` in processes of their own, and what they leave. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("_run_tiny.ts", import.meta.url));

export interface TinyRun {
  readonly folder: string;
  readonly steps: number;
  readonly checkpointSeconds: number;
}

export interface TinyOutcome {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly output: string;
  readonly errors: string;
}

/** Starts a run; `onProcess` may interrupt it, `onOutput` sees its output as it comes. */
export async function runTiny(
  { folder, steps, checkpointSeconds }: TinyRun,
  { onProcess, onOutput }: {
    onProcess?: (process: Deno.ChildProcess) => void;
    onOutput?: (output: string, process: Deno.ChildProcess) => void;
  } = {},
): Promise<TinyOutcome> {
  const permissions = ["read", "write", "env", "ffi", "sys", "run"].map((name) =>
    `--allow-${name}`
  );
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", ...permissions, SCRIPT, folder, `${steps}`, `${checkpointSeconds}`],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  onProcess?.(process);
  let output = "";
  const reading = (async () => {
    for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
      output += chunk;
      onOutput?.(output, process);
    }
  })();
  const errors = await new Response(process.stderr).text();
  await reading;
  const { code, signal } = await process.status;
  return { code, signal, output, errors };
}

/** The only run in the folder: its files' names, records without the clock's part, and weights. */
export async function readTinyRun(folder: string) {
  const [name, ...others] = [...Deno.readDirSync(join(folder, "runs"))].map((entry) => entry.name);
  assert.deepEqual(others, []);
  const path = join(folder, "runs", name!);
  const names = [...Deno.readDirSync(path)].map((entry) => entry.name).sort();
  const records = (await Deno.readTextFile(join(path, "records.jsonl"))).trimEnd().split("\n")
    .map((line) => ({ ...JSON.parse(line), tokensPerSecond: undefined }));
  const weights = names.includes("model.safetensors")
    ? await Deno.readFile(join(path, "model.safetensors"))
    : null;
  return { names, records, weights };
}
