/** Tasks as a user starts them, with the permissions that deno.json gives them. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

const { tasks }: { tasks: Record<string, { command: string }> } = JSON.parse(
  await Deno.readTextFile(join(root, "deno.json")),
);

/** The names of all tasks. */
export const TASKS: readonly string[] = Object.keys(tasks);

/** The words of a task's command after `deno`. */
export function taskWords(task: string): string[] {
  return tasks[task]!.command.split(" ").slice(1);
}

type TaskOptions = Readonly<{
  /** Goes into standard input. */
  input?: string | Uint8Array<ArrayBuffer>;
  env?: Readonly<Record<string, string>>;
}>;

/** A task that is not yet started. */
export function taskCommand(
  task: string,
  argv: readonly string[],
  { input, env = {} }: TaskOptions = {},
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [...taskWords(task), ...argv],
    cwd: root,
    env: { NO_COLOR: "1", ...env },
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

export type TaskResult = { code: number; stdout: string; bytes: Uint8Array; stderr: string };

/** Runs a task to its end. */
export async function runTask(
  task: string,
  argv: readonly string[],
  options: TaskOptions = {},
): Promise<TaskResult> {
  const process = taskCommand(task, argv, options).spawn();
  const { input } = options;
  if (input !== undefined) {
    const writer = process.stdin.getWriter();
    // A task that refuses its options ends without reading.
    await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input)
      .catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await process.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), bytes: stdout, stderr: withoutNotices(decode(stderr)) };
}

/** Deno says so where another process of it starts at the same time. */
function withoutNotices(said: string): string {
  return said.replaceAll(/^.*Blocking waiting for file lock.*\n/gm, "");
}

/**
 * Sends Ctrl-C, or another signal, once a task has said something on standard error; gives what it said and how it
 * ended.
 */
export async function interruptTask(
  command: Deno.Command,
  until: RegExp,
  signal: Deno.Signal = "SIGINT",
): Promise<{ code: number; signal: Deno.Signal | null; stdout: string; stderr: string }> {
  const process = command.spawn();
  const output = new Response(process.stdout).text();
  let stderr = "";
  let sent = false;
  for await (const chunk of process.stderr.pipeThrough(new TextDecoderStream())) {
    stderr += chunk;
    if (sent || !until.test(stderr)) continue;
    sent = true;
    process.kill(signal);
  }
  return { ...await process.status, stdout: await output, stderr: withoutNotices(stderr) };
}
