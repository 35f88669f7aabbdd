/** Which implementation runs the tensors, how it was chosen, and what it found. */

import * as tf from "@tensorflow/tfjs";
import { UserError } from "../errors.ts";
import { findTensorFlowLibrary, LIBRARY_VARIABLE } from "./_library.ts";
import { activeTensorFlow, registerTensorFlow, TENSORFLOW } from "./_tensorflow.ts";

/** In order of preference; `cpu` (plain JavaScript) is for tests and is never chosen by itself. */
export const BACKENDS = [TENSORFLOW, "webgpu", "wasm", "cpu"] as const;
export type BackendName = (typeof BACKENDS)[number];

/** The environment variable that forces a backend. */
export const BACKEND_VARIABLE = "KYL_BACKEND";

/** What operands of matrix products are rounded to; sums and all else are float32. */
export const MATMUL_PRECISIONS = ["float32", "bfloat16"] as const;
export type MatmulPrecision = (typeof MATMUL_PRECISIONS)[number];

export type EngineStatus = Readonly<{
  backend: BackendName;
  /** Why this backend, in one line. */
  reason: string;
  /** What the tensors live on, e.g. `CPU`, `GPU (/device:GPU:0)`, `WebAssembly SIMD`. */
  device: string;
  /** Threads that share an operation: the last bits of sums depend on their number. */
  threads: number;
  matmulPrecision: MatmulPrecision;
  /** TensorFlow's version and library file, when that backend runs. */
  tensorflow: Readonly<{ version: string; library: string }> | null;
  /** The backends that were tried before, and what stopped each. */
  unavailable: readonly Readonly<{ backend: BackendName; reason: string }>[];
}>;

type Start = Pick<EngineStatus, "device" | "threads" | "tensorflow">;

/** What a backend is started with; each takes what it has. */
type StartOptions = Readonly<{
  threads?: number | undefined;
  clusterConfig?: Uint8Array | undefined;
  matmulPrecision?: MatmulPrecision;
}>;

/** TensorFlow's own variable for the number of threads that share an operation. */
const THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS";

/** More than any machine has, and still a number that a file's header holds. */
const MOST_THREADS = 65_535;

const STARTERS: Readonly<Record<BackendName, (options: StartOptions) => Promise<Start>>> = {
  tensorflow: startTensorFlow,
  webgpu: startWebGpu,
  wasm: startWasm,
  cpu: startCpu,
};

const REMEDIES: Readonly<Record<BackendName, string>> = {
  tensorflow:
    `run "deno task setup", which installs a TensorFlow wheel into .venv, or set ${LIBRARY_VARIABLE} to libtensorflow's path`,
  webgpu: "it needs a GPU with a driver that Deno's WebGPU supports",
  wasm: `run "deno install" to fetch the node packages`,
  cpu: `run "deno install" to fetch the node packages`,
};

let started: EngineStatus | null = null;

/** The status of the running engine, or null before {@linkcode initEngine}. */
export function engineStatus(): EngineStatus | null {
  return started;
}

/**
 * The backend that computes now.
 *
 * @throws Error when the engine was not started.
 */
export function runningBackend(): BackendName {
  const name = BACKENDS.find((backend) => backend === tf.getBackend());
  if (name === undefined) throw new Error("initEngine() must be called first");
  return name;
}

/** Whether TensorFlow computes on a GPU. */
export function runsOnGpu(): boolean {
  return activeTensorFlow()?.binding.isUsingGpuDevice() ?? false;
}

/** The threads of the running backend, see {@linkcode EngineStatus}. */
export function runningThreads(): number {
  return activeTensorFlow()?.binding.threads ?? 1;
}

/** The precision of the running engine's matrix products. */
export function runningMatmulPrecision(): MatmulPrecision {
  return started?.matmulPrecision ?? "float32";
}

/**
 * Starts the engine: the forced backend, or the first of tensorflow, webgpu (hardware adapters
 * only) and wasm that works. Later calls return the running engine and must not ask for another.
 *
 * @param options.backend Forces a backend, before the environment variable `KYL_BACKEND`.
 * @param options.threads Of TensorFlow; by default as many as there are processors, or as
 *   `TF_NUM_INTRAOP_THREADS` says. Other backends have one.
 * @param options.clusterConfig What TensorFlow's context needs in a cluster, which
 *   `joinWorkers` gives; nothing for a process of its own.
 * @param options.matmulPrecision `bfloat16` is oneDNN's, for TensorFlow on processors with AMX
 *   and as a graph only: XLA on processors has none, and oneDNN makes no use of AVX512_BF16 for it.
 * @param options.log Receives one line with the choice and its reason; standard error by default.
 * @throws UserError when a forced backend is unknown or unavailable, saying how to get it, and when
 *   it or the processor has no bfloat16 products.
 */
export async function initEngine(
  options: {
    backend?: BackendName | undefined;
    threads?: number | undefined;
    clusterConfig?: Uint8Array | undefined;
    matmulPrecision?: MatmulPrecision | undefined;
    log?: (line: string) => void;
  } = {},
): Promise<EngineStatus> {
  const forced = options.backend ?? forcedByEnvironment();
  const { threads, clusterConfig } = options;
  if (threads !== undefined) checkThreads("threads", threads);
  if (started !== null) {
    if (threads !== undefined && threads !== started.threads) {
      throw new UserError(
        `the engine already runs on ${started.threads} threads, so ${threads} cannot be used in ` +
          "this process; restart it",
      );
    }
    const { matmulPrecision = started.matmulPrecision } = options;
    if (matmulPrecision !== started.matmulPrecision) {
      throw new UserError(
        `the engine already multiplies in ${started.matmulPrecision}, so ${matmulPrecision} ` +
          "cannot be used in this process; restart it",
      );
    }
    if (forced !== undefined && forced !== started.backend) {
      throw new UserError(
        `the engine already runs on ${started.backend}, so ${forced} cannot be used in this process; restart it`,
      );
    }
    return started;
  }
  if (forced !== undefined && !BACKENDS.includes(forced)) {
    throw new UserError(`unknown backend "${forced}"; expected one of ${BACKENDS.join(", ")}`);
  }
  const { matmulPrecision = "float32" } = options;
  if (matmulPrecision === "bfloat16" && (forced ?? TENSORFLOW) !== TENSORFLOW) {
    throw new UserError(
      `bfloat16 products: expected the backend ${TENSORFLOW}, found ${forced}; leave one of them out`,
    );
  }
  const unavailable: { backend: BackendName; reason: string }[] = [];
  const candidates: readonly BackendName[] = forced !== undefined
    ? [forced]
    : matmulPrecision === "bfloat16"
    ? [TENSORFLOW]
    : BACKENDS.filter((name) => name !== "cpu");
  for (const backend of candidates) {
    try {
      const start = await startBackend(backend, { threads, clusterConfig, matmulPrecision });
      const reason = forced !== undefined
        ? `forced by ${options.backend === undefined ? BACKEND_VARIABLE : "an option"}`
        : unavailable.length === 0
        ? "first choice"
        : unavailable.map((other) => `no ${other.backend} (${other.reason})`).join(", ");
      started = { backend, reason, ...start, matmulPrecision, unavailable };
      (options.log ?? console.error)(describeEngine(started));
      return started;
    } catch (error) {
      if (error instanceof UserError) throw error;
      unavailable.push({ backend, reason: firstLine(error) });
    }
  }
  const problems = unavailable.map(({ backend, reason }) =>
    `backend ${backend} is not available: ${reason}; ${REMEDIES[backend]}`
  );
  throw new UserError(problems.join(". "));
}

/**
 * Makes `backend` the running one, whatever ran before. Not part of the public surface: tests
 * compare several backends in one process; everything else calls {@linkcode initEngine} once.
 */
export function startBackend(
  backend: BackendName,
  options: StartOptions = {},
): Promise<Start> {
  tf.enableProdMode(); // also silences the advice to install tfjs-node
  return STARTERS[backend](options);
}

/** One line: the backend, its device and why it was chosen. */
export function describeEngine(status: EngineStatus): string {
  const version = status.tensorflow === null ? "" : ` ${status.tensorflow.version}`;
  const products = status.matmulPrecision === "float32"
    ? ""
    : `, matrix products in ${status.matmulPrecision}`;
  return `engine: ${status.backend}${version} on ${status.device} (${status.reason})${products}`;
}

function forcedByEnvironment(): BackendName | undefined {
  const name = Deno.env.get(BACKEND_VARIABLE);
  return name === undefined || name === "" ? undefined : name as BackendName;
}

/** @throws UserError when the environment's number of threads is none. */
function threadsByEnvironment(): number {
  const value = Deno.env.get(THREADS_VARIABLE);
  if (!value || value === "0") return navigator.hardwareConcurrency;
  return checkThreads(THREADS_VARIABLE, Number(value), `"${value}"; correct or unset it`);
}

function checkThreads(name: string, threads: number, found = `${threads}`): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS) return threads;
  throw new UserError(`${name}: expected 1 … ${MOST_THREADS} threads, found ${found}`);
}

async function startTensorFlow({
  threads = threadsByEnvironment(),
  clusterConfig,
  matmulPrecision = "float32",
}: StartOptions): Promise<Start> {
  const variable = Deno.env.get(LIBRARY_VARIABLE);
  const { path, searched } = findTensorFlowLibrary({ variable });
  if (path === null && variable) {
    throw new UserError(
      `${LIBRARY_VARIABLE} names ${variable}, which does not exist; correct it, or unset it to search .venv and the system`,
    );
  }
  if (path === null) throw new Error(`libtensorflow not found in ${searched.join(", ")}`);
  let binding;
  try {
    ({ binding } = registerTensorFlow(path, { threads, clusterConfig, matmulPrecision }));
  } catch (error) {
    if (!variable) throw error;
    throw new UserError(
      `${LIBRARY_VARIABLE} names ${variable}, which is not a TensorFlow 2 library for this machine (${
        firstLine(error)
      }); correct it, or unset it to search .venv and the system`,
    );
  }
  await use(TENSORFLOW);
  if (matmulPrecision === "bfloat16" && !roundsOperands()) {
    throw new UserError(
      "bfloat16 products: expected a processor that has them (AMX) and TensorFlow with " +
        "oneDNN on it, found products in float32; leave the option out",
    );
  }
  const gpu = binding.devices.find((device) => device.type === "GPU");
  return {
    device: gpu === undefined ? "CPU" : `GPU (${gpu.name})`,
    threads: binding.threads,
    tensorflow: { version: binding.TF_Version, library: path },
  };
}

/** Whether products round their operands to bfloat16, in which 1 + 2⁻¹⁰ is 1. */
function roundsOperands(): boolean {
  return tf.tidy(() => {
    const size = 64; // small enough to cost nothing, large enough that no kernel is left out
    const product = tf.matMul(tf.fill([size, size], 1 + 2 ** -10), tf.eye(size));
    return product.dataSync().every((value) => value === 1);
  });
}

async function startWebGpu(): Promise<Start> {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("no WebGPU adapter");
  const { info } = adapter;
  if (info.isFallbackAdapter || /llvmpipe|lavapipe|swiftshader|software/i.test(info.description)) {
    throw new Error(`only a software adapter (${info.description || "unnamed"})`);
  }
  await import("@tensorflow/tfjs-backend-webgpu");
  await use("webgpu");
  return { device: info.description || "GPU", threads: 1, tensorflow: null };
}

async function startWasm(): Promise<Start> {
  await import("@tensorflow/tfjs-backend-wasm");
  await use("wasm");
  return { device: "WebAssembly", threads: 1, tensorflow: null };
}

async function startCpu(): Promise<Start> {
  await use("cpu");
  return { device: "JavaScript", threads: 1, tensorflow: null };
}

async function use(name: BackendName): Promise<void> {
  if (!await tf.setBackend(name)) throw new Error(`TensorFlow.js could not start ${name}`);
  await tf.ready();
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0]!;
}
