/** Tasks in a project of their own, so that they find and leave no runs in this one. */

import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tinyCorpus } from "../experiments/_tiny.ts";
import { withFiles } from "../text/_temporary.ts";
import { taskWords } from "./_task.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Options of a run on `corpus.jsonl` that takes a moment. */
export const TINY_OPTIONS = [
  ...["--corpus", "corpus.jsonl", "--vocabulary", "270", "--context", "8", "--batch", "8"],
  ...["--width", "8", "--layers", "1", "--held-out-windows", "16", "--evaluate-every", "20"],
];

export type OwnProject = Readonly<{
  folder: string;
  /** A task that is not yet started; detached, it and its children are a group for signals. */
  command: (
    task: string,
    argv: readonly string[],
    env?: Readonly<Record<string, string>>,
    detached?: boolean,
  ) => Deno.Command;
  run: (
    task: string,
    argv: readonly string[],
    env?: Readonly<Record<string, string>>,
  ) => Promise<{ code: number; stdout: string; stderr: string }>;
}>;

/** A folder that has this project's library and packages, a small corpus, and no runs. */
export async function withOwnProject(use: (project: OwnProject) => Promise<void>): Promise<void> {
  await withFiles(tinyCorpus(), async (folder) => {
    for (const name of ["lib", "deno.json", "deno.lock", "node_modules", ".venv"]) {
      await symlink(join(root, name), join(folder, name));
    }
    const command: OwnProject["command"] = (task, argv, env = {}, detached = false) => {
      const [run, ...words] = taskWords(task);
      return new Deno.Command(Deno.execPath(), {
        args: [run!, "--no-check", ...words, ...argv],
        cwd: folder,
        env: { NO_COLOR: "1", ...env },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        detached,
      });
    };
    const run: OwnProject["run"] = async (...given) => {
      const { code, stdout, stderr } = await command(...given).output();
      const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: decode(stdout), stderr: decode(stderr) };
    };
    await use({ folder, command, run });
  });
}
