/** `deno task doctor`: what is there, what is missing, and what to do about it. */
import { statfsSync } from "node:fs";
import { join } from "node:path";
import type { EngineStatus } from "../engine/mod.ts";
import { type CommandSpec, parseCommand, runCommand } from "./_args.ts";
import { exists, listFilesBelow } from "./_files.ts";
import { kernelExecutable } from "./_jupyter.ts";
import { runChild } from "./_process.ts";
import { type Project, projectAt } from "./_project.ts";
import {
  chooseTensorflow,
  denoVersionWarning,
  findPython,
  hasNvidiaGpu,
  jupyterRequirements,
  missingNodePackages,
  pinnedDenoVersion,
} from "./environment.ts";

const spec = {
  name: "deno task doctor",
  summary: "Looks at everything the project needs and says what to do about what is missing.",
  options: { json: { type: "boolean", description: "print the findings as JSON" } },
  notes: ["Changes nothing. Exit code 1 if something needed is missing."],
} as const satisfies CommandSpec;

/** `advice` can be lived with; `missing` cannot. */
type Standing = "ok" | "advice" | "missing";

interface Finding {
  readonly what: string;
  readonly standing: Standing;
  readonly found: string;
  /** What to do; empty when all is well. */
  readonly remedy: string;
}

const setupRemedy = "run deno task setup";

function ok(what: string, found: string): Finding {
  return { what, standing: "ok", found, remedy: "" };
}

function advice(what: string, found: string, remedy: string): Finding {
  return { what, standing: "advice", found, remedy };
}

function missing(what: string, found: string, remedy: string): Finding {
  return { what, standing: "missing", found, remedy };
}

async function main(argv: readonly string[]): Promise<number> {
  const { options } = parseCommand(spec, argv);
  const project = projectAt();
  const findings: readonly Finding[] = [
    denoFinding(),
    nodePackagesFinding(project),
    await pythonFinding(),
    ...await venvFindings(project),
    kernelFinding(project),
    ...await engineFindings(project),
    await gpuFinding(),
    machineFinding(),
    diskFinding(project),
    cacheFinding(project),
  ];
  if (options.json) console.log(JSON.stringify(findings, null, 2));
  else printFindings(findings);
  return findings.some(({ standing }) => standing === "missing") ? 1 : 0;
}

function printFindings(findings: readonly Finding[]): void {
  const width = Math.max(...findings.map(({ what }) => what.length));
  const marks: Readonly<Record<Standing, string>> = { ok: "ok", advice: "!", missing: "MISSING" };
  for (const { what, standing, found, remedy } of findings) {
    console.log(`${marks[standing].padEnd(7)}  ${what.padEnd(width)}  ${found}`);
    if (remedy !== "") console.log(`${" ".repeat(width + 11)}→ ${remedy}`);
  }
}

function denoFinding(): Finding {
  const found = `${Deno.version.deno} (${Deno.execPath()})`;
  const warning = denoVersionWarning(Deno.version.deno);
  return warning === undefined ? ok("deno", found) : advice(
    "deno",
    found,
    `use ${pinnedDenoVersion}, npx -y deno@${pinnedDenoVersion} task …: later notebook kernels lose outputs`,
  );
}

function nodePackagesFinding(project: Project): Finding {
  const absent = missingNodePackages(project);
  return absent.length === 0
    ? ok("node packages", "all of deno.json in node_modules")
    : missing("node packages", `without ${absent.join(", ")}`, setupRemedy);
}

async function pythonFinding(): Promise<Finding> {
  try {
    const { path, version } = await findPython();
    return ok("python", `${version} (${path})`);
  } catch (error) {
    return missing(
      "python",
      "none that is new enough",
      error instanceof Error ? error.message : "",
    );
  }
}

async function venvFindings(project: Project): Promise<readonly Finding[]> {
  if (!exists(project.python)) {
    return [missing(".venv", "none", setupRemedy), missing("jupyter", "none", setupRemedy)];
  }
  const script = "import sys, importlib.metadata as m\nprint(sys.version.split()[0])\n" +
    "for name in sys.argv[1:]:\n  try: print(name + '==' + m.version(name))\n" +
    "  except m.PackageNotFoundError: pass";
  const names = jupyterRequirements.map((requirement) => requirement.split("==")[0] ?? "");
  const { code, stdout, output } = await runChild(project.python, ["-c", script, ...names]);
  if (code !== 0) {
    const remedy = "delete .venv and run deno task setup";
    return [missing(".venv", `its Python does not start: ${output.split("\n")[0]}`, remedy)];
  }
  const [version = "", ...installed] = stdout.split("\n");
  const absent = jupyterRequirements.filter((requirement) => !installed.includes(requirement));
  return [
    ok(".venv", `Python ${version} (${project.venv})`),
    absent.length === 0
      ? ok("jupyter", installed.join(", "))
      : missing("jupyter", `without ${absent.join(", ")}`, setupRemedy),
  ];
}

function kernelFinding(project: Project): Finding {
  const executable = kernelExecutable(project);
  if (executable === undefined) return missing("deno kernel", "not installed", setupRemedy);
  if (!exists(executable)) {
    return missing("deno kernel", `starts ${executable}, which is gone`, setupRemedy);
  }
  return executable === Deno.execPath()
    ? ok("deno kernel", `in .venv, starts this deno`)
    : advice("deno kernel", `starts another deno: ${executable}`, setupRemedy);
}

async function engineFindings(project: Project): Promise<readonly Finding[]> {
  const probe = join(project.root, "lib", "cli", "_engine_probe.ts");
  const { code, stdout, output } = await runChild(Deno.execPath(), [
    ...["run", "--quiet", "--allow-read", "--allow-env", "--allow-ffi", "--allow-sys", probe],
  ], { cwd: project.root, env: { NO_COLOR: "1" } });
  const line = stdout.trim().split("\n").at(-1) ?? "";
  if (code >= 128) {
    const found = `crashed while it started (code ${code}): a broken library?`;
    return [missing("engine", found, "delete .venv and run deno task setup")];
  }
  if (code !== 0 || !line.startsWith("{")) {
    const said = output.split("\n").find((one) => /error/i.test(one)) ?? `exit code ${code}`;
    const [problem = "", remedy] = said.replace(/^.*?error:\s*(Uncaught.*?: )?/i, "").split("; ");
    return [missing("engine", problem, remedy ?? setupRemedy)];
  }
  const status = JSON.parse(line) as EngineStatus;
  const { backend, device, reason, tensorflow, unavailable } = status;
  const engine = ok("engine", `${backend} on ${device} (${reason})`);
  if (tensorflow !== null) {
    return [ok("tensorflow", `${tensorflow.version} loads (${tensorflow.library})`), engine];
  }
  if (unavailable.length === 0) {
    return [advice("tensorflow", `not tried: ${reason}`, "unset KYL_BACKEND to try it"), engine];
  }
  const why = unavailable.find((one) => one.backend === "tensorflow")?.reason ?? reason;
  const { requirement, reason: fit } = await chooseTensorflow();
  const remedy = requirement === null
    ? `nothing to do: ${fit}; set LIBTENSORFLOW if you have one`
    : `${setupRemedy}: it installs ${requirement}, several times faster than ${backend}`;
  return [advice("tensorflow", `not used: ${why}`, remedy), engine];
}

async function gpuFinding(): Promise<Finding> {
  return await hasNvidiaGpu()
    ? ok("GPU", "nvidia-smi lists one")
    : ok("GPU", "no NVIDIA GPU (nvidia-smi); presets quick and small are made for CPUs");
}

const gigabyte = 2 ** 30;

function machineFinding(): Finding {
  const { total, available } = Deno.systemMemoryInfo();
  const inGigabytes = (bytes: number) => (bytes / gigabyte).toFixed(1);
  const found = `${navigator.hardwareConcurrency} cores, ${inGigabytes(available)} of ` +
    `${inGigabytes(total)} GiB memory free (${Deno.build.os} ${Deno.build.arch})`;
  return available >= 2 * gigabyte
    ? ok("machine", found)
    : advice("machine", found, "the quick preset wants about 2 GiB: close other programs");
}

function diskFinding(project: Project): Finding {
  const { bavail, bsize } = statfsSync(project.root);
  const free = bavail * bsize;
  const found = `${(free / gigabyte).toFixed(1)} GiB free`;
  return free >= 5 * gigabyte || exists(project.python)
    ? ok("disk", found)
    : advice("disk", found, "setup takes about 3 GiB, with CUDA 8 GiB");
}

function cacheFinding(project: Project): Finding {
  const files = listFilesBelow(project.cache, [""]);
  const bytes = files.reduce((sum, path) => sum + Deno.statSync(path).size, 0);
  return ok("cache", `${files.length} files, ${(bytes / 1e6).toFixed(1)} MB (${project.cache})`);
}

if (import.meta.main) await runCommand(main);
