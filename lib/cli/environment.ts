/**
 * Everything a fresh machine lacks, made once and then left alone: node packages, `.venv` with
 * Jupyter and a TensorFlow library, the Deno kernel. Each step leaves a stamp in
 * `.venv/setup.json` when it has ended, so an interrupted setup goes on where it stopped, and a
 * finished one costs a few file reads and no network.
 */
import { dirname, join } from "node:path";
import { UserError } from "../errors.ts";
import { writeFileAtomically } from "../files.ts";
import { exists, hashParts, listFolder, readTextIfPresent, removeIfPresent } from "./_files.ts";
import { jupyterEnvironment, kernelIsCurrent } from "./_jupyter.ts";
import { type ChildResult, lastLines, runChild } from "./_process.ts";
import { startProgress } from "./_progress.ts";
import { type Project, projectAt } from "./_project.ts";

/** The Deno the notebooks are known to work with: from 2.8.2 on the kernel loses outputs. */
export const pinnedDenoVersion = "2.8.1";

/** `pip install` takes these; the plotly package brings the JupyterLab extension for figures. */
export const jupyterRequirements = [
  "jupyterlab==4.6.4",
  "nbconvert==7.17.1",
  "nbclient==0.11.0",
  "plotly==7.1.0",
] as const;

const tensorflowVersion = "2.21.0";

/** The pythons looked for, in this order: TensorFlow has wheels for the first four. */
const pythonCandidates = [
  "python3.13",
  "python3.12",
  "python3.11",
  "python3.10",
  "python3",
  "python",
];
const oldestPython = [3, 10] as const;

export interface TensorflowState {
  /** The pip requirement that is installed, or null without TensorFlow. */
  readonly requirement: string | null;
  /** Why it is this one, or why there is none. */
  readonly reason: string;
}

export interface Environment {
  readonly project: Project;
  readonly tensorflow: TensorflowState;
  /** Environment variables for Jupyter and nbconvert. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface SetupOptions {
  readonly project?: Project;
  /**
   * true: install TensorFlow where it has a wheel; false: leave it out (one that was installed is
   * removed); undefined: as the last setup had it, and true the first time.
   */
  readonly tensorflow?: boolean;
  readonly log?: (line: string) => void;
}

/** What `.venv/setup.json` holds: for each step that has ended, the key of what it made. */
interface SetupStamp {
  readonly venv?: string;
  readonly packages?: string;
  readonly tensorflow?: string;
  readonly tensorflowWanted?: string | null;
  readonly tensorflowState?: TensorflowState;
  readonly kernel?: string;
}

/**
 * Makes what is missing and returns where it is. Cheap when nothing is.
 * @throws UserError with what to install or to do when a step cannot be done.
 */
export async function ensureSetup(options: SetupOptions = {}): Promise<Environment> {
  const project = options.project ?? projectAt();
  const log = options.log ?? ((line: string) => console.log(line));
  warnAboutDeno(log);
  await ensureNodePackages(project, log);
  using _lock = await lockSetup(project, log);
  const start = performance.now();
  const before = readStamp(project);
  const context: Context = { project, log, steps: 0 };
  await ensureVenv(context);
  await ensurePackages(context);
  const tensorflow = await ensureTensorflow(context, options.tensorflow);
  await ensureKernel(context);
  if (context.steps > 0) {
    const seconds = Math.round((performance.now() - start) / 1000);
    log(
      `setup: ready after ${seconds} s${before.venv === undefined ? " (next time: no wait)" : ""}`,
    );
  }
  return { project, tensorflow, variables: jupyterEnvironment(project) };
}

interface Context {
  readonly project: Project;
  readonly log: (line: string) => void;
  /** How many steps had something to do. */
  steps: number;
}

/** The warning about a Deno whose kernel loses outputs, or undefined when all is well. */
export function denoVersionWarning(version: string): string | undefined {
  if (version === pinnedDenoVersion) return undefined;
  const [major = 0, minor = 0, patch = 0] = version.split(".").map((part) => parseInt(part));
  const later = major > 2 || (major === 2 && (minor > 8 || (minor === 8 && patch >= 2)));
  const consequence = later
    ? "its notebook kernel loses or misplaces outputs"
    : "it was not tried with this project";
  return `warning: this is Deno ${version}, and ${consequence}. ` +
    `Use Deno ${pinnedDenoVersion}: npx -y deno@${pinnedDenoVersion} task …`;
}

function warnAboutDeno(log: (line: string) => void): void {
  const warning = denoVersionWarning(Deno.version.deno);
  if (warning !== undefined) log(warning);
}

async function ensureNodePackages(project: Project, log: (line: string) => void): Promise<void> {
  if (missingNodePackages(project).length === 0) return;
  log("setup: node packages (deno install)");
  const { code, output } = await runChild(Deno.execPath(), ["install"], { cwd: project.root });
  const missing = missingNodePackages(project);
  if (code !== 0 || missing.length > 0) {
    throw new UserError(
      `deno install did not bring ${missing.join(", ") || "all packages"}; ` +
        `check the network and run it again. It said:\n${lastLines(output, 5)}`,
    );
  }
}

/** The npm packages of deno.json that are not in node_modules in the version asked for. */
export function missingNodePackages(project: Project): string[] {
  const text = Deno.readTextFileSync(join(project.root, "deno.json"));
  const { imports = {} } = JSON.parse(text) as { imports?: Record<string, string> };
  return Object.values(imports).flatMap((specifier) => {
    const match = /^npm:(@?[^@]+)@([^/]+)/.exec(specifier);
    if (match === null) return [];
    const [, name = "", version = ""] = match;
    const manifest = readTextIfPresent(join(project.root, "node_modules", name, "package.json"));
    if (manifest === undefined) return [`${name}@${version}`];
    return (JSON.parse(manifest) as { version?: string }).version === version
      ? []
      : [`${name}@${version}`];
  });
}

/** One setup at a time: a second one waits here. The lock ends with the process. */
async function lockSetup(
  project: Project,
  log: (line: string) => void,
): Promise<{ [Symbol.dispose](): void }> {
  Deno.mkdirSync(project.cache, { recursive: true });
  const file = await Deno.open(join(project.cache, "setup.lock"), { create: true, write: true });
  if (!await file.tryLock(true)) {
    log("setup: another one is running, waiting for it");
    await file.lock(true);
  }
  return { [Symbol.dispose]: () => file.close() };
}

function stampPath(project: Project): string {
  return join(project.venv, "setup.json");
}

function readStamp(project: Project): SetupStamp {
  const text = readTextIfPresent(stampPath(project));
  return text === undefined ? {} : JSON.parse(text) as SetupStamp;
}

async function addToStamp(project: Project, entries: SetupStamp): Promise<void> {
  const stamp = { ...readStamp(project), ...entries };
  await writeFileAtomically(stampPath(project), `${JSON.stringify(stamp, null, 2)}\n`);
}

/** Runs a step under a progress line and counts it. */
async function step<Result>(
  context: Context,
  title: string,
  action: (update: (detail: string) => void) => Promise<{ result: Result; said: string }>,
): Promise<Result> {
  context.steps++;
  const progress = startProgress(`setup: ${title}`);
  try {
    const { result, said } = await action(progress.update);
    progress.done(said);
    return result;
  } catch (error) {
    progress.done("stopped");
    throw error;
  }
}

async function ensureVenv(context: Context): Promise<void> {
  const { project } = context;
  if (readStamp(project).venv !== undefined && exists(project.python)) return;
  if (exists(project.venv) && await pipWorks(project)) {
    await addToStamp(project, { venv: await pythonVersionOf(project.python) });
    context.log("setup: .venv is there from before, going on with it");
    return;
  }
  const python = await findPython();
  await step(context, `.venv with Python ${python.version}`, async () => {
    removeIfPresent(project.venv);
    const made = await runChild(python.path, ["-m", "venv", project.venv], {
      env: { PYTHONNOUSERSITE: "1" },
    });
    if (made.code !== 0 || !await pipWorks(project)) {
      throw new UserError(venvAdvice(python, made.output));
    }
    await addToStamp(project, { venv: python.version });
    return { result: undefined, said: "made" };
  });
}

/** What to do when `python -m venv` fails. Debian ships Python without the part that makes venvs. */
export function venvAdvice(python: FoundPython, output: string): string {
  if (/ensurepip/.test(output)) {
    const short = python.version.split(".").slice(0, 2).join(".");
    return `${python.path} cannot make virtual environments: on Debian and Ubuntu install them ` +
      `with: apt install python${short}-venv (or python3-venv), then run this again`;
  }
  return `${python.path} -m venv failed. It said:\n${lastLines(output, 5)}`;
}

async function pipWorks(project: Project): Promise<boolean> {
  if (!exists(project.python)) return false;
  const { code } = await runChild(project.python, ["-m", "pip", "--version"]);
  return code === 0;
}

export interface FoundPython {
  readonly path: string;
  /** e.g. `3.11.7` */
  readonly version: string;
}

/** The first Python that is new enough. @throws UserError that says what to install. */
export async function findPython(
  candidates: readonly string[] = pythonCandidates,
): Promise<FoundPython> {
  const tooOld: string[] = [];
  for (const candidate of candidates) {
    const found = await askPython(candidate);
    if (found === undefined) continue;
    const [major = 0, minor = 0] = found.version.split(".").map(Number);
    if (major > oldestPython[0] || (major === oldestPython[0] && minor >= oldestPython[1])) {
      return found;
    }
    tooOld.push(`${candidate} is ${found.version}`);
  }
  const seen = tooOld.length === 0 ? "none was found" : tooOld.join(", ");
  throw new UserError(
    `Python ${oldestPython.join(".")} or later is needed for Jupyter, ${seen}: install it ` +
      `(Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13; ` +
      `Fedora: dnf install python3), then run this again`,
  );
}

/** Where a Python really is (version managers put stand-ins on the path), if it runs at all. */
async function askPython(command: string): Promise<FoundPython | undefined> {
  const script = "import sys; print(sys.executable); print(*sys.version_info[:3], sep='.')";
  try {
    const { code, stdout } = await runChild(command, ["-c", script]);
    const [path, version] = stdout.split("\n");
    return code === 0 && path && version ? { path, version } : undefined;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

async function pythonVersionOf(python: string): Promise<string> {
  return (await askPython(python))?.version ?? "unknown";
}

async function ensurePackages(context: Context): Promise<void> {
  const { project } = context;
  const stamp = readStamp(project);
  const key = hashParts([stamp.venv ?? "", ...jupyterRequirements]);
  if (stamp.packages === key && jupyterRequirements.every((one) => isInstalled(project, one))) {
    return;
  }
  await step(context, `Python packages ${jupyterRequirements.join(" ")}`, async (update) => {
    const result = await pipInstall(project, jupyterRequirements, [], update);
    if (result.code !== 0) throw pipFailure(project, "Jupyter", result);
    await addToStamp(project, { packages: key });
    return { result: undefined, said: "installed" };
  });
}

/**
 * pip writes this file into a package's record after the package's last file; the rest of the
 * record comes out of the wheel, early, and says nothing about whether the installation ended.
 */
const completionMark = "INSTALLER";

/** Whether a pinned requirement is installed, and whole. */
function isInstalled(project: Project, requirement: string): boolean {
  const [name = "", version = ""] = requirement.replace(/\[.*\]/, "").split("==");
  const record = `${name.replaceAll("-", "_")}-${version}.dist-info`;
  return sitePackages(project).some((folder) => exists(join(folder, record, completionMark)));
}

function sitePackages(project: Project): string[] {
  if (Deno.build.os === "windows") return [join(project.venv, "Lib", "site-packages")];
  const library = join(project.venv, "lib");
  return listFolder(library).map((name) => join(library, name, "site-packages"));
}

/**
 * Removes pip's records of packages whose installation was cut short: without this pip would take
 * them for whole and leave them so.
 */
export function removeHalfInstalled(project: Project): void {
  for (const folder of sitePackages(project)) {
    for (const name of listFolder(folder)) {
      const path = join(folder, name);
      const half = name.endsWith(".dist-info") && !exists(join(path, completionMark));
      if (half) removeIfPresent(path);
    }
  }
}

async function pipInstall(
  project: Project,
  requirements: readonly string[],
  options: readonly string[],
  update: (detail: string) => void,
): Promise<ChildResult> {
  removeHalfInstalled(project);
  const result = await runChild(
    project.python,
    ["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
      .concat(options, requirements),
    {
      env: { PYTHONNOUSERSITE: "1", PIP_REQUIRE_VIRTUALENV: "0" },
      onLine: (line) => {
        const doing = /^\s*(Collecting|Downloading|Installing)\s+(\S+)/.exec(line);
        if (doing) update(`${doing[1]?.toLowerCase()} ${shortName(doing[2] ?? "")}`);
      },
    },
  );
  appendToLog(project, `pip install ${requirements.join(" ")}\n${result.output}\n`);
  return result;
}

function shortName(word: string): string {
  return word.split("/").at(-1)?.split("#")[0] ?? word;
}

function appendToLog(project: Project, text: string): void {
  Deno.writeTextFileSync(join(project.venv, "setup.log"), text, { append: true });
}

function pipFailure(project: Project, what: string, result: ChildResult): UserError {
  const full = /No space left on device/.test(result.output)
    ? "the disk is full; free about 5 GB"
    : looksOffline(result.output)
    ? "the package index was not reached; check the network and proxy settings (pip config list)"
    : "see the lines below";
  return new UserError(
    `pip could not install ${what}: ${full}, then run the same command again ` +
      `(all of it: ${join(project.venv, "setup.log")})\n${lastLines(result.output, 6)}`,
  );
}

function looksOffline(output: string): boolean {
  return /Retrying \(Retry|NewConnectionError|ConnectTimeout|Could not fetch URL|ProxyError/
    .test(output);
}

async function ensureTensorflow(
  context: Context,
  wanted: boolean | undefined,
): Promise<TensorflowState> {
  const { project } = context;
  const stamp = readStamp(project);
  const last = stamp.tensorflowState;
  const stillHolds = (requirement: string | null) =>
    last !== undefined && stamp.tensorflow === tensorflowKey(stamp, requirement) &&
    (last.requirement === null || isInstalled(project, last.requirement));

  // Which wheel fits is asked again only by an explicit setup: nvidia-smi can take seconds.
  const before = stamp.tensorflowWanted;
  if (last !== undefined && wanted === undefined && before !== undefined && stillHolds(before)) {
    return last;
  }
  const choice = wanted === false
    ? { requirement: null, reason: "left out (--no-tensorflow)" }
    : await chooseTensorflow();
  if (last !== undefined && stillHolds(choice.requirement)) return last;

  await removeOtherTensorflow(context, choice.requirement);
  const state = choice.requirement === null
    ? choice
    : await installTensorflow(context, choice.requirement, choice.reason);
  await addToStamp(project, {
    tensorflow: tensorflowKey(stamp, choice.requirement),
    tensorflowWanted: choice.requirement,
    tensorflowState: state,
  });
  if (state.requirement === null) {
    context.log(`setup: no TensorFlow: ${state.reason}. The slower wasm backend does the work`);
  }
  return state;
}

/** What was decided, on which Python; a wheel that does not exist for one Python may for another. */
function tensorflowKey(stamp: SetupStamp, requirement: string | null): string {
  return hashParts([stamp.venv ?? "", tensorflowVersion, requirement ?? "none"]);
}

/** Which wheel has the library for this machine. */
export async function chooseTensorflow(
  build: { readonly os: string; readonly arch: string } = Deno.build,
  hasGpu: () => Promise<boolean> = hasNvidiaGpu,
): Promise<TensorflowState> {
  const { os, arch } = build;
  if (os === "darwin" && arch === "aarch64") {
    return { requirement: `tensorflow==${tensorflowVersion}`, reason: "macOS" };
  }
  if (os !== "linux") {
    return { requirement: null, reason: `no TensorFlow library to load on ${os} ${arch}` };
  }
  if (await hasGpu()) {
    return {
      requirement: `tensorflow[and-cuda]==${tensorflowVersion}`,
      reason: "an NVIDIA GPU was found",
    };
  }
  // tensorflow-cpu is built for x86-64 only; on arm64 the plain package has no CUDA in it.
  const name = arch === "x86_64" ? "tensorflow-cpu" : "tensorflow";
  return { requirement: `${name}==${tensorflowVersion}`, reason: "no NVIDIA GPU was found" };
}

/** Whether `nvidia-smi -L` lists a GPU. */
export async function hasNvidiaGpu(): Promise<boolean> {
  try {
    const { code, stdout } = await runChild("nvidia-smi", ["-L"]);
    return code === 0 && /^GPU \d+:/m.test(stdout);
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

function installTensorflow(
  context: Context,
  requirement: string,
  reason: string,
): Promise<TensorflowState> {
  const { project } = context;
  const title = `TensorFlow library ${requirement} (${reason})`;
  return step<TensorflowState>(context, title, async (update) => {
    const result = await pipInstall(project, [requirement], ["--only-binary=:all:"], update);
    if (result.code === 0) return { result: { requirement, reason }, said: "installed" };
    // A missing wheel is a fact about the machine; every other failure is worth another try.
    const noWheel = /No matching distribution found for tensorflow/.test(result.output) &&
      !looksOffline(result.output);
    if (!noWheel) throw pipFailure(project, requirement, result);
    const python = await pythonVersionOf(project.python);
    return {
      result: {
        requirement: null,
        reason: `${requirement} has no wheel for Python ${python} on ${Deno.build.os} ` +
          Deno.build.arch,
      },
      said: "no wheel for this machine",
    };
  });
}

/** `tensorflow` and `tensorflow-cpu` are the same folder: one must go before the other comes. */
async function removeOtherTensorflow(context: Context, wanted: string | null): Promise<void> {
  const { project } = context;
  const kept = wanted?.split(/\[|==/)[0];
  const others = ["tensorflow-cpu", "tensorflow"]
    .filter((name) => name !== kept && isInstalled(project, `${name}==${tensorflowVersion}`));
  if (others.length === 0) return;
  await step(context, `remove ${others.join(", ")}`, async () => {
    const result = await runChild(project.python, ["-m", "pip", "uninstall", "--yes", ...others]);
    if (result.code !== 0) {
      throw new UserError(
        `pip could not remove ${others.join(", ")}: delete .venv and run deno task setup. ` +
          `It said:\n${lastLines(result.output, 5)}`,
      );
    }
    return { result: undefined, said: "removed" };
  });
}

async function ensureKernel(context: Context): Promise<void> {
  const { project } = context;
  const executable = Deno.execPath();
  const key = hashParts([Deno.version.deno, executable]);
  if (readStamp(project).kernel === key && kernelIsCurrent(project, executable)) return;
  await step(context, `Deno ${Deno.version.deno} as a Jupyter kernel`, async () => {
    const result = await runChild(executable, ["jupyter", "--install", "--force"], {
      cwd: dirname(project.venv),
      env: {
        ...jupyterEnvironment(project),
        XDG_DATA_HOME: join(project.venv, "share"),
      },
    });
    if (result.code !== 0 || !kernelIsCurrent(project, executable)) {
      throw new UserError(
        `deno jupyter --install failed. It said:\n${lastLines(result.output, 5)}`,
      );
    }
    await addToStamp(project, { kernel: key });
    return { result: undefined, said: "installed in .venv" };
  });
}
