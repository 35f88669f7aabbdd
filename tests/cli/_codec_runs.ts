/** Trained runs and files for tests of compressing from the command line. */

import { join } from "node:path";
import { compress } from "../../lib/codec/mod.ts";
import { disposeTree, initEngine } from "../../lib/engine/mod.ts";
import { loadCodecModel, runAll } from "../../lib/experiments/mod.ts";
import { tinyCorpus, tinySpec } from "../experiments/_tiny.ts";
import { optionsIn } from "../experiments/_tiny_runs.ts";
import { withFiles } from "../text/_temporary.ts";

await initEngine({ backend: "wasm", log: () => {} });

/** Where the tasks compute as this process does. */
export const WASM = ["--backend", "wasm"];

/** A text that the runs of {@linkcode withRuns} make shorter. */
export const TEXT = tinyCorpus()["corpus.jsonl"]!.slice(0, 2000);

export type Runs = Readonly<{
  folder: string;
  /** The folders of runs. */
  clm: string;
  eem: string;
  /** In the folder. */
  path: (name: string) => string;
  names: () => string[];
}>;

/** Runs `use` in a folder with a causal and an augmented run on a tiny corpus, and these files. */
export function withRuns(
  files: Readonly<Record<string, string | Uint8Array>>,
  use: (runs: Runs) => Promise<void>,
): Promise<void> {
  return withFiles({ ...tinyCorpus(), ...files }, async (folder) => {
    const specs = ["clm", "eem"] as const;
    const results = await runAll(specs.map((model) => tinySpec(folder, model)), optionsIn(folder));
    const [clm, eem] = results.map(({ config }) => join(folder, "runs", config.id));
    await use({
      folder,
      clm: clm!,
      eem: eem!,
      path: (name) => join(folder, name),
      names: () => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort(),
    });
  });
}

/** What the library makes of bytes, with the model that it does it with. */
export async function expectedFile(
  run: string,
  original: Uint8Array | string,
  options: Parameters<typeof compress>[2] = {},
) {
  const bytes = typeof original === "string" ? new TextEncoder().encode(original) : original;
  const { params, ...model } = await loadCodecModel(run);
  try {
    return { ...await compress({ ...model, params }, bytes, options), ...model };
  } finally {
    disposeTree(params);
  }
}

/** As tables and lines write it. */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}
