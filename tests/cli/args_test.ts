import assert from "node:assert/strict";
import {
  type CommandSpec,
  formatError,
  formatHelp,
  HelpRequest,
  nearest,
  parseCommand,
  refuseIdleOptions,
  UsageError,
} from "../../lib/cli/_args.ts";
import { Interrupted } from "../../lib/cli/_process.ts";
import { UserError } from "../../lib/errors.ts";

const spec = {
  name: "deno task demo",
  summary: "Shows what a spec can say.",
  positionals: [{ name: "WHAT", description: "what to show" }],
  options: {
    steps: { type: "integer", default: 10, min: 1, max: 5000, description: "how many" },
    learningRate: { type: "number", default: 1e-3, description: "how fast" },
    name: { type: "string", short: "n", description: "what to call it" },
    preset: { type: "choice", choices: ["quick", "small"], default: "quick", description: "size" },
    color: { type: "boolean", default: true, description: "in colour" },
    seeds: { type: "integers", default: [0], description: "the seeds" },
    only: { type: "strings", description: "some" },
    share: { type: "number", above: 0, below: 1, default: 0.5, description: "how much" },
    parts: { type: "strings", choices: ["head", "tail"], description: "which" },
  },
  examples: [{ command: "deno task demo --steps 3", does: "three" }],
} as const satisfies CommandSpec;

function refuses(argv: readonly string[], ...parts: RegExp[]): void {
  assert.throws(() => parseCommand(spec, argv), (error) => {
    assert.ok(error instanceof UsageError, String(error));
    for (const part of parts) assert.match(error.message, part);
    assert.ok(!error.message.includes("\n"), "one line");
    return true;
  });
}

Deno.test("parseCommand() gives defaults and typed values", () => {
  const { options, positionals } = parseCommand(spec, []);
  assert.deepEqual({ ...options }, {
    steps: 10,
    learningRate: 1e-3,
    name: undefined,
    preset: "quick",
    color: true,
    seeds: [0],
    only: undefined,
    share: 0.5,
    parts: undefined,
  });
  assert.deepEqual(positionals, []);

  const given = parseCommand(spec, [
    ..."--steps 1_000 --learning-rate=2e-4 -n x --preset small --no-color".split(" "),
    ..."--seeds 1,2 --seeds 3 word".split(" "),
  ]);
  const steps: number = given.options.steps;
  const preset: "quick" | "small" = given.options.preset;
  assert.deepEqual([steps, preset], [1000, "small"]);
  assert.equal(given.options.learningRate, 2e-4);
  assert.equal(given.options.name, "x");
  assert.equal(given.options.color, false);
  assert.deepEqual(given.options.seeds, [1, 2, 3]);
  assert.deepEqual(given.positionals, ["word"]);
  const parts: readonly ("head" | "tail")[] | undefined =
    parseCommand(spec, ["--parts", "tail,head"]).options.parts;
  assert.deepEqual(parts, ["tail", "head"]);
  assert.equal(parseCommand(spec, ["--share", "0.999"]).options.share, 0.999);
});

Deno.test("parseCommand() takes the -- that deno task hands on", () => {
  assert.equal(parseCommand(spec, ["--", "--steps", "7"]).options.steps, 7);
});

Deno.test("parseCommand() refuses unknown options, names the nearest and lists all", () => {
  refuses(["--step", "3"], /--step\b.*did you mean --steps/, /--learning-rate/, /--help/);
  refuses(["--elephant"], /unknown option --elephant Known: --steps/);
  refuses(["--learningRate", "1"], /unknown option --learningRate/);
  refuses(["--no-steps"], /unknown option --no-steps/);
  refuses(["--toString"], /unknown option --toString/);
  refuses(["-x"], /unknown option -x/);
});

Deno.test("parseCommand() refuses values that do not fit", () => {
  for (const bad of ["x", "1.5", "0", "5001", "Infinity", "", "0x10"]) {
    refuses([`--steps=${bad}`], /--steps must be a whole number from 1 to 5000/, /got "/);
  }
  refuses(["--learning-rate", "fast"], /--learning-rate must be a number: got "fast"/);
  refuses(["--preset", "big"], /--preset must be one of quick, small: got "big"/);
  refuses(["--seeds", "1,x"], /--seeds must be .*whole numbers.*got "x"/);
  for (const bad of ["0", "1", "-1"]) {
    refuses(["--share", bad], /--share must be a number, above 0 and below 1: got "/);
  }
  refuses(["--parts", "head,foot"], /--parts must be one or more of head, tail, joined .* "foot"/);
  refuses(["--steps"], /--steps needs a value/);
  refuses(["--color=yes"], /--color is a switch/);
});

Deno.test("refuseIdleOptions() names an option that was given and would do nothing", () => {
  const parsed = parseCommand(spec, ["--learning-rate", "1", "--no-color"]);
  const applies = {
    learningRate: ({ preset }: typeof parsed.options) => preset === "small",
    steps: () => false,
  };
  assert.throws(
    () => refuseIdleOptions(spec, parsed, applies, "--preset quick"),
    (error: Error) =>
      error instanceof UsageError &&
      error.message === "--learning-rate does nothing with --preset quick; leave it out or " +
          "change these (see deno task demo --help)",
  );
  const small = parseCommand(spec, ["--learning-rate", "1", "--preset", "small"]);
  refuseIdleOptions(spec, small, applies, "--preset small");
});

Deno.test("parseCommand() refuses extra and missing words", () => {
  refuses(["a", "b"], /unexpected word "b"/);
  const strict = { ...spec, positionals: [{ name: "WHAT", description: "it", required: true }] };
  assert.throws(() => parseCommand(strict, []), /WHAT is missing: it/);
  const many = { ...spec, positionals: [{ name: "WHAT", description: "it", many: true }] };
  assert.deepEqual(parseCommand(many, ["a", "b"]).positionals, ["a", "b"]);
});

Deno.test("parseCommand() keeps the words after -- for another program", () => {
  const passing = { ...spec, passThrough: "JupyterLab" };
  const parsed = parseCommand(passing, ["--steps", "2", "--", "--port", "1", "--"]);
  assert.equal(parsed.options.steps, 2);
  assert.deepEqual(parsed.rest, ["--port", "1", "--"]);
  assert.throws(() => parseCommand(passing, ["--port"]), /for JupyterLab go after "--"/);
});

Deno.test("formatHelp() shows usage, options with defaults and examples", () => {
  assert.throws(() => parseCommand(spec, ["--help", "--nonsense"]), HelpRequest);
  const help = formatHelp(spec);
  assert.match(help, /^Shows what a spec can say\.\n/);
  assert.match(help, /Usage: deno task demo \[WHAT\] \[options\]/);
  assert.match(help, /--steps N\s+how many \(default 10\)/);
  assert.match(help, /-n, --name TEXT\s+what to call it\n/);
  assert.match(help, /--preset quick\|small\s+size \(default quick\)/);
  assert.match(help, /--\[no-\]color\s+in colour \(on by default\)/);
  assert.match(help, /deno task demo --steps 3\s+three/);
});

Deno.test("nearest() only takes what could be a slip", () => {
  assert.equal(nearest("--prest", ["--preset", "--steps"]), "--preset");
  assert.equal(nearest("--elephant", ["--preset", "--steps"]), undefined);
});

Deno.test("formatError() shows a stack only when asked", () => {
  const bug = new TypeError("x is undefined");
  assert.match(formatError(bug, false), /^error: x is undefined\n.*--debug/);
  assert.doesNotMatch(formatError(bug, false), /\bat .*args_test/);
  assert.match(formatError(bug, true), /args_test\.ts/);
  assert.equal(formatError(new UserError("no file"), false), "error: no file");
  assert.match(formatError(new Interrupted(), true), /interrupted/);
});

Deno.test("runCommand() ends with the right code and one line", async () => {
  const run = async (body: string) => {
    const module = new URL("../../lib/cli/_args.ts", import.meta.url).href;
    const errors = new URL("../../lib/errors.ts", import.meta.url).href;
    const code = `import { runCommand, UsageError } from ${JSON.stringify(module)};
      import { UserError } from ${JSON.stringify(errors)};
      await runCommand((argv) => { ${body} }, ["--", "word"]);`;
    const command = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", code],
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    });
    const output = await command.output();
    return { code: output.code, stderr: new TextDecoder().decode(output.stderr).trim() };
  };
  assert.deepEqual(await run("return 3;"), { code: 3, stderr: "" });
  assert.deepEqual(await run("if (argv.length !== 2) throw 1;"), { code: 0, stderr: "" });
  assert.deepEqual(await run(`throw new UserError("no");`), { code: 1, stderr: "error: no" });
  assert.deepEqual(await run(`throw new UsageError("eh");`), { code: 2, stderr: "error: eh" });
});
