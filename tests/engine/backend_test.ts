/** A process chooses its backend once, so each of these tests starts one of its own. */

import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findTensorFlowLibrary } from "../../lib/engine/_library.ts";
import { type EngineStatus, initEngine } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";

/** TensorFlow's own variable. */
const THREADS = "TF_NUM_INTRAOP_THREADS";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

type Failure = { error: string; isUserError: boolean };
type Outcome = { status: EngineStatus; lines: string[]; stderr: string };

/** Runs the calls of a process of its own, in `folder`, and returns what the last one gave. */
async function run(
  environment: Readonly<Record<string, string>>,
  calls: string,
  folder: string,
): Promise<{ result: unknown; lines: string[]; stderr: string }> {
  const script = `
    import { engineStatus, initEngine, matMul, runningThreads, tensor } from "./lib/engine/mod.ts";
    import { UserError } from "./lib/errors.ts";
    const lines = [];
    const log = (line) => lines.push(line);
    let result;
    try {
      result = await (async () => { ${calls} })();
    } catch (error) {
      result = { error: error.message, isUserError: error instanceof UserError };
    }
    console.log(JSON.stringify({ result, lines }));
  `;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", script],
    cwd: folder,
    env: { KYL_BACKEND: "", LIBTENSORFLOW: "", [THREADS]: "", NO_COLOR: "1", ...environment },
  }).output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(success, `the process failed: ${error}`);
  return { ...JSON.parse(out!), stderr: error! };
}

const INIT = "return await initEngine({ log });";
const IN_BFLOAT16 = 'return await initEngine({ log, matmulPrecision: "bfloat16" });';

async function start(
  environment: Readonly<Record<string, string>> = {},
  calls = INIT,
  folder = PROJECT,
): Promise<Outcome> {
  const { result, ...output } = await run(environment, calls, folder);
  assert.ok(!("error" in (result as object)), `expected a start, found ${JSON.stringify(result)}`);
  return { status: result as EngineStatus, ...output };
}

/** The one-line message of the UserError that the calls end with. */
async function startError(
  environment: Readonly<Record<string, string>>,
  calls = INIT,
  folder = PROJECT,
): Promise<string> {
  const { result } = await run(environment, calls, folder);
  const { error, isUserError } = result as Failure;
  assert.ok(isUserError, `expected a UserError, found ${JSON.stringify(result)}`);
  assert.doesNotMatch(error, /\n/);
  return error;
}

/** Calls `use` with a folder that holds the engine, but no `.venv`. */
async function withoutVirtualEnvironment(use: (folder: string) => Promise<void>): Promise<void> {
  const cache = join(PROJECT, ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "engine_test_"));
  try {
    for (const part of ["engine", "errors.ts", "random.ts"]) {
      cpSync(join(PROJECT, "lib", part), join(folder, "lib", part), { recursive: true });
    }
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const hasLibrary = findTensorFlowLibrary().path !== null;
const hasGpu = await hasWebGpu();
const hasBfloat16 = await startsInBfloat16();
const hasSystemLibrary = findTensorFlowLibrary({ root: tmpdir() }).path !== null;

/** Whether WebGPU starts: asked in a process of its own, see `_backends.ts`. */
async function hasWebGpu(): Promise<boolean> {
  const { result } = await run({ KYL_BACKEND: "webgpu" }, INIT, PROJECT);
  return !("error" in (result as object));
}

/** Whether this processor has products in bfloat16. */
async function startsInBfloat16(): Promise<boolean> {
  const { result } = await run({ KYL_BACKEND: "tensorflow" }, IN_BFLOAT16, PROJECT);
  return !("error" in (result as object));
}

/** A test that needs something of this machine; its name says so where that is missing. */
function testIf(present: boolean, missing: string, name: string, fn: () => Promise<void>): void {
  Deno.test({ name: present ? name : `${name} [NOT RUN: ${missing}]`, ignore: !present, fn });
}

testIf(hasLibrary, "no libtensorflow here", "initEngine() prefers TensorFlow", async () => {
  const { status, lines, stderr } = await start();
  assert.equal(status.backend, "tensorflow");
  assert.equal(status.reason, "first choice");
  assert.match(status.tensorflow!.version, /^2\.\d+/);
  assert.equal(status.tensorflow!.library, findTensorFlowLibrary().path);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^engine: tensorflow 2\.\S+ on (CPU|GPU \(.*\)) \(first choice\)$/);
  assert.equal(stderr, "", "native code must not write to the terminal");
});

testIf(
  !hasSystemLibrary && !hasGpu,
  "a libtensorflow in the system's folders or a GPU",
  "initEngine() falls back to wasm and says why",
  () =>
    withoutVirtualEnvironment(async (folder) => {
      const { status, lines } = await start({}, INIT, folder);
      assert.equal(status.backend, "wasm");
      assert.deepEqual(status.unavailable.map((one) => one.backend), ["tensorflow", "webgpu"]);
      assert.equal(lines.length, 1);
      assert.match(
        lines[0]!,
        /^engine: wasm on WebAssembly \(no tensorflow \(libtensorflow not found in .*\.venv.*\), no webgpu \(.+\)\)$/,
      );
    }),
);

testIf(
  !hasSystemLibrary,
  "a libtensorflow in the system's folders",
  "initEngine() says how to get TensorFlow when it is forced and absent",
  () =>
    withoutVirtualEnvironment(async (folder) => {
      const message = await startError({ KYL_BACKEND: "tensorflow" }, INIT, folder);
      assert.match(message, /^backend tensorflow is not available: libtensorflow not found in /);
      assert.match(message, /\.venv.*; run "deno task setup".*or set LIBTENSORFLOW/);
    }),
);

testIf(
  !hasGpu,
  "a GPU is present",
  "initEngine() says what WebGPU needs when it is forced and absent",
  async () => {
    assert.match(
      await startError({ KYL_BACKEND: "webgpu" }),
      /^backend webgpu is not available: .*adapter.*; it needs a GPU with a driver/,
    );
  },
);

Deno.test("initEngine() refuses an unknown backend and lists the known ones", async () => {
  assert.equal(
    await startError({ KYL_BACKEND: "metal" }),
    'unknown backend "metal"; expected one of tensorflow, webgpu, wasm, cpu',
  );
});

Deno.test("initEngine() refuses a LIBTENSORFLOW that does not exist", async () => {
  // It must not fall back, neither to another library nor to another backend.
  const message = await startError({ LIBTENSORFLOW: "/nowhere/libtensorflow.so.2" });
  assert.match(
    message,
    /^LIBTENSORFLOW names \/nowhere\/libtensorflow\.so\.2, which does not exist/,
  );
  assert.match(message, /correct it, or unset it to search \.venv and the system$/);
});

Deno.test("initEngine() refuses a LIBTENSORFLOW that is no library", async () => {
  const folder = mkdtempSync(join(tmpdir(), "engine_test_"));
  const file = join(folder, "libtensorflow.so.2");
  writeFileSync(file, "not a library\n");
  try {
    const message = await startError({ LIBTENSORFLOW: file });
    assert.ok(message.startsWith(`LIBTENSORFLOW names ${file}, which is not a TensorFlow 2`));
    assert.match(message, /correct it, or unset it to search \.venv and the system$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

Deno.test("initEngine() starts the forced backend, whatever LIBTENSORFLOW names", async () => {
  const { status, lines } = await start({ KYL_BACKEND: "wasm", LIBTENSORFLOW: "/nowhere/x" });
  assert.equal(status.backend, "wasm");
  assert.deepEqual(lines, ["engine: wasm on WebAssembly (forced by KYL_BACKEND)"]);
});

Deno.test("initEngine() puts the option before the variable", async () => {
  const calls = 'return await initEngine({ log, backend: "cpu" });';
  const { status } = await start({ KYL_BACKEND: "wasm" }, calls);
  assert.equal(status.backend, "cpu");
  assert.equal(status.reason, "forced by an option");
});

Deno.test("initEngine() starts once and logs once", async () => {
  const calls = `
    const before = engineStatus();
    const first = await initEngine({ log, backend: "wasm" });
    const second = await initEngine({ log });
    return { ...first, same: first === second && first === engineStatus() && before === null };
  `;
  const { status, lines } = await start({}, calls);
  assert.equal((status as EngineStatus & { same: boolean }).same, true);
  assert.equal(lines.length, 1);
});

Deno.test("initEngine() refuses another backend in the same process", async () => {
  const calls = `
    await initEngine({ log, backend: "wasm" });
    await initEngine({ log, backend: "cpu" });
  `;
  assert.equal(
    await startError({}, calls),
    "the engine already runs on wasm, so cpu cannot be used in this process; restart it",
  );
});

const THREE = `
  const status = await initEngine({ log, threads: 3 });
  return { ...status, running: runningThreads() };
`;

testIf(hasLibrary, "no libtensorflow here", "initEngine() runs on as many threads", async () => {
  const threadsOf = async (environment: Readonly<Record<string, string>>, calls?: string) => {
    const { status } = await start({ KYL_BACKEND: "tensorflow", ...environment }, calls);
    return status.threads;
  };
  const all = navigator.hardwareConcurrency;
  assert.equal(await threadsOf({ [THREADS]: "" }), all);
  assert.equal(await threadsOf({ [THREADS]: "0" }), all);
  assert.equal(await threadsOf({ [THREADS]: `${all + 1}` }), all + 1);
  // Two bytes in TensorFlow's own configuration.
  assert.equal(await threadsOf({ [THREADS]: "200" }), 200);
  const { status } = await start({ KYL_BACKEND: "tensorflow", [THREADS]: "5" }, THREE);
  assert.deepEqual([status.threads, (status as EngineStatus & { running: number }).running], [
    3,
    3,
  ]);
});

Deno.test("initEngine() has one thread on other backends", async () => {
  const { status } = await start({ KYL_BACKEND: "wasm", [THREADS]: "abc" }, THREE);
  assert.deepEqual([status.threads, (status as EngineStatus & { running: number }).running], [
    1,
    1,
  ]);
});

testIf(
  hasLibrary,
  "no libtensorflow here",
  "initEngine() refuses numbers of threads that are none",
  async () => {
    for (const value of ["abc", "70000", "1.5", "-1"]) {
      assert.equal(
        await startError({ KYL_BACKEND: "tensorflow", [THREADS]: value }),
        `${THREADS}: expected 1 … 65535 threads, found "${value}"; correct or unset it`,
      );
    }
  },
);

testIf(
  hasLibrary,
  "no libtensorflow here",
  "initEngine() refuses another number of threads in the same process",
  async () => {
    const calls = `
      await initEngine({ log, threads: 1 });
      await initEngine({ log, threads: 1 });
      await initEngine({ log });
      await initEngine({ log, threads: 2 });
    `;
    assert.equal(
      await startError({ KYL_BACKEND: "tensorflow" }, calls),
      "the engine already runs on 1 threads, so 2 cannot be used in this process; restart it",
    );
  },
);

testIf(
  hasGpu,
  "no hardware GPU that WebGPU can use",
  "the engine's operations are right on WebGPU",
  async () => {
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--allow-all", "--no-check", "ops_test.ts", "noise_test.ts", "tree_test.ts"],
      cwd: fileURLToPath(new URL(".", import.meta.url)),
      env: { KYL_BACKEND: "webgpu" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stdout));
  },
);

Deno.test("initEngine() refuses an option that is no number of threads", async () => {
  for (const threads of [0, 1.5, -1, 65_536, NaN]) {
    await assert.rejects(
      initEngine({ threads }),
      new UserError(`threads: expected 1 … 65535 threads, found ${threads}`),
    );
  }
});

/** Products of `[1, 2⁻⁹, …]` and `[1 + 2⁻¹⁰, …]` with ones. */
const productsIn = (precision: string) => `
  const { matmulPrecision } = await initEngine({ log, matmulPrecision: "${precision}" });
  const ones = tensor(new Float32Array(64 * 64).fill(1), [64, 64]);
  const sumOf = (value) => {
    const row = new Float32Array(64).map((_, index) => index === 0 ? 1 : value);
    const rows = new Float32Array(64 * 64).map((_, index) => row[index % 64]);
    return matMul(tensor(rows, [64, 64]), ones).dataSync()[0];
  };
  return { matmulPrecision, sums: [sumOf(2 ** -9), sumOf(1 + 2 ** -10)] };
`;

testIf(
  hasBfloat16,
  "no bfloat16 products on this processor",
  "products in bfloat16 round their operands and sum in float32",
  async () => {
    const { result, lines } = await run(
      { KYL_BACKEND: "tensorflow" },
      productsIn("bfloat16"),
      PROJECT,
    );
    // Sums in bfloat16 would lose every 2⁻⁹ beside 1; operands of 1 + 2⁻¹⁰ are 1.
    const sums = [1 + 63 * 2 ** -9, 64];
    assert.deepEqual(result, { matmulPrecision: "bfloat16", sums });
    assert.match(lines[0]!, /, matrix products in bfloat16$/);
  },
);

testIf(
  hasLibrary,
  "no libtensorflow here",
  "products are in float32 by default, whatever oneDNN's own variables say",
  async () => {
    const environment = {
      KYL_BACKEND: "tensorflow",
      ONEDNN_DEFAULT_FPMATH_MODE: "BF16",
      TF_SET_ONEDNN_FPMATH_MODE: "BF16",
    };
    const { result } = await run(environment, productsIn("float32"), PROJECT);
    const sums = [1 + 63 * 2 ** -9, 1 + 63 * (1 + 2 ** -10)];
    assert.deepEqual(result, { matmulPrecision: "float32", sums });
  },
);

testIf(
  hasLibrary,
  "no libtensorflow here",
  "initEngine() refuses bfloat16 where products stay in float32",
  async () => {
    assert.match(
      await startError({ KYL_BACKEND: "tensorflow", TF_ENABLE_ONEDNN_OPTS: "0" }, IN_BFLOAT16),
      /^bfloat16 products: expected a processor that has them .*, found products in float32; leave/,
    );
  },
);

Deno.test("initEngine() refuses bfloat16 on other backends, and beside float32", async () => {
  assert.equal(
    await startError({ KYL_BACKEND: "wasm" }, IN_BFLOAT16),
    "bfloat16 products: expected the backend tensorflow, found wasm; leave one of them out",
  );
  assert.equal(
    await startError({ KYL_BACKEND: "cpu" }, `await initEngine({ log }); ${IN_BFLOAT16}`),
    "the engine already multiplies in float32, so bfloat16 cannot be used in this process; restart it",
  );
});
