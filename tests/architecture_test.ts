/**
 * The house's plan, enforced: which folder of lib may import which, who may touch TensorFlow.js and
 * the environment, and that nothing runs in circles. Read from the sources, so that type-only and
 * dynamic imports count too.
 */
import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** From the bottom up: a folder imports folders of earlier rows, and of its own without circles. */
const ranks: readonly (readonly string[])[] = [
  ["errors"],
  ["files", "random"],
  ["cache_file"],
  ["engine", "tokenizer", "text"],
  ["layers"],
  ["models", "qat"],
  ["train", "entropy", "codec"],
  ["measure", "figures"],
  ["experiments"],
  ["cli", "mod"],
];

/** Folders that work without tensors, and all they may import. */
const withoutTensors: Readonly<Record<string, readonly string[]>> = {
  tokenizer: ["errors", "files", "random"],
  text: ["errors", "files", "random", "cache_file", "tokenizer"],
};

/** Where the environment may be read: the engine's choice of backend and a notebook's parameters. */
const readsEnvironment = [
  /^lib\/cli\//,
  /^lib\/engine\//,
  /^lib\/experiments\/notebook\.ts$/,
];

/** Source text by path from the project's root, e.g. `lib/engine/ops.ts`. */
type Sources = ReadonlyMap<string, string>;

interface Import {
  readonly from: string;
  readonly specifier: string;
}

function importsOf(path: string, source: string): Import[] {
  const code = withoutComments(source);
  const statements = code.matchAll(/(?<![\w$.])(?:import|export)\b[^"'`;=()]*["']([^"'\n]+)["']/g);
  const calls = code.matchAll(/(?<![\w$.])import\s*\(\s*["'`]([^"'`]+)["'`]/g);
  return [...statements, ...calls].map((match) => ({ from: path, specifier: match[1] ?? "" }));
}

/** Comments go, strings stay: a `//` inside a string is none. */
function withoutComments(source: string): string {
  const tokens =
    /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/.*/g;
  return source.replaceAll(tokens, (token) => token.startsWith("/") ? " " : token);
}

/** The folder of lib a path lies in; for a file directly in lib its name: `errors`. */
function folderOf(path: string): string {
  return path.split("/")[1]?.replace(/\.ts$/, "") ?? "";
}

/** The path an import leads to, or undefined for packages and built-ins. */
function targetOf({ from, specifier }: Import): string | undefined {
  return specifier.startsWith(".") ? join(dirname(from), specifier) : undefined;
}

function rankOf(folder: string): number {
  return ranks.findIndex((row) => row.includes(folder));
}

function findViolations(sources: Sources): string[] {
  const violations: string[] = [];
  const imports = [...sources].flatMap(([path, source]) => importsOf(path, source));
  for (const one of imports) {
    const { from, specifier } = one;
    const folder = folderOf(from);
    if (/@tensorflow\//.test(specifier) && folder !== "engine") {
      violations.push(`${from} imports ${specifier}: only lib/engine may`);
    }
    const target = targetOf(one);
    if (target === undefined) continue;
    if (!target.startsWith("lib/")) {
      violations.push(`${from} imports ${target}, which is outside lib`);
      continue;
    }
    const other = folderOf(target);
    if (rankOf(folder) < 0) violations.push(`${from}: lib/${folder} has no place in the plan`);
    if (other === folder) continue;
    if (rankOf(other) > rankOf(folder)) {
      violations.push(`${from} imports ${target}: ${folder} lies below ${other}`);
    }
    const few = withoutTensors[folder];
    if (few !== undefined && !few.includes(other)) {
      violations.push(`${from} imports ${target}: ${folder} may import ${few.join(", ")}`);
    }
    if (target.split("/").at(-1)?.startsWith("_")) {
      violations.push(`${from} imports ${target}, which is internal to lib/${other}`);
    }
  }
  for (const [path, source] of sources) {
    const reads = /\bDeno\.env\b|\bprocess\.env\b/.test(withoutComments(source));
    if (reads && !readsEnvironment.some((pattern) => pattern.test(path))) {
      violations.push(`${path} reads the environment: take it as an argument`);
    }
  }
  const files = edges(imports, (path) => path);
  const folders = edges(imports, (path) => `lib/${folderOf(path)}`);
  for (const cycle of [findCycle(files), findCycle(folders)]) {
    if (cycle !== undefined) violations.push(`imports run in a circle: ${cycle.join(" → ")}`);
  }
  return [...new Set(violations)];
}

function edges(imports: readonly Import[], name: (path: string) => string): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const one of imports) {
    const target = targetOf(one);
    if (target === undefined || !target.startsWith("lib/")) continue;
    const [from, to] = [name(one.from), name(target)];
    if (from !== to || one.from === target) graph.set(from, [...graph.get(from) ?? [], to]);
  }
  return graph;
}

/** A circle in the graph as the list of its nodes, the first one again at the end. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const walk = (node: string, trail: readonly string[]): string[] | undefined => {
    const seen = trail.indexOf(node);
    if (seen >= 0) return [...trail.slice(seen), node];
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = walk(next, [...trail, node]);
      if (cycle !== undefined) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = walk(node, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function readLibrary(): Sources {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const sources = new Map<string, string>();
  const walk = (folder: string) => {
    for (const entry of Deno.readDirSync(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) walk(path);
      else if (path.endsWith(".ts")) sources.set(relative(root, path), Deno.readTextFileSync(path));
    }
  };
  walk(join(root, "lib"));
  return sources;
}

Deno.test("lib keeps to the plan of the house", () => {
  const sources = readLibrary();
  assert.ok(sources.size > 20, "the library was read");
  assert.deepEqual(findViolations(sources), []);
});

Deno.test("findViolations() passes what the plan allows", () => {
  const sources = new Map([
    ["lib/errors.ts", "export {};"],
    [
      "lib/engine/mod.ts",
      'import * as tf from "@tensorflow/tfjs";\nimport "../errors.ts"; Deno.env',
    ],
    ["lib/models/a.ts", 'import type { B } from "../qat/b.ts"; // import "../cli/c.ts"'],
    ["lib/qat/b.ts", 'const url = "https://x"; export * from "./_c.ts";'],
    ["lib/qat/_c.ts", 'import { join } from "node:path"; /* Deno.env */'],
    ["lib/text/a.ts", 'import { Tokenizer } from "../tokenizer/mod.ts";'],
    ["lib/train/a.ts", 'import { B } from "../text/a.ts"; import { M } from "../models/a.ts";'],
  ]);
  assert.deepEqual(findViolations(sources), []);
});

Deno.test("findViolations() finds each planted violation", () => {
  const planted: readonly (readonly [path: string, source: string, found: RegExp])[] = [
    ["lib/engine/a.ts", 'import { x } from "../models/b.ts";', /engine lies below models/],
    [
      "lib/engine/a.ts",
      'import type {\n  X,\n} from "../layers/b.ts";',
      /engine lies below layers/,
    ],
    ["lib/train/a.ts", 'export * from "../cli/b.ts";', /train lies below cli/],
    ["lib/measure/a.ts", 'await import("../experiments/b.ts");', /measure lies below experiments/],
    ["lib/text/a.ts", 'import { x } from "../engine/mod.ts";', /text may import errors/],
    ["lib/tokenizer/a.ts", 'import { x } from "../text/mod.ts";', /tokenizer may import errors/],
    ["lib/layers/a.ts", 'import * as tf from "@tensorflow/tfjs";', /only lib\/engine may/],
    ["lib/cli/a.ts", 'import "npm:@tensorflow/tfjs-core";', /only lib\/engine may/],
    ["lib/models/a.ts", 'import { x } from "../layers/_b.ts";', /internal to lib\/layers/],
    ["lib/models/a.ts", 'import { x } from "../../tests/b.ts";', /outside lib/],
    ["lib/misc/a.ts", 'import { x } from "../errors.ts";', /no place in the plan/],
    ["lib/figures/a.ts", 'const a = Deno.env.get("A");', /reads the environment/],
    ["lib/experiments/run_store.ts", "process.env.HOME;", /reads the environment/],
  ];
  for (const [path, source, found] of planted) {
    assert.match(findViolations(new Map([[path, source]])).join("\n"), found, source);
  }
});

Deno.test("findViolations() finds circles between files and between folders", () => {
  const files = new Map([
    ["lib/train/a.ts", 'import "./b.ts";'],
    ["lib/train/b.ts", 'import type { C } from "./c.ts";'],
    ["lib/train/c.ts", 'import "./a.ts";'],
  ]);
  assert.deepEqual(findViolations(files), [
    "imports run in a circle: lib/train/a.ts → lib/train/b.ts → lib/train/c.ts → lib/train/a.ts",
  ]);
  const folders = new Map([
    ["lib/models/a.ts", 'import "../qat/a.ts";'],
    ["lib/qat/b.ts", 'import "../models/b.ts";'],
  ]);
  assert.deepEqual(findViolations(folders), [
    "imports run in a circle: lib/models → lib/qat → lib/models",
  ]);
});
