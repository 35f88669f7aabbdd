/**
 * What the numbers were measured on: the machine, versions, and the best rate of its matrix
 * products, which is what shares of a peak are shares of.
 */

import os from "node:os";
import { fileURLToPath } from "node:url";
import { disposeTree, initEngine, matMul, tensor } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import { gitCommit } from "../../lib/experiments/mod.ts";
import { createRandom } from "../../lib/random.ts";
import { PACKAGES } from "./_contestant.ts";
import { type Request, runProgram } from "./_program.ts";

export type Machine = Readonly<{
  cpu: string;
  logicalCores: number;
  memoryBytes: number;
  os: string;
  kernel: string;
  deno: string;
  tensorflow: string | null;
  backend: string;
  /** Versions by package, of those that are installed. */
  peers: Readonly<Record<string, string>>;
  threads: number;
  /** ISO 8601, UTC. */
  date: string;
  commit: string;
  dirty: boolean;
}>;

/** GFLOP/s of square float32 products, by library and then by their size. */
export type MatmulRates = Readonly<Record<string, Readonly<Record<string, number>>>>;

export type Facts = Readonly<{
  machine: Machine;
  matmulPeak: Readonly<{ gflops: number; by: string; rates: MatmulRates }>;
}>;

const SIZES = [1024, 2048];
const REPETITIONS = 10;

async function findFacts(request: Request): Promise<Facts> {
  const { threads } = request;
  const engine = await initEngine({ threads });
  const peers = installedPeers(request);
  const commit = await gitCommit();
  const machine: Machine = {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    logicalCores: navigator.hardwareConcurrency,
    memoryBytes: os.totalmem(),
    os: `${Deno.build.os} ${Deno.build.arch}`,
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
    tensorflow: engine.tensorflow?.version ?? null,
    backend: engine.backend,
    peers,
    threads,
    date: new Date().toISOString(),
    commit: commit.replace("-dirty", ""),
    dirty: commit.endsWith("-dirty"),
  };
  const rates: MatmulRates = {
    [engine.backend]: Object.fromEntries(SIZES.map((size) => [`${size}`, gigaflops(size)])),
    ...("torch" in peers ? { torch: torchRates(request) } : {}),
  };
  const best = Object.entries(rates)
    .map(([by, ofSizes]) => ({ by, gflops: Math.max(...Object.values(ofSizes)) }))
    .reduce((a, b) => a.gflops >= b.gflops ? a : b);
  const versions = Object.entries(peers).map(([name, version]) => `${name} ${version}`);
  console.log(
    `${machine.cpu}, ${machine.logicalCores} logical cores, ${threads} threads; peers: ${
      versions.join(", ") || "none"
    }; matrix products of up to ${best.gflops.toFixed(0)} GFLOP/s (${best.by})`,
  );
  return { machine, matmulPeak: { ...best, rates } };
}

/** The best of some products of `[size, size]` with `[size, size]`. */
function gigaflops(size: number): number {
  const random = createRandom(size);
  const draw = () => tensor(random.uniforms(size * size, 0, 1), [size, size]);
  const [a, b] = [draw(), draw()];
  const times = Array.from({ length: REPETITIONS }, () => {
    const start = performance.now();
    const product = matMul(a, b);
    product.dataSync();
    const milliseconds = performance.now() - start;
    product.dispose();
    return milliseconds;
  });
  disposeTree([a, b]);
  return 2 * size ** 3 / Math.min(...times) / 1e6;
}

/** Versions of the peers' packages; says which of those that are asked for are not there. */
function installedPeers({ python, peers }: Request): Readonly<Record<string, string>> {
  const wanted = [...new Set(peers.map((one) => PACKAGES[one]))];
  if (wanted.length === 0) return {};
  const found = python === null ? {} : JSON.parse(
    runPython(python, [
      "-c",
      "import importlib.metadata as m, json; " +
      "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))",
    ]),
  ) as Record<string, string>;
  const missing = wanted.filter((name) => found[name] === undefined);
  if (missing.length > 0) {
    console.log(
      `skipped: ${missing.join(", ")}, not installed in ${
        python ?? "any Python that is known"
      }; name a Python that has it, --python PATH`,
    );
  }
  return Object.fromEntries(
    wanted.filter((name) => !missing.includes(name)).map((name) => [name, found[name]!]),
  );
}

function torchRates({ python, threads }: Request): Record<string, number> {
  const script = fileURLToPath(new URL("../reference/bench_torch.py", import.meta.url));
  return JSON.parse(runPython(python!, [script, "matmul", `${threads}`, ...SIZES.map(String)]));
}

function runPython(python: string, args: readonly string[]): string {
  let output: Deno.CommandOutput;
  try {
    output = new Deno.Command(python, { args: [...args] }).outputSync();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UserError(`--python: expected a Python, found no ${python}`);
  }
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trimEnd();
  if (output.success) return decode(output.stdout);
  const reason = decode(output.stderr).split("\n").at(-1);
  throw new UserError(`--python: expected a Python, found ${python}, which ended with: ${reason}`);
}

if (import.meta.main) await runProgram(findFacts);
