/** `deno task bench`: the programs of tests/bench, one after the other. */
import { join, resolve } from "node:path";
import { UserError } from "../errors.ts";
import { writeFileAtomically } from "../files.ts";
import { type CommandSpec, parseCommand, runCommand, UsageError } from "./_args.ts";
import { exists, listFolder, removeIfPresent } from "./_files.ts";
import { INTERRUPTED, Interrupted, runForeground } from "./_process.ts";
import { checkFolder } from "./_streams.ts";
import { testPermissions } from "./test.ts";
import { ensureSetup } from "./environment.ts";

const spec = {
  name: "deno task bench",
  summary: "Measures this library beside PyTorch, JAX and others, in turns, and prints ratios.",
  positionals: [
    {
      name: "WHAT",
      description: "which benchmarks, by a word of their name, and which of their cases",
      many: true,
    },
  ],
  options: {
    peers: {
      type: "strings",
      choices: ["torch", "compile", "jax", "none"],
      default: ["torch", "compile", "jax"],
      description: "whom to compare with; compile is torch.compile",
    },
    python: {
      type: "string",
      placeholder: "PATH",
      description: "a Python that has the peers (default: that of .venv)",
    },
    rounds: { type: "integer", min: 1, default: 3, description: "turns that each contestant has" },
    steps: {
      type: "integer",
      min: 1,
      description: "steps in a turn (default: by the case's size)",
    },
    threads: {
      type: "integer",
      min: 1,
      description: "of every contestant (default: as many as there are logical cores)",
    },
    compiler: {
      type: "choice",
      choices: ["xla", "graph"],
      description: "of this library's training step (default: as it picks itself)",
    },
    json: { type: "string", placeholder: "FILE", description: "write all that is measured here" },
  },
  examples: [
    { command: "deno task bench training mixer 128", does: "training of two small mixers" },
    {
      command: "deno task bench tokenizer --peers none",
      does: "one benchmark, this library alone",
    },
    {
      command: "deno task bench --python ~/torch/bin/python --json bench.json",
      does: "everything",
    },
  ],
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<number> {
  const { options, positionals } = parseCommand(spec, argv);
  const { peers, rounds, steps = null, compiler = null, json } = options;
  if (peers.includes("none") && peers.length > 1) {
    throw new UsageError(`--peers: expected none or some, found ${peers.join(",")}`);
  }
  const threads = options.threads ?? navigator.hardwareConcurrency;
  if (json !== undefined) {
    checkFolder(resolve(json), "--json");
    if (exists(json) && Deno.statSync(json).isDirectory) {
      throw new UserError(`--json: expected a file's name, found the folder ${json}; name a file`);
    }
  }
  const { project } = await ensureSetup();
  const python = options.python ?? (exists(project.python) ? project.python : null);
  const folder = join(project.root, "tests", "bench");
  const { programs, words } = selectPrograms(listFolder(folder), positionals);
  await Deno.mkdir(project.cache, { recursive: true });
  const parts = await Deno.makeTempDir({ dir: project.cache, prefix: "bench-" });
  const partOf = (name: string) => join(parts, `${name}.json`);
  const run = async (name: string, facts: string | null): Promise<number> => {
    const request = {
      words,
      peers: peers.filter((peer) => peer !== "none"),
      python,
      rounds,
      steps,
      threads,
      compiler,
      facts,
      part: partOf(name),
    };
    const args = ["run", ...testPermissions, join(folder, name), JSON.stringify(request)];
    return await runForeground(Deno.execPath(), args, { cwd: project.root });
  };
  try {
    const facts = partOf(FACTS);
    let code = await run(FACTS, null);
    for (const name of code === 0 ? programs : []) {
      if (code === INTERRUPTED) break;
      console.log(`== ${name.replace(ENDING, "")}`);
      code = Math.max(code, await run(name, facts));
    }
    const measured = programs.filter((name) => exists(partOf(name)));
    let written = "nothing was written";
    if (json !== undefined) {
      const read = async (name: string) => JSON.parse(await Deno.readTextFile(partOf(name)));
      const results = (await Promise.all(measured.map(read))).flat();
      if (results.length > 0) {
        const document = { ...await read(FACTS), results };
        await writeFileAtomically(resolve(json), `${JSON.stringify(document, null, 2)}\n`);
        written = `written: ${json}, ${measured.length} of ${programs.length} benchmarks`;
      }
      if (code !== INTERRUPTED) console.log(written);
    }
    if (code === INTERRUPTED) throw new Interrupted(`interrupted; ${written}`);
    return code;
  } finally {
    removeIfPresent(parts);
  }
}

/** The program that finds out what is measured on. */
const FACTS = "_machine.ts";
const ENDING = "_bench.ts";

/** Words that a program's name contains choose programs, the others cases of these. */
function selectPrograms(
  files: readonly string[],
  positionals: readonly string[],
): { programs: readonly string[]; words: readonly string[] } {
  const all = files.filter((name) => name.endsWith(ENDING));
  const fits = (word: string) => all.filter((name) => name.replace(ENDING, "").includes(word));
  const programs = [...new Set(positionals.flatMap(fits))];
  const words = positionals.filter((word) => fits(word).length === 0);
  if (programs.length > 0 || words.length === 0) {
    return { programs: programs.length > 0 ? programs : all, words };
  }
  throw new UsageError(
    `no benchmark fits "${words.join(" ")}"; there are: ${
      all.map((name) => name.replace(ENDING, "")).join(", ")
    } (words of their cases come behind)`,
  );
}

if (import.meta.main) await runCommand(main);
