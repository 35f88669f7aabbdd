/** Headless execution of notebooks in the Deno kernel, and their conversion, by the venv's nbconvert. */
import { basename, join } from "node:path";
import { codeCells, parseNotebook } from "./_notebook_file.ts";
import { runChild } from "./_process.ts";
import { startProgress } from "./_progress.ts";
import type { PresetName } from "../experiments/presets.ts";
import type { Environment } from "./environment.ts";

export interface RunSettings {
  readonly preset: PresetName;
  /** Ignore stored runs. */
  readonly fresh: boolean;
  /** A text in the place of the preset's: by name, or an absolute path. */
  readonly corpus?: string | undefined;
  /** Of it, the first documents only. */
  readonly limit?: number | undefined;
}

export interface NotebookRun {
  readonly ok: boolean;
  /** On failure: which cell, and its error in a few lines. */
  readonly failure: string;
  readonly elapsedMilliseconds: number;
}

/** The variables through which a notebook's parameter cell learns what is asked of it. */
function notebookVariables(
  { preset, fresh, corpus, limit }: RunSettings,
): Record<string, string> {
  return {
    KYL_PRESET: preset,
    KYL_FRESH: fresh ? "1" : "",
    KYL_CORPUS: corpus ?? "",
    KYL_LIMIT: `${limit ?? ""}`,
  };
}

/**
 * Runs a notebook from the top in a fresh kernel and writes it with its outputs to `output`, which
 * may be the notebook itself. Its working folder is the notebook's own. Nothing is written when a
 * cell fails.
 */
export async function executeNotebook(
  environment: Environment,
  notebook: string,
  output: string,
  settings: RunSettings,
): Promise<NotebookRun> {
  const { project } = environment;
  const parsed = parseNotebook(Deno.readTextFileSync(notebook), notebook);
  const cells = codeCells(parsed);
  const progress = startProgress(`${parsed.name} (${settings.preset})`);
  const start = performance.now();
  let running = 0;
  try {
    const { code, output: said } = await runChild(project.python, [
      ...["-m", "nbconvert", "--to", "notebook", "--execute", notebook],
      ...["--output-dir", join(output, ".."), "--output", basename(output)],
      "--ExecutePreprocessor.kernel_name=deno",
      "--ExecutePreprocessor.timeout=-1",
      "--ExecutePreprocessor.startup_timeout=120",
      "--ExecutePreprocessor.record_timing=False",
      // At this level nbclient names each cell as it starts it.
      "--log-level=DEBUG",
    ], {
      cwd: project.root,
      env: { ...environment.variables, ...notebookVariables(settings) },
      onLine: (line) => {
        if (/\] Executing cell:/.test(line)) {
          running++;
          progress.update(`cell ${running} of ${cells.length}`);
        }
      },
    });
    const elapsedMilliseconds = performance.now() - start;
    if (code === 0) {
      progress.done("done");
      return { ok: true, failure: "", elapsedMilliseconds };
    }
    progress.done(`failed in cell ${running} of ${cells.length}`);
    return { ok: false, failure: describeFailure(running, said), elapsedMilliseconds };
  } catch (error) {
    progress.done("stopped");
    throw error;
  }
}

/** The few lines of nbconvert's output that say what went wrong in the cell. */
function describeFailure(cell: number, output: string): string {
  const lines = stripAnsi(output).split("\n");
  const dead = lines.find((line) => /DeadKernelError|Kernel died/.test(line));
  if (dead !== undefined) {
    return `  code cell ${cell}: the kernel died (out of memory, Deno.exit or a crash in a library)`;
  }
  const from = lines.findLastIndex((line) => /CellExecutionError/.test(line));
  const told = from < 0 ? lines : lines.slice(from + 1);
  // nbclient repeats the cell between two rules; the error comes after the second.
  const rule = told.findLastIndex((line) => /^-{6,}$/.test(line));
  const error = told.slice(rule + 1).filter((line) => line.trim() !== "" && !/^\[/.test(line));
  return [`  code cell ${cell}:`, ...error.slice(0, 6).map((line) => `    ${line}`)].join("\n");
}

function stripAnsi(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/\x1b\[[0-9;]*[A-Za-z]/g, "");
}

/** Converts an executed notebook to one HTML file. */
export async function convertToHtml(
  environment: Environment,
  notebook: string,
  output: string,
): Promise<{ readonly ok: boolean; readonly said: string }> {
  const { code, output: said } = await runChild(environment.project.python, [
    ...["-m", "nbconvert", "--to", "html", "--template", "lab", notebook],
    ...["--output-dir", join(output, ".."), "--output", basename(output)],
  ], { cwd: environment.project.root, env: environment.variables });
  return { ok: code === 0, said };
}
