/**
 * A system under measurement, as a child process. It is started with its work as JSON and speaks in
 * lines of JSON: when it has done one step (compilation included), and after every request for more.
 * tests/reference/bench_protocol.py and _ours.ts are the other side.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BackendName, Compiler, MatmulPrecision } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import type { ModelConfig } from "../../lib/models/mod.ts";
import { linesOf } from "./_lines.ts";

/** What every contestant is given. */
export type Work = Readonly<{
  task: "training" | "evaluation";
  model: ModelConfig;
  batch: number;
  /** A safetensors file of the weights to start from, under the library's names and layouts. */
  weights: string;
  /** A file of int32 ids, batch after batch, taken in order, over and over. */
  batches: string;
  learningRate: number;
  threads: number;
  /** Of uniform noise on the embedding in training; none by default. */
  noiseWidth?: number | undefined;
}>;

/** `W` is what it is given as JSON. */
export type Contestant<W = Work> = Readonly<{
  name: string;
  command: string;
  args: (work: W) => readonly string[];
  env: (threads: number) => Readonly<Record<string, string>>;
}>;

export type FirstStep = Readonly<{ firstStepMs: number; firstLoss: number }>;
export type Steps = Readonly<{ ms: readonly number[]; losses: readonly number[] }>;

/** A contestant that runs. */
export type Running = Readonly<{
  name: string;
  first: FirstStep;
  /** From the start of the process to the end of its first step. */
  startMs: number;
  run: (steps: number) => Promise<Steps>;
  /** Ends the process; the most memory that it held, null where that is not known. */
  end: () => Promise<number | null>;
}>;

const here = fileURLToPath(new URL(".", import.meta.url));
/** A program of tests/reference. */
export const script = (name: string) => join(here, "..", "reference", name);

/** This library; by default on the backend and with the compiler that it picks itself. */
export function ours(
  { name = "ours", compiler, backend, matmulPrecision }: Readonly<{
    name?: string;
    compiler?: Compiler | undefined;
    backend?: BackendName;
    matmulPrecision?: MatmulPrecision;
  }> = {},
): Contestant {
  return {
    name,
    command: Deno.execPath(),
    args: (work) => [
      "run",
      "--allow-all", // less does not read /proc, where the peak of memory stands
      join(here, "_ours.ts"),
      JSON.stringify({ ...work, compiler, backend, matmulPrecision }),
    ],
    env: (threads) => ({ TF_NUM_INTRAOP_THREADS: `${threads}` }),
  };
}

export const PEERS = ["torch", "compile", "jax"] as const;
export type Peer = (typeof PEERS)[number];

/** The package that each peer is in. */
export const PACKAGES: Readonly<Record<Peer, string>> = {
  torch: "torch",
  compile: "torch",
  jax: "jax",
};

/** @param matmulPrecision Of PyTorch eager's products; the others' are in float32. */
export function peer(
  which: Peer,
  python: string,
  matmulPrecision: MatmulPrecision = "float32",
): Contestant {
  if (which === "jax") {
    return {
      name: "JAX jit",
      command: python,
      args: (work) => [script("bench_jax.py"), JSON.stringify(work)],
      env: (threads) => ({ NPROC: `${threads}`, JAX_PLATFORMS: "cpu" }),
    };
  }
  const mode = which === "compile" ? "compile" : "eager";
  const name = which === "compile" ? "torch.compile" : "PyTorch eager";
  return {
    name: matmulPrecision === "float32" ? name : `${name}, ${matmulPrecision}`,
    command: python,
    args: (work) => [
      script("bench_torch.py"),
      mode,
      JSON.stringify({ ...work, matmulPrecision }),
    ],
    // A program that measures bfloat16 products has asked oneDNN for them in its own environment.
    env: (threads) => ({ OMP_NUM_THREADS: `${threads}`, ONEDNN_DEFAULT_FPMATH_MODE: "STRICT" }),
  };
}

const alive = new Set<Deno.ChildProcess>();

/** Ends whatever contestants are running, and what they have started, at once. */
export function killContestants(): void {
  for (const child of alive) {
    try {
      Deno.kill(-child.pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/**
 * Starts a contestant and waits for its first step.
 *
 * @throws UserError with the last of what it said when it ends before its time.
 */
export async function startContestant<W extends Readonly<{ threads: number }>>(
  contestant: Contestant<W>,
  work: W,
): Promise<Running> {
  const { name, command } = contestant;
  const start = performance.now();
  const child = new Deno.Command(command, {
    args: [...contestant.args(work)],
    env: { NO_COLOR: "1", ...contestant.env(work.threads) },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    detached: true, // a group of its own: Ctrl-C comes here alone, and nothing of it stays behind
  }).spawn();
  alive.add(child);
  const said = new Response(child.stderr).text();
  const answers = linesOf(child.stdout);
  const questions = child.stdin.getWriter();
  const answer = async <T>(): Promise<T> => {
    const { value, done } = await answers.next();
    if (!done) return JSON.parse(value) as T;
    alive.delete(child);
    const lines = (await said).trimEnd().split("\n");
    const reason = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1);
    throw new UserError(`${name} ended before it had answered: ${reason}`);
  };
  const ask = async <T>(question: unknown): Promise<T> => {
    await questions.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
    return await answer<T>();
  };
  const first = await answer<FirstStep>();
  return {
    name,
    first,
    startMs: performance.now() - start,
    run: (steps) => ask({ steps }),
    end: async () => {
      const { peakBytes } = await ask<{ peakBytes: number | null }>({ end: true });
      await questions.close();
      await child.status;
      await said;
      alive.delete(child);
      return peakBytes;
    },
  };
}
