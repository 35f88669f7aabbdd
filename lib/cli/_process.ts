/**
 * Child processes: their output by lines, and a Ctrl-C that reaches them and leaves none behind.
 */
import { UserError } from "../errors.ts";

/** Exit code after Ctrl-C, as shells have it. */
export const INTERRUPTED = 130;

/** The user pressed Ctrl-C (or the process was asked to end); the children have ended. */
export class Interrupted extends Error {
  constructor(message = "interrupted: the same command goes on from here") {
    super(message);
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
  const grace = options.graceMilliseconds ?? 10_000;
  let interrupted = false;
  let killTimer: ReturnType<typeof setTimeout> | undefined;
  // Descendants outside the group, such as a notebook's kernel, which outlive their parent.
  let family: readonly number[] = [];
  const killAll = () => {
    signalGroup(child, "SIGKILL");
    signalAll(family, "SIGKILL");
  };
  const stop = () => {
    if (interrupted) return killAll();
    interrupted = true;
    family = descendantsOf(child.pid);
    signalGroup(child, "SIGINT");
    signalAll(family, "SIGINT");
    killTimer = setTimeout(killAll, grace);
  };
  const removeListeners = listen(stop);
  const output: string[] = [];
  const stdout: string[] = [];
  try {
    const ended = child.status.then(async (status) => {
      // What is left of the family holds the pipes open: it gets half the grace period, no more.
      if (interrupted && await anyAlive(family, grace / 2)) signalAll(family, "SIGKILL");
      return status;
    });
    const [status] = await Promise.all([
      ended,
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

function signalAll(pids: readonly number[], signal: Deno.Signal): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) throw error;
    }
  }
}

/** Whether one of the processes is still there after waiting up to `milliseconds` for their end. */
async function anyAlive(pids: readonly number[], milliseconds: number): Promise<boolean> {
  const isAlive = (pid: number) => parents().has(pid);
  for (let waited = 0; waited < milliseconds; waited += 100) {
    if (!pids.some(isAlive)) return false;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return pids.some(isAlive);
}

/** The processes below `pid`, its children's children included. */
function descendantsOf(pid: number): readonly number[] {
  const found = new Set([pid]);
  const all = [...parents()];
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const [child, parent] of all) if (found.has(parent)) found.add(child);
  }
  found.delete(pid);
  return [...found];
}

/** Every running process and its parent; none where there is no `ps`. */
function parents(): ReadonlyMap<number, number> {
  let listing: string;
  try {
    const ps = new Deno.Command("ps", { args: ["-A", "-o", "pid=,ppid=,stat="] }).outputSync();
    listing = new TextDecoder().decode(ps.stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
  const rows = listing.trim().split("\n").map((line) => line.trim().split(/\s+/));
  const running = rows.filter(([, , state]) => !state?.startsWith("Z"));
  return new Map(running.map(([pid, parent]) => [Number(pid), Number(parent)]));
}

/** Calls `onLine` for every line of a stream, without its line end. */
export async function readLines(
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
