/** Tasks of deno.json as child processes that run side by side. */
import { join } from "node:path";
import { readLines } from "./_process.ts";
import { projectAt } from "./_project.ts";

export type TaskProcess = Readonly<{
  child: Deno.ChildProcess;
  /** The exit code, once all output is shown. */
  ended: Promise<number>;
}>;

/** A task as `deno task` would start it, with the permissions that deno.json gives it. */
export function taskCommand(task: string): string[] {
  const path = join(projectAt().root, "deno.json");
  const { tasks } = JSON.parse(Deno.readTextFileSync(path)) as {
    tasks: Record<string, { command: string }>;
  };
  return tasks[task]!.command.split(" ").slice(1);
}

/**
 * Starts a task. Its output goes where this process's goes or, with `show`, standard error alone to
 * that, line by line.
 */
export function startTask(
  task: string,
  argv: readonly string[],
  { env, show, onSignal }: Readonly<{
    env: Readonly<Record<string, string>>;
    show?: ((line: string) => void) | undefined;
    /** Learns of the signal that has ended the process. */
    onSignal?: (signal: Deno.Signal) => void;
  }>,
): TaskProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...taskCommand(task), ...argv],
    cwd: projectAt().root,
    env: { ...env },
    stdin: "null",
    stdout: show === undefined ? "inherit" : "null",
    stderr: show === undefined ? "inherit" : "piped",
  }).spawn();
  const shown = show === undefined ? Promise.resolve() : readLines(child.stderr, show);
  const ended = shown.then(async () => {
    const { code, signal } = await child.status;
    if (signal !== null) onSignal?.(signal);
    return code;
  });
  return { child, ended };
}

/** An evaluation may have to end before a process can stop, and save what it has. */
const LAST_GRACE_MS = 60_000;

/**
 * Waits for processes that belong together. Ctrl-C reaches them by the terminal, SIGTERM and a lost
 * terminal's SIGHUP are passed on, as SIGTERM; once one has failed, what is left after
 * `graceMilliseconds` gets SIGTERM, and what does not end by itself is killed behind that.
 *
 * @returns The exit code of the first that failed, else 0.
 */
export async function endTogether(
  processes: readonly TaskProcess[],
  graceMilliseconds: number,
): Promise<number> {
  let failure = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const signalAll = (signal: Deno.Signal) => {
    for (const { child } of processes) {
      try {
        child.kill(signal);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended
      }
    }
  };
  const signals = Deno.build.os === "windows"
    ? ["SIGINT"] as const
    : ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const handlers = signals.map((signal) =>
    [signal, () => signal !== "SIGINT" && signalAll("SIGTERM")] as const
  );
  for (const [signal, handle] of handlers) Deno.addSignalListener(signal, handle);
  try {
    await Promise.all(processes.map(async ({ ended }) => {
      const code = await ended;
      if (code === 0 || failure !== 0) return;
      failure = code;
      timer = setTimeout(() => {
        signalAll("SIGTERM");
        timer = setTimeout(() => signalAll("SIGKILL"), LAST_GRACE_MS);
      }, graceMilliseconds);
    }));
    return failure;
  } finally {
    clearTimeout(timer);
    for (const [signal, handle] of handlers) Deno.removeSignalListener(signal, handle);
  }
}
