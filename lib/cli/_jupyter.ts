/**
 * The venv's Jupyter and the Deno kernel in it. Programs run as `python -m …`, not through the
 * scripts in `bin`, whose first lines hold the path where the venv was made: a moved project works.
 */
import { join } from "node:path";
import { exists, readTextIfPresent } from "./_files.ts";
import type { Project } from "./_project.ts";

/**
 * Environment variables that keep Jupyter inside the venv, so that the settings, extensions and
 * kernels of the user's own Jupyter neither interfere nor change.
 */
export function jupyterEnvironment(project: Project): Record<string, string> {
  const data = join(project.venv, "share", "jupyter");
  return {
    JUPYTER_PREFER_ENV_PATH: "1",
    JUPYTER_DATA_DIR: data,
    JUPYTER_PATH: data,
    JUPYTER_CONFIG_DIR: join(project.venv, "etc", "jupyter"),
    JUPYTER_RUNTIME_DIR: join(project.venv, "share", "jupyter", "runtime"),
    IPYTHONDIR: join(project.venv, "share", "ipython"),
    PYTHONNOUSERSITE: "1",
    PYTHONUNBUFFERED: "1",
    // pip, Jupyter and Python must see the venv's packages, not those a shell has set paths to.
    PYTHONPATH: "",
    PYTHONHOME: "",
  };
}

function kernelSpecPath(project: Project): string {
  return join(project.venv, "share", "jupyter", "kernels", "deno", "kernel.json");
}

/** The deno executable the kernelspec starts, or undefined without a readable kernelspec. */
export function kernelExecutable(project: Project): string | undefined {
  const text = readTextIfPresent(kernelSpecPath(project));
  if (text === undefined) return undefined;
  try {
    const spec: unknown = JSON.parse(text);
    if (typeof spec !== "object" || spec === null || !("argv" in spec)) return undefined;
    const executable: unknown = Array.isArray(spec.argv) ? spec.argv[0] : undefined;
    return typeof executable === "string" ? executable : undefined;
  } catch (error) {
    // A kernelspec that an interruption cut short is written anew.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether the kernelspec starts this executable, and it is there. */
export function kernelIsCurrent(project: Project, executable: string): boolean {
  return kernelExecutable(project) === executable && exists(executable);
}
