/**
 * Runs a test on every backend of the engine, and on TensorFlow with every way to run a function.
 *
 * One process holds one engine choice (`initEngine` refuses a second one), so this goes through
 * the engine's own `startBackend`. Subprocesses with `KYL_BACKEND` would do as well, but each pays
 * TensorFlow's start again, and a test could not compare backends with each other.
 *
 * WebGPU is the exception: graphics drivers may bring an LLVM of their own, and two in one process
 * crash it. `KYL_BACKEND=webgpu` runs the tests on WebGPU and without TensorFlow, as
 * `engine/backend_test.ts` does in a process of its own where there is a GPU.
 */

import * as tf from "@tensorflow/tfjs";
import { type BackendName, startBackend } from "../lib/engine/backend.ts";
import { jit, type Jitted, type Tree } from "../lib/engine/mod.ts";

/** A way to run a function of tensors. */
export type Mode = Readonly<{
  name: string;
  backend: BackendName;
  /** `fn` as this mode runs it: compiled, or in a tidy scope. */
  compile<A extends readonly Tree[], R extends Tree>(fn: (...inputs: A) => R): Jitted<A, R>;
}>;

const MODES: readonly Mode[] = [
  { name: "tensorflow eager", backend: "tensorflow", compile: runTidy },
  {
    name: "tensorflow graph",
    backend: "tensorflow",
    compile: (fn) => jit("test", fn, { compiler: "graph" }),
  },
  {
    name: "tensorflow xla",
    backend: "tensorflow",
    compile: (fn) => jit("test", fn, { compiler: "xla" }),
  },
  { name: "webgpu", backend: "webgpu", compile: (fn) => jit("test", fn) },
  { name: "wasm", backend: "wasm", compile: (fn) => jit("test", fn) },
  { name: "cpu", backend: "cpu", compile: (fn) => jit("test", fn) },
];

/** What `jit` does on backends without a compiler, for TensorFlow's eager operations. */
function runTidy<A extends readonly Tree[], R extends Tree>(fn: (...inputs: A) => R): Jitted<A, R> {
  const call = (...inputs: A): R =>
    tf.tidy((() => fn(...inputs)) as () => tf.TensorContainer) as unknown as R;
  return Object.assign(call, { dispose() {} });
}

const isWebGpuRun = Deno.env.get("KYL_BACKEND") === "webgpu";
const modesOfRun = MODES.filter(({ backend }) =>
  backend !== (isWebGpuRun ? "tensorflow" : "webgpu")
);

/** What stops a backend on this machine, or null when it runs. */
const obstacles = new Map<BackendName, string | null>();
for (const backend of new Set(modesOfRun.map((mode) => mode.backend))) {
  try {
    await startBackend(backend);
    obstacles.set(backend, null);
  } catch (error) {
    if (backend === "webgpu") throw error; // it was asked for
    obstacles.set(backend, (error as Error).message.split("\n", 1)[0]!);
  }
}

type Selection = Readonly<{
  /** Only these modes, by name. */
  only?: readonly string[];
  /** Only one mode of each backend: for code that never differs between compilers. */
  oncePerBackend?: boolean;
}>;

/**
 * Registers the test `name` once a mode, e.g. `gelu() … [wasm]`. Tensors that it makes are freed
 * after it. On a machine without the backend it is ignored under a name that says so.
 */
export function onEveryBackend(
  name: string,
  fn: (mode: Mode) => void | Promise<void>,
  { only, oncePerBackend = false }: Selection = {},
): void {
  const modes = modesOfRun.filter((mode, index) =>
    (only === undefined || only.includes(mode.name)) &&
    !(oncePerBackend && modesOfRun[index - 1]?.backend === mode.backend)
  );
  for (const mode of modes) onBackend(mode, name, fn);
}

function onBackend(mode: Mode, name: string, fn: (mode: Mode) => void | Promise<void>): void {
  const obstacle = obstacles.get(mode.backend);
  Deno.test({
    name: obstacle === null
      ? `${name} [${mode.name}]`
      : `${name} [${mode.name}: NOT RUN, absent here: ${obstacle}]`,
    ignore: obstacle !== null,
    fn: async () => {
      await startBackend(mode.backend);
      const scope = tf.engine();
      scope.startScope();
      try {
        await fn(mode);
      } finally {
        scope.endScope();
      }
    },
  });
}

/** Registers a test on TensorFlow alone, for what only that backend has. */
export function onTensorFlow(name: string, fn: (mode: Mode) => void | Promise<void>): void {
  onEveryBackend(name, fn, { only: ["tensorflow graph"] });
}
