/**
 * Child processes: their output by lines, and a Ctrl-C that reaches them and leaves none behind.
 */
import { UserError } from "../errors.ts";

/** The user pressed Ctrl-C (or the process was asked to end); the children have ended. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted: the same command goes on from here");
  }
}

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called for every line of output as it comes, without its line end. */
  readonly onLine?: (line: string) => void;
  /** How long a child may take to end after Ctrl-C. */
  readonly graceMilliseconds?: number;
}

export interface ChildResult {
  readonly code: number;
  /** Standard output and standard error together, in the order they came. */
  readonly output: string;
  readonly stdout: string;
}

const endSignals = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs a program to its end and collects its output. The child gets its own process group, so that
 * the terminal's Ctrl-C comes here first: it is passed on, and after a grace period what is left of
 * the group is killed.
 * @throws UserError when there is no such program; Interrupted after Ctrl-C.
 */
export async function runChild(
  command: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<ChildResult> {
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: Deno.build.os !== "windows",
  });
  let interrupted = false;
  let killTimer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => {
    if (interrupted) return signalGroup(child, "SIGKILL");
    interrupted = true;
    signalGroup(child, "SIGINT");
    killTimer = setTimeout(
      () => signalGroup(child, "SIGKILL"),
      options.graceMilliseconds ?? 10_000,
    );
  };
  const removeListeners = listen(stop);
  const output: string[] = [];
  const stdout: string[] = [];
  try {
    const [status] = await Promise.all([
      child.status,
      readLines(child.stdout, (line) => {
        stdout.push(line);
        output.push(line);
        options.onLine?.(line);
      }),
      readLines(child.stderr, (line) => {
        output.push(line);
        options.onLine?.(line);
      }),
    ]);
    if (interrupted) throw new Interrupted();
    return { code: status.code, output: output.join("\n"), stdout: stdout.join("\n") };
  } finally {
    clearTimeout(killTimer);
    removeListeners();
  }
}

/**
 * Runs a program in the foreground, on this terminal: it gets the keys and Ctrl-C itself.
 * @returns its exit code.
 */
export async function runForeground(
  command: string,
  args: readonly string[],
  options: Pick<ChildOptions, "cwd" | "env"> = {},
): Promise<number> {
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...options.env },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  });
  // The terminal sends Ctrl-C to the child too: stay until it has ended.
  const removeListeners = listen((signal) => {
    if (signal === "SIGTERM") signalGroup(child, signal);
  });
  try {
    return (await child.status).code;
  } finally {
    removeListeners();
  }
}

function spawn(
  command: string,
  args: readonly string[],
  options: Omit<Deno.CommandOptions, "args">,
): Deno.ChildProcess {
  try {
    return new Deno.Command(command, { ...options, args: [...args] }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new UserError(`cannot start ${command}: no such program`);
    }
    throw error;
  }
}

function listen(handler: (signal: Deno.Signal) => void): () => void {
  const signals = Deno.build.os === "windows" ? ["SIGINT"] as const : endSignals;
  const handlers = signals.map((signal) => ({ signal, handle: () => handler(signal) }));
  for (const { signal, handle } of handlers) Deno.addSignalListener(signal, handle);
  return () => {
    for (const { signal, handle } of handlers) Deno.removeSignalListener(signal, handle);
  };
}

/** Signals the child's whole group, or the child alone where there are no groups. */
function signalGroup(child: Deno.ChildProcess, signal: Deno.Signal): void {
  for (const pid of [-child.pid, child.pid]) {
    try {
      return Deno.kill(pid, signal);
    } catch (error) {
      if (pid > 0 && !(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) {
        throw error;
      }
    }
  }
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  let pending = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (pending + text).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) onLine(line.endsWith("\r") ? line.slice(0, -1) : line);
  }
  if (pending !== "") onLine(pending);
}

/** The last lines of a program's output, indented and cut to a width, for an error message. */
export function lastLines(output: string, count: number, width = 140): string {
  return output.trimEnd().split("\n").slice(-count)
    .map((line) => `  ${line.length > width ? `${line.slice(0, width - 1)}…` : line}`)
    .join("\n");
}
