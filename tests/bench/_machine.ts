/**
 * What the numbers were measured on: the machine, versions, and the best rate of its matrix
 * products, which is what shares of a peak are shares of.
 */

import os from "node:os";
import { fileURLToPath } from "node:url";
import { initEngine } from "../../lib/engine/mod.ts";
import { UserError } from "../../lib/errors.ts";
import {
  type BenchFacts,
  type BenchMachine,
  gitCommit,
  type MatmulRates,
} from "../../lib/experiments/mod.ts";
import { matmulGigaflops } from "../../lib/measure/mod.ts";
import { PACKAGES } from "./_contestant.ts";
import { type Request, runProgram } from "./_program.ts";

const SIZES = [1024, 2048];

async function findFacts(request: Request): Promise<BenchFacts> {
  const { threads } = request;
  const engine = await initEngine({ threads });
  const peers = installedPeers(request);
  const commit = await gitCommit();
  const machine: BenchMachine = {
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
    [engine.backend]: Object.fromEntries(SIZES.map((size) => [`${size}`, matmulGigaflops(size)])),
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

/** Versions of the peers' packages; says which of those that are asked for are not there. */
function installedPeers({ python, peers }: Request): Readonly<Record<string, string>> {
  if (peers.length === 0) return {};
  const wanted = [...new Set([...peers.map((one) => PACKAGES[one]), "tokenizers"])];
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
